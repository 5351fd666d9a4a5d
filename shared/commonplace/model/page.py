"""Pages of lists."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, newest first. ``cursor`` continues it and is None at the end.

    ``total`` is None where counting would mean reading everything.
    """

    items: tuple[T, ...]
    cursor: str | None
    total: int | None
