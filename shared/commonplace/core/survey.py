"""Looking over the memories of an organization: all of them, what they are like, and whom they are about."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from commonplace.core.browse import Wanted, everything, looked_over
from commonplace.core.strength import strength
from commonplace.model.filter import Filter
from commonplace.model.memory import Accesses, Memory
from commonplace.model.scope import DEFAULT_STORE
from commonplace.ports.world import Clock
from commonplace.rows.memories import Memories


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A memory, how it was recalled, how strong it is now, and the ids of the events that it was made of."""

    memory: Memory
    accesses: Accesses
    strength: float
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """All memories of an organization, newest first; ``truncated`` if there are more than were read."""

    memories: tuple[Memory, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Actor:
    """Whom memories are about, and which those are."""

    id: str
    memories: tuple[Memory, ...]

    @property
    def first_at(self) -> datetime:
        """When the first of them was written."""
        return min(memory.created_at for memory in self.memories)

    @property
    def last_at(self) -> datetime:
        """When the last of them was written."""
        return max(memory.created_at for memory in self.memories)


class Survey:
    """Reads the rows themselves, the newest ``MOST_READ`` of an organization at most: so nothing has to be counted with
    every memory that is written."""

    def __init__(self, memories: Memories, clock: Clock) -> None:
        self._memories = memories
        self._clock = clock

    async def overview(
        self, tenant: str, organization: str, actor: str | None = None, wanted: Wanted = everything
    ) -> Overview:
        """The memories of an organization, or of one of its actors, of every standing."""
        filter = Filter(store=DEFAULT_STORE, organization=organization, user=actor, confidential=True, archived=True)
        found, truncated = await looked_over(self._memories, tenant, filter, wanted)
        return Overview(tuple(found), truncated)

    async def actors(self, tenant: str, organization: str, actor: str | None = None) -> tuple[list[Actor], bool]:
        """Whom the memories of an organization are about, in no order; and whether memories were left out."""
        overview = await self.overview(tenant, organization, actor)
        of_actor: dict[str, list[Memory]] = {}
        for memory in overview.memories:
            if memory.scope.user is not None:
                of_actor.setdefault(memory.scope.user, []).append(memory)
        return [Actor(id, tuple(memories)) for id, memories in of_actor.items()], overview.truncated

    async def known(self, tenant: str, memories: Sequence[Memory]) -> list[Surveyed]:
        """The memories with all that is known of them, in their order."""
        ids = [memory.id for memory in memories]
        accesses, sources = await asyncio.gather(
            self._memories.accesses(tenant, ids), self._memories.sources(tenant, ids)
        )
        now = self._clock.now()
        return [
            Surveyed(memory, accesses[memory.id], strength(memory, accesses[memory.id], now), sources[memory.id])
            for memory in memories
        ]

    async def strengths(self, tenant: str, memories: Sequence[Memory]) -> dict[str, float]:
        """How strong each of the memories is now, by id."""
        now = self._clock.now()
        accesses = await self._memories.accesses(tenant, [memory.id for memory in memories])
        return {memory.id: strength(memory, accesses[memory.id], now) for memory in memories}
