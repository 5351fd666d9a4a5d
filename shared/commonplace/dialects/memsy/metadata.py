"""An event's metadata: a text, which may be that of an object."""

import json

from commonplace.dialects.memsy.texts import encodable
from commonplace.model.values import Metadata, deeper, json_value

MOST_METADATA = 4096
"""Characters of the text."""

MOST_DEPTH = 64
"""Levels of nesting. What is nested deeper is kept as a text."""


def metadata(text: str) -> Metadata | str:
    """The object whose JSON this is; any other text as it is.

    Other text is also JSON of what could not be stored and sent as it is: what JSON itself does not know (``NaN``), a number
    that ``json_value`` does not read, half of a surrogate pair, and too deep a nesting.
    """
    try:
        value = json_value(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(value, dict) or deeper(value, MOST_DEPTH):
        return text
    return value if encodable(json.dumps(value, ensure_ascii=False)) else text
