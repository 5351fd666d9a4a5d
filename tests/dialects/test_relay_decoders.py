from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from commonplace.core.search import Mode
from commonplace.dialects.relay import account_requests, memory_requests, query, search_requests, session_requests
from commonplace.dialects.relay.fields import MOST_DEPTH, Body, decoded
from commonplace.model.apikey import Permission, Principal
from commonplace.model.errors import Invalid, Problem
from commonplace.model.filter import Among, Between
from commonplace.model.memory import Change, Draft, Notify, Tier
from commonplace.model.scope import Scope
from commonplace.model.values import Json
from commonplace.model.webhook import EventType
from commonplace.rows.sessions import SessionFilter
from fakes import START

CALLER = Principal("acme", "key_1", frozenset(Permission), "callers secret")
MEMORY: dict[str, Json] = {"agent_id": "a", "content": "c"}


def nested(levels: int) -> dict[str, Json]:
    value: dict[str, Json] = {}
    for _ in range(levels - 1):
        value = {"n": value}
    return value


def metadata_of(size: int) -> dict[str, Json]:
    """A metadata object of so many bytes as compact JSON."""
    return {"k": "x" * (size - len('{"k":""}'))}


def problems(act: Callable[[], object]) -> dict[str, str]:
    with pytest.raises(Invalid) as failure:
        act()
    assert failure.value.message == f"{failure.value.problems[0].field}: {failure.value.problems[0].message}"
    return {problem.field: problem.message for problem in failure.value.problems}


