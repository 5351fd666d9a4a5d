from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from commonplace.core.shelve import Part
from commonplace.dialects.cognipeer import config, fields, memory_requests, query, search_requests, store_requests
from commonplace.dialects.cognipeer.memory_requests import (
    MemoryOrder,
    clearance,
    listing,
    memory_change,
    memory_order,
    memory_orders,
)
from commonplace.dialects.cognipeer.search_requests import RecallOrder, SearchOrder, recall_order, search_order
from commonplace.dialects.cognipeer.store_requests import StoreQuery, store_query
from commonplace.model.errors import Invalid, Malformed
from commonplace.model.filter import Period
from commonplace.model.memory import Change, Draft, Standing
from commonplace.model.scope import Scope
from commonplace.model.store import Store, StoreChange, StoreOrder, StoreStatus
from commonplace.model.values import Json
from fakes import START

STORE = Store(id="s1", tenant="acme", key="mem-k", name="K", created_at=START, updated_at=START)
NEW: dict[str, Json] = {"name": "A Store", "vectorProviderKey": "v", "embeddingModelKey": "e"}
MEMORY: dict[str, Json] = {"content": "c"}
QUESTION: dict[str, Json] = {"query": "q"}


def order(body: Json) -> StoreOrder:
    return store_requests.store_order(body, by="key_1", epoch_milliseconds=17)


def change(body: Json) -> StoreChange:
    return store_requests.store_change(body, by="key_1")


def message(act: Callable[[], object]) -> str:
    with pytest.raises(Invalid) as failure:
        act()
    return failure.value.message


def nested(levels: int) -> dict[str, Json]:
    value: dict[str, Json] = {}
    for _ in range(levels - 1):
        value = {"n": value}
    return value


Decode = Callable[[Any], object]

