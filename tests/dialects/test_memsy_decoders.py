import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commonplace.dialects.memsy.account_requests import (
    Granularity,
    Interest,
    KeyRequest,
    UsageQuery,
    interest,
    key_request,
    usage_query,
)
from commonplace.dialects.memsy.console_requests import (
    ActorListing,
    ActorSort,
    EventListing,
    EventSort,
    MemoryListing,
    MemorySort,
    actor_listing,
    event_listing,
    memory_listing,
)
from commonplace.dialects.memsy.event_requests import event_ids, event_orders
from commonplace.dialects.memsy.group_requests import (
    GroupListing,
    GroupOrder,
    group_change,
    group_listing,
    group_order,
)
from commonplace.dialects.memsy.metadata import metadata
from commonplace.dialects.memsy.organization import meant, own
from commonplace.dialects.memsy.search_requests import SearchOrder, search_order
from commonplace.model.apikey import Permission
from commonplace.model.directory import GroupChange
from commonplace.model.errors import Foreign, Invalid, Malformed, Misattributed, Problem
from commonplace.model.event import EventKind, EventOrder
from commonplace.model.filter import Period
from commonplace.model.memory import Standing
from commonplace.model.scope import Scope, audiences
from commonplace.model.usage import Dimension
from fakes import START

ORG = "org_1"
EVENT: dict[str, Any] = {"actor_id": "a", "session_id": "s", "kind": "user_message", "content": "c"}
ORDER = EventOrder(actor="a", session="s", kind=EventKind.USER, content="c")
HALF = "half \ud800"
"""Half of a surrogate pair: JSON can spell it, and no text has it."""

NO_OBJECT = [None, 1, True, "x", [], [EVENT]]


def refusal(act: Callable[..., object], *given: Any, **fields: Any) -> str:
    """What is said of a request, which is the same for people and for programs."""
    with pytest.raises(Invalid) as caught:
        act(*given, **fields)
    assert not isinstance(caught.value, Malformed | Misattributed)
    (problem,) = caught.value.problems
    assert caught.value.message == f"{problem.field} {problem.message}"
    assert caught.value.message.encode()
    return caught.value.message


def orders(*events: Any, **body: Any) -> list[EventOrder]:
    return event_orders({"events": list(events), **body}, ORG)


def event(**fields: Any) -> EventOrder:
    (order,) = orders({**EVENT, **fields})
    return order