LIMITS: list[tuple[type[Body], dict[str, Json], Any, Any]] = [
    (memory_requests.CreateBody, {"agent_id": "a"}, {"content": "x" * 50_000}, {"content": "x" * 50_001}),
    (memory_requests.CreateBody, {"agent_id": "a"}, {"content": " x "}, {"content": " \n\t"}),
    (memory_requests.CreateBody, {"agent_id": "a"}, {"content": "x"}, {"content": ""}),
    (memory_requests.CreateBody, {"agent_id": "a"}, {"content": "x"}, {"content": 1}),
    (memory_requests.CreateBody, {"content": "c"}, {"agent_id": "x" * 255}, {"agent_id": "x" * 256}),
    (memory_requests.CreateBody, {"content": "c"}, {"agent_id": "x"}, {"agent_id": ""}),
    (memory_requests.CreateBody, MEMORY, {"metadata": metadata_of(10_240)}, {"metadata": metadata_of(10_241)}),
    (memory_requests.CreateBody, MEMORY, {"metadata": {"k": "ü" * 5_116}}, {"metadata": {"k": "ü" * 5_117}}),
    (memory_requests.CreateBody, MEMORY, {"metadata": nested(MOST_DEPTH)}, {"metadata": nested(MOST_DEPTH + 1)}),
    (memory_requests.CreateBody, MEMORY, {"metadata": {"l": [[], [1]]}}, {"metadata": []}),
    (memory_requests.CreateBody, MEMORY, {"importance": 0}, {"importance": -0.1}),
    (memory_requests.CreateBody, MEMORY, {"importance": 1}, {"importance": 1.1}),
    (memory_requests.CreateBody, MEMORY, {"importance": 0.5}, {"importance": True}),
    (memory_requests.CreateBody, MEMORY, {"importance": 0.5}, {"importance": "0.5"}),
    (memory_requests.CreateBody, MEMORY, {"memory_type": "entity_reference"}, {"memory_type": "other"}),
    (memory_requests.CreateBody, MEMORY, {"tier": "hot"}, {"tier": "HOT"}),
    (memory_requests.CreateBody, MEMORY, {"visibility": "confidential"}, {"visibility": "public"}),
    (memory_requests.CreateBody, MEMORY, {"session_id": "s"}, {"session_id": ""}),
    (memory_requests.CreateBody, MEMORY, {"project": "x" * 255}, {"project": "x" * 256}),
    (memory_requests.CreateBody, MEMORY, {"deduplicate": True}, {"deduplicate": "yes"}),
    (memory_requests.CreateBody, MEMORY, {"dedup_threshold": 0.5}, {"dedup_threshold": 0.49}),
    (memory_requests.CreateBody, MEMORY, {"dedup_threshold": 1}, {"dedup_threshold": 1.01}),
    (memory_requests.CreateLaterBody, MEMORY, {"webhook_url": "x" * 2048}, {"webhook_url": "x" * 2049}),
    (memory_requests.BatchBody, {}, {"memories": [1] * 100}, {"memories": [1] * 101}),
    (memory_requests.BatchBody, {}, {"memories": [1]}, {"memories": []}),
    (memory_requests.ImportanceBody, {}, {"importance": 0.0}, {"importance": 2}),
    (memory_requests.MaintenanceBody, {}, {"action": "demote_cold"}, {"action": "destroy"}),
    (search_requests.SearchBody, {}, {"query": "x" * 5_000}, {"query": "x" * 5_001}),
    (search_requests.SearchBody, {}, {"query": "x"}, {"query": "  "}),
    (search_requests.SearchBody, {"query": "q"}, {"limit": 100}, {"limit": 101}),
    (search_requests.SearchBody, {"query": "q"}, {"limit": 1}, {"limit": 0}),
    (search_requests.SearchBody, {"query": "q"}, {"limit": 5}, {"limit": 5.5}),
    (search_requests.SearchBody, {"query": "q"}, {"min_score": 1}, {"min_score": 1.1}),
    (search_requests.SearchBody, {"query": "q"}, {"search_mode": "keyword"}, {"search_mode": "psychic"}),
    (search_requests.SearchBody, {"query": "q"}, {"metadata_filter": {"a": None}}, {"metadata_filter": {"a": [1]}}),
    (search_requests.SearchBody, {"query": "q"}, {"metadata_filter": {"a": 1.5}}, {"metadata_filter": {"a": {}}}),
    (search_requests.ContextBody, {"query": "q"}, {"limit": 50}, {"limit": 51}),
    (search_requests.ContextBody, {"query": "q"}, {"max_memories": 100}, {"max_memories": 101}),
    (search_requests.ContextBody, {"query": "q"}, {"max_tokens": 1}, {"max_tokens": 0}),
    (
        search_requests.ContextBody,
        {"query": "q"},
        {"exclude_memory_ids": ["x"] * 1000},
        {"exclude_memory_ids": ["x"] * 1001},
    ),
    (session_requests.SessionBody, {}, {"title": "x" * 500}, {"title": "x" * 501}),
    (session_requests.SessionBody, {}, {"external_id": "x" * 255}, {"external_id": "x" * 256}),
    (session_requests.SharedSessionBody, {}, {"external_id": "x"}, {"external_id": None}),
    (session_requests.EndBody, {}, {"summary": "x" * 50_000}, {"summary": "x" * 50_001}),
    (account_requests.AgentBody, {}, {"name": "x" * 255}, {"name": "x" * 256}),
    (account_requests.AgentBody, {}, {"name": "x"}, {"name": "  "}),
    (account_requests.AgentBody, {}, {"id": "mine"}, {"id": 7}),
    (account_requests.AgentBody, {"name": "n"}, {"description": "x" * 1000}, {"description": "x" * 1001}),
    (account_requests.WebhookBody, {}, {"url": "x" * 2048}, {"url": ""}),
    (account_requests.WebhookBody, {"url": "u"}, {"secret": "x" * 256}, {"secret": "x" * 257}),
    (account_requests.WebhookBody, {"url": "u"}, {"secret": "x"}, {"secret": ""}),
    (account_requests.WebhookBody, {"url": "u"}, {"event_types": []}, {"event_types": ["everything"]}),
    (account_requests.WebhookBody, {"url": "u"}, {"description": "x" * 255}, {"description": "x" * 256}),
    (account_requests.KeyBody, {}, {"scopes": ["admin"]}, {"scopes": []}),
    (account_requests.KeyBody, {}, {"scopes": ["read"]}, {"scopes": ["root"]}),
    (account_requests.KeyBody, {}, {"expires_days": 365}, {"expires_days": 366}),
    (account_requests.KeyBody, {}, {"expires_days": 1}, {"expires_days": 0}),
    (account_requests.KeyBody, {}, {"daily_spend_limit_usd": 0}, {"daily_spend_limit_usd": -1}),
]


