"""Each file of infra/events through the function that API Gateway, SQS or EventBridge would hand it to."""

import asyncio
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mangum import Mangum

from commonplace.core.forget import SETTLED
from commonplace.model.filter import Filter
from commonplace.model.memory import State
from commonplace.rows.memory_writes import Entry
from relay_routes import KEYS, REQUEST_ID
from sweeper.app import sweep
from template import load
from worker.app import consume
from world import TENANT, World

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "infra/events"
MEMORY_ID = "019b7c00-0000-7000-8000-0000000000aa"
"""The memory that the events speak of."""

EVENT_ID = "019b7c00-0000-7000-8000-0000000000ee"
"""The event that the worker's message speaks of."""

OLD_STORE = "mem-old"
"""The store that an event deletes. The others are in the default one."""

STORES = "/api/client/v1/memory/stores"
STORE = {"name": "Notes", "vectorProviderKey": "p", "embeddingModelKey": "m"}
CONTENT = "The user prefers dark mode \U0001f98a"


def event(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Case:
    """An event for an HTTP function: its status, and something to say of the body."""

    name: str
    function: str
    status: int
    holds: Callable[[Any], bool]


RELAY = [
    Case("create_v1", "create", 200, lambda body: body["content"] == CONTENT and body["extraction_status"] == "ready"),
    Case("create_v1_base64", "create", 200, lambda body: body["content"] == CONTENT and body["object"] == "memory"),
    Case("create_v1_blank", "create", 422, lambda body: body["details"][0]["field"] == "content"),
    Case("create_v1_broken", "create", 400, lambda body: body["type"] == "bad_request"),
    Case("create_v2", "create", 202, lambda body: body["status"] == "pending" and bool(body["job_id"])),
    Case("batch", "create", 200, lambda body: (body["succeeded"], body["failed"]) == (1, 1)),
    Case("search", "search", 200, lambda body: [hit["id"] for hit in body["data"]] == [MEMORY_ID]),
    Case("search_query_string", "search", 200, lambda body: [hit["id"] for hit in body["data"]] == [MEMORY_ID]),
    Case("search_no_key", "search", 401, lambda body: body["type"] == "unauthorized"),
    Case("context", "recall", 200, lambda body: CONTENT in body["context"] and body["memories_used"] == 1),
    Case("session_create", "sessions", 201, lambda body: body["title"] == "Fix retry logic"),
    Case("session_get_or_create", "sessions", 200, lambda body: body["contributors"] == ["my-assistant"]),
    Case("session_get_unknown", "sessions", 404, lambda body: body["message"] == "Session not found"),
    Case("memory_get", "memories", 200, lambda body: body["id"] == MEMORY_ID),
    Case("memory_list", "memories", 200, lambda body: body["total_count"] == 1),
    Case("memory_status", "memories", 200, lambda body: body["status"] == "ready"),
    Case("memory_patch", "memories", 200, lambda body: body["content"] == "The user prefers light mode"),
    Case("memory_delete", "memories", 200, lambda body: body == {"id": MEMORY_ID, "object": "memory", "deleted": True}),
    Case("agent_create", "account", 201, lambda body: body["name"] == "code reviewer/é"),
    Case("agent_get", "account", 404, lambda body: body["message"] == "Agent not found"),
    Case("webhook_create", "account", 201, lambda body: body["url"] == "https://example.com/hook"),
    Case("key_create", "account", 201, lambda body: body["key"].startswith("mem_test_")),
    Case("health", "account", 200, lambda body: body["status"] == "healthy"),
    Case("unknown_route", "account", 404, lambda body: body["message"] == "Route not found"),
    Case("double_slash", "account", 200, lambda body: body["object"] == "list"),
]
COGNIPEER = [
    Case("cognipeer_store_create", "stores", 201, lambda body: body["store"]["key"] == "mem-notes"),
    Case("cognipeer_store_list", "stores", 200, lambda body: keys(body["stores"]) == {"default", OLD_STORE}),
    Case("cognipeer_store_get", "stores", 200, lambda body: body["store"]["memoryCount"] == 1),
    Case("cognipeer_store_patch", "stores", 200, lambda body: body["store"]["description"] == "Shared by all APIs"),
    Case("cognipeer_store_delete", "stores", 200, lambda body: body == {"success": True}),
    Case("cognipeer_unknown_store", "stores", 404, lambda body: body == {"error": "Memory store not found."}),
    Case("cognipeer_memory_add", "create", 201, lambda body: body["memory"]["scopeId"] == "user_123"),
    Case("cognipeer_memory_batch", "create", 201, lambda body: body == {"added": 2, "duplicates": 1}),
    Case(
        "cognipeer_memory_list", "memories", 200, lambda body: (body["total"], ids(body["items"])) == (1, [MEMORY_ID])
    ),
    Case("cognipeer_memory_get", "memories", 200, lambda body: body["content"] == CONTENT),
    Case("cognipeer_memory_patch", "memories", 200, lambda body: body["content"] == "The user prefers light mode"),
    Case("cognipeer_memory_delete", "memories", 200, lambda body: body == {"success": True}),
    Case("cognipeer_bulk_delete", "memories", 200, lambda body: body == {"deleted": 1}),
    Case("cognipeer_search", "search", 200, lambda body: ids(body["memories"]) == [MEMORY_ID]),
    Case("cognipeer_recall", "recall", 200, lambda body: CONTENT in body["context"]),
    Case("cognipeer_unknown_route", "account", 404, lambda body: body == {"error": "Route not found."}),
]
EDGE = [
    Case("edge_create", "create", 201, lambda body: body["memory"]["vector_id"] == f"mem_{body['memory']['id']}"),
    Case("edge_search", "search", 200, lambda body: body == {"mode": "vectorize", "matches": []}),
    Case("edge_list", "memories", 200, lambda body: body == {"memories": []}),
    Case("edge_get", "memories", 200, lambda body: body["memory"]["organization_id"] == TENANT),
    Case("edge_health", "account", 200, lambda body: body["service"] == "memo-st-api" and len(body) == 3),
]
MEMSY = [
    Case("memsy_ingest", "create", 200, lambda body: len(body["event_ids"]) == 1),
    Case(
        "memsy_status",
        "memories",
        200,
        lambda body: (body["total"], [*body["statuses"].values()]) == (1, ["not_found"]),
    ),
    Case("memsy_search", "search", 200, lambda body: ids(body["results"]) == [MEMORY_ID]),
    Case("memsy_memories", "memories", 200, lambda body: [item["text"] for item in body["items"]] == [CONTENT]),
    Case("memsy_actor", "memories", 200, lambda body: (body["actor_id"], body["memory_count"]) == ("user_123", 1)),
    Case("memsy_orgs", "directory", 200, lambda body: body == []),
    Case("memsy_role_create", "directory", 200, lambda body: body["role_id"].startswith("role_")),
    Case("memsy_role_get", "directory", 404, lambda body: body["message"] == "Role not found"),
    Case("memsy_keys", "account", 200, lambda body: body["active_count"] == 1),
    Case("memsy_events", "account", 200, lambda body: body["total"] == 0),
    Case("memsy_health", "account", 200, lambda body: body["status"] == "ok"),
    Case("memsy_unknown_route", "account", 404, lambda body: body["error"] == "not_found"),
]
HTTP = [*RELAY, *COGNIPEER, *EDGE, *MEMSY]
OTHERS = {"embed", "embed_last_try", "deliver", "forget", "clear", "extract", "recalled", "promote", "mixed", "sweep"}
OTHERS |= {"provision_create", "provision_update", "provision_delete"}  # tests/functions/test_provision.py


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items]


