"""Taking in events: durable before anything else, each of them once."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from commonplace.core.retry import until_settled
from commonplace.model.event import Event, EventOrder
from commonplace.ports.queue import Message, Queue
from commonplace.ports.world import Clock, Ids
from commonplace.rows.events import Arrival, Events, Told, arrived, fingerprint
from commonplace.rows.figures import Count

T = TypeVar("T")

WINDOW = timedelta(seconds=60)
"""How long after an event the same words of the same actor in the same session are the same event."""

ABANDONED = timedelta(minutes=1)
"""After how long an event that does not count yet belongs to a request that died: API Gateway waits for 30 s at most."""

EACH_MESSAGE = 25
"""Events that one message of the worker's names."""

Counting = Callable[[int, datetime], Sequence[Count]]
"""What so many new events count for at a time, besides the number of events."""

Room = Callable[[int], Awaitable[None]]
"""Raises ``QuotaExceeded`` where there is no room for so many new events."""


def message(tenant: str, organization: str, ids: Sequence[str]) -> Message:
    """The message that asks the worker to make memories of events."""
    body = {"kind": "extract", "tenant": tenant, "organization": organization, "ids": list(ids)}
    return Message(json.dumps(body))


def portions(events: Sequence[T]) -> list[Sequence[T]]:
    """Events, or their ids, in portions that one message takes."""
    return [events[start : start + EACH_MESSAGE] for start in range(0, len(events), EACH_MESSAGE)]


class Ingest:
    """Writes events. What is made of them comes later, by the worker."""

    def __init__(self, events: Events, queue: Queue, clock: Clock, ids: Ids) -> None:
        self._events = events
        self._queue = queue
        self._clock = clock
        self._ids = ids

    async def __call__(
        self,
        tenant: str,
        organization: str,
        orders: Sequence[EventOrder],
        counting: Counting,
        room: Room | None = None,
    ) -> list[str]:
        """For each event its id, in order; when it returns, all are kept, and where it raises, none is.

        An event that was told within ``WINDOW`` before, or earlier in ``orders``, has the id that it got then, and one
        that brings the id of an event that is there, that id; neither is kept twice, nor does it ask for ``room``. Raises
        ``Conflict`` if others keep telling the same at the same moment.
        """

        async def attempt() -> tuple[list[str], list[Arrival]]:
            slots, fresh = await self._sorted(tenant, organization, orders)
            if fresh:
                if room is not None:
                    await room(len(fresh))
                counts = [arrived(tenant, organization, len(fresh)), *counting(len(fresh), self._clock.now())]
                await self._events.add(fresh, self._ids.new(), counts)
            return slots, fresh

        slots, fresh = await until_settled(attempt)
        ids = [arrival.event.id for arrival in fresh]
        if ids:
            await self._queue.send([message(tenant, organization, some) for some in portions(ids)])
        # What the queue refuses, the sweeper finds.
        return slots

    async def _sorted(
        self, tenant: str, organization: str, orders: Sequence[EventOrder]
    ) -> tuple[list[str], list[Arrival]]:
        """The id of each event, and those that are new."""
        now = self._clock.now()
        events = [self._event(tenant, organization, order, now) for order in orders]
        prints = [fingerprint(event) for event in events]
        own = [order.id for order in orders if order.id is not None]
        named = await self._events.many(tenant, organization, own)
        left = await self._events.abandoned(tenant, organization, set(own) - set(named), now - ABANDONED)
        told = await self._events.told(tenant, organization, prints)
        slots: list[str] = []
        fresh: dict[str, Arrival] = {}
        taken = set(named)
        for order, event, print_ in zip(orders, events, prints, strict=True):
            before = told.get(print_)
            if order.id is not None and order.id in taken:
                slots.append(order.id)
            elif before is not None and _recent(before, now):
                slots.append(before.id)
            elif print_ in fresh:
                slots.append(fresh[print_].event.id)
            else:
                fresh[print_] = Arrival(event, print_, before, left.get(event.id))
                taken.add(event.id)
                slots.append(event.id)
        return slots, list(fresh.values())

    def _event(self, tenant: str, organization: str, order: EventOrder, now: datetime) -> Event:
        return Event(
            id=order.id or self._ids.new(),
            tenant=tenant,
            organization=organization,
            actor=order.actor,
            session=order.session,
            kind=order.kind,
            content=order.content,
            at=order.at or now,
            ingested_at=now,
            role=order.role,
            team=order.team,
            metadata=order.metadata,
            marked_at=now,
        )


def _recent(told: Told, now: datetime) -> bool:
    return now - told.at < WINDOW