def day(month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


# POST /ingest


def test_an_event_is_taken_as_it_is_told() -> None:
    told: dict[str, Any] = {
        "actor_id": "user_42",
        "session_id": "sess_a",
        "kind": "user_message",
        "content": "I prefer dark mode",
        "role_id": "role_1",
        "team_id": "team_1",
        "ts": "2026-03-15T14:22:10Z",
        "metadata": '{"plan":"pro"}',
        "event_id": "01JK",
    }
    assert orders(told) == [
        EventOrder(
            actor="user_42",
            session="sess_a",
            kind=EventKind.USER,
            content="I prefer dark mode",
            id="01JK",
            at=datetime(2026, 3, 15, 14, 22, 10, tzinfo=UTC),
            role="role_1",
            team="team_1",
            metadata={"plan": "pro"},
        )
    ]


def test_what_need_not_be_told_is_absent() -> None:
    assert event() == ORDER
    nulls = dict.fromkeys(("role_id", "team_id", "ts", "metadata", "event_id"))
    assert event(**nulls) == ORDER


def test_what_the_api_does_not_know_does_not_matter() -> None:
    assert event(source_id="x", org_id="another", actorId=7) == ORDER
    assert orders(EVENT, since=HALF) == [ORDER]


def test_events_keep_their_order() -> None:
    told = orders(*({**EVENT, "content": str(number)} for number in range(3)))
    assert [order.content for order in told] == ["0", "1", "2"]


def test_no_events_are_a_batch_too() -> None:
    assert orders() == []


def test_a_batch_has_at_most_a_thousand_events() -> None:
    assert len(orders(*[EVENT] * 1000)) == 1000
    assert refusal(event_orders, {"events": [EVENT] * 1001}, ORG) == "events must not be more than 1000"


@pytest.mark.parametrize("kind", ["user_message", "assistant_message", "tool_result", "app_event"])
def test_an_event_is_of_one_of_four_kinds(kind: str) -> None:
    assert event(kind=kind).kind.value == kind


@pytest.mark.parametrize("kind", ["User_Message", "message", "user_message ", "user"])
def test_another_kind_is_unknown(kind: str) -> None:
    assert refusal(event, kind=kind) == "events[0].kind is unknown"


@pytest.mark.parametrize("name", ["actor_id", "session_id", "kind", "content"])
def test_what_must_be_told_must_say_something(name: str) -> None:
    assert refusal(event, **{name: None}) == f"events[0].{name} is required"
    assert refusal(event, **{name: 7}) == f"events[0].{name} must be a string"
    for blank in ("", "  ", "\u3000\t", "\0", " \0 "):
        assert refusal(event, **{name: blank}) == f"events[0].{name} must not be blank"


def test_the_names_of_other_languages_are_not_those_of_the_api() -> None:
    camel = {"actorId": "a", "sessionId": "s", "kind": "user_message", "content": "c"}
    assert refusal(event_orders, {"events": [camel]}, ORG) == "events[0].actor_id is required"


def test_one_bad_event_refuses_the_batch_and_is_named() -> None:
    events = [EVENT, EVENT, {**EVENT, "content": " "}, {}]
    assert refusal(event_orders, {"events": events}, ORG) == "events[2].content must not be blank"


@pytest.mark.parametrize("name", ["actor_id", "session_id", "role_id", "team_id", "event_id"])
def test_a_name_has_at_most_256_characters_of_any_kind(name: str) -> None:
    fields = {"actor_id": "actor", "session_id": "session", "role_id": "role", "team_id": "team", "event_id": "id"}
    longest = " ü{}" + "😀" * 252
    assert getattr(event(**{name: longest}), fields[name]) == longest
    assert refusal(event, **{name: longest + "x"}) == f"events[0].{name} must not have more than 256 characters"


@pytest.mark.parametrize("name", ["role_id", "team_id", "event_id"])
def test_a_name_that_need_not_be_told_is_none_if_it_is_blank(name: str) -> None:
    for blank in ("", " ", "\t\n", "\0", " " * 300):
        assert event(**{name: blank}) == ORDER
    assert refusal(event, **{name: 7}) == f"events[0].{name} must be a string"


def test_a_content_has_at_most_32000_characters() -> None:
    assert event(content="😀" * 32_000).content == "😀" * 32_000
    assert refusal(event, content="x" * 32_001) == "events[0].content must not have more than 32000 characters"


def test_nul_is_dropped_without_a_word() -> None:
    order = event(
        actor_id="\0a\0",
        session_id="s\0",
        kind="user\0_message",
        content="c\0" + "d" * 31_999,
        role_id="r\0",
        team_id="t\0" + "t" * 255,
        event_id="e\0",
        metadata='\0{"k":"v"}',
        ts="2026-03-15\0",
    )
    assert (order.actor, order.session, order.kind, order.role, order.id) == ("a", "s", EventKind.USER, "r", "e")
    assert (order.content, order.team) == ("c" + "d" * 31_999, "t" * 256)
    assert (order.metadata, order.at) == ({"k": "v"}, day(3, 15))


@pytest.mark.parametrize(
    ("ts", "at"),
    [
        ("2026-03-15T14:22:10Z", "2026-03-15T14:22:10+00:00"),
        ("2026-03-15T14:22:10.123456Z", "2026-03-15T14:22:10.123456+00:00"),
        ("2026-03-15T14:22:10", "2026-03-15T14:22:10+00:00"),
        ("2026-03-15T14:22:10+02:00", "2026-03-15T12:22:10+00:00"),
        ("2026-03-15", "2026-03-15T00:00:00+00:00"),
    ],
)
def test_a_time_is_in_utc_unless_it_says_otherwise(ts: str, at: str) -> None:
    told = event(ts=ts).at
    assert told is not None
    assert told.isoformat() == at


@pytest.mark.parametrize(
    "ts", ["", "yesterday", "1771165330", "0001-01-01T00:00:00+23:00", "9999-12-31T23:00:00-02:00"]
)
def test_a_time_that_cannot_be_read_is_refused(ts: str) -> None:
    assert refusal(event, ts=ts) == "events[0].ts must be a time in ISO 8601"


def test_a_time_is_a_text() -> None:
    assert refusal(event, ts=1771165330) == "events[0].ts must be a string"


@pytest.mark.parametrize("name", ["actor_id", "session_id", "kind", "content", "role_id", "team_id", "event_id", "ts"])
def test_half_a_character_is_refused(name: str) -> None:
    assert refusal(event, **{name: HALF}) == f"events[0].{name} must be valid Unicode"


def test_metadata_are_a_text() -> None:
    assert refusal(event, metadata={"k": "v"}) == "events[0].metadata must be a string"
    assert refusal(event, metadata=HALF) == "events[0].metadata must be valid Unicode"
    assert event(metadata="x" * 4096).metadata == "x" * 4096
    assert refusal(event, metadata="x" * 4097) == "events[0].metadata must not have more than 4096 characters"
    assert event(metadata="").metadata == ""


@pytest.mark.parametrize(
    "text", ["{}", '{"raw":"x"}', '{"a":{"b":[1,2.5,null,true,"ü"]}}', ' { "a" : 1 } ', '{"n":' + "9" * 308 + "}"]
)
def test_metadata_that_are_an_object_are_that_object(text: str) -> None:
    assert metadata(text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "not json", "null", "1", '"x"', "[]", '[{"a":1}]', "{", '{"a":1}}', "{'a':1}"),
        *('{"a":NaN}', '{"a":-Infinity}', '{"a":1e999}', '{"a":-1e999}'),
        '{"a":' + "9" * 401 + "}",
        '{"a":' + "9" * 4000 + "}",
        '{"a":"\\ud800"}',
        '{"\\udfff":1}',
        "[" * 4096,
        "[" * 2048 + "]" * 2048,
        '{"":' * 900 + "1" + "}" * 900,
    ],
)
def test_any_other_metadata_are_kept_as_they_are(text: str) -> None:
    assert metadata(text) == text


