"""Finding memories together with what is known of how they came to be."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commonplace.core.search import Search, Wanted
from commonplace.core.strength import strength
from commonplace.model.event import Event
from commonplace.model.memory import Memory
from commonplace.ports.queue import Message, Queue
from commonplace.ports.world import Clock
from commonplace.rows.events import Events
from commonplace.rows.memories import Memories


@dataclass(frozen=True, slots=True)
class Recollected:
    """A memory that was found, how well it answers in [0,1], how strong it was before, and the ids of the events that it
    was made of."""

    memory: Memory
    relevance: float
    strength: float
    sources: tuple[str, ...]


class Recollect:
    """A search whose hits gain strength: not in its own time, but by the worker."""

    def __init__(self, search: Search, memories: Memories, events: Events, queue: Queue, clock: Clock) -> None:
        self._search = search
        self._memories = memories
        self._events = events
        self._queue = queue
        self._clock = clock

    async def __call__(self, tenant: str, wanted: Wanted) -> list[Recollected]:
        """What is found, best first. Raises ``Unavailable``."""
        hits = (await self._search(tenant, wanted)).hits
        if not hits:
            return []
        ids = [hit.memory.id for hit in hits]
        sources, accesses, _ = await asyncio.gather(
            self._memories.sources(tenant, ids),
            self._memories.accesses(tenant, ids),
            # A recall that the queue does not take is lost: a little strength.
            self._queue.send([Message(json.dumps({"kind": "recalled", "tenant": tenant, "ids": ids}))]),
        )
        now = self._clock.now()
        return [
            Recollected(
                hit.memory, hit.relevance, strength(hit.memory, accesses[hit.memory.id], now), sources[hit.memory.id]
            )
            for hit in hits
        ]

    async def events(self, tenant: str, organization: str, found: Sequence[Recollected]) -> Mapping[str, Event]:
        """The events that the memories were made of, by id."""
        ids = [id for each in found for id in each.sources]
        return await self._events.many(tenant, organization, ids) if ids else {}
