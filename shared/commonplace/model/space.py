"""Embedding spaces: vectors can only be compared inside one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

GIVEN = "given"
"""The model of the vectors that callers bring: only they know which it was."""


@dataclass(frozen=True, slots=True)
class Space:
    """The vectors of one embedding model at one dimension. A caller's own vectors live in a space per dimension."""

    model: str
    dimension: int

    @property
    def name(self) -> str:
        """The space in one word, as it stands in rows and in the names of indexes."""
        return f"{self.model}-{self.dimension}"

    @classmethod
    def given(cls, length: int) -> "Space":
        """The space of callers' own vectors of so many numbers."""
        return cls(GIVEN, length)

    @property
    def is_given(self) -> bool:
        """Whether its vectors come from callers: then a memory has one in it, however many passages its text has."""
        return self.model == GIVEN

    @classmethod
    def named(cls, name: str) -> "Space":
        """The space of this name."""
        model, _, dimension = name.rpartition("-")
        return cls(model, int(dimension))


@dataclass(frozen=True, slots=True)
class Embedding:
    """A memory's vectors in one space, one for each passage, in the order of the passages."""

    space: Space
    vectors: tuple[tuple[float, ...], ...]


def direction(vector: Sequence[float]) -> tuple[float, ...]:
    """The vector of length 1 that points the same way, worked out in doubles: a cosine knows no scale, but float32, in
    which vectors are stored, has neither 1e300 nor 1e-300. Some number must not be zero."""
    largest = max(map(abs, vector))
    scaled = [number / largest for number in vector]
    length = math.hypot(*scaled)
    return tuple(number / length for number in scaled)
