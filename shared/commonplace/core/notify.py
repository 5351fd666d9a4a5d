"""Telling webhooks of what happened: from an event to one delivery for each endpoint."""

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from commonplace.model.memory import Memory
from commonplace.model.webhook import Delivery, Event, EventType, Webhook
from commonplace.ports.queue import MAX_DELAY, Message, Queue
from commonplace.rows.webhooks import Webhooks

Body = Callable[[Event], str]
"""How a public API writes an event down."""

_NAMESPACE = uuid.UUID("6f0c7a52-53a5-4b7e-9d52-0f5f0f6d9c11")


class Notify:
    """Makes the deliveries of an event, and hands them to the worker."""

    def __init__(self, webhooks: Webhooks, queue: Queue, body: Body) -> None:
        self._webhooks = webhooks
        self._queue = queue
        self._body = body

    async def endpoints(self, tenant: str) -> list[Webhook]:
        """The endpoints of a tenant."""
        return await self._webhooks.all(tenant)

    def deliveries(
        self, event: EventType, memory: Memory, now: datetime, endpoints: Sequence[Webhook]
    ) -> list[Delivery]:
        """The deliveries of an event, to be written in the transaction that makes it true.

        Their ids follow from the event and the endpoint, so that a repeated event cannot be delivered as another one.
        """
        happened = Event(
            id=f"evt_{_named(event, memory.id, str(memory.revision))}",
            type=event,
            at=now,
            memory=memory.id,
            agent=memory.scope.agent,
            state=memory.state,
        )
        body = self._body(happened)
        targets = [(endpoint.id, endpoint.url, None) for endpoint in endpoints if endpoint.wants(event)]
        if memory.notify is not None and event is EventType.EMBEDDING_COMPLETED:
            return [
                _delivery(happened, memory.tenant, target, body)
                for target in [*targets, (None, memory.notify.url, memory.notify.secret)]
            ]
        return [_delivery(happened, memory.tenant, target, body) for target in targets]

    async def send(self, deliveries: Sequence[Delivery], delay: int = 0) -> None:
        """Asks the worker to make deliveries, ``delay`` seconds from now. What the queue refuses, the sweeper finds."""
        if deliveries:
            await self._queue.send([message(delivery, delay) for delivery in deliveries])


def message(delivery: Delivery, delay: int = 0) -> Message:
    """The message that asks for the next attempt of a delivery. A later attempt makes it void."""
    body = {"kind": "deliver", "tenant": delivery.tenant, "id": delivery.id, "attempt": len(delivery.attempts)}
    return Message(json.dumps(body), min(delay, MAX_DELAY))


def _delivery(event: Event, tenant: str, target: tuple[str | None, str, str | None], body: str) -> Delivery:
    webhook, url, secret = target
    return Delivery(
        id=f"dlv_{_named(event.id, webhook or '', url)}",
        tenant=tenant,
        webhook=webhook,
        url=url,
        event=event.type,
        body=body,
        secret=secret,
        created_at=event.at,
        due_at=event.at,
    )


def _named(*parts: str) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, "\n".join(parts))
