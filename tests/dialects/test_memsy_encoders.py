import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from commonplace.dialects.memsy import account_responses, console_responses, responses
from commonplace.dialects.memsy.account_requests import Granularity
from commonplace.dialects.memsy.headers import headers
from commonplace.dialects.memsy.moments import iso, maybe_iso
from commonplace.dialects.memsy.status import STANDING, STATUS, Status
from commonplace.dialects.memsy.understanding import insight
from commonplace.model.apikey import ApiKey, Permission, Principal
from commonplace.model.directory import Group, GroupKind, PromptSource
from commonplace.model.event import Event, EventKind, EventState
from commonplace.model.insight import Insight, Nature
from commonplace.model.memory import Accesses, Memory, Standing, Tier
from commonplace.model.scope import Scope
from commonplace.model.usage import Dimension, Point, Usage
from fakes import START

T, DAY = "2026-01-02T03:04:05Z", timedelta(days=1)
LATER, LATEST = "2026-01-03T03:04:05Z", "2026-01-04T03:04:05Z"
NOW = START + timedelta(hours=1)

INSIGHT = Insight(
    nature=Nature.SEMANTIC,
    title="Dark mode preference",
    confidence=0.9,
    summary="in short",
    entities=("dark mode", "apps"),
)
MEMORY = Memory(
    id="550e8400-e29b-41d4-a716-446655440000",
    tenant="acme",
    scope=Scope(organization="org_1", user="user_42", session="sess_a", role="r", team="t"),
    origin="memsy",
    content="User prefers dark mode.",
    content_hash="h",
    kind="preference",
    importance=0.5,
    tier=Tier.WARM,
    created_at=START + DAY,
    updated_at=START + 2 * DAY,
    occurred_at=START,
    tags=("ui",),
    metadata={"plan": "pro"},
    insight=INSIGHT,
)
PLAIN = replace(
    MEMORY,
    scope=Scope(agent="a"),
    origin="relay",
    kind="fact",
    tags=(),
    metadata={"k": [1]},
    insight=None,
)
EVENT = Event(
    id="e1",
    tenant="acme",
    organization="org_1",
    actor="user_42",
    session="sess_a",
    kind=EventKind.USER,
    content="I prefer dark mode",
    at=START,
    ingested_at=START + DAY,
    metadata={"plan": "pro"},
    failure="very secret",
)


def result(memory: Memory = MEMORY, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"score": 0.84, "strength": 1.5, "sources": (), "events": {}, "with_events": False, **more}
    found = responses.search_result(memory, given.pop("score"), **given)
    json.dumps(found, allow_nan=False)
    return found


def item(memory: Memory = MEMORY, now: datetime = NOW, accesses: Accesses = Accesses()) -> dict[str, Any]:  # noqa: B008 - a frozen value
    return console_responses.memory_item(
        memory,
        organization="org_1",
        sources=("e1", "e2"),
        accesses=accesses,
        strength=1.5,
        half_life_days=30.0,
        now=now,
    )


# Times


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (START, T),
        (START.replace(microsecond=120), "2026-01-02T03:04:05.000120Z"),
        (START.astimezone(timezone(timedelta(hours=5))), T),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_in_utc_with_a_z(moment: datetime, text: str) -> None:
    assert iso(moment) == maybe_iso(moment) == text


def test_a_time_that_is_not_there_is_null() -> None:
    assert maybe_iso(None) is None


# Events


def test_a_batch_is_answered_by_its_ids() -> None:
    assert responses.ingested(("b", "a", "b")) == {"event_ids": ["b", "a", "b"]}
    assert responses.ingested(()) == {"event_ids": []}


def test_how_far_events_are_adds_up_to_what_was_asked_for() -> None:
    states = [
        ("a", EventState.COMPLETED),
        ("b", EventState.PENDING),
        ("c", EventState.FAILED),
        ("d", None),
        ("a", EventState.COMPLETED),
    ]
    assert responses.progress(states) == {
        "completedIds": ["a", "a"],
        "failedIds": ["c", "d"],
        "pendingIds": ["b"],
        "total": 5,
        "statuses": {"a": "completed", "b": "pending", "c": "failed", "d": "not_found"},
    }
    assert responses.progress([]) == {
        "completedIds": [],
        "failedIds": [],
        "pendingIds": [],
        "total": 0,
        "statuses": {},
    }


