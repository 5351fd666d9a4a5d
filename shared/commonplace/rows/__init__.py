"""The rows: key builders, item codecs and one repository per noun, over the Table port."""
