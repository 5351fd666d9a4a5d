"""Texts, as this API takes them."""

MOST_NAME = 256
"""Characters of an id or a name."""


def cleaned(text: str) -> str:
    """The text without NUL, which this API drops without a word, wherever a name comes from: so it is one name everywhere."""
    return text.replace("\0", "")


def encodable(text: str) -> bool:
    """Whether this is text that can be stored and sent: half of a surrogate pair is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
