"""What each function is allowed in template.yaml is what it does to the table and the queues, and nothing else."""

import importlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from commonplace.model.webhook import Answer
from commonplace.ports.queue import Message, Queue
from commonplace.ports.table import Check, Delete, Item, Key, Put, Scanned, Slice, Table, Update, Write
from commonplace.ports.table import Query as TableQuery
from commonplace.rows.memory_writes import Entry
from commonplace.wiring import Services
from gateway import Gateway
from golden import FILES, played
from relay_routes import CONTENT, HOOK, ROUTES
from sweeper.app import sweep
from template_document import FUNCTIONS, statements
from world import TEMPLATE, TENANT, Client, World
from world import world as made

pytestmark = pytest.mark.anyio

ACTIONS: Mapping[type[Write], str] = {
    Put: "PutItem",
    Update: "UpdateItem",
    Delete: "DeleteItem",
    Check: "ConditionCheckItem",
}
LONG = "a " * 25_000
"""More passages than one row of vectors holds."""


@dataclass
class Used:
    """What one function did: its actions on the table, the indexes that it asked, the queues that it sent to."""

    actions: set[str] = field(default_factory=set)
    indexes: set[str] = field(default_factory=set)
    queues: set[str] = field(default_factory=set)


class RecordedTable(Table):
    """A table that takes down what it would be asked as DynamoDB."""

    def __init__(self, inner: Table, used: Used) -> None:
        self._inner = inner
        self._used = used

    async def get(self, key: Key) -> Item | None:
        self._used.actions.add("GetItem")
        return await self._inner.get(key)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        if keys:
            self._used.actions.add("BatchGetItem")
        return await self._inner.batch_get(keys)

    async def transact(self, writes: Sequence[Write]) -> None:
        self._used.actions |= {ACTIONS[type(write)] for write in writes}
        await self._inner.transact(writes)

    async def scan(self, after: str | None, limit: int) -> Scanned:  # noqa: ARG002 - as the port has it
        raise AssertionError("no function may read everything")

    async def query(self, query: TableQuery) -> Slice:
        self._used.actions.add("Query")
        if query.index is not None:
            self._used.indexes.add(query.index)
        return await self._inner.query(query)


class RecordedQueue(Queue):
    """A queue that takes down that it was sent to."""

    def __init__(self, inner: Queue, name: str, used: Used) -> None:
        self._inner = inner
        self._name = name
        self._used = used

    async def send(self, messages: Sequence[Message]) -> list[str | None]:
        self._used.queues.add(self._name)
        return await self._inner.send(messages)

    async def redrive(self) -> int:
        raise AssertionError("only the command line puts messages back")


def folder(of: Path, name: str) -> Path:
    """A new folder."""
    new = of / name
    new.mkdir()
    return new


@asynccontextmanager
async def watched(folder: Path, used: Mapping[str, Used]) -> AsyncIterator[World]:
    """A world in which each function has services of its own, as it has in Lambda."""
    async with made(folder) as world:
        plain = world.services

        def services(function: str) -> Services:
            mine, engines = used[function], plain.engines
            recorded = replace(
                engines,
                table=RecordedTable(engines.table, mine),
                embedding_queue=RecordedQueue(engines.embedding_queue, "EmbeddingQueue", mine),
                delivery_queue=RecordedQueue(engines.delivery_queue, "DeliveryQueue", mine),
            )
            return Services(plain.settings, recorded, world.clock, world.ids)

        of_functions = {
            name: importlib.import_module(f"{name}.app").build(services(name)) for name in TEMPLATE.functions
        }
        world.gateway = Gateway(TEMPLATE, of_functions)
        world.services = services("worker")
        yield world
        await sweep(services("sweeper"))


async def everything_once(client: Client) -> None:
    """Each way of writing, twice with the same Idempotency-Key, and once so that it is refused."""
    for route in ROUTES:
        if route.method == "POST" and route.noun is None:
            for _ in range(2):
                headers = {"idempotency-key": f"key of {route}"}
                await client.http.post(route.path, json=route.body, headers=headers)
            await client.http.post(route.path, json={"agent_id": 5}, headers={"idempotency-key": f"bad {route}"})