def test_each_state_of_an_event_has_a_list() -> None:
    assert set(responses.LISTS) == {*(state.value for state in EventState), "not_found"}


def test_an_event_is_shown_without_what_is_ours_alone() -> None:
    assert console_responses.event(EVENT) == {
        "event_id": "e1",
        "org_id": "org_1",
        "actor_id": "user_42",
        "session_id": "sess_a",
        "kind": "user_message",
        "content": "I prefer dark mode",
        "ts": T,
        "metadata": {"plan": "pro"},
        "ingested_at": LATER,
    }
    assert console_responses.event(replace(EVENT, metadata=None))["metadata"] is None
    assert console_responses.event(replace(EVENT, metadata={"raw": "x"}))["metadata"] == {"raw": "x"}
    assert console_responses.event(replace(EVENT, metadata="not json"))["metadata"] == {"raw": "not json"}
    assert console_responses.event(replace(EVENT, metadata=""))["metadata"] == {"raw": ""}


# Search


def test_a_result_tells_what_was_understood() -> None:
    assert result(sources=("e1", "e2"), events={"e1": EVENT}) == {
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "content": "User prefers dark mode.",
        "score": 0.84,
        "metadata": {
            "title": "Dark mode preference",
            "summary": "in short",
            "tags": ["ui"],
            "entities": [{"name": "dark mode"}, {"name": "apps"}],
            "kind": "semantic",
            "type": "preference",
            "strength": 1.5,
            "confidence": 0.9,
            "observed_at": T,
            "effective_from": None,
            "session_id": "sess_a",
            "actor_id": "user_42",
            "source_event_ids": ["e1", "e2"],
            "source_metadata": [{"event_id": "e1", "metadata": {"plan": "pro"}}],
        },
    }


@pytest.mark.parametrize(("score", "told"), [(1.0000001, 1.0), (-0.1, 0.0), (1 / 3, 1 / 3), (1.0, 1.0), (0.0, 0.0)])
def test_a_score_is_from_0_to_1_and_not_rounded(score: float, told: float) -> None:
    assert result(score=score)["score"] == told


def test_events_are_shown_where_they_are_asked_for_and_known() -> None:
    other = replace(EVENT, id="e2", kind=EventKind.TOOL, content="42", at=START + DAY)
    known = {"e1": EVENT, "e2": other, "e9": replace(EVENT, id="e9")}
    shown = result(sources=("e2", "gone", "e1"), events=known, with_events=True)["metadata"]
    assert shown["source_events"] == [
        {"event_id": "e2", "kind": "tool_result", "content": "42", "ts": LATER},
        {"event_id": "e1", "kind": "user_message", "content": "I prefer dark mode", "ts": T},
    ]
    assert shown["source_event_ids"] == ["e2", "gone", "e1"]
    assert "source_events" not in result(sources=("e1",), events=known)["metadata"]
    assert "source_events" not in result(sources=("gone",), events=known, with_events=True)["metadata"]
    assert "source_events" not in result(events=known, with_events=True)["metadata"]


def test_metadata_of_the_first_five_events_that_have_any_are_shown() -> None:
    kinds: list[Any] = [None, "not json", {}, {"raw": "x"}, "", None, {"b": 2}, {"c": 3}]
    events = {str(number): replace(EVENT, id=str(number), metadata=kind) for number, kind in enumerate(kinds)}
    assert result(sources=tuple(events), events=events)["metadata"]["source_metadata"] == [
        {"event_id": "1", "raw": "not json"},
        {"event_id": "2", "metadata": {}},
        {"event_id": "3", "metadata": {"raw": "x"}},
        {"event_id": "4", "raw": ""},
        {"event_id": "6", "metadata": {"b": 2}},
    ]


def test_a_memory_of_another_api_is_a_result_too() -> None:
    metadata = result(PLAIN)["metadata"]
    assert metadata["payload"] == {"k": [1]}
    assert (metadata["title"], metadata["summary"], metadata["entities"]) == ("User prefers dark mode.", None, [])
    assert (metadata["kind"], metadata["type"], metadata["confidence"]) == ("semantic", "fact", 1.0)
    assert (metadata["actor_id"], metadata["session_id"], metadata["tags"]) == (None, None, [])
    assert (metadata["source_event_ids"], metadata["source_metadata"]) == ([], [])
    assert "payload" not in result(replace(PLAIN, metadata={}))["metadata"]