def test_metadata_are_an_object_of_at_most_64_levels() -> None:
    deepest = '{"":' * 63 + "1" + "}" * 63
    assert metadata(deepest) == json.loads(deepest)
    assert metadata('{"":' * 64 + "1" + "}" * 64) == '{"":' * 64 + "1" + "}" * 64


@pytest.mark.parametrize("org", [None, ORG])
def test_the_callers_own_organization_may_be_said(org: str | None) -> None:
    assert orders(EVENT, org_id=org) == [ORDER]


@pytest.mark.parametrize("org", ["org_2", "", " org_1", 7, [], HALF])
def test_no_other_organization_may_be_said_whatever_the_events_are(org: Any) -> None:
    bodies: list[dict[str, Any]] = [{"events": [EVENT]}, {"events": [{}]}, {}]
    for body in bodies:
        with pytest.raises(Misattributed):
            event_orders({"org_id": org, **body}, ORG)


@pytest.mark.parametrize("events", [EVENT, "x", 1, True])
def test_events_are_a_list(events: Any) -> None:
    assert refusal(event_orders, {"events": events}, ORG) == "events must be a list"


def test_events_must_be_there() -> None:
    assert refusal(event_orders, {}, ORG) == "events is required"
    assert refusal(event_orders, {"events": None}, ORG) == "events is required"


@pytest.mark.parametrize("body", NO_OBJECT)
@pytest.mark.parametrize(
    "decode",
    [
        lambda body: event_orders(body, ORG),
        event_ids,
        search_order,
        lambda body: group_order(body, ORG),
        group_change,
        lambda body: key_request(body, START),
        interest,
    ],
)
def test_a_body_that_is_no_object_is_refused(decode: Callable[[Any], object], body: Any) -> None:
    assert refusal(decode, body) == "The request body must be a JSON object"


@pytest.mark.parametrize("body", NO_OBJECT)
def test_an_event_that_is_no_object_is_refused(body: Any) -> None:
    assert refusal(event_orders, {"events": [EVENT, body]}, ORG) == "events[1] must be a JSON object"


def test_a_refusal_names_the_field_for_programs() -> None:
    with pytest.raises(Invalid) as caught:
        event(kind="x")
    assert caught.value.problems == (Problem("events[0].kind", "is unknown"),)


# POST /status


def test_ids_keep_their_order_and_their_number() -> None:
    assert event_ids({"event_ids": ["b", "a", "b", ""]}) == ["b", "a", "b", ""]
    assert event_ids({"event_ids": [], "containerTag": "x"}) == []
    assert event_ids({"event_ids": ["a\0", "\0", "x" * 100_000]}) == ["a\0", "\0", "x" * 100_000]


def test_at_most_500_events_are_asked_for() -> None:
    assert len(event_ids({"event_ids": ["x" * 256] * 500})) == 500
    assert refusal(event_ids, {"event_ids": ["x"] * 501}) == "event_ids must not be more than 500"
    assert refusal(event_ids, {"event_ids": [None] * 501}) == "event_ids must not be more than 500"


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (None, "event_ids is required"),
        ("x", "event_ids must be a list"),
        (["x", None], "event_ids[1] must be a string"),
        ([7], "event_ids[0] must be a string"),
        (["x", "x", HALF], "event_ids[2] must be valid Unicode"),
    ],
)
def test_what_is_no_list_of_texts_is_no_list_of_ids(ids: Any, said: str) -> None:
    assert refusal(event_ids, {"event_ids": ids}) == said


# POST /search


def test_a_search_needs_no_more_than_a_query() -> None:
    assert search_order({"query": "q"}) == SearchOrder(
        query="q",
        limit=10,
        threshold=0.0,
        include_source_events=False,
        actor=None,
        session=None,
        excluded_session=None,
        roles=(),
        teams=(),
    )
    nulls = ("limit", "threshold", "include_source_events", "actor_id", "session_id", "exclude_session_id", "role_ids")
    assert search_order({"query": "q", **dict.fromkeys(nulls), "team_ids": None}) == SearchOrder(query="q")


def test_a_search_says_what_it_wants() -> None:
    body: dict[str, Any] = {
        "query": "theme preferences",
        "limit": 3,
        "threshold": 0.4,
        "include_source_events": True,
        "actor_id": "user 42",
        "session_id": "sess_a",
        "role_ids": ["r2", "r1", "r2"],
        "team_ids": ["t"],
        "org_id": "another",
        "since": 7,
    }
    assert search_order(body) == SearchOrder(
        query="theme preferences",
        limit=3,
        threshold=0.4,
        include_source_events=True,
        actor="user 42",
        session="sess_a",
        roles=("r2", "r1"),
        teams=("t",),
    )
    other = search_order({"query": "q", "exclude_session_id": "sess_b"})
    assert other == SearchOrder(query="q", excluded_session="sess_b")


