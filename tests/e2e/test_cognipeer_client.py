"""The vendor's published client (npm @cognipeer/console-sdk 1.6.0), unchanged, against the running service.

Every one of its memory methods is driven. It takes Node.js and npm: where they are missing or npm cannot fetch the client,
these tests are skipped, which the end of pytest's report says, and fail if COMMONPLACE_TEST_ENGINES is ``required``.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from e2e.cognipeer_client.client import Call, Client, NotInstalled, Thrown, client, install, node
from service import Service

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SAFE = re.compile(r"[A-Za-z0-9_-]+")
VECTOR = re.compile(r"mem-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

MODELS = {"vectorProviderKey": "pinecone-prod", "embeddingModelKey": "text-embedding-ada-002"}
FOREIGN = "000000000000000000000003"
"""An item id in the vendor's form that no store has given out."""

NO_STORE = (404, "Memory store not found.")
NO_ITEM = (404, "Memory item not found.")
NOT_ACTIVE = (400, "Memory store is not active.")

OBSERVED_SECONDS = 3
"""How long a store is watched that must stay as it is."""

CALLS_OF_A_STORE: dict[str, tuple[object, ...]] = {
    "memory.stores.get": (),
    "memory.stores.update": ({"name": "Renamed"},),
    "memory.stores.delete": (),
    "memory.list": (),
    "memory.add": ({"content": "The user prefers tea"},),
    "memory.addBatch": ([{"content": "The user prefers tea"}],),
    "memory.get": (FOREIGN,),
    "memory.update": (FOREIGN, {"content": "The user prefers tea"}),
    "memory.delete": (FOREIGN,),
    "memory.deleteBulk": ({"tags": ["temporary"]},),
    "memory.search": ({"query": "tea"},),
    "memory.recall": ({"query": "tea"},),
}
"""Every method that takes a store's key, with further arguments that are right."""


@dataclass(frozen=True, slots=True)
class NotTested:
    """Says so at the end of pytest's report."""

    reason: str

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("COGNIPEER'S CLIENT NOT TESTED", yellow=True, bold=True)
        terminalreporter.line(self.reason, yellow=True)


@pytest.fixture(scope="session")
def program(pytestconfig: pytest.Config) -> str:
    """The Node.js that runs the client, which is installed."""
    try:
        found = node()
        install()
    except NotInstalled as missing:
        if os.environ.get("COMMONPLACE_TEST_ENGINES") == "required":
            raise
        pytestconfig.pluginmanager.register(NotTested(str(missing)), "cognipeer-client-not-tested")
        pytest.skip(str(missing).splitlines()[0])
    return found


@pytest.fixture(scope="session")
def cognipeer(program: str, running: Service) -> Iterator[Client]:
    with client(program, {"apiKey": running.key, "baseURL": running.url}) as made:
        yield made


@pytest.fixture
def token() -> str:
    """A word that no other test writes."""
    return uuid4().hex[:12]


@pytest.fixture
def store(cognipeer: Client, token: str) -> str:
    """The key of an empty store."""
    return str(create(cognipeer, f"Store {token}")["key"])


def create(cognipeer: Client, name: str, **fields: object) -> dict[str, Any]:
    made: dict[str, Any] = cognipeer.call("memory.stores.create", {"name": name, **MODELS, **fields})
    return made


def add(cognipeer: Client, store: str, content: str, **fields: object) -> dict[str, Any]:
    item: dict[str, Any] = cognipeer.call("memory.add", store, {"content": content, **fields})
    return item


def contents(cognipeer: Client, store: str, **options: object) -> list[str]:
    """What a list shows, in its order."""
    return [item["content"] for item in cognipeer.call("memory.list", store, options)["items"]]


def found(cognipeer: Client, store: str, query: str, **options: object) -> list[str]:
    """What a search finds, in its order."""
    answer = cognipeer.call("memory.search", store, {"query": query, **options})
    assert (answer["query"], answer["storeKey"]) == (query, store)
    return [match["content"] for match in answer["memories"]]


def figures(cognipeer: Client, store: str) -> tuple[int, bool]:
    """How many memories the store says it holds, and whether something ever came or went."""
    found = cognipeer.call("memory.stores.get", store)
    return found["memoryCount"], "lastActivityAt" in found


def fill(cognipeer: Client, store: str, count: int, **fields: object) -> None:
    """Adds memories that differ, in batches as large as they may be."""
    items = [{"content": f"Parcel {number} stands on shelf {number % 7}", **fields} for number in range(count)]
    for start in range(0, count, 100):
        batch = items[start : start + 100]
        assert cognipeer.call("memory.addBatch", store, batch) == {"added": len(batch), "duplicates": 0}


# Stores


def test_a_store_is_created_read_changed_and_deleted(cognipeer: Client, token: str) -> None:
    key = f"mem-agent-memory-{token}"
    description = "Memory for the research agent"
    made = create(cognipeer, f"Agent Memory {token}", description=description, config={"autoEmbed": True})
    expected = {
        "key": key,
        "name": f"Agent Memory {token}",
        "description": description,
        **MODELS,
        "vectorIndexKey": f"memory-{key}",
        "status": "active",
        "memoryCount": 0,
    }
    assert made.items() >= expected.items()
    assert made["_id"] == made["id"]
    assert SAFE.fullmatch(made["_id"])
    assert TIME.fullmatch(made["createdAt"])
    assert TIME.fullmatch(made["updatedAt"])
    assert "lastActivityAt" not in made
    defaults = {"defaultScope": "global", "deduplication": True, "metric": "cosine", "autoSummarize": False}
    assert made["config"].items() >= (defaults | {"autoEmbed": True}).items()
    assert cognipeer.call("memory.stores.get", key) == made

    change = {"name": "Renamed", "status": "inactive", "description": "Old", "config": {"defaultScope": "user"}}
    changed = cognipeer.call("memory.stores.update", key, change)
    assert changed["config"] == made["config"] | {"defaultScope": "user"}
    kept = {name: made[name] for name in ("_id", "key", "createdAt", "memoryCount", "embeddingModelKey")}
    assert changed.items() >= (kept | {"name": "Renamed", "status": "inactive", "description": "Old"}).items()
    assert changed["updatedAt"] >= made["updatedAt"]
    assert cognipeer.call("memory.stores.get", key) == changed

    assert cognipeer.call("memory.stores.delete", key) == {"success": True}
    assert cognipeer.refused("memory.stores.get", key) == NO_STORE
    assert cognipeer.refused("memory.stores.delete", key) == NO_STORE


