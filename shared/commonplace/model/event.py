"""Events: what happened, as it was told. The service makes memories of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from commonplace.model.values import Metadata

RAW = "raw"
"""The name that metadata have where they are a text and an object is wanted."""


class EventKind(StrEnum):
    """Who or what an event comes from."""

    USER = "user_message"
    ASSISTANT = "assistant_message"
    TOOL = "tool_result"
    APP = "app_event"


class EventState(StrEnum):
    """How far an event is. COMPLETED promises that a search finds all memories that were made of it, be it none."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOrder:
    """An event as a caller tells it. ``id`` is the caller's own, if it has one; ``at`` None is now. ``metadata`` that are a
    text were told as one that is no object."""

    actor: str
    session: str
    kind: EventKind
    content: str
    id: str | None = None
    at: datetime | None = None
    role: str | None = None
    team: str | None = None
    metadata: Metadata | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as it is kept. Nothing of it changes but its ``state``, ``failure``, ``marked_at`` and ``batch``.

    ``at`` is when it happened, ``ingested_at`` when the service was told. ``batch`` names the request that brought it
    along with more events than one transaction takes; it counts only once that batch was closed. ``marked_at`` is when the
    sweeper may take it on, and is set until its memories are made.
    """

    id: str
    tenant: str
    organization: str
    actor: str
    session: str
    kind: EventKind
    content: str
    at: datetime
    ingested_at: datetime
    role: str | None = None
    team: str | None = None
    metadata: Metadata | str | None = None
    state: EventState = EventState.PENDING
    failure: str | None = None
    batch: str | None = None
    marked_at: datetime | None = None

    @property
    def details(self) -> Metadata:
        """The metadata as an object, be it empty; a text stands in it as ``RAW``."""
        return {RAW: self.metadata} if isinstance(self.metadata, str) else self.metadata or {}