NO_LIMIT: list[Any] = [0, 101, -1, 1.5, "5", True, [], 1e300, 10**400, float("inf"), float("nan")]
NO_THRESHOLD: list[Any] = ["0.5", True, [], 10**400, float("nan"), float("-inf")]
NO_FLAG: list[Any] = [0, 1, "true", []]
SEARCHES: list[tuple[dict[str, Any], str]] = [
    ({"query": None}, "query is required"),
    ({"query": " "}, "query must not be blank"),
    ({"query": ["q"]}, "query must be a string"),
    ({"query": HALF}, "query must be valid Unicode"),
    ({"query": "x" * 32_001}, "query must not have more than 32000 characters"),
    *(({"limit": limit}, "limit must be a whole number from 1 to 100") for limit in NO_LIMIT),
    *(({"threshold": number}, "threshold must be a finite number") for number in NO_THRESHOLD),
    *(({"include_source_events": flag}, "include_source_events must be true or false") for flag in NO_FLAG),
    ({"actor_id": ""}, "actor_id must not be blank"),
    ({"actor_id": " \0"}, "actor_id must not be blank"),
    ({"actor_id": 7}, "actor_id must be a string"),
    ({"actor_id": HALF}, "actor_id must be valid Unicode"),
    ({"actor_id": "x" * 257}, "actor_id must not have more than 256 characters"),
    *(
        ({f"{noun}_ids": value}, f"{noun}_ids{said}")
        for noun in ("role", "team")
        for value, said in (
            ("r", " must be a list"),
            ({}, " must be a list"),
            (["r", 7], "[1] must be a string"),
            ([None], "[0] must be a string"),
            ([HALF], "[0] must be valid Unicode"),
            (["x" * 257], "[0] must not have more than 256 characters"),
            (["r", ""], " must not have blank ones"),
            (["\0 "], " must not have blank ones"),
            (["r"] * 1001, " must not be more than 1000"),
        )
    ),
    ({"session_id": "s", "exclude_session_id": "x"}, "session_id and exclude_session_id must not be given together"),
    ({"session_id": "s", "exclude_session_id": "s"}, "session_id and exclude_session_id must not be given together"),
]


@pytest.mark.parametrize(("body", "said"), SEARCHES)
def test_a_search_that_cannot_be_meant_is_refused(body: dict[str, Any], said: str) -> None:
    assert refusal(search_order, {"query": "q", **body}) == said


def test_a_search_holds_its_limits_exactly() -> None:
    body: dict[str, Any] = {
        "query": "x" * 32_000,
        "limit": 100,
        "actor_id": "x" * 256,
        "role_ids": [str(n) for n in range(1000)],
    }
    order = search_order(body)
    assert (order.query, order.limit, order.actor, len(order.roles)) == ("x" * 32_000, 100, "x" * 256, 1000)
    assert search_order({"query": "q", "limit": 1}).limit == 1
    assert search_order({"query": "q", "limit": 7.0}).limit == 7


@pytest.mark.parametrize("number", [0, -3, 5, 0.0, -1e308, 1e-320])
def test_any_finite_threshold_is_taken(number: float) -> None:
    threshold = search_order({"query": "q", "threshold": number}).threshold
    assert threshold == number
    assert isinstance(threshold, float)


def test_an_actor_is_found_by_the_name_that_was_kept_of_it() -> None:
    assert search_order({"query": "q", "actor_id": "a\0b"}).actor == event(actor_id="a\0b").actor == "ab"


@pytest.mark.parametrize("session", ["s", "A-Z_z0:9.@/", "x" * 256])
@pytest.mark.parametrize("name", ["session_id", "exclude_session_id"])
def test_a_session_that_can_be_searched_is_taken(name: str, session: str) -> None:
    order = search_order({"query": "q", name: session})
    assert {order.session, order.excluded_session} == {session, None}


@pytest.mark.parametrize("session", [" ", "a b", "ü", "a\n", "\0", "a\0", HALF, "x" * 257, "s?", "s+", 7, ["s"], False])
@pytest.mark.parametrize("name", ["session_id", "exclude_session_id"])
def test_a_session_that_cannot_be_searched_is_refused(name: str, session: Any) -> None:
    said = "must be 1 to 256 of the characters A-Z, a-z, 0-9, _, -, :, ., @ and /"
    assert refusal(search_order, {"query": "q", name: session}) == f"{name} {said}"


