from dataclasses import replace
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest

from commonplace.core.shelve import Added, Shelved
from commonplace.dialects.cognipeer import responses
from commonplace.dialects.cognipeer.context import context
from commonplace.model.hit import Hit, Results
from commonplace.model.memory import Accesses, Memory, State, Tier, content_hash
from commonplace.model.scope import Scope
from commonplace.model.store import Store, StoreFigures, StoreStatus
from fakes import START

AT = START.replace(microsecond=678_999)
ISO = "2026-01-02T03:04:05.678Z"
CONTENT = "User prefers dark mode and concise responses"

STORE = Store(
    id="000000000000000000000002",
    tenant="t1",
    key="mem-agent-working-memory",
    name="Agent Working Memory",
    description="Memory for the research agent",
    vector_provider="pinecone-prod",
    embedding_model="text-embedding-ada-002",
    created_by="owner@example.com",
    updated_by="owner@example.com",
    created_at=AT,
    updated_at=AT,
)
MEMORY = Memory(
    id="000000000000000000000003",
    tenant="t1",
    scope=Scope(store=STORE.id, user="user-123"),
    origin="cognipeer",
    content=CONTENT,
    content_hash=content_hash(CONTENT),
    kind="fact",
    importance=0.8,
    tier=Tier.HOT,
    tags=("preferences", "ui"),
    metadata={"source": "conversation"},
    level="user",
    label="user-123",
    source="api",
    state=State.READY,
    created_at=AT,
    updated_at=AT,
    occurred_at=AT,
)
HIT = Hit(MEMORY, 0.94, 0.5, 3.0)
MATCH = {
    "id": "000000000000000000000003",
    "content": CONTENT,
    "score": 0.94,
    "scope": "user",
    "scopeId": "user-123",
    "metadata": {"source": "conversation"},
    "tags": ["preferences", "ui"],
    "source": "api",
    "importance": 0.8,
    "createdAt": ISO,
}


def shelved(memory: Memory = MEMORY, accesses: Accesses = Accesses()) -> Shelved:  # noqa: B008 - a value
    return Shelved(STORE, memory, accesses)


def test_a_store_looks_as_the_contract_shows_it() -> None:
    assert responses.one_store(STORE, StoreFigures()) == {
        "store": {
            "_id": "000000000000000000000002",
            "id": "000000000000000000000002",
            "tenantId": "t1",
            "projectId": "default",
            "key": "mem-agent-working-memory",
            "name": "Agent Working Memory",
            "description": "Memory for the research agent",
            "vectorProviderKey": "pinecone-prod",
            "vectorIndexKey": "memory-mem-agent-working-memory",
            "embeddingModelKey": "text-embedding-ada-002",
            "config": {
                "embeddingDimension": 1536,
                "metric": "cosine",
                "defaultScope": "global",
                "deduplication": True,
                "autoSummarize": False,
            },
            "status": "active",
            "memoryCount": 0,
            "createdBy": "owner@example.com",
            "updatedBy": "owner@example.com",
            "createdAt": ISO,
            "updatedAt": ISO,
        }
    }


def test_a_store_has_keys_only_for_what_is_set() -> None:
    bare = replace(STORE, description=None, created_by=None, updated_by=None, status=StoreStatus.ERROR)
    whole = responses.store(STORE, StoreFigures(memories=2, last_activity_at=AT))
    shown = responses.store(bare, StoreFigures())
    assert set(whole) - set(shown) == {"description", "createdBy", "updatedBy", "lastActivityAt"}
    assert (whole["memoryCount"], whole["lastActivityAt"], shown["status"]) == (2, ISO, "error")


def test_a_configuration_shows_everything_that_was_said_and_what_goes_without_saying() -> None:
    store = replace(STORE, config={"deduplication": False, "of": {"our": "own"}, "maxMemories": 5})
    assert responses.store(store, StoreFigures())["config"] == {
        "embeddingDimension": 1536,
        "metric": "cosine",
        "defaultScope": "global",
        "deduplication": False,
        "autoSummarize": False,
        "of": {"our": "own"},
        "maxMemories": 5,
    }


def test_a_list_of_stores_is_in_the_order_given() -> None:
    shown = responses.stores([(STORE, StoreFigures(memories=1)), (replace(STORE, key="default"), StoreFigures())])
    assert [(store["key"], store["memoryCount"]) for store in shown["stores"]] == [(STORE.key, 1), ("default", 0)]
    assert responses.stores([]) == {"stores": []}


def test_an_item_looks_as_the_contract_shows_it() -> None:
    item = responses.item(shelved(), START)
    vector = item.pop("vectorId")
    assert item == {
        "_id": "000000000000000000000003",
        "id": "000000000000000000000003",
        "tenantId": "t1",
        "projectId": "default",
        "storeKey": "mem-agent-working-memory",
        "content": CONTENT,
        "contentHash": "954e68ac4c8f07ef77249f83a6a183b989d62363aa058e7652f5ca7903400180",
        "scope": "user",
        "scopeId": "user-123",
        "metadata": {"source": "conversation"},
        "tags": ["preferences", "ui"],
        "source": "api",
        "importance": 0.8,
        "accessCount": 0,
        "embeddingVersion": "text-embedding-ada-002",
        "status": "active",
        "createdAt": ISO,
        "updatedAt": ISO,
    }
    assert vector == responses.vector_id(MEMORY.id)