def test_a_search_is_answered_by_its_results_in_their_order() -> None:
    assert responses.found([]) == {"results": []}
    assert responses.found(iter([{"id": "b"}, {"id": "a"}])) == {"results": [{"id": "b"}, {"id": "a"}]}


# What is understood


@pytest.mark.parametrize(
    ("kind", "nature"),
    [
        ("episode", Nature.EPISODIC),
        ("event", Nature.EPISODIC),
        ("procedure", Nature.PROCEDURAL),
        ("skill", Nature.PROCEDURAL),
        ("fact", Nature.SEMANTIC),
        ("task", Nature.SEMANTIC),
    ],
)
def test_a_memory_that_was_written_as_it_is_was_meant_so(kind: str, nature: Nature) -> None:
    memory = replace(PLAIN, kind=kind, content="word " * 100)
    assert insight(memory) == Insight(nature=nature, title="word " * 15 + "word…", confidence=1.0)


def test_a_memory_that_was_understood_is_not_guessed_at() -> None:
    assert insight(replace(MEMORY, kind="event")) is INSIGHT


# Memories


def test_a_memory_always_has_every_key() -> None:
    accesses = Accesses(3, START + 2 * DAY)
    assert item(accesses=accesses) == {
        "memory_id": "550e8400-e29b-41d4-a716-446655440000",
        "org_id": "org_1",
        "scope": {"level": "actor", "actor_id": "user_42", "team_id": "t", "role_id": "r"},
        "type": "preference",
        "kind": "semantic",
        "memory_kind": "semantic",
        "status": "active",
        "text": "User prefers dark mode.",
        "confidence": 0.9,
        "strength": 1.5,
        "recall_count": 3,
        "decay_half_life_days": 30.0,
        "pinned": False,
        "tags": ["ui"],
        "entity_refs": [{"name": "dark mode"}, {"name": "apps"}],
        "source_event_ids": ["e1", "e2"],
        "source_urls": [],
        "summary": "in short",
        "payload": None,
        "last_recalled_at": LATEST,
        "effective_from": None,
        "effective_to": None,
        "observed_at": T,
        "created_at": LATER,
        "updated_at": LATEST,
    }


def test_a_memory_of_another_api_is_shown_with_what_its_writer_said() -> None:
    shown = item(replace(PLAIN, kind="skill", expires_at=START + DAY))
    assert (shown["org_id"], shown["payload"], shown["effective_to"]) == ("org_1", {"k": [1]}, LATER)
    assert shown["kind"] == shown["memory_kind"] == "procedural"
    assert (shown["type"], shown["confidence"], shown["summary"]) == ("skill", 1.0, None)
    assert (shown["recall_count"], shown["last_recalled_at"]) == (0, None)
    assert shown["scope"] == {"level": "org", "actor_id": None, "team_id": None, "role_id": None}


@pytest.mark.parametrize(
    ("change", "after", "status"),
    [
        ({}, timedelta(), "active"),
        ({"archived_at": START}, timedelta(), "archived"),
        ({"expires_at": NOW}, timedelta(), "decayed"),
        ({"expires_at": NOW}, -timedelta(seconds=1), "active"),
    ],
)
def test_a_memory_has_the_status_of_its_standing(change: dict[str, Any], after: timedelta, status: str) -> None:
    assert item(replace(MEMORY, **change), NOW + after)["status"] == status


def test_no_memory_is_superseded_and_every_standing_has_a_status() -> None:
    assert set(STATUS) == set(Standing)
    assert {status for status in Status if status not in STANDING} == {Status.SUPERSEDED}
    assert all(STATUS[standing] is status for status, standing in STANDING.items())


@pytest.mark.parametrize(
    ("scope", "level"),
    [
        (Scope(user="u", role="r", team="t"), "actor"),
        (Scope(user=""), "actor"),
        (Scope(role="r", team="t"), "role"),
        (Scope(team="t"), "team"),
        (Scope(agent="a", session="s", project="p"), "org"),
    ],
)
def test_a_scope_is_about_the_narrowest_that_it_names(scope: Scope, level: str) -> None:
    assert console_responses.level(scope) == level