def test_an_empty_session_is_none_before_anything_else() -> None:
    assert search_order({"query": "q", "session_id": ""}) == SearchOrder(query="q")
    order = search_order({"query": "q", "session_id": "", "exclude_session_id": "x"})
    assert (order.session, order.excluded_session) == (None, "x")
    order = search_order({"query": "q", "session_id": "x", "exclude_session_id": ""})
    assert (order.session, order.excluded_session) == ("x", None)
    assert search_order({"query": "q", "session_id": "", "exclude_session_id": ""}) == SearchOrder(query="q")


SCOPES = {
    "ada": Scope(user="ada"),
    "ada in r": Scope(user="ada", role="r", team="t"),
    "bob in r": Scope(user="bob", role="r"),
    "bob in t": Scope(user="bob", role="q", team="t"),
    "role r": Scope(role="r"),
    "role q": Scope(role="q"),
    "team t": Scope(team="t"),
    "team r": Scope(team="r"),
    "org": Scope(),
}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, set(SCOPES)),
        ({"role_ids": [], "team_ids": []}, set(SCOPES)),
        ({"actor_id": "ada"}, {"ada", "ada in r", "org"}),
        ({"actor_id": "ada", "role_ids": ["r"]}, {"ada", "ada in r", "role r", "org"}),
        (
            {"actor_id": "ada", "role_ids": ["q", "r"], "team_ids": ["t"]},
            {"ada", "ada in r", "role r", "role q", "team t", "org"},
        ),
        ({"actor_id": "nobody"}, {"org"}),
        ({"actor_id": "r"}, {"org"}),
        ({"role_ids": ["r"]}, {"ada in r", "bob in r", "role r", "org"}),
        ({"team_ids": ["t"]}, {"ada in r", "bob in t", "team t", "org"}),
        ({"team_ids": ["r"]}, {"team r", "org"}),
        ({"role_ids": ["r"], "team_ids": ["t"]}, {"ada in r", "bob in r", "bob in t", "role r", "team t", "org"}),
        ({"role_ids": ["nothing"]}, {"org"}),
    ],
)
def test_with_an_actor_roles_and_teams_find_more_and_without_one_they_narrow(
    asked: dict[str, Any], found: set[str]
) -> None:
    audience = search_order({"query": "q", **asked}).audience
    meant = {name for name, scope in SCOPES.items() if not audience or not set(audience).isdisjoint(audiences(scope))}
    assert meant == found


# Orgs, roles, teams


def test_a_group_is_made_of_a_name_and_a_focus() -> None:
    body: dict[str, Any] = {"org_id": ORG, "name": "My Org", "focus": "B2B sales"}
    assert group_order(body, ORG) == GroupOrder(organization=ORG, name="My Org", focus="B2B sales")
    assert group_order({"name": "n", "focus": "f"}, ORG) == GroupOrder(organization=ORG, name="n", focus="f")
    for none in (None, ""):
        assert group_order({"name": "n", "focus": "f", "org_id": none}, ORG).organization == ORG


@pytest.mark.parametrize("body", [{}, {"name": "n", "focus": "f"}])
def test_a_group_of_another_organization_is_refused_whatever_it_is(body: dict[str, Any]) -> None:
    with pytest.raises(Foreign):
        group_order({"org_id": "org_2", **body}, ORG)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"org_id": 7}, "org_id must be a string"),
        ({"org_id": HALF}, "org_id must be valid Unicode"),
        ({"name": None}, "name is required"),
        ({"name": ""}, "name must not be blank"),
        ({"name": " "}, "name must not be blank"),
        ({"name": 7}, "name must be a string"),
        ({"name": HALF}, "name must be valid Unicode"),
        ({"name": "x" * 257}, "name must not have more than 256 characters"),
        ({"focus": None}, "focus is required"),
        ({"focus": ""}, "focus must not be blank"),
        ({"focus": HALF}, "focus must be valid Unicode"),
        ({"focus": "x" * 4001}, "focus must not have more than 4000 characters"),
    ],
)
def test_a_group_that_cannot_be_made_is_refused(body: dict[str, Any], said: str) -> None:
    assert refusal(group_order, {"name": "n", "focus": "f", **body}, ORG) == said
    (field,) = body
    if field != "org_id" and body[field] is not None:
        assert refusal(group_change, body) == said


def test_a_group_holds_its_limits_exactly() -> None:
    name, focus, prompt = "x" * 256, "y" * 4000, "z" * 16_000
    assert group_order({"name": name, "focus": focus}, ORG) == GroupOrder(organization=ORG, name=name, focus=focus)
    change = group_change({"name": name, "focus": focus, "promotion_prompt": prompt})
    assert change == GroupChange(name=name, focus=focus, prompt=prompt)


def test_a_change_leaves_what_it_does_not_name() -> None:
    assert group_change({}) == GroupChange()
    assert group_change({"name": None, "focus": None, "promotion_prompt": None, "org_id": "x"}) == GroupChange()
    assert group_change({"name": "n"}) == GroupChange(name="n")
    assert group_change({"focus": "f"}) == GroupChange(focus="f")