@pytest.mark.parametrize(("model", "rest", "good", "bad"), LIMITS)
def test_a_limit_holds_exactly(
    model: type[Body], rest: dict[str, Json], good: dict[str, Json], bad: dict[str, Json]
) -> None:
    decoded(model, {**rest, **good})
    (field,) = bad
    found = problems(lambda: decoded(model, {**rest, **bad}))
    assert all(each.split(".")[0] in (field, "name") for each in found)


@pytest.mark.parametrize("body", [None, 1, "x", [], [MEMORY], True])
def test_a_body_that_is_no_object_is_refused(body: Json) -> None:
    assert problems(lambda: decoded(memory_requests.CreateBody, body)) == {
        "body": "The request body must be a JSON object"
    }
    assert problems(lambda: decoded(account_requests.AgentBody, body)) == {
        "body": "The request body must be a JSON object"
    }
    assert problems(lambda: search_requests.search_body(body, {"q": "x"})) == {
        "body": "The request body must be a JSON object"
    }


def test_every_field_that_is_wrong_is_named() -> None:
    found = problems(lambda: decoded(memory_requests.CreateBody, {"content": " ", "importance": 2}))
    assert found["content"] == "Content cannot be empty or whitespace"
    assert found["agent_id"] == "Field required"
    assert "importance" in found


@pytest.mark.parametrize("field", ["content", "metadata"])
def test_half_a_surrogate_pair_is_refused(field: str) -> None:
    value: Json = "\ud800" if field == "content" else {"k": "\ud800"}
    assert set(problems(lambda: decoded(memory_requests.CreateBody, {**MEMORY, field: value}))) == {field}


@pytest.mark.parametrize("filter", [{"\ud800": 1}, {"k": "\ud800"}])
def test_half_a_surrogate_pair_in_a_filter_is_refused(filter: Json) -> None:
    found = problems(lambda: search_requests.search_body({"query": "q", "metadata_filter": filter}, {}))
    assert found == {"metadata_filter": "The metadata filter must be valid Unicode"}


def test_unknown_fields_and_nulls_are_as_if_they_were_not_there() -> None:
    body: Json = {**MEMORY, "metadata": None, "importance": None, "scope": "x", "whatever": {"a": 1}}
    assert decoded(memory_requests.CreateBody, body) == decoded(memory_requests.CreateBody, MEMORY)


def test_a_minimal_memory_has_the_defaults() -> None:
    draft = decoded(memory_requests.CreateBody, {**MEMORY, "deduplicate": False, "dedup_threshold": 0.95}).draft()
    assert draft == Draft(content="c", agent="a", origin="relay")


def test_every_field_of_a_memory_has_its_place() -> None:
    body: Json = {
        **MEMORY,
        "metadata": {"k": 1},
        "memory_type": "task",
        "session_id": "s",
        "project": "slug",
        "importance": 0.9,
        "tier": "cold",
        "visibility": "confidential",
        "user_id": "u",
        "deduplicate": True,
        "dedup_threshold": 0.7,
        "webhook_url": "https://example.com",
    }
    expected = Draft(
        content="c",
        agent="a",
        origin="relay",
        scope=Scope(user="u", session="s", project="slug"),
        kind="task",
        importance=0.9,
        tier=Tier.COLD,
        metadata={"k": 1},
        confidential=True,
        duplicate_threshold=0.7,
        notify=Notify("https://example.com", "callers secret"),
    )
    assert decoded(memory_requests.CreateLaterBody, body).order(CALLER) == expected
    assert decoded(memory_requests.CreateLaterBody, MEMORY).order(CALLER).notify is None


