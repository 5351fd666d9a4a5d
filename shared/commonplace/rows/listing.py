"""Reading a list page by page, with a filter that the engine cannot apply."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from commonplace.ports.table import Key, Query, Table

T = TypeVar("T")

SLICE = 100
"""Keys read at a time."""

BUDGET = 2_000
"""Rows that one request reads at most before it returns a short page with a cursor."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: right after the last thing that was looked at, whatever is added or removed before it."""

    after: str


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """Some things of a list in order; ``next`` is None at the end."""

    items: tuple[T, ...]
    next: Place | None


async def listed(
    table: Table,
    query: Query,
    load: Callable[[Sequence[Key]], Awaitable[list[T | None]]],
    *,
    limit: int,
    offset: int = 0,
    filtered: bool = True,
    start: Place | None = None,
) -> Listed[T]:
    """Up to ``limit`` things, after leaving out ``offset`` of them, from ``start`` on.

    ``load`` gives for each key the thing or None, where it is gone or the filter does not want it. With
    ``filtered=False`` nothing is left out by the filter, so the things of the offset need not be loaded.
    """
    after = None if start is None else start.after
    found: list[T] = []
    budget = BUDGET
    while True:
        size = SLICE if filtered else min(SLICE, limit + offset - len(found))
        piece = await table.query(replace(query, limit=size, after=after))
        position = 0 if filtered else min(offset, len(piece.keys))
        offset -= position
        while position < len(piece.keys) and len(found) < limit and budget > 0:
            wanted = piece.keys[position : position + min(limit + offset - len(found), budget)]
            things = [thing for thing in await load(wanted) if thing is not None]
            position, budget = position + len(wanted), budget - len(wanted)
            found += things[offset:]
            offset = max(0, offset - len(things))
        if position < len(piece.keys):
            piece = await table.query(replace(query, limit=position, after=after))
        after = piece.next
        if after is None:
            return Listed(tuple(found), None)
        if len(found) >= limit or budget <= 0:
            return Listed(tuple(found), Place(after))
