"""Reading a list page by page, with a filter that the engine cannot apply."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from commonplace.ports.table import Key, Query, Table

T = TypeVar("T")

SLICE = 100
"""Keys read at a time. A constant, so that a place inside a slice means the same on the next request."""

BUDGET = 2_000
"""Rows that one request reads at most before it returns a short page with a cursor."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: the start of a slice, and how many of its keys are done with."""

    after: str | None = None
    done: int = 0


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
    place = start or Place()
    found: list[T] = []
    budget = BUDGET + (0 if filtered else offset)
    while True:
        piece = await table.query(
            Query(
                partition=query.partition,
                index=query.index,
                low=query.low,
                high=query.high,
                descending=query.descending,
                limit=SLICE,
                after=place.after,
            )
        )
        position = place.done
        if not filtered:
            skipped = min(offset, max(0, len(piece.keys) - position))
            position, offset, budget = position + skipped, offset - skipped, budget - skipped
        while position < len(piece.keys) and budget > 0:
            wanted = piece.keys[position : position + max(1, min(limit + offset - len(found), budget))]
            for thing in await load(wanted):
                position += 1
                budget -= 1
                if thing is None:
                    continue
                if offset:
                    offset -= 1
                    continue
                found.append(thing)
            if len(found) >= limit:
                break
        finished = position >= len(piece.keys)
        if finished and piece.next is None:
            return Listed(tuple(found), None)
        place = Place(piece.next, 0) if finished else Place(place.after, position)
        if len(found) >= limit or budget <= 0:
            return Listed(tuple(found), place)