REFUSED: list[tuple[Decode, dict[str, Json], str]] = [
    (order, {}, "name is required"),
    (order, {"name": None}, "name is required"),
    (order, {"name": ""}, "name is required"),
    (order, {"name": " \n\ufeff"}, "name is required"),
    (order, {"name": 7, "description": 7}, "name is required"),
    (order, {"name": "n", "config": 7}, "vectorProviderKey is required"),
    (order, {"name": "n", "vectorProviderKey": "v"}, "embeddingModelKey is required"),
    (order, {**NEW, "name": "x" * 1025}, "name must not have more than 1024 bytes"),
    (order, {**NEW, "description": 1}, "description must be a string"),
    (order, {**NEW, "description": "x" * 16_385}, "description must not have more than 16384 bytes"),
    (order, {**NEW, "config": []}, "config must be an object"),
    (order, {**NEW, "config": "x"}, "config must be an object"),
    (
        order,
        {**NEW, "config": {"defaultScope": "team"}},
        "config.defaultScope must be one of user, agent, session, global",
    ),
    (
        order,
        {**NEW, "config": {"defaultScope": ["user"]}},
        "config.defaultScope must be one of user, agent, session, global",
    ),
    (order, {**NEW, "config": {"deduplication": "no"}}, "config.deduplication must be true or false"),
    (order, {**NEW, "config": {"maxMemories": -1}}, "config.maxMemories must not be negative"),
    (order, {**NEW, "config": {"maxMemories": 1.5}}, "config.maxMemories must be a whole number"),
    (order, {**NEW, "config": {"maxMemories": True}}, "config.maxMemories must be a number"),
    (order, {**NEW, "config": {"defaultTopK": "5"}}, "config.defaultTopK must be a number"),
    (order, {**NEW, "config": {"defaultMinScore": "0.5"}}, "config.defaultMinScore must be a number"),
    (order, {**NEW, "config": nested(65)}, "config must not be nested deeper than 64 levels"),
    (change, {"name": ""}, "name is required"),
    (change, {"name": 1}, "name is required"),
    (change, {"status": "archived"}, "status must be one of active, inactive, error"),
    (change, {"status": True}, "status must be one of active, inactive, error"),
    (change, {"description": []}, "description must be a string"),
    (change, {"config": "x"}, "config must be an object"),
    (change, {"config": {"defaultScope": "x"}}, "config.defaultScope must be one of user, agent, session, global"),
    (memory_order, {}, "content is required"),
    (memory_order, {"content": "\t"}, "content is required"),
    (memory_order, {"content": ["c"], "scope": "x"}, "content is required"),
    (memory_order, {"content": "x" * 131_073}, "content must not have more than 131072 bytes"),
    (memory_order, {"content": "ü" * 65_537}, "content must not have more than 131072 bytes"),
    (memory_order, {"content": "\ud800"}, "content must be valid Unicode"),
    (memory_order, {**MEMORY, "scope": "User"}, "scope must be one of user, agent, session, global"),
    (memory_order, {**MEMORY, "scope": 1}, "scope must be one of user, agent, session, global"),
    (memory_order, {**MEMORY, "scopeId": 1}, "scopeId must be a string"),
    (memory_order, {**MEMORY, "scopeId": "x" * 4097}, "scopeId must not have more than 4096 bytes"),
    (memory_order, {**MEMORY, "tags": "a"}, "tags must be an array of strings"),
    (memory_order, {**MEMORY, "tags": ["a", 1]}, "tags must be an array of strings"),
    (memory_order, {**MEMORY, "tags": ["\udc00"]}, "tags must be valid Unicode"),
    (memory_order, {**MEMORY, "tags": ["x" * 16_381]}, "tags must not have more than 16384 bytes"),
    (memory_order, {**MEMORY, "source": "mail"}, "source must be one of chat, api, agent, manual"),
    (memory_order, {**MEMORY, "importance": "0.5"}, "importance must be a number"),
    (memory_order, {**MEMORY, "importance": True}, "importance must be a number"),
    (memory_order, {**MEMORY, "importance": 1.01}, "importance must be a number from 0 to 1"),
    (memory_order, {**MEMORY, "importance": -(10**399)}, "importance must be a number from 0 to 1"),
    (memory_order, {**MEMORY, "metadata": "x"}, "metadata must be an object"),
    (memory_order, {**MEMORY, "metadata": [1]}, "metadata must be an object"),
    (memory_order, {**MEMORY, "metadata": {"\ud800": 1}}, "metadata must be valid Unicode"),
    (memory_order, {**MEMORY, "metadata": {"k": "x" * 65_529}}, "metadata must not have more than 65536 bytes"),
    (memory_order, {**MEMORY, "metadata": nested(65)}, "metadata must not be nested deeper than 64 levels"),
    (memory_orders, {}, "memories array is required"),
    (memory_orders, {"memories": None}, "memories array is required"),
    (memory_orders, {"memories": {"0": MEMORY}}, "memories array is required"),
    (memory_orders, {"memories": []}, "memories array is required"),
    (memory_orders, {"memories": [1] * 101}, "Maximum batch size is 100"),
    (memory_orders, {"memories": [{**MEMORY, "scope": "x"}, {}]}, "Each memory must have a content field"),
    (memory_orders, {"memories": [MEMORY, "c"]}, "Each memory must have a content field"),
    (memory_orders, {"memories": [MEMORY, {"content": 1}]}, "Each memory must have a content field"),
    (memory_orders, {"memories": [MEMORY, {"content": " "}]}, "Each memory must have a content field"),
    (
        memory_orders,
        {"memories": [MEMORY, {**MEMORY, "importance": 2}]},
        "memories.1.importance must be a number from 0 to 1",
    ),
    (memory_change, {}, "No valid fields to update"),
    (memory_change, {"scope": "agent", "scopeId": "a", "source": "api"}, "No valid fields to update"),
    (memory_change, {"content": None, "tags": None}, "No valid fields to update"),
    (memory_change, {"content": " "}, "content is required"),
    (memory_change, {"content": 1}, "content is required"),
    (memory_change, {"importance": 2}, "importance must be a number from 0 to 1"),
    (memory_change, {"metadata": 1}, "metadata must be an object"),
    (memory_change, {"tags": [None]}, "tags must be an array of strings"),
    (memory_change, {"status": "inactive"}, "status must be one of active, archived, expired"),
    (search_order, {"topK": "x"}, "query is required"),
    (search_order, {"query": "\u3000"}, "query is required"),
    (search_order, {"query": "x" * 40_961}, "query must not have more than 40960 bytes"),
    (search_order, {**QUESTION, "topK": "5"}, "topK must be a number"),
    (search_order, {**QUESTION, "topK": 5.5}, "topK must be a whole number"),
    (search_order, {**QUESTION, "top_k": 5.5}, "top_k must be a whole number"),
    (search_order, {**QUESTION, "minScore": [0.5]}, "minScore must be a number"),
    (search_order, {**QUESTION, "min_score": "x"}, "min_score must be a number"),
    (search_order, {**QUESTION, "scope": 1}, "scope must be a string"),
    (search_order, {**QUESTION, "scopeId": 1}, "scopeId must be a string"),
    (search_order, {**QUESTION, "scope_id": 1}, "scope_id must be a string"),
    (search_order, {**QUESTION, "scopeId": "\ud800"}, "scopeId must be valid Unicode"),
    (search_order, {**QUESTION, "tags": "a,b"}, "tags must be an array of strings"),
    (recall_order, {"maxTokens": "x"}, "query is required"),
    (recall_order, {**QUESTION, "topK": True}, "topK must be a number"),
    (recall_order, {**QUESTION, "maxTokens": "800"}, "maxTokens must be a number"),
    (recall_order, {**QUESTION, "max_tokens": 0.5}, "max_tokens must be a whole number"),
    (recall_order, {**QUESTION, "scope": []}, "scope must be a string"),
]