def test_a_second_store_whose_name_makes_the_same_key_is_a_conflict(cognipeer: Client, token: str) -> None:
    first = create(cognipeer, f"Twice {token}")
    again = {"name": f"  twice   {token}! ", **MODELS}
    conflict = (409, f'Memory store with key "mem-twice-{token}" already exists.')
    assert cognipeer.refused("memory.stores.create", again) == conflict
    assert cognipeer.call("memory.stores.get", first["key"]) == first


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Agent Working Memory {}", "agent-working-memory-{}"),
        ("  Spaces  around {}  ", "spaces-around-{}"),
        ("my_store-{}", "mystore-{}"),
        ("A & B {}", "a-and-b-{}"),
        ("Price $5 {}", "price-dollar5-{}"),
        ("Müşteri Hafızası {}", "musteri-hafizasi-{}"),
        ("Привет мир {}", "privet-mir-{}"),
        ("emoji 😀 日本語 {}", "emoji-{}"),
    ],
)
def test_a_store_key_is_the_slug_of_its_name(cognipeer: Client, token: str, name: str, slug: str) -> None:
    key = f"mem-{slug.format(token)}"
    assert create(cognipeer, name.format(token))["key"] == key
    assert cognipeer.call("memory.stores.get", key)["name"] == name.format(token)


def test_stores_are_listed_newest_first_by_status_and_by_search(cognipeer: Client, token: str) -> None:
    plain = create(cognipeer, f"Plain {token}")["key"]
    closed = create(cognipeer, f"Closed {token}")["key"]
    described = create(cognipeer, f"Described {uuid4().hex}", description=f"What {token.upper()} is for")["key"]
    cognipeer.call("memory.stores.update", closed, {"status": "inactive"})

    def keys(**options: str) -> set[str]:
        stores = cognipeer.call("memory.stores.list", options)["stores"]
        times = [each["createdAt"] for each in stores]
        assert times == sorted(times, reverse=True)
        assert len({each["_id"] for each in stores}) == len(stores)
        return {each["key"] for each in stores}

    assert keys(search=token) == {described, closed, plain}
    assert keys(search=f"LAIN {token}") == {plain}
    assert keys(search=f"mem-closed-{token}") == {closed}
    assert keys(search=token, status="active") == {described, plain}
    assert keys(search=token, status="inactive") == {closed}
    assert keys(search=token, status="asleep") == set()
    assert keys() >= {described, closed, plain}
    everything = cognipeer.call("memory.stores.list")["stores"]
    assert cognipeer.call("memory.stores.get", closed) in everything


def test_the_default_store_is_there_and_is_not_deleted(cognipeer: Client) -> None:
    assert cognipeer.call("memory.stores.get", "default")["key"] == "default"
    assert "default" in [each["key"] for each in cognipeer.call("memory.stores.list")["stores"]]
    status, _ = cognipeer.refused("memory.stores.delete", "default")
    assert status == 400
    assert cognipeer.call("memory.stores.get", "default")["status"] == "active"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "name is required"),
        ({"name": " ", **MODELS}, "name is required"),
        ({"name": "A store"}, "vectorProviderKey is required"),
        ({"name": "A store", "vectorProviderKey": "pinecone"}, "embeddingModelKey is required"),
    ],
)
def test_a_store_without_a_required_field_is_refused(
    cognipeer: Client, fields: dict[str, object], message: str
) -> None:
    assert cognipeer.refused("memory.stores.create", fields) == (400, message)


def test_a_store_is_not_changed_to_what_it_cannot_be(cognipeer: Client, store: str) -> None:
    before = cognipeer.call("memory.stores.get", store)
    for field, value in {"status": "asleep", "name": "", "description": 5, "config": []}.items():
        status, message = cognipeer.refused("memory.stores.update", store, {field: value})
        assert (status, field in message) == (400, True), message
    assert cognipeer.call("memory.stores.get", store) == before


def test_a_deleted_store_takes_everything_with_it_and_its_name_is_free_again(cognipeer: Client, token: str) -> None:
    name, query = f"Short lived {token}", "Which parcel stands on shelf 3?"
    old = create(cognipeer, name)
    key = old["key"]
    fill(cognipeer, key, 120)
    kept = add(cognipeer, key, "The user prefers dark mode")
    assert figures(cognipeer, key) == (121, True)
    assert found(cognipeer, key, query)
    assert cognipeer.call("memory.stores.delete", key) == {"success": True}
    for method, args in CALLS_OF_A_STORE.items():
        assert cognipeer.refused(method, key, *args) == NO_STORE, method

    made = create(cognipeer, name)
    assert (made["key"], made["memoryCount"]) == (key, 0)
    assert made["_id"] != old["_id"]
    assert figures(cognipeer, key) == (0, False)
    again = add(cognipeer, key, "The user prefers dark mode")
    assert again["_id"] != kept["_id"]
    deadline = time.monotonic() + OBSERVED_SECONDS
    while time.monotonic() < deadline:
        assert [item["_id"] for item in cognipeer.call("memory.list", key)["items"]] == [again["_id"]]
        assert found(cognipeer, key, "What does the user prefer?") == ["The user prefers dark mode"]
        assert set(found(cognipeer, key, query, topK=200)) <= {"The user prefers dark mode"}
        assert figures(cognipeer, key) == (1, True)
        assert cognipeer.refused("memory.get", key, kept["_id"]) == NO_ITEM


