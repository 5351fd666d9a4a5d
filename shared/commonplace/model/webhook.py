"""Webhooks: endpoints, events, and the record of each delivery."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class EventType(StrEnum):
    """What an endpoint can be told of."""

    MEMORY_CREATED = "memory.created"
    MEMORY_UPDATED = "memory.updated"
    MEMORY_DELETED = "memory.deleted"
    EMBEDDING_COMPLETED = "embedding.completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An endpoint that a tenant registered. No event types means all. ``secret`` signs and is never shown again."""

    id: str
    tenant: str
    url: str
    created_at: datetime
    secret: str = field(repr=False)
    event_types: tuple[EventType, ...] = ()
    description: str | None = None
    enabled: bool = True
    revision: int = 1

    def wants(self, event: EventType) -> bool:
        """Whether this endpoint is to be told of such an event."""
        return self.enabled and (not self.event_types or event in self.event_types)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a memory. Its id is the same however often it is told."""

    id: str
    type: EventType
    at: datetime
    memory: str
    agent: str | None
    state: str


class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: when, the status that came back (None when nothing did), and a short reason if it failed."""

    at: datetime
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one endpoint, with everything that was tried. ``webhook`` is None for a request's own URL.

    ``secret`` is that of a request's own URL; an endpoint's stands in its row, so that it can be changed. ``due_at`` is when the next attempt may be made; None when there is none left.
    """

    id: str
    tenant: str
    webhook: str | None
    url: str
    event: EventType
    body: str
    secret: str | None = field(default=None, repr=False)
    created_at: datetime
    due_at: datetime | None
    state: DeliveryState = DeliveryState.PENDING
    attempts: tuple[Attempt, ...] = ()
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a stranger's endpoint said: the status, and its Retry-After in seconds if it gave one that can be read."""

    status: int
    retry_after: int | None = None
