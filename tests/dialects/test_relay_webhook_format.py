import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from commonplace.dialects.relay import webhook
from commonplace.model.webhook import Delivery, Event, EventType
from fakes import START

EVENT = Event(id="evt_1", type=EventType.EMBEDDING_COMPLETED, at=START, memory="m", agent="a", state="ready")
BODY = (
    '{"id":"evt_1","event":"embedding.completed","type":"embedding.completed","created_at":"2026-01-02T03:04:05Z",'
    '"timestamp":"2026-01-02T03:04:05Z","data":{"memory_id":"m","agent_id":"a","status":"ready"}}'
)


def delivery(event: EventType) -> Delivery:
    return Delivery(
        id="dlv_1", tenant="acme", webhook="w", url="u", event=event, body=BODY, created_at=START, due_at=START
    )


def test_a_body_has_the_fields_of_the_api_and_of_the_standard() -> None:
    assert webhook.body(EVENT) == BODY


def test_a_memory_without_an_agent_says_so() -> None:
    event = Event(id="e", type=EventType.MEMORY_DELETED, at=START, memory="m", agent=None, state="pending")
    assert json.loads(webhook.body(event))["data"] == {"memory_id": "m", "agent_id": None, "status": "pending"}


def test_times_are_told_in_utc() -> None:
    at = datetime(2026, 1, 2, 5, 4, 5, 999_999, tzinfo=timezone(timedelta(hours=2)))
    event = Event(id="e", type=EventType.MEMORY_CREATED, at=at, memory="m", agent=None, state="ready")
    assert json.loads(webhook.body(event))["timestamp"] == "2026-01-02T03:04:05Z"
    assert at.astimezone(UTC) > START


@pytest.mark.parametrize("event", EventType)
def test_the_headers_name_the_event_and_sign_the_raw_body(event: EventType) -> None:
    # echo -n 'The quick brown fox jumps over the lazy dog' | openssl dgst -sha256 -hmac key
    body = b"The quick brown fox jumps over the lazy dog"
    assert webhook.headers(delivery(event), body, "key") == {
        "x-memoryrelay-signature": "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
        "x-memoryrelay-event": event.value,
        "x-memoryrelay-delivery": "dlv_1",
    }
