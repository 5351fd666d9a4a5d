"""Reading memories back, one or a page at a time."""

from collections.abc import Callable, Sequence

from commonplace.core.cursor import Cursors
from commonplace.model.errors import NotFound
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory
from commonplace.model.page import Page
from commonplace.model.space import Space
from commonplace.ports.world import Clock
from commonplace.rows.memories import Memories

SLICE = 200
MOST_READ = 20_000
"""Rows that are read at most to count what no counter knows."""

Wanted = Callable[[Memory], bool]
"""Whether a memory is meant, by what a filter cannot say."""


def everything(_: Memory) -> bool:
    """Means every memory."""
    return True


async def looked_over(
    memories: Memories, tenant: str, filter: Filter, wanted: Wanted = everything
) -> tuple[list[Memory], bool]:
    """The memories that are meant, newest first, among the ``MOST_READ`` newest of the filter; and whether it has more."""
    found: list[Memory] = []
    seen, place = 0, None
    while True:
        listed = await memories.page(tenant, filter, limit=SLICE, start=place)
        found += [memory for memory in listed.items if wanted(memory)]
        seen += SLICE
        if listed.next is None or seen >= MOST_READ:
            return found, listed.next is not None
        place = listed.next


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
        """A page of the memories that the filter means, newest first. ``filter.store`` must be given."""
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
        there are so many. ``filter.store`` must be given."""
        now, place = self._clock.now(), None
        found: list[Memory] = []
        while True:
            listed = await self._memories.page(tenant, filter, limit=limit - len(found), start=place)
            found += [memory for memory in listed.items if not memory.expired(now)]
            if listed.next is None or len(found) == limit:
                return found
            place = listed.next

    async def counted(
        self, tenant: str, filter: Filter, wanted: Wanted, *, limit: int, skip: int
    ) -> tuple[list[Memory], int]:
        """``limit`` of the memories that are meant, newest first, after leaving out ``skip``; and how many are meant.

        The number is a counter's where there is one (``wanted`` everything, and a filter of one part of the scope). Else
        it takes reading them: of more than ``MOST_READ`` rows the oldest are neither counted nor shown.
        """
        total = await self._memories.total(tenant, filter) if wanted is everything else None
        if total is not None:
            listed = await self._memories.page(tenant, filter, limit=limit, offset=skip) if limit else None
            return list(listed.items) if listed else [], total
        found, _ = await looked_over(self._memories, tenant, filter, wanted)
        return found[skip : skip + limit], len(found)

    async def vectors(self, memories: Sequence[Memory], space: Space) -> dict[str, tuple[float, ...]]:
        """The first passage's vector of each of the memories that have one."""
        found: dict[str, tuple[float, ...]] = {}
        for memory in memories:
            embedding = await self._memories.embedding(memory, space) if memory.passages else None
            if embedding is not None:
                found[memory.id] = embedding.vectors[0]
        return found
