"""Reading memories back, one or a page at a time."""

from collections.abc import Sequence

from commonplace.core.cursor import Cursors
from commonplace.model.errors import NotFound
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory
from commonplace.model.page import Page
from commonplace.model.space import Space
from commonplace.ports.world import Clock
from commonplace.rows.memories import Memories


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

    async def vectors(self, memories: Sequence[Memory], space: Space) -> dict[str, tuple[float, ...]]:
        """The first passage's vector of each of the memories that have one."""
        found: dict[str, tuple[float, ...]] = {}
        for memory in memories:
            embedding = await self._memories.embedding(memory, space) if memory.passages else None
            if embedding is not None:
                found[memory.id] = embedding.vectors[0]
        return found
