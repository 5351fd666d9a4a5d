"""How many memories a list and a search answer with: no limit is an error."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from world import Client, World
from world import world as made

pytestmark = pytest.mark.anyio

COUNT = 105
LISTED, FOUND, MOST = 25, 10, 100
DEFAULT = 0
"""Stands for the default, which differs between a list and a search."""

TEXTS: list[tuple[str, int]] = [
    *((text, DEFAULT) for text in ("", " ", "abc", "5x", "x5", "0", "-0", "0.0", "-1", "-1e3", "0.5", "0.999", "1e-3")),
    *((text, DEFAULT) for text in ("Infinity", "-Infinity", "+Infinity", "NaN", "nan", "inf", "infinity", "1e999")),
    *(
        (text, DEFAULT)
        for text in ("1_0", "٣", "１", "1,5", "5,", "1 0", "0x", "0xg", "0b2", "0o8", "-0x2", "+0x2", "--1")
    ),
    *(
        (text, DEFAULT)
        for text in ("true", "false", "null", "[5]", "{}", "5n", "0x2.0", "1e", "e1", ".", "\x00", "\x1f5")
    ),
    *((text, 1) for text in ("1", "1.9", "1.", "+1", "01", "0001", "10e-1", "1.0000000000000001")),
    *(
        (text, 2)
        for text in ("2", "0x2", "0X2", "0b10", "0o2", "2.99", " 2 ", "\t2\n", "\ufeff2", "\u00a02", "\u20282")
    ),
    *((text, 5) for text in ("5", ".5e1", "5e0", "5E+0", "50e-1", "5.5")),
    *((text, 10) for text in ("10", "1e1", "1E1", "0xa", "0XA", "010")),
    *((text, 99) for text in ("99", "99.99", "0x63")),
    *(
        (text, MOST)
        for text in ("100", "101", "500", "1000", "1e2", "1e308", "0xffffffff", "9" * 300, "99999999999999999999")
    ),
]
"""The text of a query parameter, or a text in a body, and how many memories it asks for."""

VALUES: list[tuple[str, int]] = [
    *(
        (value, DEFAULT)
        for value in ("null", "false", "{}", "[]", '{"a":1}', "[null]", "[1,2]", "[true]", "[[]]", '["x"]')
    ),
    *((value, DEFAULT) for value in ("0", "-0", "0.0", "-1", "-1.5", "0.5", "0.999", "1e999", "-1e999", "1e-400")),
    ("true", 1),
    ("1.9", 1),
    ("1", 1),
    ("1e0", 1),
    ("[3]", 3),
    ('["3"]', 3),
    ("[[3]]", 3),
    ("5", 5),
    ("5.0", 5),
    ("1e1", 10),
    ("99.5", 99),
    ("100", MOST),
    ("500", MOST),
    ("1e300", MOST),
    ("1" + "0" * 300, MOST),
]
"""A value in a body, as it is written, and how many memories it asks for."""


@pytest.fixture(scope="module")
async def crowded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[World, Client]]:
    """An organization with more memories than anything shows."""
    async with made(tmp_path_factory.mktemp("limits")) as world, world.client() as client:
        body = {"organizationId": "org", "subjectId": "s", "agentId": "a", "namespace": "n", "embedding": [1, 0.5]}
        for number in range(COUNT):
            await client("POST", "/edge/v1/memories", {**body, "content": str(number)}, expect=201)
        await world.work()
        yield world, client


def newest(count: int) -> list[str]:
    return [str(number) for number in reversed(range(COUNT))][:count]


def contents(memories: list[dict[str, Any]]) -> list[str]:
    return [memory["content"] for memory in memories]


@pytest.mark.parametrize("path", ["/edge/v1/memories", "/v1/memories"])
async def test_a_list_is_as_long_as_its_limit_says_to_ecmascript(crowded: tuple[World, Client], path: str) -> None:
    _, client = crowded
    for text, count in TEXTS:
        listed = await client("GET", f"{path}?organizationId=org&limit={quote(text, safe='')}")
        assert contents(listed["memories"]) == newest(count or LISTED), text
    assert contents((await client("GET", f"{path}?organizationId=org"))["memories"]) == newest(LISTED)
    assert contents((await client("GET", f"{path}?organizationId=org&limit"))["memories"]) == newest(LISTED)
    for repeated, count in (("limit=1&limit=3", 1), ("limit=&limit=3", LISTED), ("limit=x&limit=1", LISTED)):
        listed = await client("GET", f"{path}?organizationId=org&{repeated}")
        assert contents(listed["memories"]) == newest(count), repeated


@pytest.mark.parametrize("vector", ["", ',"queryEmbedding":[1,0.5]'], ids=["recent", "nearest"])
@pytest.mark.parametrize("path", ["/edge/v1/memories/search", "/v1/memories/search"])
async def test_a_search_finds_as_many_as_its_limit_says_to_ecmascript(
    crowded: tuple[World, Client], path: str, vector: str
) -> None:
    _, client = crowded
    written = [(json.dumps(text), count) for text, count in TEXTS]
    for value, count in [*VALUES, *written]:
        body = f'{{"organizationId":"org"{vector},"limit":{value}}}'
        response = await client.http.post(path, content=body.encode())
        assert response.status_code == 200, (value, response.text)
        matches = response.json()["matches"]
        assert len(matches) == (count or FOUND), value
        assert len({match["memory"]["id"] for match in matches}) == len(matches)
        if not vector:
            assert contents([match["memory"] for match in matches]) == newest(count or FOUND)


async def test_without_vectors_a_search_by_one_is_as_long_as_it_should_have_been(
    crowded: tuple[World, Client],
) -> None:
    world, client = crowded
    world.index.down = True
    for value, count in (("null", FOUND), ("3", 3), ("500", MOST)):
        body = f'{{"organizationId":"org","queryEmbedding":[1,0.5],"limit":{value}}}'
        found = (await client.http.post("/edge/v1/memories/search", content=body.encode())).json()
        assert found["mode"] == "d1"
        assert contents([match["memory"] for match in found["matches"]]) == newest(count)
    world.index.down = False
