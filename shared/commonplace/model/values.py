"""Plain values that the nouns are made of."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import NoReturn, TypeAlias

CHARACTERS_PER_TOKEN = 4
"""Of English, about: for budgets that are given in a model's tokens."""

MOST_DIGITS = 400
"""Digits of a whole number: more than any double has, fewer than what is slow to read."""

Json: TypeAlias = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""Any JSON value."""

Metadata: TypeAlias = Mapping[str, Json]
"""A caller's free JSON object."""


def json_value(text: str) -> Json:
    """The value that a text is the JSON of, strictly: no NaN or infinity, no fraction that a double cannot hold, no whole
    number of more than ``MOST_DIGITS``. Raises ``ValueError``, and ``RecursionError`` of a nesting that Python cannot
    follow."""
    value: Json = json.loads(text, parse_constant=_unknown, parse_float=_finite, parse_int=_whole)
    return value


def _unknown(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text[:20])
    return number


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(text[:20])
    return int(text)


def levels(value: Json) -> Iterator[list[Json]]:
    """The value, then all that it holds, then all that these hold, and so on, however deep: nothing here calls itself."""
    level = [value]
    while level:
        yield level
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
        ]


def deeper(value: Json, most: int) -> bool:
    """Whether a value has more than so many levels, of which it is the first itself."""
    return any(depth > most for depth, _ in enumerate(levels(value), start=1))