@pytest.mark.parametrize(("decode", "body", "said"), REFUSED)
def test_the_first_thing_that_is_wrong_is_told_by_the_name_of_its_field(
    decode: Decode, body: dict[str, Json], said: str
) -> None:
    assert message(lambda: decode(body)) == said


@pytest.mark.parametrize(
    "decode", [order, change, memory_order, memory_orders, memory_change, search_order, recall_order]
)
@pytest.mark.parametrize("body", [None, True, 1, "x", [], [MEMORY]])
def test_a_body_that_is_no_object_cannot_be_read(decode: Decode, body: Json) -> None:
    with pytest.raises(Malformed, match=r"^Invalid JSON body$"):
        decode(body)


def test_the_problem_is_carried_with_its_path() -> None:
    with pytest.raises(Invalid) as failure:
        memory_orders({"memories": [{**MEMORY, "tags": 1}]})
    (problem,) = failure.value.problems
    assert (problem.field, problem.message) == ("memories.0.tags", "must be an array of strings")


def test_nulls_and_unknown_fields_are_as_if_they_were_not_there() -> None:
    nothing: dict[str, Json] = {"description": None, "config": None, "key": "mine", "status": None}
    assert order({**NEW, **nothing}) == order(NEW)
    assert change({"name": None, "key": "k", "vectorProviderKey": "x", **nothing}) == change({})
    absent = dict.fromkeys(["scope", "scopeId", "tags", "source", "importance", "metadata"])
    assert memory_order({**MEMORY, **absent, "expiresAt": 1}) == memory_order(MEMORY)
    absent = dict.fromkeys(["topK", "top_k", "minScore", "scope", "scopeId", "tags", "maxTokens"])
    assert search_order({**QUESTION, **absent}) == search_order(QUESTION)
    assert recall_order({**QUESTION, **absent, "tags": 7, "minScore": "x"}) == recall_order(QUESTION)


def test_a_store_is_ordered_with_a_key_of_its_name() -> None:
    body: Json = {**NEW, "name": " Agent Working Memory", "description": "", "config": {"x": [1], "defaultTopK": 3}}
    assert order(body) == StoreOrder(
        key="mem-agent-working-memory",
        name=" Agent Working Memory",
        description="",
        vector_provider="v",
        embedding_model="e",
        config={"x": [1], "defaultTopK": 3},
        by="key_1",
    )
    assert order({**NEW, "name": "日本語"}).key == "mem-17"


def test_every_key_of_a_configuration_is_kept_but_those_that_are_null() -> None:
    said: dict[str, Json] = {
        "defaultScope": "user",
        "deduplication": False,
        "embeddingDimension": "many",
        "metric": "dotproduct",
        "autoSummarize": True,
        "maxMemories": 0,
        "ttlDays": 7,
        "autoEmbed": True,
        "defaultTopK": -1,
        "defaultMinScore": 0.25,
        "of": {"our": ["own", None]},
    }
    assert order({**NEW, "config": {**said, "gone": None}}).config == said
    assert change({"config": said}).config == said
    assert order({**NEW, "config": {"deduplication": None, "maxMemories": None}}).config == {}


def test_a_quota_is_a_whole_number_however_it_is_written() -> None:
    kept = order({**NEW, "config": {"maxMemories": 5.0}}).config["maxMemories"]
    assert isinstance(kept, int)
    assert replace(STORE, config={"maxMemories": kept}).quota == 5