# Memories


def test_an_added_memory_comes_back_as_it_was_given(cognipeer: Client, store: str) -> None:
    content = "  User prefers dark mode\nand concise responses – always 😀 "
    given = {
        "scope": "user",
        "scopeId": "user-123",
        "tags": ["preferences", "ui"],
        "importance": 0.8,
        "metadata": {"source": "conversation", "deep": {"list": [1, None, "x"]}},
        "source": "chat",
    }
    item = add(cognipeer, store, content, **given)
    expected = {
        "storeKey": store,
        "content": content,
        "contentHash": hashlib.sha256(content.encode()).hexdigest(),
        "embeddingVersion": MODELS["embeddingModelKey"],
        "accessCount": 0,
        "status": "active",
        **given,
    }
    assert item.items() >= expected.items()
    assert item["_id"] == item["id"]
    assert SAFE.fullmatch(item["_id"])
    assert VECTOR.fullmatch(item["vectorId"])
    assert TIME.fullmatch(item["createdAt"])
    assert TIME.fullmatch(item["updatedAt"])
    assert "lastAccessedAt" not in item
    assert cognipeer.call("memory.get", store, item["_id"]) == item
    assert figures(cognipeer, store) == (1, True)


def test_what_is_not_given_has_its_default(cognipeer: Client, store: str, token: str) -> None:
    item = add(cognipeer, store, "The sky is blue")
    defaults = {"scope": "global", "tags": [], "source": "api", "importance": 0.5, "metadata": {}}
    assert item.items() >= defaults.items()
    assert "scopeId" not in item
    other = create(cognipeer, f"Agents {token}", config={"defaultScope": "agent"})["key"]
    assert add(cognipeer, other, "The sky is blue")["scope"] == "agent"
    assert add(cognipeer, other, "The sky is blue", scope="user")["scope"] == "user"


def test_an_added_memory_is_found_at_once(cognipeer: Client, store: str) -> None:
    for drink in ("tea", "coffee", "lemonade", "buttermilk"):
        add(cognipeer, store, f"On Sundays the user drinks {drink}")
        assert f"On Sundays the user drinks {drink}" in found(cognipeer, store, f"Does the user drink {drink}?")


def test_a_memory_that_is_added_again_is_the_one_that_is_there(cognipeer: Client, store: str) -> None:
    fields = {"scope": "user", "scopeId": "u1", "tags": ["first"], "importance": 0.9, "metadata": {"n": 1}}
    item = add(cognipeer, store, "The cat is called Miso", **fields)
    other = fields | {"tags": ["second"], "importance": 0.1, "metadata": {"n": 2}}
    assert add(cognipeer, store, "The cat is called Miso", **other) == item
    read = cognipeer.call("memory.get", store, item["_id"])
    assert (read["_id"], read["accessCount"], read["tags"]) == (item["_id"], 1, ["first"])
    assert TIME.fullmatch(read["lastAccessedAt"])
    assert figures(cognipeer, store)[0] == 1


@pytest.mark.parametrize(
    "fields", [{"scope": "user", "scopeId": "u2"}, {"scope": "user"}, {"scope": "agent", "scopeId": "u1"}, {}]
)
def test_the_same_content_in_another_scope_is_another_memory(
    cognipeer: Client, store: str, fields: dict[str, str]
) -> None:
    item = add(cognipeer, store, "The cat is called Miso", scope="user", scopeId="u1")
    assert add(cognipeer, store, "The cat is called Miso", **fields)["_id"] != item["_id"]
    assert figures(cognipeer, store)[0] == 2


def test_only_an_active_memory_stands_in_the_way_of_its_double(cognipeer: Client, store: str) -> None:
    item = add(cognipeer, store, "The cat is called Miso")
    cognipeer.call("memory.update", store, item["_id"], {"status": "archived"})
    again = add(cognipeer, store, "The cat is called Miso")
    assert again["_id"] != item["_id"]
    assert add(cognipeer, store, "The cat is called Miso")["_id"] == again["_id"]


def test_a_store_without_deduplication_takes_everything(cognipeer: Client, token: str) -> None:
    store = create(cognipeer, f"Log {token}", config={"deduplication": False})["key"]
    first, second = (add(cognipeer, store, "The door was opened") for _ in range(2))
    assert first["_id"] != second["_id"]
    batch = [{"content": "The door was opened"}] * 2
    assert cognipeer.call("memory.addBatch", store, batch) == {"added": 2, "duplicates": 0}
    assert figures(cognipeer, store)[0] == 4


def test_of_equal_memories_that_are_added_at_once_one_is_stored(cognipeer: Client, store: str) -> None:
    calls = [Call("memory.add", (store, {"content": "The cat is called Miso"}))] * 8
    answers = cognipeer.together(calls)
    assert not [answer for answer in answers if isinstance(answer, Thrown)]
    assert len({answer["_id"] for answer in answers}) == 1
    assert figures(cognipeer, store)[0] == 1
    assert cognipeer.call("memory.list", store)["total"] == 1


def test_memories_that_are_added_at_once_are_all_counted(cognipeer: Client, store: str) -> None:
    calls = [Call("memory.add", (store, {"content": f"Parcel {number} has arrived"})) for number in range(12)]
    answers = cognipeer.together(calls)
    assert not [answer for answer in answers if isinstance(answer, Thrown)]
    assert figures(cognipeer, store)[0] == 12
    cognipeer.together([Call("memory.delete", (store, answer["_id"])) for answer in answers[:5]])
    assert figures(cognipeer, store)[0] == 7


