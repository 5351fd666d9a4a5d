import pytest

from world import Client, World, memory_body

pytestmark = pytest.mark.anyio


async def test_an_asynchronous_write_is_found_once_the_worker_was_there(world: World, client: Client) -> None:
    accepted = await client("POST", "/v2/memories", memory_body(), expect=202)
    assert accepted["status"] == "pending"
    assert accepted["job_id"]
    search = {"query": "dark mode"}
    assert (await client("POST", "/v1/memories/search", search))["data"] == []

    assert await world.work() == [{"batchItemFailures": []}]

    status = await client("GET", f"/v2/memories/{accepted['id']}/status")
    assert status["status"] == "ready"
    found = await client("POST", "/v1/memories/search", search)
    assert [hit["id"] for hit in found["data"]] == [accepted["id"]]
    memory = await client("GET", f"/v1/memories/{accepted['id']}")
    assert memory["content"] == "The user prefers dark mode"
    listed = await client("GET", "/v1/memories")
    assert listed["total_count"] == 1
    assert listed["data"][0]["id"] == accepted["id"]
    context = await client("POST", "/v2/context/build", {"query": "dark mode", "threshold": 0.1})
    assert "The user prefers dark mode" in context["context"]
    assert (await client("DELETE", f"/v1/memories/{accepted['id']}"))["deleted"] is True
    assert (await client("POST", "/v1/memories/search", search))["data"] == []
    await client("GET", f"/v1/memories/{accepted['id']}", expect=404)
