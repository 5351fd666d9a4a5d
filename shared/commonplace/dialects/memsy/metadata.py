"""An event's metadata: a text, which may be that of an object."""

import json
import math
from typing import NoReturn

from commonplace.dialects.memsy.texts import encodable
from commonplace.model.values import Json, Metadata, deeper

MOST_METADATA = 4096
"""Characters of the text."""

MOST_DEPTH = 64
"""Levels of nesting. What is nested deeper is kept as a text."""

RAW = "raw"
"""The key of a text that is no object."""


def metadata(text: str) -> Metadata:
    """The object whose JSON this is; of any other text an object that holds it.

    Other text is also JSON of what could not be stored and sent as it is: what JSON itself does not know (``NaN``), a number
    that no double can hold, half of a surrogate pair, and too deep a nesting.
    """
    try:
        value: Json = json.loads(text, parse_constant=_unknown, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError):
        return {RAW: text}
    if not isinstance(value, dict) or deeper(value, MOST_DEPTH):
        return {RAW: text}
    return value if encodable(json.dumps(value, ensure_ascii=False)) else {RAW: text}


def raw(metadata: Metadata) -> str | None:
    """The text that was no object; None of an object."""
    text = metadata.get(RAW)
    return text if isinstance(text, str) and len(metadata) == 1 else None


def _unknown(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _whole(text: str) -> int:
    _finite(text)
    return int(text)