async def each_list(client: Client) -> None:
    for name in ("agent_id", "user_id", "session_id", "project", "tier"):
        await client("GET", "/v1/memories", params={name: "hot" if name == "tier" else "my-assistant"})
    for name in ("agent_id", "project", "status"):
        await client("GET", "/v1/sessions", params={name: "active" if name == "status" else "my-assistant"})


async def while_parts_are_down(world: World, client: Client) -> None:
    """What the index or an endpoint leaves to the queues."""
    await client("POST", "/v1/webhooks", {"url": HOOK}, expect=201)
    ids = [(await client("POST", "/v1/memories", {**CONTENT, "content": LONG}))["id"] for _ in range(3)]
    session = (await client("POST", "/v1/sessions", {"agent_id": "my-assistant"}, expect=201))["id"]
    batch = {"memories": [{"content": str(number), "session_id": session} for number in range(60)]}
    for _ in range(2):
        await client("POST", "/v1/memories/batch", batch)
    shrunk = (await client("PUT", f"/v1/memories/{ids[0]}", {"content": "short"}))["extraction_status"]
    assert shrunk == "ready"
    world.index.down = True
    await client("POST", "/v1/memories", CONTENT)
    await client("PUT", f"/v1/memories/{ids[1]}", {"content": "short"})
    await client("DELETE", f"/v1/memories/{ids[2]}")
    await client("DELETE", f"/v1/sessions/{session}", params={"cascade_memories": "true"})
    (forget,) = [
        message
        for message in await world.embedding_queue.inner.receive(100, 0)
        if json.loads(message.body)["kind"] == "forget"
    ]
    await world.services.forget.whole_session(TENANT, json.loads(forget.body)["session"])
    world.index.down = False
    world.sender.answers = [Answer(500)]
    world.clock.advance(1)
    await world.work()


async def expired(world: World, client: Client) -> None:
    """A memory whose time is over, for the sweeper."""
    id = (await client("POST", "/v1/memories", CONTENT))["id"]
    row = await world.services.browse.get(TENANT, id)
    later = world.clock.now() + timedelta(minutes=1)
    await world.services.memories.add([Entry(replace(row, id=f"{id[:-2]}ff", passages=1, expires_at=later))])
    await client("POST", "/v1/memories/context", {"query": "x"})
    await client("POST", "/v2/memories", CONTENT, expect=202)
    world.clock.advance(3600)
    world.index.down = True


@pytest.fixture
async def used(tmp_path: Path) -> dict[str, Used]:
    """What each function did while everything was done that it can be asked for."""
    found = {name: Used() for name in FUNCTIONS}
    for file in FILES:
        async with watched(folder(tmp_path, file.stem), found) as world:
            await played(world, file)
            world.clock.advance(3600)
            world.index.down = False
    for number, way in enumerate((while_parts_are_down, expired)):
        async with watched(folder(tmp_path, str(number)), found) as world, world.client() as client:
            await everything_once(client)
            await each_list(client)
            await way(world, client)
    return found


def granted(function: str) -> Used:
    """What template.yaml allows a function."""
    allowed = Used()
    for statement in statements(function):
        for action in statement["Action"]:
            service, _, name = action.partition(":")
            if service == "dynamodb":
                allowed.actions.add(name)
                allowed.indexes |= {each.text.partition("/index/")[2] for each in statement["Resource"]} - {""}
            elif action == "sqs:SendMessage":
                allowed.queues |= {each.name for each in statement["Resource"]}
    return allowed


async def test_each_function_may_do_what_it_does_and_nothing_else(used: dict[str, Used]) -> None:
    assert {name: granted(name) for name in FUNCTIONS} == used


async def test_the_record_sees_also_what_was_refused(tmp_path: Path) -> None:
    found: dict[str, Any] = {name: Used() for name in FUNCTIONS}
    async with watched(folder(tmp_path, "down"), found) as world, world.client() as client:
        world.table.down = True
        assert (await client.http.get("/v1/agents")).status_code == 503
        world.table.down = False
    assert found["account"].actions == {"GetItem"}