def test_the_id_of_a_project_wins_over_its_slug() -> None:
    body: Json = {**MEMORY, "project": "slug", "project_id": "id"}
    assert decoded(memory_requests.CreateBody, body).draft().scope.project == "id"


def test_the_memories_of_a_batch_are_looked_at_one_by_one() -> None:
    batch = decoded(
        memory_requests.BatchBody,
        {"memories": [{"content": "c", "agent_id": "own"}, {"content": "c"}, {"content": ""}, 7], "agent_id": "shared"},
    )
    own, shared, empty, number = batch.drafts()
    assert isinstance(own, Draft)
    assert isinstance(shared, Draft)
    assert (own.agent, shared.agent) == ("own", "shared")
    assert isinstance(empty, Invalid)
    assert empty.problems == (Problem("content", "Content cannot be empty or whitespace"),)
    assert isinstance(number, Invalid)
    (default,) = decoded(memory_requests.BatchBody, {"memories": [{"content": "c"}]}).drafts()
    assert isinstance(default, Draft)
    assert default.agent == memory_requests.DEFAULT_AGENT


@pytest.mark.parametrize(
    ("item", "name"), [({"client_id": "x"}, "x"), ({"client_id": 7}, None), ({}, None), (7, None), ([], None)]
)
def test_a_clients_own_name_is_kept_if_it_is_text(item: Json, name: str | None) -> None:
    assert memory_requests.client_id(item) == name


def test_changes_ask_for_what_they_name() -> None:
    assert decoded(memory_requests.ChangeBody, {}).change() == Change()
    assert decoded(memory_requests.ChangeBody, {"content": "c", "metadata": {}}).change() == Change(
        content="c", metadata={}
    )
    weighed = decoded(memory_requests.ImportanceBody, {"importance": 0.2, "tier": "hot"}).change()
    assert weighed == Change(importance=0.2, tier=Tier.HOT)
    assert decoded(memory_requests.ImportanceBody, {"importance": 1}).change() == Change(importance=1.0)


def test_a_search_has_the_defaults_of_the_api() -> None:
    wanted = search_requests.search_body({"query": "q"}, {}).wanted(None)
    assert (wanted.limit, wanted.floor, wanted.mode) == (10, 0.0, Mode.HYBRID)
    assert wanted.filter.scope() == {"store": "default"}
    assert (wanted.filter.confidential, wanted.filter.archived) == (False, False)


def test_every_part_of_a_search_has_its_place() -> None:
    body: Json = {
        "query": "q",
        "limit": 7,
        "min_score": 0.2,
        "threshold": 0.4,
        "metadata_filter": {"k": None, "n": 1},
        "include_confidential": True,
        "include_archived": True,
        "tier": "hot",
        "min_importance": 0.6,
        "search_mode": "semantic",
        "project": "p",
        "user_id": "u",
        "session_id": "s",
    }
    wanted = search_requests.search_body(body, {}).wanted("agent id")
    assert (wanted.query, wanted.limit, wanted.floor, wanted.mode) == ("q", 7, 0.4, Mode.SEMANTIC)
    filter = wanted.filter
    assert filter.scope() == {"store": "default", "user": "u", "agent": "agent id", "session": "s", "project": "p"}
    assert filter.metadata == (("k", Among((None,))), ("n", Among((1,))))
    assert (filter.tiers, filter.importance) == ((Tier.HOT,), Between(low=0.6))
    assert (filter.confidential, filter.archived) == (True, True)


