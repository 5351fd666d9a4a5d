"""What Cognipeer's requests cost, in calls to the engines and in rows."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bill import Bill, Till, counted
from commonplace.model.document import Document
from world import World

pytestmark = pytest.mark.anyio

STORES = "/api/client/v1/memory/stores"
STORE = f"{STORES}/mem-k"
MEMORIES = f"{STORE}/memories"
FEW, MANY = 100, 1_500
READS = ("get", "batch_get", "query", "search")


@pytest.fixture
async def till(world: World) -> AsyncIterator[Till]:
    async with counted(world) as till:
        order = {"name": "K", "vectorProviderKey": "p", "embeddingModelKey": "m"}
        await till("POST", STORES, order, expect=201)
        yield till


def batch(count: int, start: int = 0, **parts: object) -> dict[str, Any]:
    return {"memories": [{"content": f"memory {number}", **parts} for number in range(start, start + count)]}


async def filled(till: Till, start: int, end: int, **parts: object) -> None:
    for number in range(start, end, 100):
        await till("POST", f"{MEMORIES}/batch", batch(min(100, end - number), number, **parts), expect=201)


def read(bill: Bill) -> dict[str, tuple[int, int]]:
    """How often each read was made, and of how many things."""
    return {name: (bill.calls[name], bill.things[name]) for name in READS}


@pytest.mark.parametrize("where", ["", "&scope=user", "&scope=user&scopeId=u", "&scope=agent&scopeId=a"])
async def test_a_page_costs_the_same_however_many_memories_there_are(till: Till, where: str) -> None:
    parts = dict(each.split("=") for each in where.split("&") if each)
    page = f"{MEMORIES}?limit=20{where}"
    await filled(till, 0, FEW, **parts)
    before = await till.cost("GET", page)
    await filled(till, FEW, MANY, **parts)
    after = await till.cost("GET", page)
    assert read(after) == read(before)
    assert (await till("GET", page))["total"] == MANY
    assert before.things["batch_get"] <= 3 * 20


async def test_a_page_of_a_user_reads_no_memories_of_others(till: Till) -> None:
    await filled(till, 0, 20, scope="user", scopeId="u")
    page = f"{MEMORIES}?scope=user&scopeId=u&limit=20"
    alone = await till.cost("GET", page)
    await filled(till, 20, MANY, scope="user", scopeId="other")
    assert read(await till.cost("GET", page)) == read(alone)


async def test_a_store_says_how_many_memories_it_has_without_counting_them(till: Till) -> None:
    await filled(till, 0, FEW)
    before = await till.cost("GET", STORE)
    await filled(till, FEW, MANY)
    after = await till.cost("GET", STORE)
    assert read(after) == read(before)
    assert sum(after.things[name] for name in READS) <= 4
    assert (await till("GET", STORE))["store"]["memoryCount"] == MANY


async def test_a_batch_of_a_hundred_is_a_few_calls_to_each_engine(till: Till) -> None:
    await filled(till, 0, 1)
    bill = await till.cost("POST", f"{MEMORIES}/batch", batch(100, 1), expect=201)
    assert bill.calls["embed"] == 1
    assert bill.calls["upsert"] == 1
    assert bill.things["upsert"] == 100
    # The memories and their claims, a hundred writes a transaction at most; then each is marked as ready with its vectors.
    assert bill.calls["transact"] <= 4 + 100
    assert bill.calls["get"] + bill.calls["batch_get"] + bill.calls["query"] <= 10


async def test_a_batch_of_what_is_there_already_embeds_and_indexes_nothing(till: Till) -> None:
    await filled(till, 0, 100)
    bill = await till.cost("POST", f"{MEMORIES}/batch", batch(100), expect=201)
    assert (bill.calls["embed"], bill.calls["upsert"]) == (0, 0)


async def test_a_search_is_one_question_to_the_index_and_one_batch_of_rows(till: Till) -> None:
    await filled(till, 0, MANY)
    bill = await till.cost("POST", f"{STORE}/search", {"query": "memory 7", "topK": 10})
    assert (bill.calls["search"], bill.calls["embed"]) == (1, 1)
    assert bill.calls["batch_get"] <= 2


async def test_no_page_of_a_list_asks_the_index(till: Till) -> None:
    await filled(till, 0, FEW)
    bill = await till.cost("GET", f"{MEMORIES}?search=memory&tags=t")
    assert (bill.calls["search"], bill.calls["embed"]) == (0, 0)
    assert not any(isinstance(thing, Document) for thing in bill.things)
