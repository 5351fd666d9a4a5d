"""What the edge API's requests cost, in calls to the engines and in rows: counted, not timed."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bill import Till, counted
from commonplace.dialects.edge.requests import creation
from commonplace.model.errors import CommonplaceError
from commonplace.rows.listing import SLICE
from world import TENANT, World

pytestmark = pytest.mark.anyio

MEMORIES, SEARCH = "/edge/v1/memories", "/edge/v1/memories/search"
AT_ONCE = 100
FEW, MANY = 20, 2_000
PAGE = 10
VECTOR = [1.0, 0.5, 0.25]


@pytest.fixture
async def till(world: World) -> AsyncIterator[Till]:
    async with counted(world) as till:
        await till("GET", f"{MEMORIES}?organizationId=nobody")  # the key is known from here on
        yield till


def body(number: int = 0, organization: str = "org", **fields: object) -> dict[str, Any]:
    names = {"organizationId": organization, "subjectId": f"s{number % 3}", "agentId": "a", "namespace": "n"}
    return {**names, "content": f"memory number {number}", "embedding": [1.0, number / MANY, 0.5], **fields}


async def filled(world: World, organization: str, count: int, **fields: object) -> None:
    """Gives an organization so many memories, as the function would write them, and makes them searchable."""
    most = world.services.settings.max_dimensions
    for start in range(0, count, AT_ONCE):
        raw = [json.dumps(body(start + n, organization, **fields)).encode() for n in range(min(AT_ONCE, count - start))]
        written = await world.services.remember.now(TENANT, [creation(each, most).draft for each in raw])
        assert not [each for each in written.outcomes if isinstance(each, CommonplaceError)]


LISTS = [
    ("GET", f"{MEMORIES}?organizationId=org&limit={PAGE}", None),
    ("GET", f"{MEMORIES}?organizationId=org&namespace=n&limit={PAGE}", None),
    ("POST", SEARCH, {"organizationId": "org", "limit": PAGE}),
    ("POST", SEARCH, {"organizationId": "org", "namespace": "n", "limit": PAGE}),
]


@pytest.mark.parametrize(("method", "path", "query"), LISTS)
async def test_a_page_costs_the_same_however_many_there_are(
    world: World, till: Till, method: str, path: str, query: object
) -> None:
    await filled(world, "org", FEW)
    await till(method, path, query)  # the secret that signs cursors is made and known from here on
    first = await till.cost(method, path, query)
    assert len(next(value for value in till.answer.values() if isinstance(value, list))) == PAGE
    await filled(world, "others", MANY)
    await filled(world, "others", MANY, namespace="m")
    among_others = await till.cost(method, path, query)
    await filled(world, "org", MANY)
    of_many = await till.cost(method, path, query)
    assert first.calls == among_others.calls == of_many.calls
    assert first.calls == {"query": 2, "batch_get": 1}
    for bill in (first, among_others, of_many):
        assert bill.things["query"] <= SLICE + PAGE
        assert bill.things["batch_get"] == PAGE


async def test_a_page_of_a_namespace_reads_no_others(world: World, till: Till) -> None:
    path = f"{MEMORIES}?organizationId=org&namespace=wanted&limit={PAGE}"
    await filled(world, "org", PAGE, namespace="wanted")
    alone = await till.cost("GET", path)
    await filled(world, "org", MANY, namespace="other")
    await filled(world, "others", MANY, namespace="wanted")
    among_others = await till.cost("GET", path)
    assert len(till.answer["memories"]) == PAGE
    assert (among_others.calls, among_others.things) == (alone.calls, alone.things)


@pytest.mark.parametrize("where", [{}, {"namespace": "n"}])
async def test_a_search_by_vector_is_one_question_to_the_index_and_one_batch_of_rows(
    world: World, till: Till, where: dict[str, str]
) -> None:
    query = {"organizationId": "org", "queryEmbedding": VECTOR, "limit": PAGE, **where}
    await filled(world, "org", FEW)
    first = await till.cost("POST", SEARCH, query)
    await filled(world, "others", MANY)
    await filled(world, "org", MANY)
    for bill in (first, await till.cost("POST", SEARCH, query)):
        assert len(till.answer["matches"]) == PAGE
        assert bill.calls == {"search": 1, "batch_get": 1}
        assert bill.things["search"] <= 2 * PAGE
        assert bill.things["batch_get"] <= 2 * PAGE


async def test_the_largest_search_is_still_one_batch(world: World, till: Till) -> None:
    await filled(world, "org", MANY)
    bill = await till.cost("POST", SEARCH, {"organizationId": "org", "queryEmbedding": VECTOR, "limit": 500})
    assert len(till.answer["matches"]) == 100
    assert bill.calls == {"search": 1, "batch_get": 1}
    assert bill.things["batch_get"] <= 200


async def test_a_search_by_a_length_that_nobody_brought_reads_no_rows(world: World, till: Till) -> None:
    await filled(world, "org", FEW)
    bill = await till.cost("POST", SEARCH, {"organizationId": "org", "queryEmbedding": [1.0]})
    assert till.answer["matches"] == []
    assert bill.calls["search"] == 1
    assert bill.things["batch_get"] == 0
    assert set(bill.calls) <= {"search", "batch_get"}


@pytest.mark.parametrize("path", [MEMORIES, "/v1/memories"])
async def test_a_create_is_a_few_calls_however_many_there_are(world: World, till: Till, path: str) -> None:
    await till("POST", path, body(), expect=201)
    first = await till.cost("POST", path, body(1), expect=201)
    await filled(world, "org", MANY)
    await filled(world, "others", MANY)
    later = await till.cost("POST", path, body(2), expect=201)
    assert (first.calls, first.things) == (later.calls, later.things)
    assert first.calls["transact"] == 1
    assert first.calls["send"] == first.things["send"] == 1
    assert first.calls.keys().isdisjoint({"search", "upsert", "delete", "embed"})
    assert sum(first.calls.values()) <= 6, first.calls


async def test_a_create_with_a_new_length_writes_it_down_once(till: Till) -> None:
    new = await till.cost("POST", MEMORIES, body(), expect=201)
    known = await till.cost("POST", MEMORIES, body(1), expect=201)
    assert new.calls["transact"] >= known.calls["transact"] == 1
    without = await till.cost("POST", MEMORIES, body(2, embedding=None), expect=201)
    assert without.calls == known.calls
    assert without.things["transact"] <= known.things["transact"]


async def test_a_body_that_is_refused_costs_nothing(till: Till) -> None:
    refusals = [({}, 422), (body(content=""), 422), (body(embedding=[]), 422), (body(metadata=[]), 422)]
    for content, status in refusals:
        assert (await till.cost("POST", MEMORIES, content, expect=status)).calls == {}
    for query in ({}, {"organizationId": "org", "queryEmbedding": "x"}):
        assert (await till.cost("POST", SEARCH, query, expect=422)).calls == {}
    assert (await till.cost("GET", MEMORIES, expect=422)).calls == {}
    assert (await till.cost("GET", f"{MEMORIES}/x/y", expect=404)).calls == {}


async def test_names_that_no_memory_can_have_cost_nothing(till: Till) -> None:
    name = "x" * 257
    assert (await till.cost("GET", f"{MEMORIES}?organizationId={name}")).calls == {}
    assert (await till.cost("POST", SEARCH, {"organizationId": name, "queryEmbedding": VECTOR})).calls == {}


async def test_a_get_reads_one_row_and_one_more_where_it_tells_whose_it_is(till: Till) -> None:
    id = (await till("POST", MEMORIES, body(), expect=201))["memory"]["id"]
    assert (await till.cost("GET", f"{MEMORIES}/{id}")).calls == {"get": 1}
    assert (await till.cost("GET", f"/v1/memories/{id}?organizationId=org")).calls == {"get": 1}
    assert (await till.cost("GET", f"/v1/memories/{id}")).calls == {"get": 2}
    assert (await till.cost("GET", f"{MEMORIES}/unknown", expect=404)).calls == {"get": 1}


async def test_health_asks_no_engine(till: Till) -> None:
    assert (await till.cost("GET", "/edge/health")).calls == {}
