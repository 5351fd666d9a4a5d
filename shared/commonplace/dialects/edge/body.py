"""The JSON of a request. It is read with what the values mean to a double, and not as strictly as elsewhere: a number that
no double holds is refused only in the fields where it matters."""

import json
import math
import re
from typing import NoReturn

from commonplace.model.errors import Malformed
from commonplace.model.values import Json

MALFORMED = "Expected a valid JSON request body"

_HALF = re.compile(r"\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F])")
"""In valid JSON: other escapes and whole surrogate pairs, to step over them; and, as its group, half of a pair."""


def read(raw: bytes) -> dict[str, Json]:
    """The object that a body holds; any other value counts as an object without fields.

    A number that a double cannot hold is an infinity. Raises ``Malformed`` for what is not JSON in UTF-8, for ``NaN`` and
    ``Infinity``, for half of a surrogate pair, and for what is nested deeper than can be read.
    """
    try:
        text = raw.decode()
        value: Json = json.loads(text, parse_constant=_no_constant, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise Malformed(MALFORMED) from error
    if any(found[1] for found in _HALF.finditer(text)):
        raise Malformed(MALFORMED)
    return value if isinstance(value, dict) else {}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _whole(text: str) -> int | float:
    number = float(text)
    return int(text) if math.isfinite(number) else number
