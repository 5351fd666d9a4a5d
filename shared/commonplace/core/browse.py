"""Reading memories back, one or a page at a time."""

from collections.abc import Callable, Sequence
from functools import partial

from commonplace.core.cursor import Cursors
from commonplace.model.errors import NotFound
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory
from commonplace.model.page import Page
from commonplace.model.space import Space
from commonplace.ports.world import Clock
from commonplace.rows.listing import Kept, Reading, some, weightless, window
from commonplace.rows.memories import Memories, weight

SLICE = 200
MOST_READ = 20_000
"""Rows that one request looks at, for a list that nothing continues or to count what no counter knows; the page that reaches
them may go up to ``rows.listing.BUDGET`` beyond."""

MOST_HELD = 64 * 1024 * 1024
"""Bytes of contents and metadata that one request looks over and keeps: Python needs several times as many for them, and a
function has 1,024 MB."""

Wanted = Callable[[Memory], bool]
"""Whether a memory is meant, by what a filter cannot say."""


def everything(_: object) -> bool:
    """Means every one."""
    return True


async def looked_over(
    memories: Memories, tenant: str, filter: Filter, wanted: Wanted = everything
) -> tuple[list[Memory], bool]:
    """The memories that are meant, newest first, among the first ``MOST_READ`` rows of the list, or until they weigh more than
    ``MOST_HELD``; and whether it has more."""
    found: list[Memory] = []
    reading, held = Reading(MOST_READ), 0
    while reading.goes_on and held <= MOST_HELD:
        listed = await memories.page(tenant, filter, limit=SLICE, start=reading.place, weigh=weightless)
        found += (meant := [memory for memory in reading.took(listed) if wanted(memory)])
        held += sum(map(weight, meant))
    return found, reading.place is not None


class Browse:
    """The rows, as they are."""

    def __init__(self, memories: Memories, cursors: Cursors, clock: Clock) -> None:
        self._memories = memories
        self._cursors = cursors
        self._clock = clock

    async def get(self, tenant: str, id: str) -> Memory:
        """The memory, searchable or not. Raises ``NotFound``."""
        memory = await self._memories.get(tenant, id)
        if memory is None or memory.expired(self._clock.now()):
            raise NotFound("memory")
        return memory

    async def origin(self, tenant: str, id: str) -> str | None:
        """The dialect that a memory was written in; None if there is no such memory."""
        memory = await self._memories.get(tenant, id)
        return None if memory is None or memory.expired(self._clock.now()) else memory.origin

    async def page(
        self, tenant: str, filter: Filter, *, limit: int, offset: int = 0, cursor: str | None = None
    ) -> Page[Memory]:
        """A page of the memories that the filter means, newest first, as many as one answer can show. Where a cursor goes on is
        said by itself, ``offset`` or none. ``filter.store`` must be given."""
        start = await self._cursors.read(cursor, tenant, filter)
        listed = await self._memories.page(tenant, filter, limit=limit, offset=offset, start=start)
        now = self._clock.now()
        return Page(
            tuple(memory for memory in listed.items if not memory.expired(now)),
            await self._cursors.write(listed.next, tenant, filter),
            await self._memories.total(tenant, filter),
        )

    async def newest(self, tenant: str, filter: Filter, limit: int) -> list[Memory]:
        """The newest of the memories that the filter means, for a list that nothing continues: as many as are asked for, if
        there are so many among its first ``MOST_READ`` rows. ``filter.store`` must be given. Raises ``Invalid`` if no answer
        could carry them."""
        now, reading, found = self._clock.now(), Reading(MOST_READ), Kept(weight)
        while reading.goes_on and len(found.items) < limit:
            # Where some have expired, many may have: as many pages of a few memories would take very many calls.
            size = limit if reading.place is None else max(limit, SLICE)
            listed = await self._memories.page(tenant, filter, limit=size, start=reading.place)
            good = [memory for memory in reading.took(listed) if not memory.expired(now)]
            found.keep(good[: limit - len(found.items)])
        return found.items

    async def counted(
        self, tenant: str, filter: Filter, wanted: Wanted, *, limit: int, skip: int
    ) -> tuple[list[Memory], int]:
        """``limit`` of the memories that are meant, newest first, after leaving out ``skip``; and how many are meant.

        The number is a counter's where there is one (``wanted`` everything, and a filter of one part of the scope), else it
        takes reading them. What stands beyond the first ``MOST_READ`` rows of the list is neither counted nor shown. Raises
        ``Invalid`` if no answer could carry them.
        """
        total = await self._memories.total(tenant, filter) if wanted is everything else None
        if total is None:
            pages = partial(self._memories.page, tenant, filter, weigh=weightless)
            return await window(pages, MOST_READ, wanted, limit=limit, offset=skip, weigh=weight)
        if skip >= total:
            return [], total
        pages = partial(self._memories.page, tenant, filter)
        return await some(pages, MOST_READ, limit=limit, offset=skip, weigh=weight), total

    async def vectors(self, memories: Sequence[Memory], space: Space) -> dict[str, tuple[float, ...]]:
        """The first passage's vector of each of the memories that have one."""
        found: dict[str, tuple[float, ...]] = {}
        for memory in memories:
            embedding = await self._memories.embedding(memory, space) if memory.passages else None
            if embedding is not None:
                found[memory.id] = embedding.vectors[0]
        return found
