"""Plain values that the nouns are made of."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

Json: TypeAlias = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""Any JSON value."""

Metadata: TypeAlias = Mapping[str, Json]
"""A caller's free JSON object."""


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