def test_a_batch_tells_what_it_added_and_what_was_there(cognipeer: Client, store: str) -> None:
    add(cognipeer, store, "Memory 1")
    batch: list[dict[str, object]] = [
        {"content": "Memory 1", "tags": ["pref"]},
        {"content": "Memory 2", "scope": "session", "scopeId": "s1", "importance": 0.25, "metadata": {"n": 2}},
        {"content": "Memory 3"},
        {"content": "Memory 3"},
    ]
    assert cognipeer.call("memory.addBatch", store, batch) == {"added": 2, "duplicates": 2}
    assert cognipeer.call("memory.addBatch", store, batch) == {"added": 0, "duplicates": 4}
    assert contents(cognipeer, store) == ["Memory 3", "Memory 2", "Memory 1"]
    (item,) = cognipeer.call("memory.list", store, {"scope": "session"})["items"]
    assert item.items() >= batch[1].items()
    assert found(cognipeer, store, "Memory 2", scope="session") == ["Memory 2"]
    assert figures(cognipeer, store)[0] == 3


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([], "memories array is required"),
        ([{"content": "Memory"}] * 101, "Maximum batch size is 100"),
        ([{"content": "Memory"}, {"scope": "user"}], "Each memory must have a content field"),
    ],
)
def test_a_batch_that_is_refused_writes_nothing(
    cognipeer: Client, store: str, batch: list[dict[str, str]], message: str
) -> None:
    assert cognipeer.refused("memory.addBatch", store, batch) == (400, message)
    assert cognipeer.call("memory.list", store) == {"items": [], "total": 0}
    assert figures(cognipeer, store) == (0, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [("scope", "planet"), ("importance", 1.5), ("importance", "high"), ("tags", "ui"), ("metadata", []), ("source", 5)],
)
def test_a_memory_with_a_wrong_field_is_refused(cognipeer: Client, store: str, field: str, value: object) -> None:
    wrong = {"content": "The sky is blue", field: value}
    for method, argument in {"memory.add": wrong, "memory.addBatch": [{"content": "Fine"}, wrong]}.items():
        status, message = cognipeer.refused(method, store, argument)
        assert (status, field in message) == (400, True), message
    assert cognipeer.call("memory.list", store)["total"] == 0


def test_a_full_store_takes_no_more(cognipeer: Client, token: str) -> None:
    store = create(cognipeer, f"Small {token}", config={"maxMemories": 2})["key"]
    first = add(cognipeer, store, "The first memory")
    full = (429, "memories limit reached (2/2)")
    status, _ = cognipeer.refused("memory.addBatch", store, [{"content": "A second"}, {"content": "A third"}])
    assert (status, contents(cognipeer, store)) == (429, ["The first memory"])
    add(cognipeer, store, "The second memory")
    assert cognipeer.refused("memory.add", store, {"content": "The third memory"}) == full
    assert add(cognipeer, store, "The first memory")["_id"] == first["_id"]
    cognipeer.call("memory.delete", store, first["_id"])
    assert add(cognipeer, store, "The third memory")["content"] == "The third memory"


# Lists


def test_a_list_is_filtered_by_scope_scope_id_tags_and_status(cognipeer: Client, store: str) -> None:
    alice = add(cognipeer, store, "Alice likes tea", scope="user", scopeId="alice", tags=["drinks", "hot"])
    add(cognipeer, store, "Bob likes rain", scope="user", scopeId="bob", tags=["weather"])
    add(cognipeer, store, "The planner of Alice", scope="agent", scopeId="alice", tags=["two words"])
    add(cognipeer, store, "The sky is blue")
    cognipeer.call("memory.update", store, alice["_id"], {"status": "archived"})
    for options, expected in [
        ({"scope": "user"}, ["Bob likes rain", "Alice likes tea"]),
        ({"scopeId": "alice"}, ["The planner of Alice", "Alice likes tea"]),
        ({"scope": "agent", "scopeId": "alice"}, ["The planner of Alice"]),
        ({"scope": "agent", "scopeId": "bob"}, []),
        ({"tags": ["weather", "hot"]}, ["Bob likes rain", "Alice likes tea"]),
        ({"tags": ["two words"]}, ["The planner of Alice"]),
        ({"tags": ["cold"]}, []),
        ({"tags": []}, ["The sky is blue", "The planner of Alice", "Bob likes rain", "Alice likes tea"]),
        ({"status": "archived"}, ["Alice likes tea"]),
        ({"status": "active", "scope": "user"}, ["Bob likes rain"]),
        ({"status": "asleep"}, []),
        ({"scope": "planet"}, []),
    ]:
        answer = cognipeer.call("memory.list", store, options)
        assert [item["content"] for item in answer["items"]] == expected, options
        assert answer["total"] == len(expected), options


def test_a_list_is_searched_by_words_and_by_pieces(cognipeer: Client, store: str) -> None:
    tuesday, friday = "Deployments go out on Tuesday mornings", "Nobody deploys on a Friday (100% sure)"
    add(cognipeer, store, tuesday, tags=["rule"])
    add(cognipeer, store, friday)
    for search, expected in [
        ("TUESDAY", [tuesday]),
        ("morning deployment", [tuesday]),
        ("uesday mor", [tuesday]),
        ("(100% s", [friday]),
        ("on", [friday, tuesday]),
        ("Tuesday Friday", []),
        ("Wednesday", []),
    ]:
        assert contents(cognipeer, store, search=search) == expected, search
    assert contents(cognipeer, store, search="on", tags=["rule"]) == [tuesday]


