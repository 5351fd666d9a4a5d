"""Anything at all, to every decoder: a value that keeps the contract's rules, or a refusal; nothing that cannot be stored
or sent."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from commonplace.dialects.memsy.account_requests import interest, key_request, usage_query
from commonplace.dialects.memsy.console_requests import actor_listing, event_listing, memory_listing
from commonplace.dialects.memsy.errors import Memsy
from commonplace.dialects.memsy.event_requests import event_ids, event_orders
from commonplace.dialects.memsy.group_requests import group_change, group_listing, group_order
from commonplace.dialects.memsy.metadata import metadata
from commonplace.dialects.memsy.moments import iso, moment
from commonplace.dialects.memsy.search_requests import search_order
from commonplace.model.errors import CommonplaceError, Foreign, Invalid
from commonplace.model.values import deeper
from fakes import START

FUZZ = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
ORG = "org_1"
NAMES = (
    *("events", "org_id", "actor_id", "session_id", "kind", "content", "role_id", "team_id", "ts", "metadata"),
    *("event_id", "event_ids", "query", "limit", "threshold", "include_source_events", "exclude_session_id"),
    *("role_ids", "team_ids", "name", "focus", "promotion_prompt", "scopes", "expires_at", "email", "company"),
    *("use_case", "notes"),
)
WORDS = (
    *("user_message", "app_event", "read", "write", ORG, "2026-01-02", "2026-01-02T03:04:05Z", "", " ", "\0", "7"),
    *("0001-01-01T00:00+23:00", "9999-12-31T23:59:59-01:00", '{"a":"\\ud800"}', '{"a":[1]}', "sess_a"),
)
ANY_TEXT = st.text(st.characters(), max_size=40)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**399), 10**399),
    st.integers(-2, 120),
    st.floats(),
    ANY_TEXT,
    st.sampled_from(WORDS),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.none() | st.sampled_from(WORDS) | ANY_TEXT
GOOD_EVENT: dict[str, Any] = {"actor_id": "a", "session_id": "s", "kind": "user_message", "content": "c"}
EVENTS = st.dictionaries(st.sampled_from(NAMES), TEXTS | VALUES, max_size=3).map(lambda each: {**GOOD_EVENT, **each})
GOOD: dict[str, Any] = {
    "events": [GOOD_EVENT],
    "event_ids": ["e"],
    "query": "q",
    "name": "n",
    "focus": "f",
    "email": "e@example.com",
}
BODIES = (
    VALUES
    | st.dictionaries(st.sampled_from(NAMES) | ANY_TEXT, VALUES | TEXTS | st.lists(TEXTS), max_size=4).map(
        lambda body: {**GOOD, **body}
    )
    | st.lists(EVENTS, max_size=3).map(lambda events: {**GOOD, "events": events})
)
QUERIES = st.dictionaries(
    st.sampled_from(
        [
            *("sort", "limit", "offset", "actor_id", "status", "kind", "type", "search", "session_id", "q", "org_id"),
            *("granularity", "dimension", "period_start", "period_end"),
        ]
    ),
    st.text(st.characters(), max_size=12)
    | st.sampled_from((*WORDS, "ts_asc", "actor_id_asc", "archived", "hourly", "api_calls", "0", "200", "1000000001"))
    | st.integers().map(str),
    max_size=4,
)
SESSION = re.compile(r"[A-Za-z0-9_:.@/-]{1,256}")


def said(value: object) -> bytes:
    """A value as the text that would be stored."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain).encode()


def _plain(value: Any) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def refused(error: CommonplaceError) -> None:
    """A refusal is one of the caller's, and can be sent."""
    status, body, _ = Memsy().failure(error, "req_1")
    assert status in (400, 403, 422)
    assert said(body)


@pytest.mark.parametrize(
    "decode",
    [
        group_change,
        interest,
        lambda body: group_order(body, ORG),
        lambda body: key_request(body, START),
    ],
)
def test_any_body_is_decoded_or_refused(decode: Callable[[Any], object]) -> None:
    @FUZZ
    @given(BODIES)
    def decoded(body: Any) -> None:
        try:
            value = decode(body)
        except (Invalid, Foreign) as error:
            refused(error)
            return
        assert said(value)

    decoded()


@FUZZ
@given(BODIES)
@example({"events": [{**GOOD_EVENT, "ts": "2026-01-02T03:04:05\ud800"}]})
def test_any_batch_of_events_is_taken_whole_or_refused(body: Any) -> None:
    try:
        orders = event_orders(body, ORG)
    except Invalid as error:
        refused(error)
        return
    assert said(orders)
    assert b"\\u0000" not in said([[each.actor, each.session, each.content, each.role, each.team] for each in orders])
    for told, order in zip(body["events"], orders, strict=True):
        assert order.actor == told["actor_id"].replace("\0", "")
        assert order.content == told["content"].replace("\0", "")
        for text in (order.actor, order.session, order.content):
            assert text.strip()
        for name in (order.role, order.team, order.id):
            assert name is None or name.strip()
        assert order.at is None or order.at.utcoffset() == timedelta(0)
        assert (order.metadata is None) is (told.get("metadata") is None)


@FUZZ
@given(BODIES)
def test_any_ids_are_said_again_or_refused(body: Any) -> None:
    try:
        ids = event_ids(body)
    except Invalid as error:
        refused(error)
        return
    assert said(ids)
    assert ids == [id.replace("\0", "") for id in body["event_ids"]]


@FUZZ
@given(BODIES)
def test_any_search_is_narrow_enough_or_refused(body: Any) -> None:
    try:
        order = search_order(body)
    except Invalid as error:
        refused(error)
        return
    assert said(order)
    assert 1 <= order.limit <= 100
    assert math.isfinite(order.threshold)
    # A part that is there must not get lost: the search would find more than it may.
    assert (order.actor is None) is (body.get("actor_id") is None)
    assert (order.session is None) is (body.get("session_id") in (None, ""))
    assert (order.excluded_session is None) is (body.get("exclude_session_id") in (None, ""))
    assert order.session is None or order.excluded_session is None
    assert (not order.roles) is (not body.get("role_ids"))
    assert (not order.teams) is (not body.get("team_ids"))
    for session in (order.session, order.excluded_session):
        assert session is None or SESSION.fullmatch(session)


@pytest.mark.parametrize(
    "decode",
    [
        memory_listing,
        event_listing,
        usage_query,
        lambda query: actor_listing(query, ORG),
        lambda query: group_listing(query, ORG),
    ],
)
def test_any_query_string_is_decoded_or_refused(decode: Callable[[Any], object]) -> None:
    @FUZZ
    @given(QUERIES)
    def decoded(query: dict[str, str]) -> None:
        try:
            value = decode(query)
        except (Invalid, Foreign) as error:
            refused(error)
            return
        assert said(value)

    decoded()


@FUZZ
@given(st.text(st.sampled_from('{}[]":,\\ud8NaInfity0123456789eE+-. '), max_size=40) | VALUES.map(json.dumps))
def test_any_metadata_are_an_object_that_can_be_stored_or_the_text_itself(text: str) -> None:
    kept = metadata(text)
    assert said(kept)
    if isinstance(kept, str):
        assert kept == text
    else:
        assert not deeper(dict(kept), 64)
        assert kept == json.loads(text)


@FUZZ
@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_that_is_told_is_told_again_as_it_was(at: Any) -> None:
    assert moment(iso(at)) == at
    assert iso(at).endswith("Z")
