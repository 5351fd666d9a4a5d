"""Memsy's requests that look at what is there: memories, events and actors."""

from dataclasses import dataclass
from enum import StrEnum

from commonplace.dialects.memsy.organization import meant
from commonplace.dialects.memsy.query import Parameters, Query
from commonplace.dialects.memsy.refusal import refused
from commonplace.dialects.memsy.status import STANDING, Status
from commonplace.model.event import EventKind
from commonplace.model.memory import Standing

LISTED = 50
MOST_LISTED = 200
LISTED_ACTORS = 100
MOST_LISTED_ACTORS = 500


class MemorySort(StrEnum):
    """The order of a list of memories; where it leaves two of them open, it is by id."""

    OBSERVED_LAST = "observed_at_desc"
    OBSERVED_FIRST = "observed_at_asc"
    STRONGEST = "strength_desc"
    SUREST = "confidence_desc"
    CREATED_LAST = "created_at_desc"


class EventSort(StrEnum):
    """The order of a list of events."""

    LAST = "ts_desc"
    FIRST = "ts_asc"


class ActorSort(StrEnum):
    """The order of a list of actors."""

    BEGAN_LAST = "first_memory_desc"
    BEGAN_FIRST = "first_memory_asc"
    LAST = "last_memory_desc"
    NAME = "actor_id_asc"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryListing:
    """Which memories a list asks for. ``standing`` None is that of no memory; other parts that are None are any.

    ``kind`` is what sort of knowledge it is, ``type`` the finer class, ``text`` a part of the text in any case.
    """

    sort: MemorySort
    limit: int
    offset: int
    standing: Standing | None
    actor: str | None
    kind: str | None
    type: str | None
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventListing:
    """Which events a list asks for; parts that are None are any."""

    sort: EventSort
    limit: int
    offset: int
    actor: str | None
    session: str | None
    kind: EventKind | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorListing:
    """Which actors of the caller's organization a list asks for. ``text`` is a part of their id in any case."""

    organization: str
    sort: ActorSort
    limit: int
    offset: int
    text: str | None


def memory_listing(query: Query) -> MemoryListing:
    """GET /console/memories."""
    parameters = Parameters(query)
    return MemoryListing(
        sort=parameters.choice("sort", MemorySort.OBSERVED_LAST),
        limit=parameters.limit(LISTED, MOST_LISTED),
        offset=parameters.offset(),
        standing=STANDING.get(parameters.choice("status", Status.ACTIVE)),
        actor=parameters.named("actor_id"),
        kind=parameters.text("kind"),
        type=parameters.text("type"),
        text=parameters.text("search"),
    )


def event_listing(query: Query) -> EventListing:
    """GET /console/events."""
    parameters = Parameters(query)
    kind = parameters.text("kind")
    return EventListing(
        sort=parameters.choice("sort", EventSort.LAST),
        limit=parameters.limit(LISTED, MOST_LISTED),
        offset=parameters.offset(),
        actor=parameters.named("actor_id"),
        session=parameters.named("session_id"),
        kind=None if kind is None else _kind(kind),
    )


def _kind(kind: str) -> EventKind:
    try:
        return EventKind(kind)
    except ValueError as error:
        raise refused("kind", f"must be one of {', '.join(EventKind)}") from error


def actor_listing(query: Query, organization: str) -> ActorListing:
    """GET /actors. Raises ``Foreign`` for another organization than the caller's."""
    parameters = Parameters(query)
    return ActorListing(
        organization=meant(query, organization),
        sort=parameters.choice("sort", ActorSort.BEGAN_LAST),
        limit=parameters.limit(LISTED_ACTORS, MOST_LISTED_ACTORS),
        offset=parameters.offset(),
        text=parameters.text("q"),
    )
