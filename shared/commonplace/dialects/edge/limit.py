"""How many memories are asked for. Nothing that can be said is an error: it is turned into a number as ECMAScript's
``Number()`` does it (ECMA-262, sections 7.1.4 and 21.1.1.1)."""

import math
import re

from commonplace.dialects.edge.blank import SPACE
from commonplace.model.values import Json

MOST = 100

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_POWER_OF_TWO = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")


def limit(value: Json, default: int) -> int:
    """From 1 to ``MOST``: the whole part of a number; ``default`` for what is none, is infinite or is less than 1."""
    wanted = number(value)
    return min(math.floor(wanted), MOST) if math.isfinite(wanted) and wanted >= 1 else default


def number(value: Json) -> float:
    """The number that a JSON value is to ECMAScript; NaN if it is none."""
    if isinstance(value, list):
        return _of_list(value)
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, dict):
        return math.nan
    return _double(value or 0)


def _of_list(value: Json) -> float:
    """An array is first its text, the texts of its elements with commas between: only one element leaves a number."""
    while isinstance(value, list):
        if len(value) > 1:
            return math.nan
        value = value[0] if value else None
    # The text of a truth value is a word, that of null inside an array is empty, that of a number is the number again.
    return math.nan if isinstance(value, bool) else number(value)


def _of_text(text: str) -> float:
    text = text.strip(SPACE)
    if not text:
        return 0.0
    # What float() reads beyond this, "inf", "nan", "1_0" and the digits of other scripts, is no number there.
    if _DECIMAL.fullmatch(text):
        return float(text)
    # "Infinity" is a number there, but one that is as good as none here.
    return _double(int(text, 0)) if _POWER_OF_TWO.fullmatch(text) else math.nan


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