def test_a_list_is_paged_newest_first(cognipeer: Client, store: str) -> None:
    add(cognipeer, store, "Memory 0", tags=["old"])
    batch = [{"content": f"Memory {number}"} for number in range(1, 60)]
    cognipeer.call("memory.addBatch", store, batch)
    newest = [f"Memory {number}" for number in reversed(range(60))]
    assert contents(cognipeer, store) == newest[:50]
    assert contents(cognipeer, store, limit=7) == newest[:7]
    assert contents(cognipeer, store, skip=50) == newest[50:]
    assert contents(cognipeer, store, limit=20, skip=30) == newest[30:50]
    assert contents(cognipeer, store, limit=5000) == newest
    assert cognipeer.call("memory.list", store, {"limit": 3, "skip": 100}) == {"items": [], "total": 60}
    assert cognipeer.call("memory.list", store, {"limit": 1})["total"] == 60
    assert cognipeer.call("memory.list", store, {"limit": 1, "tags": ["old"]})["total"] == 1


@pytest.mark.parametrize("options", [{"limit": -1}, {"limit": "many"}, {"limit": 1.5}, {"skip": -1}, {"skip": "far"}])
def test_a_page_that_cannot_be_is_refused(cognipeer: Client, store: str, options: dict[str, object]) -> None:
    status, message = cognipeer.refused("memory.list", store, options)
    assert (status, next(iter(options)) in message) == (400, True), message


# One memory


def test_each_read_is_counted_after_it(cognipeer: Client, store: str) -> None:
    item = add(cognipeer, store, "The cat is called Miso")
    for count in range(3):
        read = cognipeer.call("memory.get", store, item["_id"])
        assert (read["accessCount"], "lastAccessedAt" in read) == (count, count > 0)
        assert read["updatedAt"] == item["updatedAt"]
    cognipeer.call("memory.list", store)
    cognipeer.call("memory.update", store, item["_id"], {"importance": 0.7})
    assert cognipeer.call("memory.get", store, item["_id"])["accessCount"] == 3


def test_what_a_search_or_a_recall_returns_is_accessed(cognipeer: Client, store: str) -> None:
    cat = add(cognipeer, store, "The cat is called Miso", scope="user")
    dog = add(cognipeer, store, "The dog is called Udon", scope="agent")
    assert found(cognipeer, store, "What is the cat called?", scope="user") == ["The cat is called Miso"]
    cognipeer.call("memory.recall", store, {"query": "The cat is called Miso", "scope": "user"})
    assert cognipeer.call("memory.get", store, cat["_id"])["accessCount"] == 2
    assert cognipeer.call("memory.get", store, dog["_id"])["accessCount"] == 0


