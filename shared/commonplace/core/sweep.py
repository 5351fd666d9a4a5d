"""The sweeper: finishes what a crash left, ends what has expired, sends what is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from commonplace.core import ingest, notify, promote
from commonplace.core.embed import message
from commonplace.core.forget import Forget, clear_message
from commonplace.model.errors import Conflict, NotFound
from commonplace.model.event import Event
from commonplace.ports.queue import Message, Queue
from commonplace.ports.world import Clock
from commonplace.rows import keys
from commonplace.rows.clearings import Clearings
from commonplace.rows.events import Events
from commonplace.rows.groups import Groups
from commonplace.rows.memories import Memories
from commonplace.rows.webhooks import Deliveries

T = TypeVar("T")

PATIENCE = timedelta(minutes=1)
"""How long a message may take on its ordinary way before the sweeper sends another."""

HIDDEN = timedelta(seconds=365)
"""How long a message is nobody else's once it was handed over (the embedding queue's VisibilityTimeout in template.yaml; the
delivery queue's is shorter)."""

EACH_SHARD = 500
"""Things of one shard that one sweep takes on at most."""

UNCLOSED = timedelta(hours=1)
"""How long an event stays whose request died before it had written all of its events: longer than any request lives."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did. ``stores`` are deleted stores, and sessions that were deleted with their memories."""

    pending: int
    expired: int
    deliveries: int
    stores: int
    events: int
    promotions: int


class Sweep:
    """Runs each minute. Running it twice at once, or again after half of it, does no harm."""

    def __init__(
        self,
        memories: Memories,
        deliveries: Deliveries,
        clearings: Clearings,
        events: Events,
        groups: Groups,
        forget: Forget,
        queue: Queue,
        delivery_queue: Queue,
        clock: Clock,
        receives: int,
    ) -> None:
        """``receives`` is how often a message is handed over at most."""
        self._memories = memories
        self._deliveries = deliveries
        self._clearings = clearings
        self._events = events
        self._groups = groups
        self._forget = forget
        self._queue = queue
        self._delivery_queue = delivery_queue
        self._clock = clock
        self._again = HIDDEN * receives

    async def __call__(self, patience: timedelta = PATIENCE) -> Swept:
        """One sweep over all tenants; ``patience`` zero takes on everything that is open (after a crash), but for what an earlier
        sweep has sent a message for that is under way. Pending memories are sent each time."""
        return Swept(
            await self._pending(patience),
            await self._expired(),
            await self._due(patience),
            await self._uncleared(patience),
            await self._unread(patience),
            await self._promoted(),
        )

    async def _pending(self, patience: timedelta) -> int:
        before = self._clock.now() - patience
        count = 0
        for shard in keys.every_shard("pending"):
            marked = await self._memories.marked(shard, before, EACH_SHARD)
            if marked:
                await self._queue.send([message(each) for each in marked])
            count += len(marked)
        return count

    async def _uncleared(self, patience: timedelta) -> int:
        """Sends the worker what was deleted as a whole and is not cleared yet, and puts that off for as long as its message
        lives."""
        now = self._clock.now()
        count = 0
        for shard in keys.every_shard("clearing"):
            open = await self._clearings.due(shard, now - patience, EACH_SHARD)
            taken = await _sent(self._queue, open, [clear_message(each) for each in open])
            await self._clearings.put_off(taken, now + self._again)
            count += len(open)
        return count

    async def _unread(self, patience: timedelta) -> int:
        """Sends the worker the events whose memories are still to be made, and drops what is left of requests that died. What
        is sent is put off for as long as its message lives."""
        now = self._clock.now()
        count = 0
        for shard in keys.every_shard("extracting"):
            marked = await self._events.marked(shard, now - patience, EACH_SHARD)
            closed = await self._events.closed(marked)
            whole = {_named(event) for event in closed}
            old = [event for event in marked if event.ingested_at <= now - UNCLOSED]
            await self._events.drop([event for event in old if _named(event) not in whole])
            owned: dict[tuple[str, str], list[Event]] = {}
            for event in closed:
                owned.setdefault((event.tenant, event.organization), []).append(event)
            portions = [(owner, some) for owner, events in owned.items() for some in ingest.portions(events)]
            messages = [ingest.message(*owner, [event.id for event in some]) for owner, some in portions]
            taken = await _sent(self._queue, portions, messages)
            await self._events.mark([event for _, some in taken for event in some], now + self._again)
            count += len(closed)
        return count

    async def _promoted(self) -> int:
        """Sends the worker the organizations whose turn of promotion has come."""
        now = self._clock.now()
        count = 0
        for shard in keys.every_shard("promoting"):
            owners = await self._groups.to_promote(shard, now, EACH_SHARD)
            for owner in await _sent(self._queue, owners, [promote.message(*owner) for owner in owners]):
                await self._groups.promoted(*owner, again=now + promote.PAUSE)
                count += 1
        return count

    async def _expired(self) -> int:
        count = 0
        for shard in keys.every_shard("expiring"):
            for memory in await self._memories.expired(shard, self._clock.now(), EACH_SHARD):
                try:
                    await self._forget.buried(memory)
                except (NotFound, Conflict):
                    continue
                count += 1
        return count

    async def _due(self, patience: timedelta) -> int:
        """Sends the worker the deliveries that are due, and puts them off for as long as their messages live."""
        now = self._clock.now()
        count = 0
        for shard in keys.every_shard("due"):
            due = await self._deliveries.due(shard, now - patience, EACH_SHARD)
            taken = await _sent(self._delivery_queue, due, [notify.message(each) for each in due])
            await self._deliveries.put_off(taken, now + self._again)
            count += len(due)
        return count


async def _sent(queue: Queue, things: Sequence[T], messages: Sequence[Message]) -> list[T]:
    """Those of the things whose message the queue has taken."""
    taken = await queue.send(messages) if messages else []
    return [thing for thing, id in zip(things, taken, strict=True) if id is not None]


def _named(event: Event) -> tuple[str, str, str]:
    """What tells an event from every other: an id that a caller gave is only its organization's."""
    return event.tenant, event.organization, event.id