def keys(stores: list[dict[str, Any]]) -> set[str]:
    return {store["key"] for store in stores}


async def known(world: World, state: State = State.READY) -> None:
    """Writes the memory that the events speak of, searchable or still to be made so, and the store."""
    async with world.client() as client:
        await client("POST", STORES, {**STORE, "name": OLD_STORE.removeprefix("mem-")}, expect=201)
        body = {"agent_id": "my-assistant", "user_id": "user_123", "content": CONTENT}
        made = await client("POST", "/v1/memories", body)
        row = await world.services.browse.get(TENANT, made["id"])
        await client("DELETE", f"/v1/memories/{made['id']}")
    pending = {"id": MEMORY_ID, "state": State.PENDING, "passages": 0, "model": None, "ready_at": None}
    memory = replace(row, **pending, marked_at=world.clock.now())  # type: ignore[arg-type]  # the parts are of many types
    assert await world.services.memories.add([Entry(memory)]) == [None]
    if state is State.READY:
        await world.services.embed([memory])


async def invoked(world: World, function: str, given: dict[str, Any]) -> dict[str, Any]:
    """What the function answers. Mangum drives a loop of its own, as it does in Lambda, so it gets a thread for it."""
    app = importlib.import_module(f"{function}.app").build(world.services)

    def handled() -> dict[str, Any]:
        with asyncio.Runner() as runner:
            runner.get_loop()
            return Mangum(app, lifespan="off")(given, None)  # type: ignore[arg-type]  # nothing here reads the context

    return await asyncio.to_thread(handled)


def test_every_event_stands_in_a_test() -> None:
    assert {file.stem for file in EVENTS.glob("*.json")} == {case.name for case in HTTP} | OTHERS