def test_a_prompt_may_be_empty_but_must_be_a_text() -> None:
    assert group_change({"promotion_prompt": ""}) == GroupChange(prompt="")
    said = "promotion_prompt must"
    assert refusal(group_change, {"promotion_prompt": 7}) == f"{said} be a string"
    assert refusal(group_change, {"promotion_prompt": HALF}) == f"{said} be valid Unicode"
    long = {"promotion_prompt": "x" * 16_001}
    assert refusal(group_change, long) == f"{said} not have more than 16000 characters"


def test_a_list_of_groups_is_of_the_callers_organization() -> None:
    assert group_listing({}, ORG) == GroupListing(organization=ORG, limit=100, offset=0)
    query = {"org_id": ORG, "limit": "200", "offset": "7", "more": "x"}
    assert group_listing(query, ORG) == GroupListing(organization=ORG, limit=200, offset=7)
    with pytest.raises(Foreign):
        group_listing({"org_id": "org_2"}, ORG)


def test_only_the_callers_organization_is_meant() -> None:
    assert own(None, ORG) == own(ORG, ORG) == meant({}, ORG) == meant({"org_id": ORG}, ORG) == ORG
    assert meant({"org_id": ""}, ORG) == ORG
    with pytest.raises(Foreign):
        own("org_2", ORG)
    with pytest.raises(Foreign):
        own("", ORG)
    with pytest.raises(Foreign):
        meant({"org_id": "ORG_1"}, ORG)
    assert refusal(meant, {"org_id": HALF}, ORG) == "org_id must be valid Unicode"


# Lists


LISTS: list[tuple[Callable[[dict[str, str]], Any], int]] = [
    (memory_listing, 200),
    (event_listing, 200),
    (lambda query: actor_listing(query, ORG), 500),
    (lambda query: group_listing(query, ORG), 200),
]


@pytest.mark.parametrize(("decode", "most"), LISTS)
def test_a_list_holds_its_limits_exactly(decode: Callable[[dict[str, str]], Any], most: int) -> None:
    assert decode({"limit": "1"}).limit == 1
    assert decode({"limit": f"000{most}"}).limit == most
    assert decode({"offset": "0"}).offset == 0
    assert decode({"offset": "1000000000"}).offset == 1_000_000_000
    for limit in ("0", str(most + 1), "-1", "+1", "1.0", "", " 1", "1 ", "x", "１", "1_0", "9" * 5000, HALF):
        said = f"limit must be a whole number from 1 to {most}"
        assert refusal(decode, {"limit": limit}) == said
    for offset in ("-1", "1000000001", "", "x", "٣", "9" * 5000):
        said = "offset must be a whole number from 0 to 1000000000"
        assert refusal(decode, {"offset": offset}) == said


def test_a_list_of_memories_is_that_of_the_last_active_ones() -> None:
    assert memory_listing({}) == MemoryListing(
        sort=MemorySort.OBSERVED_LAST,
        limit=50,
        offset=0,
        standing=Standing.ACTIVE,
        actor=None,
        kind=None,
        type=None,
        text=None,
    )
    assert memory_listing({"kind": "", "type": "", "search": "", "more": "x"}) == memory_listing({})


def test_a_list_of_memories_says_which() -> None:
    query = {
        "sort": "confidence_desc",
        "limit": "7",
        "offset": "3",
        "status": "archived",
        "actor_id": "user\0 42",
        "kind": "semantic",
        "type": "preference",
        "search": " Dark\0 ",
    }
    assert memory_listing(query) == MemoryListing(
        sort=MemorySort.SUREST,
        limit=7,
        offset=3,
        standing=Standing.ARCHIVED,
        actor="user 42",
        kind="semantic",
        type="preference",
        text=" Dark ",
    )


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("active", Standing.ACTIVE),
        ("archived", Standing.ARCHIVED),
        ("decayed", Standing.EXPIRED),
        ("superseded", None),
    ],
)
def test_each_status_is_that_of_a_standing_or_of_no_memory(status: str, standing: Standing | None) -> None:
    assert memory_listing({"status": status}).standing is standing


SORTS: list[tuple[Callable[[dict[str, str]], Any], list[str]]] = [
    (
        memory_listing,
        ["observed_at_desc", "observed_at_asc", "strength_desc", "confidence_desc", "created_at_desc"],
    ),
    (event_listing, ["ts_desc", "ts_asc"]),
    (
        lambda query: actor_listing(query, ORG),
        ["first_memory_desc", "first_memory_asc", "last_memory_desc", "actor_id_asc"],
    ),
]


@pytest.mark.parametrize(("decode", "sorts"), SORTS)
def test_a_list_has_one_of_its_orders(decode: Callable[[dict[str, str]], Any], sorts: list[str]) -> None:
    assert [decode({"sort": sort}).sort.value for sort in sorts] == sorts
    assert decode({}).sort.value == sorts[0]
    for sort in ("", "memory_count_desc", sorts[0].upper(), f" {sorts[0]}", HALF):
        said = f"sort must be one of {', '.join(sorts)}"
        assert refusal(decode, {"sort": sort}) == said