def test_a_page_says_where_it_is() -> None:
    assert console_responses.page(({"n": 1},), 7, 50, 6) == {"items": [{"n": 1}], "total": 7, "limit": 50, "offset": 6}


def test_figures_of_memories_come_with_averages_and_buckets() -> None:
    assert console_responses.stats(
        total=50,
        active=45,
        by_type={"preference": 20},
        by_kind={"semantic": 40},
        by_status={"active": 45},
        confidence=0.85,
        strength=0.75,
        entities=[("dark mode", 3), ("apps", 1)],
        confidences=[1, 0, 2, 3, 30],
        earliest=START,
        latest=None,
    ) == {
        "total": 50,
        "total_memories": 50,
        "active_memories": 45,
        "by_type": {"preference": 20},
        "by_kind": {"semantic": 40},
        "by_status": {"active": 45},
        "avg_confidence": 0.85,
        "avg_strength": 0.75,
        "top_entities": [{"name": "dark mode", "count": 3}, {"name": "apps", "count": 1}],
        "confidence_buckets": [
            {"bucket": "0.0-0.2", "count": 1},
            {"bucket": "0.2-0.4", "count": 0},
            {"bucket": "0.4-0.6", "count": 2},
            {"bucket": "0.6-0.8", "count": 3},
            {"bucket": "0.8-1.0", "count": 30},
        ],
        "date_range": {"earliest": T, "latest": None},
    }


def test_figures_of_no_memories_are_zeros() -> None:
    none = console_responses.stats(
        total=0,
        active=0,
        by_type={},
        by_kind={},
        by_status={},
        confidence=0.0,
        strength=0.0,
        entities=(),
        confidences=(),
        earliest=None,
        latest=START,
    )
    assert (none["avg_confidence"], none["top_entities"], none["confidence_buckets"]) == (0.0, [], [])
    assert none["date_range"] == {"earliest": None, "latest": T}


# Actors


def test_an_actor_is_what_its_memories_say() -> None:
    shown = console_responses.actor(
        "user_42",
        first_memory_at=START,
        last_memory_at=START + DAY,
        memories=3,
        active=2,
        levels=["role", "actor", "role"],
        roles=["b", "a", "b"],
        teams={"t"},
    )
    assert shown == {
        "actor_id": "user_42",
        "first_memory_at": T,
        "last_memory_at": LATER,
        "memory_count": 3,
        "active_memory_count": 2,
        "scope_levels": ["actor", "role"],
        "role_ids": ["a", "b"],
        "team_ids": ["t"],
    }
    assert console_responses.actors([shown], 9, 100, 8, truncated=False) == {
        "items": [shown],
        "total": 9,
        "limit": 100,
        "offset": 8,
        "truncated": False,
    }
    assert console_responses.actors([], 0, 1, 0, truncated=True)["truncated"] is True


# Groups


GROUP = Group(
    id="g",
    kind=GroupKind.ROLE,
    tenant="acme",
    organization="org_1",
    name="My Org",
    focus="B2B sales",
    prompt="Capture …",
    prompt_source=PromptSource.GENERATED,
    prompted_at=START + DAY,
    created_at=START,
    updated_at=START + 2 * DAY,
)
RECORD = {
    "org_id": "org_1",
    "name": "My Org",
    "focus": "B2B sales",
    "promotion_prompt": "Capture …",
    "created_at": T,
    "updated_at": LATEST,
    "prompt_meta": {"source": "generated", "generated_at": LATER},
}


def test_a_group_has_its_own_id_beside_that_of_its_organization() -> None:
    assert responses.group(GROUP) == {"role_id": "g", **RECORD}
    assert responses.group(replace(GROUP, kind=GroupKind.TEAM)) == {"team_id": "g", **RECORD}
    assert responses.group(replace(GROUP, kind=GroupKind.ORG, id="org_1")) == RECORD
    manual = responses.group(replace(GROUP, prompt_source=PromptSource.MANUAL))
    assert manual["prompt_meta"] == {"source": "manual", "generated_at": LATER}


def test_a_list_of_groups_is_bare() -> None:
    assert responses.groups([]) == []
    assert responses.groups(iter([GROUP])) == [responses.group(GROUP)]


# The account


def principal(*permissions: Permission) -> Principal:
    return Principal("acme", "key_1", frozenset(permissions), "very secret")


