"""The longest names and ids that the API takes fit into the keys of DynamoDB, which SQLite would not mind."""

import pytest

from measured_table import measure
from relay_routes import WITH_ID, Route, refusal
from world import World

pytestmark = pytest.mark.anyio

LONG = ["\U0001f98a" * 255, "#" * 255, "%" * 255, "é#%" * 85, "x" * 255]


@pytest.fixture
def measured(world: World) -> World:
    measure(world)
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
