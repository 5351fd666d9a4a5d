"""Cognipeer's requests at the same time: what is written once is there once, and what is counted is exact."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from commonplace.model.filter import Filter
from commonplace.rows import keys
from steps import documents
from world import TENANT, Client, World

pytestmark = pytest.mark.anyio

STORES = "/api/client/v1/memory/stores"
ORDER = {"name": "K", "vectorProviderKey": "p", "embeddingModelKey": "m"}
STORE = f"{STORES}/mem-k"
MEMORIES = f"{STORE}/memories"


async def store(client: Client, **config: Any) -> str:
    """The id of a new store."""
    made = await client("POST", STORES, {**ORDER, "config": config}, expect=201)
    return str(made["store"]["_id"])


async def counted(client: Client) -> int:
    """How many memories a store says that it has, which is what a list of them shows."""
    count = (await client("GET", STORE))["store"]["memoryCount"]
    page = await client("GET", f"{MEMORIES}?limit=1000")
    assert page["total"] == len(page["items"]) == count
    return int(count)


async def left(world: World, id: str) -> list[str]:
    """The contents of all rows of a store, be it there or not."""
    filter = Filter(store=id, confidential=True, archived=True)
    listed = await world.services.memories.page(TENANT, filter, limit=1000)
    return [memory.content for memory in listed.items]


async def statuses(client: Client, *requests: tuple[str, str, object]) -> Counter[int]:
    """The statuses of requests that are made at once."""
    responses = await asyncio.gather(*(client.http.request(method, path, json=body) for method, path, body in requests))
    return Counter(response.status_code for response in responses)


@pytest.mark.parametrize("where", [{}, {"scope": "user", "scopeId": "u"}, {"scope": "agent", "scopeId": "new"}])
async def test_of_twenty_equal_adds_at_once_one_is_stored(world: World, client: Client, where: dict[str, str]) -> None:
    await store(client)
    add = {"content": "The red kettle", **where}
    answers = await asyncio.gather(*(client("POST", MEMORIES, add, expect=201) for _ in range(20)))
    (id,) = {answer["memory"]["_id"] for answer in answers}
    assert await counted(client) == 1
    assert set(await documents_of_all(world)) == {id}
    assert (await client("GET", f"{MEMORIES}/{id}"))["accessCount"] == 19


async def documents_of_all(world: World) -> set[str]:
    """The memories that the index holds, of whatever store."""
    return {memory for memory, _ in await documents(world)}


async def test_of_equal_batches_at_once_each_memory_is_stored_once(client: Client) -> None:
    await store(client)
    batch = {"memories": [{"content": f"memory {n % 30}"} for n in range(60)]}
    answers = await asyncio.gather(
        *(client("POST", f"{MEMORIES}/batch", batch, expect=201) for _ in range(4)),
        client("POST", MEMORIES, {"content": "memory 7"}, expect=201),
    )
    added = sum(answer.get("added", 0) for answer in answers)
    assert all(answer["added"] + answer["duplicates"] == 60 for answer in answers[:4])
    assert added in (29, 30)  # the one that came alone may have been the first
    assert await counted(client) == 30


async def test_of_equal_stores_made_at_once_one_is_there(client: Client) -> None:
    assert await statuses(client, *[("POST", STORES, ORDER)] * 20) == {201: 1, 409: 19}
    keys = [each["key"] for each in (await client("GET", STORES))["stores"]]
    assert sorted(keys) == ["default", "mem-k"]


async def test_counts_are_exact_after_adds_and_deletes_at_once(world: World, client: Client) -> None:
    await store(client)
    scopes = [{"scope": "user", "scopeId": f"u{n % 3}"} for n in range(40)]
    adds = [{"content": f"memory {n}", **where} for n, where in enumerate(scopes)]
    first = [(await client("POST", MEMORIES, add, expect=201))["memory"]["_id"] for add in adds[:20]]
    doomed = [("DELETE", f"{MEMORIES}/{id}", None) for id in first[:10]]
    found = await statuses(client, *(("POST", MEMORIES, add) for add in adds[20:]), *doomed, *doomed)
    assert found == {201: 20, 200: 10, 404: 10}
    assert await counted(client) == 30
    kept = [where["scopeId"] for where in scopes[10:]]
    for user, count in Counter(kept).items():
        assert (await client("GET", f"{MEMORIES}?scope=user&scopeId={user}&limit=0"))["total"] == count
    assert (await client("GET", f"{MEMORIES}?scope=user&limit=0"))["total"] == 30
    assert len(await documents_of_all(world)) == 30


async def test_a_bulk_deletion_amid_adds_and_deletes_leaves_an_exact_count(client: Client) -> None:
    await store(client)
    batch = {"memories": [{"content": f"memory {n}", "tags": ["old"]} for n in range(60)]}
    await client("POST", f"{MEMORIES}/batch", batch, expect=201)
    items = (await client("GET", f"{MEMORIES}?limit=10"))["items"]
    found = await statuses(
        client,
        *(("POST", MEMORIES, {"content": f"new {n}"}) for n in range(10)),
        *(("DELETE", f"{MEMORIES}/{item['_id']}", None) for item in items),
        *[("DELETE", f"{MEMORIES}?tags=old", None)] * 3,
    )
    assert set(found) <= {200, 201, 404}
    assert await counted(client) == 10


async def test_accesses_at_once_are_all_counted(client: Client) -> None:
    await store(client)
    id = (await client("POST", MEMORIES, {"content": "The red kettle"}, expect=201))["memory"]["_id"]
    search = ("POST", f"{STORE}/search", {"query": "kettle"})
    await statuses(client, *[search] * 10, *[("GET", f"{MEMORIES}/{id}", None)] * 10)
    assert (await client("GET", f"{MEMORIES}/{id}"))["accessCount"] == 20


async def test_changes_of_one_memory_at_once_all_happen(client: Client) -> None:
    await store(client)
    id = (await client("POST", MEMORIES, {"content": "The red kettle"}, expect=201))["memory"]["_id"]
    changes = [("PATCH", f"{MEMORIES}/{id}", {"metadata": {f"k{n}": n}}) for n in range(12)]
    assert await statuses(client, *changes) == {200: 12}
    assert (await client("GET", f"{MEMORIES}/{id}"))["metadata"] == {f"k{n}": n for n in range(12)}


async def test_a_quota_is_never_exceeded_at_once(client: Client) -> None:
    await store(client, maxMemories=5)
    adds = [("POST", MEMORIES, {"content": f"memory {n}"}) for n in range(20)]
    assert await statuses(client, *adds) == {201: 5, 429: 15}
    assert await counted(client) == 5


async def test_a_quota_is_never_exceeded_one_after_the_other(client: Client) -> None:
    await store(client, maxMemories=5)
    for n in range(9):
        response = await client.http.post(MEMORIES, json={"content": f"memory {n}"})
        assert response.status_code == (201 if n < 5 else 429), response.text
    assert response.json() == {"error": "memories limit reached (5/5)"}
    assert (await client("POST", MEMORIES, {"content": "memory 0"}, expect=201))["memory"]["accessCount"] == 0
    await client("POST", f"{MEMORIES}/batch", {"memories": [{"content": "one more"}]}, expect=429)
    id = (await client("GET", f"{MEMORIES}?limit=1"))["items"][0]["_id"]
    await client("DELETE", f"{MEMORIES}/{id}")
    two = {"memories": [{"content": "new 1"}, {"content": "new 2"}]}
    await client("POST", f"{MEMORIES}/batch", two, expect=429)
    assert await counted(client) == 4
    await client("POST", MEMORIES, {"content": "new 1"}, expect=201)
    assert await counted(client) == 5


async def emptied(world: World) -> None:
    """What the worker and, a while later, the sweeper do about a deleted store."""
    await world.work()
    for _ in range(4):
        world.clock.advance(121)
        await world.services.sweep(timedelta(minutes=1))
        await world.work()


async def test_adds_to_a_store_that_is_deleted_meanwhile_leave_nothing(world: World, client: Client) -> None:
    id = await store(client)
    found = await statuses(
        client,
        *(("POST", MEMORIES, {"content": f"memory {n}"}) for n in range(20)),
        ("DELETE", STORE, None),
        ("POST", f"{MEMORIES}/batch", {"memories": [{"content": f"more {n}"} for n in range(20)]}),
    )
    assert set(found) <= {200, 201, 404}
    await emptied(world)
    assert await left(world, id) == []
    assert await documents_of_all(world) == set()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MEMORIES, {"content": "The red kettle"}),
        (f"{MEMORIES}/batch", {"memories": [{"content": "The red kettle"}, {"content": "The blue herring"}]}),
    ],
    ids=["add", "batch"],
)
async def test_an_add_that_comes_after_its_store_was_deleted_and_emptied_is_refused(
    world: World, client: Client, path: str, body: object
) -> None:
    id = await store(client)

    async def deleted() -> None:
        await client("DELETE", STORE)
        await world.work()

    world.table.meanwhile = deleted  # the store was read, the memory is not written yet
    assert await client("POST", path, body, expect=404) == {"error": "Memory store not found."}
    await emptied(world)
    assert await left(world, id) == []
    assert await documents_of_all(world) == set()


async def test_an_add_to_a_deleted_store_does_not_reach_the_one_that_has_its_key_now(
    world: World, client: Client
) -> None:
    old = await store(client)

    async def made_anew() -> None:
        await client("DELETE", STORE)
        await world.work()
        assert await store(client) != old

    world.table.meanwhile = made_anew
    await client("POST", MEMORIES, {"content": "The red kettle"}, expect=404)
    await emptied(world)
    assert await left(world, old) == []
    assert await counted(client) == 0
    assert (await client("POST", f"{STORE}/search", {"query": "kettle"}))["memories"] == []


async def test_a_memory_that_the_list_shows_late_does_not_outlive_its_store(world: World, client: Client) -> None:
    """A list may lag behind the table: the worker may not see what was written just before the store was deleted."""
    id = await store(client)
    late = (await client("POST", MEMORIES, {"content": "The red kettle"}, expect=201))["memory"]["_id"]
    world.table.late = [keys.memory(TENANT, late)]
    await client("DELETE", STORE)
    await world.work()  # the list is still empty
    assert (await client("GET", f"/v1/memories/{late}"))["content"] == "The red kettle"
    world.table.late = ()
    await emptied(world)
    assert await left(world, id) == []
    assert (await world.services.sweep(timedelta(0))).stores == 0
