"""Deleting memories: the row first, because it is the truth; then the index."""

import asyncio
import json
from dataclasses import replace

from commonplace.core.embed import Embed, message
from commonplace.core.notify import Notify
from commonplace.core.retry import until_settled
from commonplace.model.errors import NotFound, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory
from commonplace.model.scope import DEFAULT_STORE
from commonplace.model.webhook import EventType
from commonplace.ports.embedder import Embedder
from commonplace.ports.queue import Message, Queue
from commonplace.ports.world import Clock
from commonplace.rows.memories import Memories
from commonplace.rows.webhooks import staged

AT_ONCE = 100
"""Memories of a session that are deleted in the request itself; the worker deletes the others."""


class Forget:
    """What is deleted is never returned again, whatever arrives late."""

    def __init__(
        self, memories: Memories, notify: Notify, embed: Embed, embedder: Embedder, queue: Queue, clock: Clock
    ) -> None:
        self._memories = memories
        self._notify = notify
        self._embed = embed
        self._embedder = embedder
        self._queue = queue
        self._clock = clock

    async def __call__(self, tenant: str, id: str) -> None:
        """Deletes a memory. Raises ``NotFound``. The index lets go of it at once, or later if it is down."""

        async def attempt() -> None:
            memory = await self._memories.get(tenant, id)
            if memory is None:
                raise NotFound("memory")
            await self.buried(memory)

        await until_settled(attempt)

    async def buried(self, memory: Memory) -> None:
        """Deletes this revision of a memory. Raises ``NotFound`` or ``Conflict``."""
        now = self._clock.now()
        memory = replace(memory, passages=await self._embed.reach(memory))
        endpoints = await self._notify.endpoints(memory.tenant)
        deliveries = self._notify.deliveries(EventType.MEMORY_DELETED, memory, now, endpoints)
        tombstone = await self._memories.bury(memory, now, self._embedder.space, staged(deliveries))
        await self._notify.send(deliveries)
        try:
            await self._embed.clear(tombstone)
        except Unavailable:
            await self._queue.send([message(tombstone)])

    async def session(self, tenant: str, session: str) -> None:
        """Deletes the memories of a session: the newest now, the others by the worker, which is told first.

        If the queue refuses, all of them now.
        """
        (job,) = await self._queue.send([Message(json.dumps({"kind": "forget", "tenant": tenant, "session": session}))])
        if job is None:
            await self.whole_session(tenant, session)
            return
        await self._newest(tenant, session)

    async def whole_session(self, tenant: str, session: str) -> None:
        """Deletes all memories of a session, however many. Repeating it changes nothing."""
        more = True
        while more:
            more = await self._newest(tenant, session)

    async def matching(self, tenant: str, filter: Filter) -> int:
        """Deletes all memories that the filter means, the newest first; how many that were. ``filter.store`` must be
        given. Raises ``Unavailable``; asked again it goes on."""
        deleted, place = 0, None
        while True:
            listed = await self._memories.page(tenant, filter, limit=AT_ONCE, start=place)
            gone = await asyncio.gather(*(self._one(memory) for memory in listed.items))
            deleted += sum(gone)
            if listed.next is None:
                return deleted
            place = listed.next

    async def some_of(self, tenant: str, store: str) -> bool:
        """Deletes memories of a store, ``AT_ONCE`` at most, and says whether there are more."""
        filter = Filter(store=store, confidential=True, archived=True)
        listed = await self._memories.page(tenant, filter, limit=AT_ONCE)
        await asyncio.gather(*(self._one(memory) for memory in listed.items))
        return listed.next is not None

    async def _newest(self, tenant: str, session: str) -> bool:
        """Deletes the newest memories of a session, and says whether there are more."""
        filter = Filter(store=DEFAULT_STORE, session=session, confidential=True, archived=True)
        listed = await self._memories.page(tenant, filter, limit=AT_ONCE)
        await asyncio.gather(*(self._one(memory) for memory in listed.items))
        return listed.next is not None

    async def _one(self, memory: Memory) -> bool:
        try:
            await self(memory.tenant, memory.id)
        except NotFound:
            return False
        return True