def test_a_store_is_changed_in_what_is_said() -> None:
    assert change({}) == StoreChange(by="key_1")
    body: Json = {"name": "N", "status": "inactive", "description": "", "config": {}}
    assert change(body) == StoreChange(name="N", status=StoreStatus.INACTIVE, description="", config={}, by="key_1")


@pytest.mark.parametrize(
    ("wanted", "means"),
    [
        ({}, True),
        ({"status": ["active"]}, True),
        ({"status": ["inactive"]}, False),
        ({"status": ["anything"]}, False),
        ({"status": [""], "search": [""]}, True),
        ({"search": ["AGENT"]}, True),
        ({"search": ["mem-K"]}, True),
        ({"search": ["described"]}, True),
        ({"search": ["a.e"]}, False),
        ({"search": ["agent"], "status": ["error"]}, False),
    ],
)
def test_stores_are_listed_by_status_and_by_a_piece_of_what_names_them(
    wanted: dict[str, list[str]], means: bool
) -> None:
    store = replace(STORE, name="My agent", description="Described")
    assert store_query(wanted).means(store) is means


def test_a_store_without_a_description_is_not_found_by_it() -> None:
    assert not StoreQuery(search="none").means(STORE)


def test_a_minimal_memory_has_the_defaults() -> None:
    assert memory_order(MEMORY) == MemoryOrder(
        content="c", scope=None, scope_id=None, tags=(), source="api", importance=0.5, metadata={}
    )
    assert memory_order(MEMORY).draft(STORE) == Draft(
        content="c",
        agent=None,
        origin="cognipeer",
        scope=Scope(store="s1"),
        level="global",
        source="api",
        unique=True,
    )


def test_every_field_of_a_memory_has_its_place() -> None:
    body: Json = {
        "content": " c\n",
        "scope": "user",
        "scopeId": "u",
        "tags": ["b", "a", "b"],
        "source": "chat",
        "importance": 1,
        "metadata": {"k": [None]},
    }
    assert memory_order(body).draft(STORE) == Draft(
        content=" c\n",
        agent=None,
        origin="cognipeer",
        scope=Scope(store="s1", user="u"),
        tags=("b", "a", "b"),
        source="chat",
        importance=1.0,
        metadata={"k": [None]},
        level="user",
        unique=True,
    )


@pytest.mark.parametrize(
    ("scope", "agent", "where", "label"),
    [
        ("user", None, Scope(store="s1", user="x"), None),
        ("agent", "x", Scope(store="s1"), None),
        ("session", None, Scope(store="s1", session="x"), None),
        ("global", None, Scope(store="s1"), "x"),
    ],
)
def test_a_scope_id_stands_where_its_scope_says(scope: str, agent: str | None, where: Scope, label: str | None) -> None:
    draft = memory_order({**MEMORY, "scope": scope, "scopeId": "x"}).draft(STORE)
    assert (draft.level, draft.agent, draft.scope, draft.label) == (scope, agent, where, label)
    nameless = memory_order({**MEMORY, "scope": scope, "scopeId": ""}).draft(STORE)
    assert (nameless.level, nameless.agent, nameless.scope, nameless.label) == (scope, None, Scope(store="s1"), None)


def test_a_store_says_what_its_memories_do_not() -> None:
    store = replace(STORE, config={"defaultScope": "session", "deduplication": False})
    draft = memory_order({**MEMORY, "scopeId": "x"}).draft(store)
    assert (draft.level, draft.scope.session, draft.unique) == ("session", "x", False)
    assert memory_order({**MEMORY, "scope": "user"}).draft(store).level == "user"