QUERIES: list[tuple[Callable[[dict[str, str]], Any], dict[str, str], str]] = [
    *(
        (memory_listing, {"status": status}, "status must be one of active, archived, decayed, superseded")
        for status in ("", "Active", "expired")
    ),
    *((memory_listing, {name: HALF}, f"{name} must be valid Unicode") for name in ("kind", "type", "search")),
    *(
        (decode, {name: value}, f"{name} {said}")
        for decode, name in (
            (memory_listing, "actor_id"),
            (event_listing, "actor_id"),
            (event_listing, "session_id"),
        )
        for value, said in (
            ("", "must not be blank"),
            (" ", "must not be blank"),
            ("\0", "must not be blank"),
            (HALF, "must be valid Unicode"),
            ("x" * 257, "must not have more than 256 characters"),
        )
    ),
    (event_listing, {"kind": HALF}, "kind must be valid Unicode"),
    *(
        (event_listing, {"kind": kind}, "kind must be one of user_message, assistant_message, tool_result, app_event")
        for kind in ("semantic", "USER_MESSAGE")
    ),
    (lambda query: actor_listing(query, ORG), {"q": HALF}, "q must be valid Unicode"),
]


@pytest.mark.parametrize(("decode", "query", "said"), QUERIES)
def test_a_list_that_cannot_be_meant_is_refused(
    decode: Callable[[dict[str, str]], Any], query: dict[str, str], said: str
) -> None:
    assert refusal(decode, query) == said


def test_a_list_of_events_is_that_of_the_last() -> None:
    assert event_listing({}) == EventListing(
        sort=EventSort.LAST, limit=50, offset=0, actor=None, session=None, kind=None
    )
    assert event_listing({"kind": ""}) == event_listing({})


def test_a_list_of_events_says_which() -> None:
    query = {"sort": "ts_asc", "limit": "7", "offset": "3", "actor_id": "x" * 256, "session_id": "s\0 ü"}
    assert event_listing({**query, "kind": "app_event"}) == EventListing(
        sort=EventSort.FIRST, limit=7, offset=3, actor="x" * 256, session="s ü", kind=EventKind.APP
    )


def test_a_list_of_actors_is_of_the_callers_organization() -> None:
    assert actor_listing({}, ORG) == ActorListing(
        organization=ORG, sort=ActorSort.BEGAN_LAST, limit=100, offset=0, text=None
    )
    query = {"org_id": ORG, "sort": "actor_id_asc", "limit": "7", "offset": "3", "q": "User"}
    assert actor_listing(query, ORG) == ActorListing(
        organization=ORG, sort=ActorSort.NAME, limit=7, offset=3, text="User"
    )
    with pytest.raises(Foreign):
        actor_listing({"org_id": "org_2"}, ORG)


# POST /keys


def test_a_key_may_read_and_write_for_ever_unless_that_is_said() -> None:
    both = (Permission.READ, Permission.WRITE)
    assert key_request({"name": "ci"}, START) == KeyRequest(name="ci", permissions=both, expires_at=None)
    named: list[Any] = [None, ["read", "write"], ["write", "read", "write"]]
    for scopes in named:
        assert key_request({"name": "ci", "scopes": scopes}, START).permissions == both
    assert key_request({"name": "ci", "scopes": ["read"]}, START).permissions == (Permission.READ,)
    assert key_request({"name": "ci", "scopes": ["write"]}, START).permissions == (Permission.WRITE,)


@pytest.mark.parametrize("scopes", [[], ["admin"], ["read", "delete"], "read", {"read": 1}, [1], [None], [["read"]], 7])
def test_a_key_may_do_nothing_else(scopes: Any) -> None:
    said = refusal(key_request, {"name": "ci", "scopes": scopes}, START)
    assert said == ("scopes must be a list of read and write" if isinstance(scopes, list) else "scopes must be a list")


def test_a_key_is_good_for_some_time() -> None:
    later = START + timedelta(microseconds=1)
    body: dict[str, Any] = {"name": "ci", "expires_at": later.isoformat()}
    assert key_request(body, START).expires_at == later
    assert refusal(key_request, body, later) == "expires_at must be in the future"
    assert refusal(key_request, {"name": "x", "expires_at": "2020-01-01"}, START).endswith("in the future")
    for text in ("", "soon", "0001-01-01T00:00:00+23:00"):
        said = "expires_at must be a time in ISO 8601"
        assert refusal(key_request, {"name": "ci", "expires_at": text}, START) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (None, "is required"),
        (" ", "must not be blank"),
        (7, "must be a string"),
        (HALF, "must be valid Unicode"),
        ("x" * 257, "must not have more than 256 characters"),
    ],
)
def test_a_key_has_a_name(name: Any, said: str) -> None:
    assert refusal(key_request, {"name": name}, START) == f"name {said}"
    assert key_request({"name": "x" * 256}, START).name == "x" * 256