def test_the_query_string_of_a_search_counts_where_the_body_is_silent() -> None:
    query = {"q": "from the url", "limit": "3", "threshold": "0.5", "session_id": "s", "scope": "x", "namespace": "y"}
    body = search_requests.search_body({"limit": None}, query)
    assert (body.query, body.limit, body.threshold, body.session_id) == ("from the url", 3, 0.5, "s")
    body = search_requests.search_body(
        {"query": "from the body", "limit": 4, "threshold": 0.1, "session_id": "t"}, query
    )
    assert (body.query, body.limit, body.threshold, body.session_id) == ("from the body", 4, 0.1, "t")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("x", "1.5", "", "0", "9" * 50)),
        *(("threshold", value) for value in ("x", "nan", "inf", "2")),
        ("q", " "),
    ],
)
def test_a_query_string_is_held_to_the_same_limits(name: str, value: str) -> None:
    found = problems(lambda: search_requests.search_body({} if name == "q" else {"query": "q"}, {name: value}))
    assert set(found) == {"query" if name == "q" else name}


def test_a_context_asks_for_its_limit_under_either_name() -> None:
    limits = [
        decoded(search_requests.ContextBody, {"query": "q", **given}).wanted(None).limit
        for given in ({}, {"limit": 3}, {"max_memories": 60}, {"limit": 3, "max_memories": 60})
    ]
    assert limits == [10, 3, 60, 3]


def test_every_part_of_a_context_has_its_place() -> None:
    body: Json = {
        "query": "q",
        "threshold": 0.1,
        "exclude_memory_ids": ["m"],
        "project": "p",
        "search_mode": "keyword",
        "llm_api_url": "https://example.com",
    }
    wanted = decoded(search_requests.ContextBody, body).wanted("agent id")
    assert (wanted.floor, wanted.mode) == (0.1, Mode.KEYWORD)
    assert wanted.filter.scope() == {"store": "default", "agent": "agent id", "project": "p"}
    assert wanted.filter.excluded == ("m",)
    assert decoded(search_requests.ContextBody, {"query": "q"}).wanted(None).floor == 0.5


def test_a_session_is_ordered_with_what_is_named() -> None:
    body: Json = {"agent_id": "a", "external_id": "x", "project": "p", "title": "t", "metadata": {"k": 1}}
    order = decoded(session_requests.SessionBody, body).order()
    assert (order.agent, order.external_id, order.project, order.title, order.metadata) == (
        "a",
        "x",
        "p",
        "t",
        {"k": 1},
    )
    assert decoded(session_requests.SharedSessionBody, body).order() == order


def test_an_agent_that_only_has_an_id_is_named_by_it() -> None:
    assert decoded(account_requests.AgentBody, {"id": "mine", "name": None}).order().name == "mine"
    order = decoded(account_requests.AgentBody, {"id": "mine", "name": "n", "description": "d", "metadata": {}}).order()
    assert (order.id, order.name, order.description) == ("mine", "n", "d")
    assert problems(lambda: decoded(account_requests.AgentBody, {})) == {"name": "Field required"}
    change = decoded(account_requests.AgentChangeBody, {"name": "n"}).change()
    assert (change.name, change.description, change.metadata) == ("n", None, None)


def test_an_endpoint_without_a_secret_signs_with_the_callers() -> None:
    order = decoded(account_requests.WebhookBody, {"url": "u"}).order(CALLER)
    assert (order.secret, order.event_types) == ("callers secret", ())
    types: Json = ["memory.created", "memory.created", "embedding.completed"]
    order = decoded(account_requests.WebhookBody, {"url": "u", "secret": "own", "event_types": types}).order(CALLER)
    assert order.secret == "own"
    assert order.event_types == (EventType.MEMORY_CREATED, EventType.EMBEDDING_COMPLETED)


def test_a_change_of_an_endpoint_asks_for_what_it_names() -> None:
    change = decoded(account_requests.WebhookChangeBody, {}).change()
    assert (change.url, change.secret, change.event_types, change.description, change.enabled) == (None,) * 5
    change = decoded(account_requests.WebhookChangeBody, {"event_types": ["memory.deleted"], "enabled": False}).change()
    assert (change.event_types, change.enabled) == ((EventType.MEMORY_DELETED,), False)


