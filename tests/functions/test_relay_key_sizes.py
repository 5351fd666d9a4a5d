"""The longest names and ids that the API takes fit into the keys of DynamoDB, which SQLite would not mind."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from commonplace.ports.table import INDEXES, Item, Key, Put, Query, Scanned, Slice, Table, Update, Write
from commonplace.wiring import Services
from gateway import Gateway, applications
from relay_routes import WITH_ID, Route, refusal
from world import TEMPLATE, World

pytestmark = pytest.mark.anyio

MOST_PARTITION = 2048
MOST_SORT = 1024
LONG = ["\U0001f98a" * 255, "#" * 255, "%" * 255, "é#%" * 85, "x" * 255]


class MeasuredTable(Table):
    """A table that takes keys of DynamoDB's lengths only."""

    def __init__(self, inner: Table) -> None:
        self._inner = inner

    async def get(self, key: Key) -> Item | None:
        fit(key.partition, key.sort)
        return await self._inner.get(key)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        for key in keys:
            fit(key.partition, key.sort)
        return await self._inner.batch_get(keys)

    async def transact(self, writes: Sequence[Write]) -> None:
        for write in writes:
            fit(write.key.partition, write.key.sort)
            for partition, sort in index_keys(write):
                fit(partition, sort)
        await self._inner.transact(writes)

    async def scan(self, after: str | None, limit: int) -> Scanned:  # noqa: ARG002 - as the port has it
        raise AssertionError("no function may read everything")

    async def query(self, query: Query) -> Slice:
        fit(query.partition, query.low or "", query.high or "")
        return await self._inner.query(query)


def fit(partition: str, *sorts: str) -> None:
    assert len(partition.encode()) <= MOST_PARTITION, partition
    assert all(len(sort.encode()) <= MOST_SORT for sort in sorts), sorts


def index_keys(write: Write) -> Iterator[tuple[str, str]]:
    attributes = write.attributes if isinstance(write, Put) else write.set if isinstance(write, Update) else {}
    for partition, sort in INDEXES.values():
        yield str(attributes.get(partition, "")), str(attributes.get(sort, ""))


@pytest.fixture
def measured(world: World) -> World:
    engines = world.services.engines
    world.services = Services(
        world.services.settings, replace(engines, table=MeasuredTable(engines.table)), world.clock, world.ids
    )
    world.gateway = Gateway(TEMPLATE, applications(TEMPLATE, world.services))
    return world


@pytest.mark.parametrize("name", LONG, ids=["four bytes", "hashes", "percents", "mixed", "plain"])
async def test_the_longest_names_can_be_written_listed_and_found(measured: World, name: str) -> None:
    shared = {"external_id": name, "agent_id": name, "project": name}
    async with measured.client() as client:
        session = (await client("POST", "/v1/sessions/get-or-create", shared))["id"]
        for number, of in enumerate((session, name)):
            scope = {"agent_id": name, "user_id": name, "project": name, "session_id": of}
            body = {**scope, "content": f"{number} is the number", "deduplicate": True}
            named = {"idempotency-key": f"{number}" * 255}
            memory = await client("POST", "/v1/memories", body, headers=named)
            assert (await client("POST", "/v1/memories", body))["id"] == memory["id"]
            listed = await client("GET", "/v1/memories", params={"user_id": name, "session_id": of})
            assert [each["id"] for each in listed["data"]] == [memory["id"]]
            await client("DELETE", f"/v1/memories/{memory['id']}")
        for key in ("agent_id", "project"):
            listed = await client("GET", "/v1/sessions", params={key: name})
            assert [each["id"] for each in listed["data"]] == [session]
        assert (await client("POST", "/v1/sessions/get-or-create", shared))["contributors"] == [name]
        await client("DELETE", f"/v1/sessions/{session}", params={"cascade_memories": "true"})
        measured.clock.advance(1)
        own = await client("POST", "/v1/agents", {"id": name, "name": name[1:]}, expect=201)
        assert (await client("GET", "/v1/agents", params={"limit": "1"}))["data"] == [own]


@pytest.mark.parametrize("route", WITH_ID, ids=str)
async def test_an_id_that_is_longer_than_any_key_is_unknown(measured: World, route: Route) -> None:
    async with measured.client() as client:
        response = await client.http.request(route.method, route.at("x" * 7000), json=route.body)
        assert refusal(response, 404)["message"] == f"{str(route.noun).capitalize()} not found"