def test_a_batch_is_its_memories_in_order() -> None:
    body: Json = {"memories": [{"content": "Memory 1", "tags": ["pref"]}, {"content": "Memory 2", "importance": 0}]}
    assert memory_orders(body) == [
        MemoryOrder(content="Memory 1", tags=("pref",)),
        MemoryOrder(content="Memory 2", importance=0.0),
    ]
    assert len(memory_orders({"memories": [MEMORY] * 100})) == 100


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"content": "c", "importance": 0.9}, Change(content="c", importance=0.9)),
        ({"metadata": {}}, Change(merged={})),
        ({"tags": []}, Change(tags=())),
        ({"tags": ["a"], "scope": 7}, Change(tags=("a",))),
        ({"status": "archived"}, Change(standing=Standing.ARCHIVED)),
        ({"importance": 0}, Change(importance=0.0)),
    ],
)
def test_a_memory_is_changed_in_what_is_said(body: Json, expected: Change) -> None:
    assert memory_change(body) == expected


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({}, Part()),
        ({"scope": ["user"], "scopeId": ["u"]}, Part(level="user", name="u")),
        ({"scopeId": ["u"]}, Part(name="u")),
        ({"scope": ["anything"]}, Part(level="anything")),
        ({"scope": [""], "scopeId": [""], "status": [""], "search": [""], "tags": [""]}, Part()),
        ({"tags": [" a , b c,,", "d", ""]}, Part(tags=("a", "b c", "d"))),
        ({"tags": ["a,a", "a"]}, Part(tags=("a",))),
        ({"tags": [",", " "]}, Part()),
        ({"status": ["archived"]}, Part(standing=Standing.ARCHIVED)),
        ({"status": ["deleted"]}, None),
        ({"search": ["dark mode"]}, Part(text="dark mode")),
        ({"whatever": ["1", "2"]}, Part()),
    ],
)
def test_a_list_asks_for_a_part_of_a_store(given: dict[str, list[str]], part: Part | None) -> None:
    assert listing(given).part == part


@pytest.mark.parametrize(
    ("value", "meant"),
    [("0", 0), ("7", 7), ("007", 7), ("5000", 5000), ("1000000000", 10**9), ("2000000000", 10**9), ("9" * 9999, 10**9)],
)
def test_a_list_is_cut_where_it_says(value: str, meant: int) -> None:
    assert (listing({}).limit, listing({}).skip) == (50, 0)
    assert listing({"limit": [value]}).limit == meant
    assert listing({"skip": [value]}).skip == meant


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", " 1", "1e3", "ten", "٣"])
@pytest.mark.parametrize("name", ["limit", "skip"])
def test_a_list_is_not_cut_at_what_is_no_number(name: str, value: str) -> None:
    assert message(lambda: listing({name: [value]})) == f"{name} must be a non-negative integer"


@pytest.mark.parametrize("name", ["scope", "scopeId", "status", "search", "limit", "skip"])
def test_only_tags_can_be_repeated(name: str) -> None:
    assert message(lambda: listing({name: ["1", "1"]})) == f"{name} must not be repeated"


@pytest.mark.parametrize("name", ["scope", "tags"])
def test_half_a_surrogate_pair_is_no_parameter(name: str) -> None:
    assert message(lambda: listing({name: ["\ud800"]})) == f"{name} must be valid Unicode"


def test_a_deletion_without_a_filter_is_of_everything() -> None:
    assert clearance({}) == clearance({"limit": ["1"]}) == Part()


@pytest.mark.parametrize("name", ["scope", "scopeId", "tags", "before"])
def test_a_deletion_with_an_empty_filter_is_refused(name: str) -> None:
    whole = {"scope": ["user"], "scopeId": ["u"], "tags": ["a"], "before": ["2026-01-02"]}
    assert message(lambda: clearance({**whole, name: [""]})) == f"{name} must not be empty"


@pytest.mark.parametrize("tags", [[","], [" , ", ""]])
def test_a_deletion_by_tags_that_are_all_empty_is_refused(tags: list[str]) -> None:
    assert message(lambda: clearance({"tags": tags})) == "tags must not be empty"


@pytest.mark.parametrize("name", ["scope", "scopeId", "before"])
def test_a_deletion_by_two_filters_of_one_name_is_refused(name: str) -> None:
    assert message(lambda: clearance({name: ["", ""]})) == f"{name} must not be repeated"


def test_a_deletion_is_of_what_all_its_filters_mean() -> None:
    given = {"scope": ["user"], "scopeId": ["u"], "tags": ["temp,old", "x"], "before": ["2026-01-02T03:04:05.678Z"]}
    before = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert clearance(given) == Part(level="user", name="u", tags=("temp", "old", "x"), created=Period(end=before))


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_a_date_is_utc_unless_it_says_otherwise(value: str, moment: datetime) -> None:
    assert clearance({"before": [value]}).created == Period(end=moment)


@pytest.mark.parametrize("value", ["soon", "2026-13-01", "0001-01-01T00:00:00+02:00", "1767323045"])
def test_a_date_that_cannot_be_read_is_refused(value: str) -> None:
    assert message(lambda: clearance({"before": [value]})) == "before must be an ISO 8601 date"