def test_an_update_is_found_by_its_new_content_and_keeps_the_rest(cognipeer: Client, store: str) -> None:
    fields = {"scope": "user", "scopeId": "u1", "tags": ["drinks"], "metadata": {"a": 1, "b": {"c": 2}}}
    item = add(cognipeer, store, "The user drinks black coffee", **fields)
    add(cognipeer, store, "The garden has three apple trees", scope="user", scopeId="u1")
    counted = cognipeer.call("memory.stores.get", store)
    content = "The car is parked under the old bridge"
    change = {"content": content, "importance": 0.9, "metadata": {"b": 3, "d": 4}, "tags": ["car"]}
    changed = cognipeer.call("memory.update", store, item["_id"], change)
    hashed = hashlib.sha256(content.encode()).hexdigest()
    moved = {**change, "metadata": {"a": 1, "b": 3, "d": 4}, "contentHash": hashed}
    assert changed == item | moved | {"updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] >= item["updatedAt"]
    assert cognipeer.call("memory.get", store, item["_id"]) == changed

    where = {"scope": "user", "scopeId": "u1"}
    assert found(cognipeer, store, "Where is the car parked?", **where)[0] == content
    assert found(cognipeer, store, "Where is the car parked?", tags=["car"]) == [content]
    assert found(cognipeer, store, "Where is the car parked?", tags=["drinks"]) == []
    assert "The user drinks black coffee" not in found(cognipeer, store, "The user drinks black coffee", **where)
    recalled = cognipeer.call("memory.recall", store, {"query": "Where is the car parked?", **where})
    assert content in recalled["context"]
    assert cognipeer.call("memory.stores.get", store) == counted


def test_an_archived_memory_is_not_found_until_it_is_active_again(cognipeer: Client, store: str) -> None:
    item = add(cognipeer, store, "The cat is called Miso")
    for status, matches in [("archived", []), ("expired", []), ("active", ["The cat is called Miso"])]:
        changed = cognipeer.call("memory.update", store, item["_id"], {"status": status})
        assert changed["status"] == status
        assert found(cognipeer, store, "What is the cat called?") == matches
        recalled = cognipeer.call("memory.recall", store, {"query": "What is the cat called?"})
        assert [match["content"] for match in recalled["memories"]] == matches
        assert contents(cognipeer, store, status=status) == ["The cat is called Miso"]
    assert figures(cognipeer, store)[0] == 1


def test_an_update_that_changes_nothing_or_what_is_fixed_is_refused(cognipeer: Client, store: str) -> None:
    item = add(cognipeer, store, "The cat is called Miso")
    for change in ({}, {"scope": "agent"}, {"scopeId": "u2", "source": "chat"}):
        assert cognipeer.refused("memory.update", store, item["_id"], change) == (400, "No valid fields to update")
    for field, value in {"importance": 2, "status": "asleep", "tags": "ui", "metadata": 5}.items():
        status, message = cognipeer.refused("memory.update", store, item["_id"], {field: value})
        assert (status, field in message) == (400, True), message
    assert cognipeer.call("memory.get", store, item["_id"]) == item


def test_a_deleted_memory_is_gone(cognipeer: Client, store: str) -> None:
    item = add(cognipeer, store, "The cat is called Miso")
    add(cognipeer, store, "The dog is called Udon")
    assert cognipeer.call("memory.delete", store, item["_id"]) == {"success": True}
    assert cognipeer.refused("memory.get", store, item["_id"]) == NO_ITEM
    assert cognipeer.refused("memory.update", store, item["_id"], {"importance": 1}) == NO_ITEM
    assert cognipeer.refused("memory.delete", store, item["_id"]) == NO_ITEM
    assert contents(cognipeer, store) == ["The dog is called Udon"]
    assert "The cat is called Miso" not in found(cognipeer, store, "What is the cat called?")
    assert figures(cognipeer, store)[0] == 1
    assert add(cognipeer, store, "The cat is called Miso")["_id"] != item["_id"]


def test_a_memory_is_known_in_its_own_store_only(cognipeer: Client, store: str, token: str) -> None:
    item = add(cognipeer, store, "The cat is called Miso")
    other = create(cognipeer, f"Other {token}")["key"]
    for id in (item["_id"], FOREIGN, "mem_123"):
        assert cognipeer.refused("memory.get", other, id) == NO_ITEM
        assert cognipeer.refused("memory.update", other, id, {"importance": 1}) == NO_ITEM
        assert cognipeer.refused("memory.delete", other, id) == NO_ITEM
    assert found(cognipeer, other, "What is the cat called?") == []
    assert cognipeer.call("memory.deleteBulk", other) == {"deleted": 0}
    assert cognipeer.call("memory.get", store, item["_id"]) == item


# Deleting in bulk


@pytest.fixture
def mixed(cognipeer: Client, store: str) -> str:
    """The key of a store with five memories."""
    memories: dict[str, dict[str, object]] = {
        "Alice likes tea": {"scope": "user", "scopeId": "alice", "tags": ["temp", "drinks"]},
        "Alice likes rain": {"scope": "user", "scopeId": "alice", "tags": ["weather"]},
        "Bob likes snow": {"scope": "user", "scopeId": "bob", "tags": ["weather"]},
        "The run has begun": {"scope": "session", "scopeId": "alice", "tags": ["temp"]},
        "The sky is blue": {},
    }
    for content, fields in memories.items():
        add(cognipeer, store, content, **fields)
    return store


@pytest.mark.parametrize(
    ("filter", "left"),
    [
        ({"tags": ["temp"]}, {"Alice likes rain", "Bob likes snow", "The sky is blue"}),
        ({"tags": ["drinks", "weather"]}, {"The run has begun", "The sky is blue"}),
        ({"scope": "user"}, {"The run has begun", "The sky is blue"}),
        ({"scopeId": "alice"}, {"Bob likes snow", "The sky is blue"}),
        (
            {"scope": "user", "scopeId": "alice", "tags": ["temp"]},
            {"Alice likes rain", "Bob likes snow", "The run has begun", "The sky is blue"},
        ),
        ({}, set()),
        # The client has ``before`` in its types, but never sends it.
        ({"before": "2001-01-01T00:00:00.000Z", "scope": "user"}, {"The run has begun", "The sky is blue"}),
    ],
)
def test_a_bulk_delete_takes_what_its_filters_all_match(
    cognipeer: Client, mixed: str, filter: dict[str, object], left: set[str]
) -> None:
    assert cognipeer.call("memory.deleteBulk", mixed, filter) == {"deleted": 5 - len(left)}
    assert set(contents(cognipeer, mixed)) == left
    everything = "Alice and Bob, tea, rain and snow, the run, the sky"
    assert set(found(cognipeer, mixed, everything)) <= left
    assert figures(cognipeer, mixed)[0] == len(left)
    assert cognipeer.call("memory.deleteBulk", mixed, filter) == {"deleted": 0}


@pytest.mark.parametrize("filter", [{"scope": "project"}, {"scopeId": "carol"}, {"tags": ["none", "of these"]}])
def test_a_bulk_delete_that_matches_nothing_deletes_nothing(
    cognipeer: Client, mixed: str, filter: dict[str, object]
) -> None:
    before = cognipeer.call("memory.stores.get", mixed)
    assert cognipeer.call("memory.deleteBulk", mixed, filter) == {"deleted": 0}
    assert cognipeer.call("memory.stores.get", mixed) == before
    assert len(contents(cognipeer, mixed)) == 5


@pytest.mark.parametrize(
    ("filter", "name"),
    [
        ({"tags": []}, "tags"),
        ({"tags": [""]}, "tags"),
        ({"tags": ["", ""]}, "tags"),
        ({"scope": ""}, "scope"),
        ({"scopeId": ""}, "scopeId"),
        ({"scope": "user", "tags": []}, "tags"),
    ],
)
def test_a_bulk_delete_with_an_empty_filter_is_refused_and_deletes_nothing(
    cognipeer: Client, mixed: str, filter: dict[str, object], name: str
) -> None:
    before = cognipeer.call("memory.stores.get", mixed)
    status, message = cognipeer.refused("memory.deleteBulk", mixed, filter)
    assert (status, name in message) == (400, True), message
    assert cognipeer.call("memory.stores.get", mixed) == before
    assert len(contents(cognipeer, mixed)) == 5


def test_a_bulk_delete_without_a_filter_empties_the_store(cognipeer: Client, mixed: str) -> None:
    archived = cognipeer.call("memory.list", mixed, {"scope": "session"})["items"][0]["_id"]
    cognipeer.call("memory.update", mixed, archived, {"status": "archived"})
    fill(cognipeer, mixed, 120)
    assert cognipeer.call("memory.deleteBulk", mixed) == {"deleted": 125}
    assert cognipeer.call("memory.list", mixed) == {"items": [], "total": 0}
    assert found(cognipeer, mixed, "Which parcel stands on shelf 3?") == []
    recalled = cognipeer.call("memory.recall", mixed, {"query": "Parcel 3 stands on shelf 3"})
    assert recalled == {"context": "", "memories": [], "storeKey": mixed}
    assert figures(cognipeer, mixed)[0] == 0


# Search and recall


def test_a_search_returns_matches_with_their_scores_best_first(cognipeer: Client, store: str) -> None:
    content = "User prefers dark mode and concise responses"
    fields = {"scope": "user", "scopeId": "user-123", "tags": ["preferences", "ui"], "importance": 0.8}
    item = add(cognipeer, store, content, metadata={"source": "conversation"}, **fields)
    add(cognipeer, store, "The parcel stands on the third shelf")
    add(cognipeer, store, "The train to Kars leaves at noon")
    answer = cognipeer.call("memory.search", store, {"query": "Which mode does the user prefer, dark or light?"})
    assert answer.keys() == {"memories", "query", "storeKey"}
    scores = [match["score"] for match in answer["memories"]]
    assert scores == sorted(scores, reverse=True)
    assert all(-1 <= score <= 1 for score in scores)
    shared = ("id", "content", "scope", "scopeId", "metadata", "tags", "source", "importance", "createdAt")
    assert answer["memories"][0] == {**{name: item[name] for name in shared}, "score": scores[0]}
    alone = cognipeer.call("memory.search", store, {"query": "a parcel on a shelf", "topK": 1})["memories"]
    assert [match.keys() for match in alone] == [{*shared, "score"} - {"scopeId"}]


def test_a_search_keeps_to_its_least_score_and_to_its_number(cognipeer: Client, store: str) -> None:
    for content in ("The user drinks tea", "The user drinks coffee at noon", "The train to Kars leaves at noon"):
        add(cognipeer, store, content)
    query = "Does the user drink tea?"
    matches = cognipeer.call("memory.search", store, {"query": query})["memories"]
    best, second = matches[0]["score"], matches[1]["score"]
    assert matches[0]["content"] == "The user drinks tea"
    assert best > second
    assert found(cognipeer, store, query, minScore=best) == ["The user drinks tea"]
    assert found(cognipeer, store, query, minScore=(best + second) / 2) == ["The user drinks tea"]
    assert found(cognipeer, store, query, minScore=1.01) == []
    assert found(cognipeer, store, query, topK=2) == [match["content"] for match in matches[:2]]
    assert found(cognipeer, store, query, topK=1) == ["The user drinks tea"]
    assert found(cognipeer, store, query, topK=0) == ["The user drinks tea"]


def test_a_search_takes_ten_unless_told_and_as_many_as_told(cognipeer: Client, store: str) -> None:
    fill(cognipeer, store, 30)
    query = "Parcel 3 stands on shelf 3"
    assert len(found(cognipeer, store, query)) == 10
    assert len(found(cognipeer, store, query, topK=25)) == 25


def test_filters_of_a_search_come_before_its_number(cognipeer: Client, store: str) -> None:
    for number in range(12):
        add(cognipeer, store, f"The user drinks tea in room {number}", scope="user", scopeId="alice", tags=["tea"])
    add(cognipeer, store, "Somebody may like a hot beverage", scope="user", scopeId="bob", tags=["drinks"])
    add(cognipeer, store, "A kettle stands in the kitchen", scope="agent", scopeId="bob", tags=["things"])
    query = "Does the user drink tea in a room?"
    bob = ["Somebody may like a hot beverage"]
    assert "room" in found(cognipeer, store, query, topK=1)[0]
    assert found(cognipeer, store, query, topK=1, scope="user", scopeId="bob") == bob
    assert found(cognipeer, store, query, topK=1, tags=["drinks", "nothing"]) == bob
    assert found(cognipeer, store, query, topK=1, scope="agent") == ["A kettle stands in the kitchen"]
    assert set(found(cognipeer, store, query, topK=5, scopeId="bob")) == {*bob, "A kettle stands in the kitchen"}
    assert found(cognipeer, store, query, scope="session") == []
    assert found(cognipeer, store, query, scope="planet") == []
    assert found(cognipeer, store, query, scope="user", scopeId="carol") == []


def test_an_empty_store_answers_with_nothing(cognipeer: Client, store: str) -> None:
    assert found(cognipeer, store, "Anything at all") == []
    recalled = cognipeer.call("memory.recall", store, {"query": "Anything at all"})
    assert recalled == {"context": "", "memories": [], "storeKey": store}


def in_budget(matches: list[dict[str, Any]], tokens: int) -> str:
    """The context of these matches, all in one plane of Unicode."""
    context = ""
    for match in matches:
        line = f"- {match['content']}\n"
        if len(context) + len(line) > 4 * tokens:
            break
        context += line
    return context.strip()


def test_a_recall_gives_context_lines_within_its_budget(cognipeer: Client, store: str) -> None:
    for meal, dish in {"breakfast": "porridge\nwith salt", "lunch": "soup", "dinner": "rice"}.items():
        add(cognipeer, store, f"For {meal} the user prefers {dish}", scope="user", scopeId="u1")
    asked = {"query": "What does the user prefer for breakfast, lunch and dinner?", "scope": "user", "scopeId": "u1"}
    whole = cognipeer.call("memory.recall", store, asked)
    assert whole.keys() == {"context", "memories", "storeKey"}
    assert whole["storeKey"] == store
    matches = whole["memories"]
    scores = [match["score"] for match in matches]
    assert len(matches) == 3
    assert scores == sorted(scores, reverse=True)
    assert whole["context"] == "\n".join(f"- {match['content']}" for match in matches)

    first = len(f"- {matches[0]['content']}\n")
    for tokens in (0, (first - 1) // 4, -(-first // 4), 15, 20, 30, 800):
        answer = cognipeer.call("memory.recall", store, {**asked, "maxTokens": tokens})
        assert answer["context"] == in_budget(matches, tokens), tokens
        assert [match["id"] for match in answer["memories"]] == [match["id"] for match in matches]
    assert cognipeer.call("memory.recall", store, {**asked, "topK": 1})["memories"] == matches[:1]


def test_a_recall_keeps_to_its_scope_and_knows_no_tags(cognipeer: Client, store: str) -> None:
    add(cognipeer, store, "The user drinks tea for breakfast", scope="user", scopeId="alice", tags=["drinks"])
    add(cognipeer, store, "The user drinks milk for breakfast", scope="user", scopeId="bob", tags=["drinks"])
    asked = {"query": "What does the user drink for breakfast?", "tags": ["nothing"], "minScore": 1}
    both = cognipeer.call("memory.recall", store, asked)
    assert len(both["context"].splitlines()) == 2
    one = cognipeer.call("memory.recall", store, {**asked, "scope": "user", "scopeId": "bob"})
    assert one["context"] == "- The user drinks milk for breakfast"
    none = cognipeer.call("memory.recall", store, {**asked, "scope": "agent"})
    assert none == {"context": "", "memories": [], "storeKey": store}


# Errors


@pytest.mark.parametrize("method", CALLS_OF_A_STORE)
def test_a_store_that_nobody_made_is_not_found(cognipeer: Client, token: str, method: str) -> None:
    assert cognipeer.refused(method, f"mem-nobody-{token}", *CALLS_OF_A_STORE[method]) == NO_STORE


@pytest.mark.parametrize("status", ["inactive", "error"])
def test_a_store_that_is_not_active_can_be_read_but_neither_filled_nor_searched(
    cognipeer: Client, store: str, status: str
) -> None:
    item = add(cognipeer, store, "The user prefers tea")
    cognipeer.call("memory.stores.update", store, {"status": status})
    for method in ("memory.add", "memory.addBatch", "memory.search", "memory.recall"):
        assert cognipeer.refused(method, store, *CALLS_OF_A_STORE[method]) == NOT_ACTIVE, method
    assert contents(cognipeer, store) == ["The user prefers tea"]
    assert cognipeer.call("memory.get", store, item["_id"])["content"] == "The user prefers tea"
    assert cognipeer.call("memory.update", store, item["_id"], {"importance": 1})["importance"] == 1
    assert cognipeer.call("memory.deleteBulk", store, {"tags": ["none"]}) == {"deleted": 0}
    assert cognipeer.call("memory.delete", store, item["_id"]) == {"success": True}
    cognipeer.call("memory.stores.update", store, {"status": "active"})
    assert add(cognipeer, store, "The user prefers tea")["status"] == "active"


@pytest.mark.parametrize(
    ("method", "body", "message"),
    [
        ("memory.add", {}, "content is required"),
        ("memory.add", {"content": " \n"}, "content is required"),
        ("memory.add", {"content": 5}, "content is required"),
        ("memory.search", {}, "query is required"),
        ("memory.search", {"query": "  ", "topK": 3}, "query is required"),
        ("memory.recall", {"maxTokens": 800}, "query is required"),
    ],
)
def test_a_call_without_its_required_field_is_refused(
    cognipeer: Client, store: str, method: str, body: dict[str, object], message: str
) -> None:
    assert cognipeer.refused(method, store, body) == (400, message)


@pytest.mark.parametrize(
    ("method", "field", "value"),
    [
        ("memory.search", "topK", "many"),
        ("memory.search", "minScore", "high"),
        ("memory.search", "tags", "ui"),
        ("memory.recall", "maxTokens", "many"),
        ("memory.recall", "topK", []),
    ],
)
def test_a_search_or_recall_with_a_wrong_type_is_refused(
    cognipeer: Client, store: str, method: str, field: str, value: object
) -> None:
    status, message = cognipeer.refused(method, store, {"query": "tea", field: value})
    assert (status, field in message) == (400, True), message


def test_a_key_that_nobody_gave_out_opens_nothing(
    program: str, running: Service, cognipeer: Client, store: str
) -> None:
    with client(program, {"apiKey": f"cpeer_{'0' * 64}", "baseURL": running.url}) as stranger:
        for method, args in CALLS_OF_A_STORE.items():
            assert stranger.refused(method, store, *args) == (401, "Invalid API token"), method
        assert stranger.refused("memory.stores.list") == (401, "Invalid API token")
        assert stranger.refused("memory.stores.create", {}) == (401, "Invalid API token")
    assert cognipeer.call("memory.stores.get", store)["name"] != "Renamed"


def test_a_key_that_may_only_read_may_not_search(program: str, running: Service, token: str) -> None:
    key = running.operate("create-key", "--tenant", f"reader-{token}", "--scopes", "read").strip()
    forbidden = (403, "Forbidden: memory requires write permission")
    reads = {"memory.stores.get", "memory.list", "memory.get"}
    with client(program, {"apiKey": key, "baseURL": running.url}) as reader:
        assert [each["key"] for each in reader.call("memory.stores.list")["stores"]] == ["default"]
        for method, args in CALLS_OF_A_STORE.items():
            expected = NO_STORE if method in reads else forbidden
            assert reader.refused(method, f"mem-nobody-{token}", *args) == expected, method


@pytest.mark.parametrize("suffix", ["/", "/api/client/v1", "/api/client/v1/"])
def test_the_client_works_with_the_path_of_the_api_in_its_base_url(
    program: str, running: Service, store: str, suffix: str
) -> None:
    with client(program, {"apiKey": running.key, "baseURL": running.url + suffix}) as suffixed:
        item = add(suffixed, store, "The sky is blue")
        assert suffixed.call("memory.get", store, item["_id"])["content"] == "The sky is blue"
        assert found(suffixed, store, "Which colour has the sky?") == ["The sky is blue"]
        assert suffixed.call("memory.deleteBulk", store) == {"deleted": 1}