def test_a_vector_has_one_uuid_of_version_4_for_ever() -> None:
    vector = responses.vector_id("019b7c00-0000-7000-8000-000000000001")
    assert vector == "mem-9333788c-ff40-4ad5-ab91-266568f52ed7"
    assert UUID(vector.removeprefix("mem-")).version == 4
    assert responses.vector_id("another") != vector


def test_an_item_of_another_api_has_a_source_and_no_scope_id() -> None:
    other = replace(MEMORY, scope=Scope(), level="", label=None, source=None)
    item = responses.item(shelved(other), START)
    assert (item["scope"], item["source"], "scopeId" in item) == ("global", "api", False)
    assert "scopeId" not in responses.match(Hit(other, 0.5, None, None))


def test_an_item_says_when_it_was_read_and_when_it_ends() -> None:
    later = START + timedelta(days=1)
    item = responses.item(shelved(replace(MEMORY, expires_at=later), Accesses(3, AT)), START)
    assert (item["accessCount"], item["lastAccessedAt"]) == (3, ISO)
    assert (item["expiresAt"], item["status"]) == ("2026-01-03T03:04:05.000Z", "active")
    assert responses.item(shelved(replace(MEMORY, expires_at=later)), later)["status"] == "expired"


@pytest.mark.parametrize(("lapsed", "status"), [(False, "archived"), (True, "expired")])
def test_an_item_says_how_it_stands(lapsed: bool, status: str) -> None:
    memory = replace(MEMORY, archived_at=START, lapsed=lapsed)
    assert responses.item(shelved(memory), START)["status"] == status


def test_only_an_added_item_is_wrapped() -> None:
    item = responses.item(shelved(), START)
    assert responses.added(shelved(), START) == {"memory": item}
    assert responses.items([shelved(), shelved()], 25, START) == {"items": [item, item], "total": 25}
    assert responses.items([], 0, START) == {"items": [], "total": 0}


def test_a_batch_is_numbers_and_failures_only_where_there_are_any() -> None:
    assert responses.batch(Added(2, 0, 0)) == {"added": 2, "duplicates": 0}
    assert responses.batch(Added(0, 1, 3)) == {"added": 0, "duplicates": 1, "failed": 3}


def test_what_is_gone_is_counted_or_confirmed() -> None:
    assert responses.deleted(3) == {"deleted": 3}
    assert responses.done() == {"success": True}


def test_a_match_has_exactly_the_keys_of_the_contract() -> None:
    assert responses.match(HIT) == MATCH


@pytest.mark.parametrize(("relevance", "score"), [(-0.2, 0.0), (1.1, 1.0), (0.123_456_789, 0.123_456_789)])
def test_a_score_lies_between_0_and_1(relevance: float, score: float) -> None:
    assert responses.match(replace(HIT, relevance=relevance))["score"] == score


def test_a_search_answers_with_its_query_and_a_recall_without() -> None:
    assert responses.found(" Q?", STORE, Results((HIT,))) == {
        "memories": [MATCH],
        "query": " Q?",
        "storeKey": STORE.key,
    }
    assert responses.found("q", STORE, Results(())) == {"memories": [], "query": "q", "storeKey": STORE.key}
    assert responses.recalled(STORE, Results((HIT,)), 800) == {
        "context": f"- {CONTENT}",
        "memories": [MATCH],
        "storeKey": STORE.key,
    }
    assert responses.recalled(STORE, Results(()), 800) == {"context": "", "memories": [], "storeKey": STORE.key}


def test_a_recall_tells_all_matches_even_where_its_context_has_no_room() -> None:
    assert responses.recalled(STORE, Results((HIT, HIT)), 1) == {
        "context": "",
        "memories": [MATCH, MATCH],
        "storeKey": STORE.key,
    }


@pytest.mark.parametrize(
    ("contents", "tokens", "expected"),
    [
        (["0123456789", "x"], 3, ""),
        (["0123456789", "x"], 4, "- 0123456789"),
        (["0123456789", "x"], 5, "- 0123456789\n- x"),
        (["0123456789", "x"], 0, ""),
        (["0123456789", "x"], -1, ""),
        (["0123456789", "0123456789", "x"], 5, "- 0123456789"),
        (["x"], 1, "- x"),
        (["xy"], 1, ""),
        (["😀"], 1, ""),
        (["😀é"], 2, "- 😀é"),
        (["😀😀é"], 2, "- 😀😀é"),
        (["😀😀éx"], 2, ""),
        (["two\nlines", " x \ufeff\n"], 99, "- two\nlines\n-  x"),
        (["x\x1c"], 99, "- x\x1c"),
        ([], 99, ""),
    ],
)
def test_a_context_has_the_contents_that_fit_whole(contents: list[str], tokens: int, expected: str) -> None:
    assert context(contents, tokens) == expected


def test_a_time_is_cut_to_milliseconds_in_utc() -> None:
    assert responses.iso(None) is None
    there = datetime(2026, 1, 2, 5, 4, 5, 678_999, tzinfo=timezone(timedelta(hours=2)))
    assert responses.iso(there) == ISO
    assert responses.iso(START) == "2026-01-02T03:04:05.000Z"


def test_an_arm_that_could_not_be_asked_is_told() -> None:
    results = Results((HIT,), ("words",))
    assert responses.found("q", STORE, results)["degraded"] == ["words"]
    assert responses.recalled(STORE, results, 9)["degraded"] == ["words"]