def test_a_caller_is_a_key_of_its_organization() -> None:
    shown = account_responses.me(principal(Permission.ADMIN), "org_1", "free", "dev@example.com")
    assert shown == {
        "customer_id": "acme",
        "email": "dev@example.com",
        "tier": "free",
        "is_superadmin": False,
        "org_id": "org_1",
        "is_billing_admin": True,
        "user_id": "key_1",
        "org_role": "org:admin",
    }
    member = account_responses.me(principal(Permission.READ, Permission.WRITE), "org_1", "pro")
    assert (member["is_billing_admin"], member["org_role"]) == (False, "org:member")
    assert (member["email"], member["tier"]) == ("", "pro")


KEY = ApiKey(
    id="key_1",
    tenant="acme",
    hash="very secret",
    prefix="msy_DUMM",
    permissions=(Permission.WRITE, Permission.READ, Permission.DELETE),
    created_at=START,
    name="ci",
    expires_at=START + DAY,
)


def test_a_key_is_shown_without_what_opens_anything() -> None:
    assert account_responses.key(KEY, START) == {
        "key_id": "key_1",
        "prefix": "msy_DUMM",
        "name": "ci",
        "is_active": True,
        "created_at": T,
        "scopes": ["read", "write"],
        "last_used_at": None,
        "expires_at": LATER,
    }


def test_a_key_without_a_name_or_an_end_is_shown_too() -> None:
    shown = account_responses.key(replace(KEY, name=None, expires_at=None), START)
    assert (shown["name"], shown["expires_at"]) == ("", None)


@pytest.mark.parametrize(
    ("permissions", "scopes"),
    [
        ((Permission.READ,), ["read"]),
        ((Permission.WRITE,), ["write"]),
        ((Permission.ADMIN,), ["read", "write"]),
        ((Permission.DELETE,), []),
    ],
)
def test_a_key_has_the_scopes_of_its_permissions(permissions: tuple[Permission, ...], scopes: list[str]) -> None:
    key = replace(KEY, permissions=permissions)
    assert account_responses.key(key, START)["scopes"] == scopes
    assert account_responses.created_key("msy_x", key)["scopes"] == scopes


def test_a_list_of_keys_counts_those_that_are_good() -> None:
    revoked, expired = replace(KEY, revoked_at=START), replace(KEY, expires_at=START)
    shown = account_responses.keys([KEY, revoked, expired], 5, START)
    assert [each["is_active"] for each in shown["keys"]] == [True, False, False]
    assert (shown["max_keys"], shown["active_count"]) == (5, 1)
    assert account_responses.keys([], 5, START) == {"keys": [], "max_keys": 5, "active_count": 0}


def test_a_new_key_is_shown_once() -> None:
    assert account_responses.created_key("msy_DUMMY", KEY) == {
        "key_id": "key_1",
        "raw_key": "msy_DUMMY",
        "prefix": "msy_DUMM",
        "name": "ci",
        "scopes": ["read", "write"],
    }
    assert account_responses.created_key("msy_DUMMY", replace(KEY, name=None))["name"] == ""


POINTS = [
    Point(START, Dimension.API_CALLS, 12),
    Point(START, Dimension.SEARCH_QUERIES, 3),
    Point(START + DAY, Dimension.API_CALLS, 1),
]


def test_the_usage_of_a_key_is_a_record_a_day() -> None:
    assert account_responses.key_usage(POINTS) == {
        "usage": [
            {"date": "2026-01-02", "api_calls": 12, "search_queries": 3},
            {"date": "2026-01-03", "api_calls": 1},
        ]
    }
    assert account_responses.key_usage([]) == {"usage": []}


def test_usage_is_told_by_the_day_or_by_the_hour() -> None:
    assert account_responses.usage_timeseries("org_1", Granularity.DAILY, POINTS) == {
        "org_id": "org_1",
        "granularity": "daily",
        "data": [
            {"date": "2026-01-02", "dimension": "api_calls", "quantity": 12},
            {"date": "2026-01-02", "dimension": "search_queries", "quantity": 3},
            {"date": "2026-01-03", "dimension": "api_calls", "quantity": 1},
        ],
    }
    hourly = account_responses.usage_timeseries("org_1", Granularity.HOURLY, POINTS[:1])
    assert (hourly["granularity"], hourly["data"][0]["date"]) == ("hourly", T)


