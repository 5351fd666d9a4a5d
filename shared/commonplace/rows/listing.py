"""Reading a list page by page, with a filter that the engine cannot apply."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from commonplace.ports.table import Key, Query, Table

T = TypeVar("T")

SLICE = 100
"""Keys read at a time."""

BUDGET = 2_000
"""Rows that one page reads at most before it is a short one that says where to go on."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: right after the last thing that was looked at, whatever is added or removed before it."""

    after: str


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """Some things of a list in order; ``next`` is None at the end. ``looked_at`` rows were read for them, and ``offset`` is
    what is still to be left out of the rest of the list."""

    items: tuple[T, ...]
    next: Place | None
    looked_at: int
    offset: int = 0


class Pages(Protocol[T]):
    """A list, as it is read page by page."""

    def __call__(self, *, limit: int, offset: int = 0, start: Place | None = None) -> Awaitable[Listed[T]]:
        """Up to ``limit`` things, after leaving out ``offset`` of them, from ``start`` on."""


class Reading:
    """How far a list was read, over as many pages as it takes: to its end, or until ``most`` rows were looked at (by the
    page that reaches them, so up to ``BUDGET`` more)."""

    def __init__(self, most: int) -> None:
        self._left = most
        self.place: Place | None = None
        self.goes_on = True

    def took(self, page: Listed[T]) -> tuple[T, ...]:
        """What stands on the page that was read from ``place`` on."""
        self._left -= page.looked_at
        self.place = page.next
        self.goes_on = page.next is not None and self._left > 0
        return page.items


async def some(pages: Pages[T], most: int, *, limit: int, offset: int = 0) -> list[T]:
    """As many things as are asked for, if there are so many among the first ``most`` rows."""
    reading = Reading(most)
    found: list[T] = []
    while reading.goes_on and len(found) < limit:
        page = await pages(limit=limit - len(found), offset=offset, start=reading.place)
        found += reading.took(page)
        offset = page.offset
    return found


async def window(
    pages: Pages[T], most: int, wanted: Callable[[T], bool], *, limit: int, offset: int
) -> tuple[list[T], int]:
    """``limit`` of the things that are wanted, after leaving out ``offset`` of them, and how many are wanted, both among the
    first ``most`` rows. Keeps no others in memory."""
    reading = Reading(most)
    found: list[T] = []
    count = 0
    while reading.goes_on:
        for thing in reading.took(await pages(limit=SLICE, start=reading.place)):
            if wanted(thing):
                if offset <= count < offset + limit:
                    found.append(thing)
                count += 1
    return found, count


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
    ``filtered=False`` nothing is left out by the filter, so the things of the offset need not be loaded, and are not looked
    at.
    """
    after = None if start is None else start.after
    found: list[T] = []
    looked_at, at_once = 0, 1
    while True:
        size = SLICE if filtered else min(SLICE, limit + offset - len(found))
        piece = await table.query(replace(query, limit=size, after=after))
        position = 0 if filtered else min(offset, len(piece.keys))
        offset -= position
        while position < len(piece.keys) and len(found) < limit and looked_at < BUDGET:
            count = min(max(limit + offset - len(found), at_once), BUDGET - looked_at)
            wanted = piece.keys[position : position + count]
            things = [(number, each) for number, each in enumerate(await load(wanted), 1) if each is not None]
            taken = things[offset:][: limit - len(found)]
            found += [thing for _, thing in taken]
            offset = max(0, offset - len(things))
            looked_at += len(wanted)
            position += taken[-1][0] if len(found) == limit else len(wanted)
            if not things:  # where little is wanted, reading few rows at a time would take very many calls
                at_once = 2 * len(wanted)
        if position < len(piece.keys):
            piece = await table.query(replace(query, limit=position, after=after))
        after = piece.next
        if after is None:
            return Listed(tuple(found), None, looked_at, offset)
        if len(found) >= limit or looked_at >= BUDGET:
            return Listed(tuple(found), Place(after), looked_at, offset)