def test_a_key_is_ordered_for_the_callers_tenant() -> None:
    order = decoded(account_requests.KeyBody, {}).order(CALLER, "test", START)
    assert (order.tenant, order.environment, order.expires_at) == ("acme", "test", None)
    assert order.permissions == (Permission.READ, Permission.WRITE)
    body: Json = {
        "name": "ci",
        "scopes": ["admin", "read", "admin"],
        "expires_days": 2,
        "daily_spend_limit_usd": 1,
        "monthly_spend_limit_usd": 2.5,
    }
    order = decoded(account_requests.KeyBody, body).order(CALLER, "test", START)
    assert order.permissions == (Permission.ADMIN, Permission.READ)
    assert order.expires_at == START + timedelta(days=2)
    assert (order.name, order.daily_limit_usd, order.monthly_limit_usd) == ("ci", 1.0, 2.5)


def test_paging_has_defaults_and_limits() -> None:
    paging = query.Paging({})
    assert (paging.limit, paging.offset, paging.cursor) == (20, 0, None)
    paging = query.Paging({"limit": "100", "offset": "7", "cursor": "c"})
    assert (paging.limit, paging.offset, paging.cursor) == (100, 7, "c")
    paging = query.Paging({"limit": "", "offset": "", "cursor": ""})
    assert (paging.limit, paging.offset, paging.cursor) == (20, 0, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", value) for value in ("0", "101", "-1", "x")),
        *(("offset", value) for value in ("-1", "x", str(query.MOST_OFFSET + 1))),
    ],
)
def test_paging_beyond_its_limits_is_refused(name: str, value: str) -> None:
    assert set(problems(lambda: query.Paging({name: value}))) == {name}


@pytest.mark.parametrize(("given", "limit"), [("5000", 1000), ("0", 1), ("-3", 1), ("1000", 1000), ("7", 7)])
def test_the_list_of_memories_clamps_its_limit(given: str, limit: int) -> None:
    assert query.Paging({"limit": given}, most=1000, clamp=True).limit == limit


def test_a_list_shows_everything_that_the_query_string_does_not_exclude() -> None:
    filter = memory_requests.list_filter({}, None)
    assert (filter.scope(), filter.confidential, filter.archived) == ({"store": "default"}, True, True)
    query = {"user_id": "u", "session_id": "s", "project": "p", "tier": "hot", "memory_type": "task"}
    filter = memory_requests.list_filter(query, "agent id")
    assert filter.scope() == {"store": "default", "user": "u", "agent": "agent id", "session": "s", "project": "p"}
    assert (filter.tiers, filter.kinds) == ((Tier.HOT,), ("task",))
    assert problems(lambda: memory_requests.list_filter({"tier": "warmish"}, None)) == {
        "tier": "Must be one of hot, warm, cold"
    }


def test_a_list_of_sessions_can_be_narrowed() -> None:
    assert session_requests.session_filter({"agent_id": "", "project": "", "status": ""}) == SessionFilter()
    query = {"agent_id": "a", "project": "p", "status": "ended"}
    assert session_requests.session_filter(query) == SessionFilter(agent="a", project="p", active=False)
    assert session_requests.session_filter({"status": "active"}).active is True
    assert set(problems(lambda: session_requests.session_filter({"status": "asleep"}))) == {"status"}


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        ("true", True),
        ("1", True),
        ("YES", True),
        ("on", True),
        ("", False),
        ("False", False),
        ("0", False),
        ("no", False),
    ],
)
def test_a_flag_has_many_spellings(value: str, flag: bool) -> None:
    assert query.flag_of("f", {"f": value}) is flag
    assert query.flag_of("f", {}) is False


def test_a_flag_of_another_spelling_is_refused() -> None:
    assert problems(lambda: query.flag_of("f", {"f": "maybe"})) == {"f": "Must be true or false"}
