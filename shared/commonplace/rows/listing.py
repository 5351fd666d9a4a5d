"""Reading a list page by page, with a filter that the engine cannot apply."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from commonplace.model.payload import LARGEST, too_large
from commonplace.ports.table import Key, Query, Table

T = TypeVar("T")

SLICE = 100
"""Rows read at a time."""

KEYS_AT_ONCE = 1_000
"""Keys read at a time where no filter has to look at their rows."""

BUDGET = 2_000
"""Rows that one page reads at most before it is a short one that says where to go on."""

SKIPPED = 20_000
"""Rows that one page leaves out unread at most before it is an empty one that says where to go on."""

FULL = 5 * 1024 * 1024
"""Bytes that the things of a page have together at most, if it is more than one thing. The rest of an answer is for what is
not weighed: names, times, and numbers of up to a thousand things."""


def weightless(_: object) -> int:
    """The weight of what is small, and never so many that they would not fit an answer."""
    return 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: right after the last thing that was looked at, whatever is added or removed before it; and how
    many things are still to be left out from there on."""

    after: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """Some things of a list in order; ``next`` is None at the end. ``looked_at`` rows were read for them or left out."""

    items: tuple[T, ...]
    next: Place | None
    looked_at: int


class Pages(Protocol[T]):
    """A list, as it is read page by page."""

    def __call__(self, *, limit: int, offset: int = 0, start: Place | None = None) -> Awaitable[Listed[T]]:
        """Up to ``limit`` things from ``start`` on; from the beginning on after leaving out ``offset`` of them."""


class Kept(Generic[T]):
    """The things that an answer is going to show, all of them."""

    def __init__(self, weigh: Callable[[T], int]) -> None:
        self._weigh = weigh
        self._left = LARGEST
        self.items: list[T] = []

    def keep(self, things: Iterable[T]) -> None:
        """Keeps some more. Raises ``Invalid`` once no answer could carry them: before they take all memory."""
        for thing in things:
            self._left -= self._weigh(thing)
            if self._left < 0:
                raise too_large()
            self.items.append(thing)


class Reading:
    """How far a list was read, over as many pages as it takes: to its end, or until ``most`` rows were looked at (by the
    page that reaches them, so up to ``SKIPPED`` and ``BUDGET`` more)."""

    def __init__(self, most: int, start: Place | None = None) -> None:
        self._left = most
        self.place = start
        self.goes_on = True

    def took(self, page: Listed[T]) -> tuple[T, ...]:
        """What stands on the page that was read from ``place`` on."""
        self._left -= page.looked_at
        self.place = page.next
        self.goes_on = page.next is not None and self._left > 0
        return page.items


async def some(
    pages: Pages[T], most: int, *, limit: int, offset: int = 0, weigh: Callable[[T], int] = weightless
) -> list[T]:
    """As many things as are asked for, if there are so many among the first ``most`` rows. Raises ``Invalid`` if no answer
    could carry them."""
    reading, found = Reading(most), Kept(weigh)
    while reading.goes_on and len(found.items) < limit:
        page = await pages(limit=limit - len(found.items), offset=offset, start=reading.place)
        found.keep(reading.took(page))
    return found.items


async def window(
    pages: Pages[T],
    most: int,
    wanted: Callable[[T], bool],
    *,
    limit: int,
    offset: int,
    weigh: Callable[[T], int] = weightless,
) -> tuple[list[T], int]:
    """``limit`` of the things that are wanted, after leaving out ``offset`` of them, and how many are wanted, both among the
    first ``most`` rows. Keeps no others in memory. Raises ``Invalid`` if no answer could carry them."""
    reading, found = Reading(most), Kept(weigh)
    count = 0
    while reading.goes_on:
        for thing in reading.took(await pages(limit=SLICE, start=reading.place)):
            if wanted(thing):
                if offset <= count < offset + limit:
                    found.keep([thing])
                count += 1
    return found.items, count


async def listed(
    table: Table,
    query: Query,
    load: Callable[[Sequence[Key]], Awaitable[list[T | None]]],
    *,
    limit: int,
    offset: int = 0,
    filtered: bool = True,
    start: Place | None = None,
    weigh: Callable[[T], int] = weightless,
) -> Listed[T]:
    """Up to ``limit`` things from ``start`` on, which knows what is to be left out; without it from the beginning on, after
    leaving out ``offset`` of them. Fewer if they would weigh more than ``FULL``, but one at least.

    ``load`` gives for each key the thing or None, where it is gone or the filter does not want it. With
    ``filtered=False`` nothing is left out by the filter, so the things of the offset need not be loaded.
    """
    after = None if start is None else start.after
    offset = offset if start is None else start.offset
    filling = _Filling(limit, weigh)
    skipped, read, at_once = 0, 0, 1
    while True:
        size = SLICE if filtered else min(KEYS_AT_ONCE, filling.room + offset)
        piece = await table.query(replace(query, limit=size, after=after))
        position = 0 if filtered else min(offset, len(piece.keys))
        offset -= position
        skipped += position
        while position < len(piece.keys) and filling.room > 0 and read < BUDGET:
            count = min(max(filling.room + offset, at_once), SLICE, BUDGET - read)
            wanted = piece.keys[position : position + count]
            things = [(number, each) for number, each in enumerate(await load(wanted), 1) if each is not None]
            read += len(wanted)
            position += filling.took(things[offset:], len(wanted))
            offset = max(0, offset - len(things))
            if not things:  # where little is wanted, reading few rows at a time would take very many calls
                at_once = 2 * len(wanted)
        if position == len(piece.keys):
            after = piece.next
        elif position > 0:
            after = (await table.query(replace(query, limit=position, after=after))).next
        if after is None:
            return Listed(tuple(filling.items), None, skipped + read)
        if filling.room == 0 or read >= BUDGET or (skipped >= SKIPPED and offset > 0):
            return Listed(tuple(filling.items), Place(after, offset), skipped + read)


class _Filling(Generic[T]):
    """What a page shows, and for how many things it still has room."""

    def __init__(self, limit: int, weigh: Callable[[T], int]) -> None:
        self.items: list[T] = []
        self.room = limit
        self._weigh = weigh
        self._weight = 0

    def took(self, things: Iterable[tuple[int, T]], rows: int) -> int:
        """Takes the things, each with its number among so many rows, while there is room; how many of the rows are done
        with."""
        for number, thing in things:
            self._weight += self._weigh(thing)
            if self.items and self._weight > FULL:
                self.room = 0
                return number - 1
            self.items.append(thing)
            self.room -= 1
            if self.room == 0:
                return number
        return rows
