"""How values stand in attributes: times as sortable text, nested data as JSON text, vectors as float32 bytes."""

import json
from array import array
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from commonplace.model.space import Embedding, Space
from commonplace.model.values import Json
from commonplace.ports.table import Attributes, Value
from commonplace.rows.keys import stamp

FLOAT_BYTES = 4
CHUNK_BYTES = 96 * 1024
"""Vectors of a memory are kept in items of at most this size: an item may have 400 KB (DynamoDB)."""


def present(attributes: Mapping[str, Value | datetime | None]) -> dict[str, Value]:
    """The attributes that are not None, with times as text."""
    return {
        name: stamp(value) if isinstance(value, datetime) else value
        for name, value in attributes.items()
        if value is not None
    }


def absent(attributes: Mapping[str, Value | datetime | None]) -> tuple[str, ...]:
    """The names of the attributes that are None: what an update removes."""
    return tuple(name for name, value in attributes.items() if value is None)


def text(value: Json | Mapping[str, Json] | tuple[str, ...]) -> str:
    """A JSON value as compact text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Reader:
    """Reads attributes back, each as what it was written as. An attribute that is not there is None."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes: Mapping[str, Any] = attributes

    def string(self, name: str) -> str:
        """A string that must be there."""
        return str(self._attributes[name])

    def maybe(self, name: str) -> str | None:
        """A string that may be absent."""
        return self._attributes.get(name)

    def whole(self, name: str) -> int:
        """A whole number, 0 if absent."""
        return int(self._attributes.get(name, 0))

    def maybe_whole(self, name: str) -> int | None:
        """A whole number that may be absent."""
        value = self._attributes.get(name)
        return None if value is None else int(value)

    def number(self, name: str) -> float | None:
        """A number that may be absent."""
        value = self._attributes.get(name)
        return None if value is None else float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value."""
        return bool(self._attributes.get(name, default))

    def moment(self, name: str) -> datetime:
        """A time that must be there."""
        return datetime.fromisoformat(self.string(name))

    def maybe_moment(self, name: str) -> datetime | None:
        """A time that may be absent."""
        value = self._attributes.get(name)
        return None if value is None else datetime.fromisoformat(value)

    def json(self, name: str) -> Any:
        """A JSON value that must be there."""
        return json.loads(self.string(name))

    def data(self, name: str) -> bytes:
        """Bytes that must be there."""
        return bytes(self._attributes[name])


def packed(vectors: tuple[tuple[float, ...], ...]) -> bytes:
    """Vectors as float32 bytes, one after the other."""
    return array("f", [number for vector in vectors for number in vector]).tobytes()


def unpacked(data: bytes, dimension: int) -> list[tuple[float, ...]]:
    """The vectors that ``packed`` wrote."""
    numbers = array("f", data)
    return [tuple(numbers[start : start + dimension]) for start in range(0, len(numbers), dimension)]


def per_chunk(space: Space) -> int:
    """How many vectors of a space go into one item."""
    return max(1, CHUNK_BYTES // (space.dimension * FLOAT_BYTES))


def chunks(embedding: Embedding) -> list[bytes]:
    """The vectors as the bytes of one or more items."""
    size = per_chunk(embedding.space)
    vectors = embedding.vectors
    return [packed(vectors[start : start + size]) for start in range(0, len(vectors), size)]
