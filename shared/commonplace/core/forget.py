"""Deleting memories: the row first, because it is the truth; then the index."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from commonplace.core.embed import Embed, message
from commonplace.core.notify import Notify
from commonplace.core.retry import until_settled
from commonplace.model.errors import NotFound, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory, Tombstone
from commonplace.model.scope import DEFAULT_STORE
from commonplace.model.webhook import EventType
from commonplace.ports.embedder import Embedder
from commonplace.ports.queue import Message, Queue
from commonplace.ports.world import Clock
from commonplace.rows.clearings import Clearing, Clearings
from commonplace.rows.memories import Memories
from commonplace.rows.webhooks import staged

AT_ONCE = 100
"""Memories of one round. So many of a session are deleted in the request itself; the worker deletes the others."""

ROUNDS = 3
"""Rounds of one message of the worker's at most; the rest is another message. A round takes 3 to 5 s on AWS and the worker has
60, which three other such messages of its batch may share that meet at the same counters."""

SETTLED = timedelta(minutes=5)
"""How long after something was deleted its list may still show what was written before: more than any index lags behind."""

UNDER_WAY = timedelta(minutes=30)
"""How long the next message of a clearing may take before the sweeper sends another: as long as the queue hands it over."""


def clear_message(clearing: Clearing) -> Message:
    """The message that asks the worker to clear a deleted store or session."""
    what = (
        {"kind": "clear", "store": clearing.store}
        if clearing.session is None
        else {"kind": "forget", "session": clearing.session}
    )
    return Message(json.dumps({**what, "tenant": clearing.tenant}))


class Forget:
    """What is deleted is never returned again, whatever arrives late."""

    def __init__(
        self,
        memories: Memories,
        clearings: Clearings,
        notify: Notify,
        embed: Embed,
        embedder: Embedder,
        queue: Queue,
        clock: Clock,
    ) -> None:
        self._memories = memories
        self._clearings = clearings
        self._notify = notify
        self._embed = embed
        self._embedder = embedder
        self._queue = queue
        self._clock = clock

    async def __call__(self, tenant: str, id: str) -> None:
        """Deletes a memory. Raises ``NotFound``. The index lets go of it at once, or later if it is down."""
        await self._let_go([await self._taken(tenant, id)])

    async def buried(self, memory: Memory) -> None:
        """Deletes this revision of a memory. Raises ``NotFound`` or ``Conflict``."""
        await self._let_go([await self._row_buried(memory)])

    async def session(self, clearing: Clearing) -> None:
        """Deletes the newest memories of a session that was deleted and marked, and has the worker look for others. What fails
        here, the sweeper finds by the mark."""
        with suppress(Unavailable):
            await self._newest(clearing)
        await self._queue.send([clear_message(clearing)])

    async def clear(self, tenant: str, store: str = DEFAULT_STORE, session: str | None = None) -> None:
        """Deletes the memories of a deleted store, or of a deleted session, if it is marked: ``ROUNDS`` rounds at most, then it
        asks for the rest. It can be repeated.

        The mark stays until a look at the list, ``SETTLED`` after the deletion, finds nothing more; the sweeper asks for that.
        """
        clearing = await self._clearings.get(tenant, store, session)
        if clearing is None:
            return
        looked = self._clock.now()
        for _ in range(ROUNDS):
            if not await self._newest(clearing):
                settled = clearing.deleted_at + SETTLED
                if looked > settled:
                    await self._clearings.done(clearing)
                else:
                    await self._clearings.put_off([clearing], settled)
                return
        (sent,) = await self._queue.send([clear_message(clearing)])
        if sent is not None:
            await self._clearings.put_off([clearing], looked + UNDER_WAY)

    async def matching(self, tenant: str, filter: Filter) -> int:
        """Deletes all memories that the filter means, the newest first; how many that were. ``filter.store`` must be
        given. Raises ``Unavailable``; asked again it goes on."""
        deleted, place = 0, None
        while True:
            listed = await self._memories.page(tenant, filter, limit=AT_ONCE, start=place)
            deleted += await self._all(listed.items)
            if listed.next is None:
                return deleted
            place = listed.next

    async def _newest(self, clearing: Clearing) -> bool:
        """Deletes the newest memories of what is to be cleared, ``AT_ONCE`` at most, and says whether there are more."""
        filter = Filter(store=clearing.store, session=clearing.session, confidential=True, archived=True)
        listed = await self._memories.page(clearing.tenant, filter, limit=AT_ONCE)
        await self._all(listed.items)
        return listed.next is not None

    async def _all(self, memories: Sequence[Memory]) -> int:
        """Deletes these memories; how many of them were still there.

        One after the other: the same counters count them, and DynamoDB refuses transactions that meet there. Many at once take
        as long, are paid twice and more, and some of them lose every time until their patience ends.
        """
        tombstones: list[Tombstone] = []
        for memory in memories:
            with suppress(NotFound):
                tombstones.append(await self._taken(memory.tenant, memory.id))
        await self._let_go(tombstones)
        return len(tombstones)

    async def _taken(self, tenant: str, id: str) -> Tombstone:
        """Deletes the row of a memory, at whatever revision it is. Raises ``NotFound``."""

        async def attempt() -> Tombstone:
            memory = await self._memories.get(tenant, id)
            if memory is None:
                raise NotFound("memory")
            return await self._row_buried(memory)

        return await until_settled(attempt)

    async def _row_buried(self, memory: Memory) -> Tombstone:
        now = self._clock.now()
        memory = replace(memory, passages=await self._embed.reach(memory))
        endpoints = await self._notify.endpoints(memory.tenant)
        deliveries = self._notify.deliveries(EventType.MEMORY_DELETED, memory, now, endpoints)
        tombstone = await self._memories.bury(memory, now, self._embedder.space, staged(deliveries))
        await self._notify.send(deliveries)
        return tombstone

    async def _let_go(self, tombstones: Sequence[Tombstone]) -> None:
        """Takes deleted memories out of the index, all at once, which waits for a refresh; the worker those that it keeps."""

        async def kept(tombstone: Tombstone) -> bool:
            try:
                await self._embed.clear(tombstone)
            except Unavailable:
                return True
            return False

        outcomes = await asyncio.gather(*map(kept, tombstones))
        left = [tombstone for tombstone, keeps in zip(tombstones, outcomes, strict=True) if keeps]
        if left:
            await self._queue.send([message(tombstone) for tombstone in left])
