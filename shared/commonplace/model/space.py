"""Embedding spaces: vectors can only be compared inside one."""

from dataclasses import dataclass


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
    def named(cls, name: str) -> "Space":
        """The space of this name."""
        model, _, dimension = name.rpartition("-")
        return cls(model, int(dimension))


@dataclass(frozen=True, slots=True)
class Embedding:
    """A memory's vectors in one space, one for each passage, in the order of the passages."""

    space: Space
    vectors: tuple[tuple[float, ...], ...]
