"""The edge API's requests at the same time: each write is a memory of its own, and no limit of lengths is exceeded."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from commonplace.model.document import Probe
from commonplace.model.filter import Filter
from commonplace.model.space import Space
from steps import documents
from world import OTHER_KEY, TENANT, Client, World

pytestmark = pytest.mark.anyio

MEMORIES, SEARCH = "/edge/v1/memories", "/edge/v1/memories/search"
TOO_MANY = {"error": "too many embedding dimensions for this organization"}
BODY: dict[str, Any] = {
    "organizationId": "org",
    "subjectId": "s",
    "agentId": "a",
    "namespace": "n",
    "content": "The red kettle",
}
LIMIT = 16


async def answers(client: Client, *bodies: dict[str, Any]) -> list[tuple[int, Any]]:
    """The statuses and bodies of creates that are made at once."""
    responses = await asyncio.gather(*(client.http.post(MEMORIES, json={**BODY, **body}) for body in bodies))
    return [(response.status_code, response.json()) for response in responses]


async def listed(client: Client, organization: str = "org") -> list[str]:
    found = (await client("GET", f"{MEMORIES}?organizationId={organization}&limit=100"))["memories"]
    return [memory["id"] for memory in found]


async def near(world: World, length: int) -> list[str]:
    """The memories whose own vectors of a length the index holds."""
    probe = Probe(tenant=TENANT, vector=(1.0, *[0.0] * (length - 1)), text=None, k=100)
    everything = Filter(confidential=True, archived=True)
    arm = (await world.index.inner.search(Space.given(length), probe, everything)).vectors
    return sorted(candidate.memory for candidate in arm.candidates)


@pytest.mark.parametrize("embedding", [None, [1.0, 0.5]], ids=["no vector", "a vector"])
async def test_of_twenty_equal_creates_at_once_each_is_a_memory(
    world: World, client: Client, embedding: list[float] | None
) -> None:
    found = await answers(client, *[{"embedding": embedding}] * 20)
    assert [status for status, _ in found] == [201] * 20
    ids = {body["memory"]["id"] for _, body in found}
    assert len(ids) == 20
    assert set(await listed(client)) == ids
    await world.work()
    assert {memory for memory, _ in await documents(world)} == ids
    assert await near(world, 2) == (sorted(ids) if embedding else [])
    matches = (await client("POST", SEARCH, {"organizationId": "org", "queryEmbedding": [1.0, 0.5], "limit": 100}))[
        "matches"
    ]
    assert {match["memory"]["id"] for match in matches} == (ids if embedding else set())


async def test_of_twenty_new_lengths_at_once_sixteen_are_taken(client: Client) -> None:
    found = await answers(client, *({"embedding": [1.0] * length} for length in range(1, 21)))
    assert Counter(status for status, _ in found) == {201: LIMIT, 422: 4}
    assert [body for status, body in found if status == 422] == [TOO_MANY] * 4
    assert len(await listed(client)) == LIMIT
    good = [length for length, (status, _) in enumerate(found, start=1) if status == 201]
    again = await answers(client, *({"embedding": [1.0] * length} for length in range(1, 21)))
    assert [length for length, (status, _) in enumerate(again, start=1) if status == 201] == good


async def test_the_lengths_of_many_organizations_at_once_are_each_ones_own(client: Client) -> None:
    found = await answers(
        client, *({"organizationId": f"org {number}", "embedding": [1.0] * (number % 4 + 1)} for number in range(20))
    )
    assert [status for status, _ in found] == [201] * 20


async def test_the_lengths_of_a_tenant_at_once_stay_within_its_limit(world: World, client: Client) -> None:
    world.configure(organization_lengths=4, tenant_lengths=6)
    bodies = [{"organizationId": f"org {number % 5}", "embedding": [1.0] * (number + 1)} for number in range(20)]
    found = await answers(client, *bodies)
    assert Counter(status for status, _ in found) == {201: 6, 422: 14}
    assert {body["error"] for status, body in found if status == 422} == {"too many embedding dimensions"}


async def test_the_first_vectors_of_one_new_length_at_once_are_one_length(client: Client) -> None:
    found = await answers(client, *[{"embedding": [1.0] * 5}] * 20)
    assert [status for status, _ in found] == [201] * 20
    more = await answers(client, *({"embedding": [1.0] * length} for length in range(6, 6 + LIMIT)))
    assert Counter(status for status, _ in more) == {201: LIMIT - 1, 422: 1}


async def test_creates_and_deletions_at_once_leave_what_was_not_deleted(world: World, client: Client) -> None:
    first = [body["memory"]["id"] for _, body in await answers(client, *[{"embedding": [1.0, 0.5]}] * 10)]
    deletions = [client.http.delete(f"/v1/memories/{id}") for id in first[:5] * 2]
    found, *deleted = await asyncio.gather(answers(client, *[{"embedding": [0.5, 1.0]}] * 10), *deletions)
    assert [status for status, _ in found] == [201] * 10
    assert Counter(response.status_code for response in deleted) == {200: 5, 404: 5}
    kept = {*first[5:], *(body["memory"]["id"] for _, body in found)}
    await world.work()
    assert set(await listed(client)) == kept
    assert await near(world, 2) == sorted(kept)
    assert {memory for memory, _ in await documents(world)} == kept


@pytest.mark.parametrize("moment", ["while it is embedded", "while it is put into the index"])
async def test_a_memory_that_is_deleted_while_it_is_made_searchable_leaves_nothing(
    world: World, client: Client, moment: str
) -> None:
    ((_, body),) = await answers(client, {"embedding": [1.0, 0.5]})
    id = body["memory"]["id"]

    async def deleted() -> None:
        await client("DELETE", f"/v1/memories/{id}")

    if moment == "while it is embedded":
        world.embedder.meanwhile = deleted
    else:
        world.index.meanwhile = deleted
    await world.work()
    assert await listed(client) == []
    assert await near(world, 2) == []
    assert await documents(world) == {}
    assert (await client("POST", SEARCH, {"organizationId": "org", "queryEmbedding": [1, 0]}))["matches"] == []


@pytest.mark.parametrize("moment", ["while it is embedded", "while it is put into the index"])
async def test_a_memory_that_is_changed_while_it_is_made_searchable_loses_its_vector(
    world: World, client: Client, moment: str
) -> None:
    ((_, body),) = await answers(client, {"embedding": [1.0, 0.5]})
    id = body["memory"]["id"]

    async def changed() -> None:
        await client("PATCH", f"/v1/memories/{id}", {"content": "The blue herring"})

    if moment == "while it is embedded":
        world.embedder.meanwhile = changed
    else:
        world.index.meanwhile = changed
    await world.work()
    assert (await client("GET", f"{MEMORIES}/{id}"))["memory"]["vector_id"] is None
    assert (await client("POST", SEARCH, {"organizationId": "org", "queryEmbedding": [1, 0]}))["matches"] == []
    assert await near(world, 2) == []


async def test_a_search_whose_match_is_deleted_meanwhile_leaves_it_out(world: World, client: Client) -> None:
    found = await answers(client, *[{"embedding": [1.0, 0.5]}] * 8)
    await world.work()
    searches = [client("POST", SEARCH, {"organizationId": "org", "queryEmbedding": [1, 0]}) for _ in range(8)]
    deletions = [client("DELETE", f"/v1/memories/{body['memory']['id']}") for _, body in found]
    results = await asyncio.gather(*(each for pair in zip(searches, deletions, strict=True) for each in pair))
    for matches in (result["matches"] for result in results[::2]):
        assert len({match["memory"]["id"] for match in matches}) == len(matches)
    assert (await client("POST", SEARCH, {"organizationId": "org", "queryEmbedding": [1, 0]}))["matches"] == []


async def test_two_tenants_at_once_have_lengths_and_memories_of_their_own(world: World, client: Client) -> None:
    bodies = [{"embedding": [1.0] * length} for length in range(1, LIMIT + 1)]
    async with world.client(OTHER_KEY) as other:
        mine, theirs = await asyncio.gather(answers(client, *bodies), answers(other, *bodies))
        for each, found in ((client, mine), (other, theirs)):
            assert [status for status, _ in found] == [201] * LIMIT
            assert set(await listed(each)) == {body["memory"]["id"] for _, body in found}
