"""Lists that are longer than what one page of the table reads: nothing of them is left out without a word."""

from typing import Any
from urllib.parse import urlencode

import pytest

from bill import counted
from commonplace.core.browse import MOST_READ
from commonplace.rows.listing import BUDGET
from world import Client, World

pytestmark = pytest.mark.anyio

STORES = "/api/client/v1/memory/stores"
MEMORIES = f"{STORES}/mem-k/memories"
OLD, NEW = 10, BUDGET + 100


def batch(name: str, start: int, count: int, **parts: object) -> dict[str, Any]:
    return {"memories": [{"content": f"{name} {number}", **parts} for number in range(start, start + count)]}


async def stored(client: Client) -> list[str]:
    """Makes a store of a few memories of a user behind very many of nobody; their contents, newest first."""
    await client("POST", STORES, {"name": "K", "vectorProviderKey": "p", "embeddingModelKey": "m"}, expect=201)
    old = batch("old", 0, OLD, scope="user", scopeId="u", tags=["rare"])
    await client("POST", f"{MEMORIES}/batch", old, expect=201)
    for start in range(0, NEW, 100):
        await client("POST", f"{MEMORIES}/batch", batch("new", start, 100, tags=["t"]), expect=201)
    new = [f"new {number}" for number in range(NEW)]
    return [*new[::-1], *(f"old {number}" for number in reversed(range(OLD)))]


async def test_of_a_long_store_all_is_shown_that_is_asked_for(client: Client) -> None:
    contents = await stored(client)
    new, old = contents[:NEW], contents[NEW:]
    every = len(contents)
    asked: list[tuple[dict[str, object], list[str], int]] = [
        ({"limit": 5_000}, contents, every),
        ({"limit": BUDGET + 50, "skip": 55}, contents[55 : BUDGET + 105], every),
        ({"skip": BUDGET + 95, "limit": 10}, contents[BUDGET + 95 : BUDGET + 105], every),
        ({"skip": every}, [], every),
        ({"scope": "user"}, old, OLD),
        ({"scope": "user", "skip": 8, "limit": 1}, old[8:9], OLD),
        ({"scope": "user", "skip": OLD}, [], OLD),
        ({"scope": "user", "limit": 0}, [], OLD),
        ({"scope": "global", "skip": BUDGET - 10}, new[BUDGET - 10 : BUDGET + 40], NEW),
        ({"scope": "global", "skip": BUDGET + 50}, new[BUDGET + 50 :], NEW),
        ({"scope": "global", "limit": 9_999}, new, NEW),
        ({"tags": "rare"}, old[:50], OLD),
        ({"tags": "t", "limit": 7, "skip": BUDGET + 96}, new[BUDGET + 96 :], NEW),
        ({"tags": "t,rare", "limit": 12, "skip": NEW - 5}, contents[NEW - 5 : NEW + 7], every),
        ({"status": "active", "limit": 9_999}, contents, every),
        ({"search": "old", "skip": 3}, old[3:], OLD),
        ({"search": "old", "limit": 0}, [], OLD),
    ]
    for where, shown, total in asked:
        page = await client("GET", f"{MEMORIES}?{urlencode(where)}")
        assert [item["content"] for item in page["items"]] == shown, where
        assert page["total"] == total, where


async def test_a_page_behind_the_end_of_a_store_reads_none_of_it(world: World, client: Client) -> None:
    order = {"name": "K", "vectorProviderKey": "p", "embeddingModelKey": "m"}
    await client("POST", STORES, order, expect=201)
    await client("POST", f"{MEMORIES}/batch", batch("new", 0, 100), expect=201)
    async with counted(world) as till:
        await till("GET", MEMORIES)  # the key is known from here on
        for where in (f"skip={MOST_READ}", "skip=100", "scope=user", "scope=global&skip=100", "limit=0"):
            bill = await till.cost("GET", f"{MEMORIES}?{where}")
            assert till.answer["items"] == []
            assert bill.calls["query"] == 0, where