def test_a_minimal_search_has_the_defaults() -> None:
    assert search_order(QUESTION) == SearchOrder(query="q", part=Part(), top_k=None, min_score=None)
    assert (search_order(QUESTION).limit(STORE), search_order(QUESTION).floor(STORE)) == (10, 0.0)


def test_every_field_of_a_search_has_its_place() -> None:
    body: Json = {
        "query": " What? ",
        "topK": 3.0,
        "minScore": 0.7,
        "scope": "user",
        "scopeId": "user-123",
        "tags": ["preferences"],
    }
    part = Part(level="user", name="user-123", tags=("preferences",))
    assert search_order(body) == SearchOrder(query=" What? ", part=part, top_k=3, min_score=0.7)


def test_the_other_spelling_is_understood_and_gives_way() -> None:
    snake: dict[str, Json] = {**QUESTION, "top_k": 3, "min_score": 0.2, "scope_id": "x", "max_tokens": 9}
    assert search_order(snake) == SearchOrder(query="q", part=Part(name="x"), top_k=3, min_score=0.2)
    assert recall_order(snake) == RecallOrder(query="q", part=Part(name="x"), limit=3, max_tokens=9)
    both: dict[str, Json] = {**snake, "topK": 4, "minScore": 0, "scopeId": "", "maxTokens": 0}
    assert search_order(both) == SearchOrder(query="q", part=Part(name=""), top_k=4, min_score=0)
    assert recall_order(both) == RecallOrder(query="q", part=Part(name=""), limit=4, max_tokens=0)
    assert search_order({**snake, "topK": None, "minScore": None, "scopeId": None}) == search_order(snake)


def test_a_search_takes_from_its_store_what_it_does_not_say() -> None:
    store = replace(STORE, config={"defaultTopK": 3, "defaultMinScore": 0.4})
    assert (search_order(QUESTION).limit(store), search_order(QUESTION).floor(store)) == (3, 0.4)
    spoken = search_order({**QUESTION, "topK": 4, "minScore": 0})
    assert (spoken.limit(store), spoken.floor(store)) == (4, 0.0)
    assert recall_order(QUESTION).limit == 5


@pytest.mark.parametrize(("top_k", "limit"), [(-5, 1), (0, 1), (1, 1), (5000, 5000), (10**300, 10_000)])
def test_a_search_finds_at_least_one_and_not_more_than_an_index_gives(top_k: int, limit: int) -> None:
    assert search_order({**QUESTION, "topK": top_k}).limit(STORE) == limit
    assert search_order(QUESTION).limit(replace(STORE, config={"defaultTopK": top_k})) == limit
    assert recall_order({**QUESTION, "topK": top_k}).limit == limit


@pytest.mark.parametrize(("score", "floor"), [(-(10**399), -1.0), (-0.5, -0.5), (1, 1.0), (1.5, 1.5), (10**399, 2.0)])
def test_a_least_score_may_be_any_number(score: int, floor: float) -> None:
    assert search_order({**QUESTION, "minScore": score}).floor(STORE) == floor


def test_a_recall_has_defaults_of_its_own() -> None:
    assert recall_order(QUESTION) == RecallOrder(query="q", part=Part(), limit=5, max_tokens=2000, floor=0.3)
    body: Json = {"query": "q", "topK": 2, "scope": "user", "scopeId": "u", "maxTokens": 800}
    assert recall_order(body) == RecallOrder(query="q", part=Part(level="user", name="u"), limit=2, max_tokens=800)


def test_the_limits_hold_exactly() -> None:
    assert len(memory_order({"content": "ü" * 65_536}).content) == 65_536
    assert memory_order({**MEMORY, "metadata": {"k": "x" * 65_528}}).metadata
    assert memory_order({**MEMORY, "metadata": nested(fields.MOST_DEPTH)}).metadata
    assert memory_order({**MEMORY, "tags": ["x" * 16_380]}).tags
    assert search_order({"query": "x" * fields.MOST_QUERY}).query
    assert order({**NEW, "name": "x" * fields.MOST_NAME}).name


def test_a_memory_with_everything_at_its_limit_fits_into_a_row() -> None:
    largest = fields.MOST_CONTENT + fields.MOST_OBJECT + fields.MOST_TAGS + 4 * fields.MOST_TEXT
    assert largest < 0.75 * 400 * 1024
    assert memory_requests.MOST_BATCH == 100
    assert query.MOST > search_requests.MOST_FOUND
    assert config.SHOWN["defaultScope"] == "global"
