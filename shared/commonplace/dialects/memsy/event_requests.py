"""Memsy's requests that tell events, and that ask how far they are."""

from commonplace.dialects.memsy.fields import Fields, mapping
from commonplace.dialects.memsy.metadata import MOST_METADATA, metadata
from commonplace.dialects.memsy.refusal import refused
from commonplace.model.errors import Misattributed
from commonplace.model.event import EventKind, EventOrder
from commonplace.model.values import Json

MOST_EVENTS = 1000
MOST_IDS = 500

MOST_CONTENT = 32_000
"""Characters of an event's content. The API asks for fewer than 8000, and published integrations cut at this."""


def event_orders(body: Json, organization: str) -> list[EventOrder]:
    """POST /ingest: all of the events, or ``Invalid`` that says what is wrong with the first that cannot be taken.

    Raises ``Misattributed`` for a body that names another organization than the caller's.
    """
    fields = Fields(mapping(body))
    named = fields.get("org_id")
    if named is not None and named != organization:
        raise Misattributed
    events = fields.array("events")
    if len(events) > MOST_EVENTS:
        raise refused("events", f"must not be more than {MOST_EVENTS}")
    return [_order(each, f"events[{number}]") for number, each in enumerate(events)]


def _order(event: Json, name: str) -> EventOrder:
    fields = Fields(mapping(event, name), f"{name}.")
    told = fields.text("metadata", MOST_METADATA)
    return EventOrder(
        actor=fields.required("actor_id"),
        session=fields.required("session_id"),
        kind=_kind(fields),
        content=fields.required("content", MOST_CONTENT),
        id=fields.named("event_id"),
        at=fields.moment("ts"),
        role=fields.named("role_id"),
        team=fields.named("team_id"),
        metadata=None if told is None else metadata(told),
    )


def _kind(fields: Fields) -> EventKind:
    try:
        return EventKind(fields.required("kind"))
    except ValueError as error:
        raise fields.refused("kind", "is unknown") from error


def event_ids(body: Json) -> list[str]:
    """POST /status: the ids as they were given, in their order and as often as they were named. None of them is refused for
    being one that no event can have: a client that polls would not hear of its others."""
    return Fields(mapping(body)).given("event_ids", MOST_IDS)