@pytest.mark.parametrize("case", HTTP, ids=[case.name for case in HTTP])
async def test_an_http_function_answers_its_event(world: World, case: Case) -> None:
    await known(world)
    answer = await invoked(world, case.function, event(case.name))
    assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert answer["statusCode"] == case.status, answer["body"]
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["content-type"] == "application/json"
    assert answer["headers"]["content-length"] == str(len(answer["body"].encode()))
    assert REQUEST_ID.fullmatch(answer["headers"]["x-request-id"])
    body = json.loads(answer["body"])
    assert case.holds(body), body
    if case in RELAY and case.status >= 400:
        assert set(body) >= KEYS
        assert body["request_id"] == answer["headers"]["x-request-id"]


@pytest.mark.parametrize("case", HTTP, ids=[case.name for case in HTTP])
def test_an_event_names_the_route_by_which_the_gateway_hands_it_to_that_function(case: Case) -> None:
    given = event(case.name)
    routes = {
        "$default" if route.path == "$default" else f"{route.method} {route.path}": route.function
        for route in load(ROOT / "template.yaml").routes
    }
    assert routes[given["routeKey"]] == case.function
    assert given["requestContext"]["routeKey"] == given["routeKey"]
    assert given["requestContext"]["http"]["path"] == given["rawPath"]


async def test_a_failure_that_passes_says_when_to_come_again(world: World) -> None:
    world.index.down = True
    answer = await invoked(world, "search", event("search"))
    assert answer["statusCode"] == 503
    assert answer["headers"]["retry-after"] == "5"
    assert json.loads(answer["body"])["type"] == "internal_error"


async def test_the_worker_makes_a_memory_searchable(world: World) -> None:
    await known(world, State.PENDING)
    assert await consume(world.services, event("embed")) == {"batchItemFailures": []}
    assert (await world.services.browse.get(TENANT, MEMORY_ID)).ready
    revision = (await world.services.browse.get(TENANT, MEMORY_ID)).revision
    assert await consume(world.services, event("embed")) == {"batchItemFailures": []}
    assert (await world.services.browse.get(TENANT, MEMORY_ID)).revision == revision