USAGE = Usage(
    START,
    START + DAY,
    {Dimension.API_CALLS: 12, Dimension.EVENTS_INGESTED: 2, Dimension.MEMORIES_STORED: 3, Dimension.LLM_TOKENS: 4},
    {Dimension.API_CALLS: 10_000, Dimension.EVENTS_INGESTED: 5000, Dimension.SEARCH_QUERIES: 0},
)


def test_a_summary_has_all_dimensions() -> None:
    assert account_responses.usage_summary("org_1", "free", USAGE) == {
        "org_id": "org_1",
        "tier": "free",
        "period_start": T,
        "period_end": LATER,
        "dimensions": [
            {"dimension": "api_calls", "used": 12, "limit": 10_000, "overage_rate": None},
            {"dimension": "events_ingested", "used": 2, "limit": 5000, "overage_rate": None},
            {"dimension": "memories_stored", "used": 3, "limit": None, "overage_rate": None},
            {"dimension": "llm_tokens", "used": 4, "limit": None, "overage_rate": None},
            {"dimension": "search_queries", "used": 0, "limit": 0, "overage_rate": None},
        ],
    }


def test_headers_tell_what_was_used_and_the_limits_that_there_are() -> None:
    assert headers(USAGE, "free") == {
        "x-plan": "free",
        "x-usage-apicalls": "12",
        "x-usage-apicalls-limit": "10000",
        "x-usage-eventsingested": "2",
        "x-usage-eventsingested-limit": "5000",
        "x-usage-memoriesstored": "3",
        "x-usage-llmtokens": "4",
        "x-usage-searchqueries": "0",
        "x-usage-searchqueries-limit": "0",
        "x-ratelimit-limit": "10000",
        "x-ratelimit-remaining": "9988",
        "x-ratelimit-reset": "1767409445",
    }


@pytest.mark.parametrize(
    ("used", "limit", "left"), [(5, 5, "0"), (9, 5, "0"), (4, 5, "1"), (None, 5, "5"), (0, 0, "0")]
)
def test_never_fewer_calls_are_left_than_none(used: int | None, limit: int, left: str) -> None:
    usage = {} if used is None else {Dimension.API_CALLS: used}
    told = headers(Usage(START, START + DAY, usage, {Dimension.API_CALLS: limit}), "pro")
    assert (told["x-ratelimit-limit"], told["x-ratelimit-remaining"]) == (str(limit), left)


def test_without_limits_there_are_no_headers_for_them() -> None:
    assert headers(Usage(START, START + DAY), "pro") == {
        "x-plan": "pro",
        "x-usage-apicalls": "0",
        "x-usage-eventsingested": "0",
        "x-usage-memoriesstored": "0",
        "x-usage-llmtokens": "0",
        "x-usage-searchqueries": "0",
    }


def test_every_dimension_is_in_the_headers() -> None:
    used = {dimension: number for number, dimension in enumerate(Dimension, start=1)}
    told = headers(Usage(START, START + DAY, used, used), "pro")
    assert sorted(told[name] for name in told if name.endswith("-limit") and "usage" in name) == list("12345")


# What there is none of


def test_nobody_is_billed() -> None:
    assert account_responses.billing_summary("free") == {
        "tier": "free",
        "purchased_seats": 0,
        "assigned_seats": 0,
        "available_seats": 0,
        "stripe_customer_id": None,
        "payment_method": None,
        "upcoming_invoice": None,
        "subscription_status": None,
        "billing_contact": None,
        "stripe_subscription_id": None,
    }
    assert account_responses.invoices() == []


def test_interest_is_recorded() -> None:
    assert account_responses.interest_recorded() == {"message": "Interest recorded"}
    assert account_responses.interest_status(expressed=True) == {"expressed": True}
    assert account_responses.interest_status(expressed=False) == {"expressed": False}


def test_nothing_can_be_connected() -> None:
    assert account_responses.providers() == {"providers": []}
    assert account_responses.connectors() == []
    assert account_responses.connector_status() == {"connected": False, "display_name": None}


def test_health_is_ok() -> None:
    assert responses.health("2.1.0") == {
        "status": "ok",
        "version": "2.1.0",
        "billing_enabled": False,
        "components": {"async_memsy": "ok", "sync_memsy": "ok"},
    }