# GET /usage/timeseries


def test_usage_is_asked_for_day_by_day_unless_that_is_said() -> None:
    everything = UsageQuery(granularity=Granularity.DAILY, dimension=None, period=Period())
    assert (
        usage_query({}) == usage_query({"dimension": "", "period_start": "", "period_end": "", "x": "y"}) == everything
    )
    assert usage_query({"granularity": "hourly"}).granularity is Granularity.HOURLY
    assert usage_query({"granularity": "daily"}).granularity is Granularity.DAILY


@pytest.mark.parametrize("dimension", list(Dimension))
def test_usage_is_asked_for_by_dimension(dimension: Dimension) -> None:
    assert usage_query({"dimension": dimension.value}).dimension is dimension


@pytest.mark.parametrize(
    ("granularity", "first", "last", "start", "end"),
    [
        ("daily", "2026-04-01", "2026-04-30", day(4, 1), day(5, 1)),
        ("daily", "2026-04-01", "2026-04-01", day(4, 1), day(4, 2)),
        ("daily", "2026-04-01T12:34:56.7Z", "2026-04-02T00:00:00Z", day(4, 1), day(4, 3)),
        ("daily", "2026-04-01T23:00:00-02:00", "2026-04-02T01:30:00+02:00", day(4, 2), None),
        ("hourly", "2026-04-01", "2026-04-30", day(4, 1), day(5, 1)),
        ("hourly", "20260401", "20260401", day(4, 1), day(4, 2)),
        ("hourly", "2026-04-01T12:34:56.7Z", "2026-04-01T12:00:00", day(4, 1, 12), day(4, 1, 13)),
        ("hourly", "2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z", day(4, 1), day(4, 2, 1)),
    ],
)
def test_a_period_includes_both_of_its_ends(
    granularity: str, first: str, last: str, start: datetime, end: datetime | None
) -> None:
    query = {"granularity": granularity, "period_start": first, "period_end": last}
    if end is None:
        assert refusal(usage_query, query) == "period_end must not be before period_start"
    else:
        assert usage_query(query).period == Period(start, end)
        assert usage_query({**query, "period_end": ""}).period == Period(start, None)
        assert usage_query({**query, "period_start": ""}).period == Period(None, end)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"granularity": "weekly"}, "granularity must be one of daily, hourly"),
        ({"granularity": ""}, "granularity must be one of daily, hourly"),
        (
            {"dimension": "calls"},
            "dimension must be one of api_calls, events_ingested, memories_stored, llm_tokens, search_queries",
        ),
        ({"dimension": HALF}, "dimension must be valid Unicode"),
        *(
            ({name: value}, f"{name} must be a date or a time in ISO 8601")
            for name in ("period_start", "period_end")
            for value in ("x", "2026-13-01", "9999-12-31", "9999-12-31T23:30:00", "0001-01-01T00:00:00+01:00")
        ),
        ({"period_start": HALF}, "period_start must be valid Unicode"),
        (
            {"granularity": "hourly", "period_end": "9999-12-31T23:30:00"},
            "period_end must be a date or a time in ISO 8601",
        ),
        ({"period_start": "2026-04-02", "period_end": "2026-04-01"}, "period_end must not be before period_start"),
        (
            {
                "granularity": "hourly",
                "period_start": "2026-04-01T13:00:00Z",
                "period_end": "2026-04-01T12:59:59Z",
            },
            "period_end must not be before period_start",
        ),
    ],
)
def test_usage_that_cannot_be_meant_is_refused(query: dict[str, str], said: str) -> None:
    assert refusal(usage_query, query) == said


# POST /interest/pro


def test_interest_needs_an_address_and_a_name() -> None:
    body = {"email": "dev@example.com", "name": "Dev"}
    assert interest({**body, "company": " ", "use_case": None}) == Interest(
        email="dev@example.com", name="Dev", company=None, use_case=None, notes=None
    )
    more = {"company": "c" * 256, "use_case": "u" * 4000, "notes": "n" * 4000}
    assert interest({**body, **more}) == Interest(**body, **more)
    assert interest({**body, "email": "e" * 320}).email == "e" * 320


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"email": None}, "email is required"),
        ({"email": " "}, "email must not be blank"),
        ({"email": "x" * 321}, "email must not have more than 320 characters"),
        ({"name": None}, "name is required"),
        ({"name": "x" * 257}, "name must not have more than 256 characters"),
        ({"company": 7}, "company must be a string"),
        ({"company": "x" * 257}, "company must not have more than 256 characters"),
        ({"use_case": HALF}, "use_case must be valid Unicode"),
        ({"use_case": "x" * 4001}, "use_case must not have more than 4000 characters"),
        ({"notes": "x" * 4001}, "notes must not have more than 4000 characters"),
    ],
)
def test_interest_that_cannot_be_recorded_is_refused(body: dict[str, Any], said: str) -> None:
    assert refusal(interest, {"email": "e", "name": "n", **body}) == said