async def test_the_worker_gives_a_message_back_that_it_could_not_work_on_now(world: World) -> None:
    await known(world, State.PENDING)
    world.embedder.down = True
    (record,) = event("embed")["Records"]
    failure = {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    assert await consume(world.services, event("embed")) == failure
    assert (await world.services.browse.get(TENANT, MEMORY_ID)).state is State.PENDING


async def test_the_last_try_that_is_refused_leaves_the_reason_in_the_memory(world: World) -> None:
    await known(world, State.PENDING)
    world.index.refuses = ("dark",)
    (record,) = event("embed_last_try")["Records"]
    failure = {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    assert await consume(world.services, event("embed_last_try")) == failure
    memory = await world.services.browse.get(TENANT, MEMORY_ID)
    assert (memory.state, memory.failure) == (State.FAILED, "The index refused it: refused")


async def test_the_last_try_during_an_outage_leaves_the_memory_to_the_sweeper(world: World) -> None:
    await known(world, State.PENDING)
    world.embedder.down = True
    assert await consume(world.services, event("embed_last_try")) == {"batchItemFailures": []}
    memory = await world.services.browse.get(TENANT, MEMORY_ID)
    assert (memory.state, memory.failure) == (State.PENDING, None)
    world.embedder.down = False
    world.clock.advance(61)
    assert (await sweep(world.services))["pending"] == 1
    await world.work()
    assert (await world.services.browse.get(TENANT, MEMORY_ID)).ready


async def test_each_record_of_a_mixed_batch_fails_alone(world: World) -> None:
    await known(world, State.PENDING)
    given = event("mixed")
    failed = {failure["itemIdentifier"] for failure in (await consume(world.services, given))["batchItemFailures"]}
    unreadable = {record["messageId"] for record in given["Records"][1:9]}
    assert failed == unreadable
    assert (await world.services.browse.get(TENANT, MEMORY_ID)).ready


async def test_a_message_for_what_is_gone_is_done(world: World) -> None:
    for name in ("embed", "deliver", "forget", "clear", "extract", "recalled", "promote"):
        assert await consume(world.services, event(name)) == {"batchItemFailures": []}


async def test_the_worker_empties_a_deleted_store_however_often_it_is_told(world: World) -> None:
    async with world.client() as client:
        store = (await client("POST", STORES, STORE, expect=201))["store"]["_id"]
        await client("POST", f"{STORES}/mem-notes/memories", {"content": CONTENT}, expect=201)
        await client("DELETE", f"{STORES}/mem-notes")
    given = event("clear")
    body = json.loads(given["Records"][0]["body"])
    (told,) = [json.loads(message.body) for message in await world.embedding_queue.inner.receive(10, 0)]
    assert told == {**body, "store": store}
    given["Records"][0]["body"] = json.dumps(told)
    inside = Filter(store=store, confidential=True, archived=True)
    assert await world.services.memories.total(TENANT, inside) == 1
    for _ in range(2):
        assert await consume(world.services, given) == {"batchItemFailures": []}
    assert (await world.services.memories.page(TENANT, inside, limit=1)).items == ()
    world.clock.advance(SETTLED.total_seconds() + 1)
    assert await consume(world.services, given) == {"batchItemFailures": []}
    assert (await sweep(world.services))["stores"] == 0


async def told(world: World) -> None:
    """Tells the event that the events speak of."""
    event = {
        "event_id": EVENT_ID,
        "actor_id": "user_123",
        "session_id": "s",
        "kind": "user_message",
        "content": CONTENT,
    }
    async with world.client() as client:
        await client("POST", "/v1/ingest", {"events": [event]})


async def test_the_worker_makes_one_memory_of_an_event_however_often_it_is_told(world: World) -> None:
    await told(world)
    for _ in range(2):
        assert await consume(world.services, event("extract")) == {"batchItemFailures": []}
    async with world.client() as client:
        assert (await client("POST", "/v1/status", {"event_ids": [EVENT_ID]}))["completedIds"] == [EVENT_ID]
        (item,) = (await client("GET", "/v1/console/memories"))["items"]
    assert (item["text"], item["source_event_ids"]) == (CONTENT, [EVENT_ID])


async def test_an_event_whose_memory_cannot_be_found_yet_comes_again(world: World) -> None:
    await told(world)
    world.index.down = True
    (record,) = event("extract")["Records"]
    failure = {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    assert await consume(world.services, event("extract")) == failure
    async with world.client() as client:
        assert (await client("POST", "/v1/status", {"event_ids": [EVENT_ID]}))["pendingIds"] == [EVENT_ID]
        world.index.down = False
        world.clock.advance(61)
        assert (await sweep(world.services))["events"] == 1
        await world.work()
        assert await consume(world.services, event("extract")) == {"batchItemFailures": []}
        assert (await client("POST", "/v1/status", {"event_ids": [EVENT_ID]}))["completedIds"] == [EVENT_ID]


async def test_a_recalled_memory_gains_strength(world: World) -> None:
    await known(world)
    assert await consume(world.services, event("recalled")) == {"batchItemFailures": []}
    async with world.client() as client:
        item = await client("GET", f"/v1/console/memories/{MEMORY_ID}")
    assert (item["recall_count"], item["strength"]) == (1, 1.1)


async def test_each_of_two_equal_recalls_in_a_batch_counts(world: World) -> None:
    await known(world)
    (record,) = event("recalled")["Records"]
    twice = {"Records": [record, {**record, "messageId": "another"}]}
    assert await consume(world.services, twice) == {"batchItemFailures": []}
    async with world.client() as client:
        assert (await client("GET", f"/v1/console/memories/{MEMORY_ID}"))["recall_count"] == 2


async def test_equal_messages_of_a_batch_are_done_once_and_fail_together(world: World) -> None:
    async with world.client() as client:
        await client("POST", "/v1/webhooks", {"url": "https://example.com/hook"}, expect=201)
        await client("POST", "/v1/memories", {"agent_id": "a", "content": "c"})
    (first, *_) = await world.delivery_queue.inner.receive(10, 360)
    (record,) = event("deliver")["Records"]
    copies = {"Records": [{**record, "body": first.body, "messageId": str(number)} for number in range(6)]}
    world.table.down = True
    failed = [{"itemIdentifier": str(number)} for number in range(6)]
    assert await consume(world.services, copies) == {"batchItemFailures": failed}
    world.table.down = False
    assert await consume(world.services, copies) == {"batchItemFailures": []}
    assert len(world.sender.posted) == 1


async def test_the_worker_delivers_a_webhook_once_however_often_it_is_told(world: World) -> None:
    async with world.client() as client:
        await client("POST", "/v1/webhooks", {"url": "https://example.com/hook"}, expect=201)
        await client("POST", "/v1/memories", {"agent_id": "a", "content": "c"})
    (first, *_) = await world.delivery_queue.inner.receive(10, 360)
    given = event("deliver")
    given["Records"][0]["body"] = first.body
    for _ in range(2):
        assert await consume(world.services, given) == {"batchItemFailures": []}
    assert len(world.sender.posted) == 1


async def test_a_sweep_puts_back_what_was_left_for_a_minute(world: World) -> None:
    await known(world, State.PENDING)
    assert set((await sweep(world.services)).values()) == {0}
    world.clock.advance(61)
    assert (await sweep(world.services))["pending"] == 1
    await world.work()
    assert (await world.services.browse.get(TENANT, MEMORY_ID)).ready
    assert event("sweep")["source"] == "aws.events"
