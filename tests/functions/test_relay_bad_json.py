from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from commonplace.dialects.relay.errors import BODY_LIMIT
from relay_routes import ROUTES, UNKNOWN_ID, WITH_BODY, Route, everything, one_of_each, refusal
from world import Client

pytestmark = pytest.mark.anyio

UNREADABLE = {
    "broken": b'{"content": "x"',
    "no JSON": b"content=x",
    "a comma too many": b'{"content": "x",}',
    "two values": b"{}{}",
    "NaN": b'{"content": "x", "agent_id": "a", "importance": NaN}',
    "Infinity": b'{"importance": Infinity}',
    "-Infinity": b'{"importance": -Infinity}',
    "1e999": b'{"importance": 1e999}',
    "-1e999": b'{"metadata": {"deep": [-1e999]}}',
    "an integer of 5000 digits": b'{"limit": ' + b"9" * 5000 + b"}",
    "a negative integer of 5000 digits": b'{"metadata": {"n": -' + b"9" * 5000 + b"}}",
    "lists 100,000 deep": b"[" * 100_000,
    "lists 100,000 deep and closed": b'{"metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "invalid UTF-8": b'{"content": "\xff\xfe"}',
    "half a character": b'{"content": "\xf0\x9f\xa6"}',
    "an encoded surrogate": b'{"content": "\xed\xa0\x80"}',
    "UTF-16": '{"content": "x"}'.encode("utf-16"),
    "a raw control character": b'{"content": "a\x00b"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
}
NO_OBJECTS = {
    "null": b"null",
    "true": b"true",
    "a number": b"5",
    "a string": b'"content"',
    "a list": b"[]",
    "a list of bodies": b'[{"agent_id": "a", "content": "c"}]',
}


@pytest.fixture
async def ids(client: Client) -> AsyncIterator[dict[str, str]]:
    """Something that a refused request could have changed; and nothing of it has changed at the end."""
    ids = await one_of_each(client)
    before = await everything(client)
    yield ids
    assert await everything(client) == before


async def sent(client: Client, route: Route, ids: dict[str, str], **options: Any) -> Any:
    return await client.http.request(route.method, route.at(ids.get(route.noun or "", UNKNOWN_ID)), **options)


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_body_that_cannot_be_read_is_400_on_every_route_that_takes_one(
    client: Client, ids: dict[str, str], body: bytes
) -> None:
    for route in WITH_BODY:
        refused = refusal(await sent(client, route, ids, content=body), 400)
        assert refused["message"] == "The request body is not valid JSON"


@pytest.mark.parametrize("body", NO_OBJECTS.values(), ids=NO_OBJECTS)
async def test_a_body_that_is_no_object_is_422_on_every_route_that_takes_one(
    client: Client, ids: dict[str, str], body: bytes
) -> None:
    for route in WITH_BODY:
        refused = refusal(await sent(client, route, ids, content=body), 422)
        assert refused["message"] == "body: The request body must be a JSON object"
        assert refused["details"] == [{"field": "body", "message": "The request body must be a JSON object"}]


@pytest.mark.parametrize("body", [b"", b" \r\n\t"], ids=["empty", "white space"])
async def test_an_empty_body_is_an_empty_object(client: Client, ids: dict[str, str], body: bytes) -> None:
    for route in WITH_BODY:
        if set(route.body or {}) & {"content", "query", "url", "action", "memories", "importance", "external_id"}:
            if route.method != "POST" and route.body == {"content": "changed"}:
                continue
            refused = refusal(await sent(client, route, ids, content=body), 422)
            assert {each["message"] for each in refused["details"]} == {"Field required"}


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_body_over_the_limit_is_413_with_and_without_a_length(
    client: Client, ids: dict[str, str], route: Route
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BODY_LIMIT // 65_536):
            yield b" " * 65_536
        yield b"{}"

    if route.method == "DELETE":
        return  # would delete, were it taken; a body there is of no use to anyone
    if route.path == "/v1/health":
        route = replace(route, path="/relay/v1/health")  # with a key the shared path refuses in Memsy's words
    refusal(await sent(client, route, ids, content=b" " * BODY_LIMIT + b"{}"), 413)
    refusal(await sent(client, route, ids, content=pieces()), 413)


async def test_a_body_at_the_limit_is_read(client: Client) -> None:
    padding = b" " * (BODY_LIMIT - len(b'{"query":"x"}'))
    response = await client.http.post("/v1/memories/search", content=b'{"query":"x"}' + padding)
    assert response.status_code == 200


@pytest.mark.parametrize("length", ["-1", "banana", "1e3", "²", "9" * 5000, " "])
async def test_a_length_that_is_no_number_is_no_server_error(client: Client, length: str) -> None:
    headers = {b"content-length": length.encode("latin-1")}
    response = await client.http.post("/v1/memories/search", content=b'{"query":"x"}', headers=headers)
    assert response.status_code in (200, 400, 413)


async def test_every_problem_of_a_body_is_named(client: Client) -> None:
    body = {"content": " ", "importance": 2, "tier": "lukewarm", "metadata": []}
    refused = refusal(await client.http.post("/v1/memories", json=body), 422)
    assert {each["field"] for each in refused["details"]} == {"content", "importance", "tier", "metadata", "agent_id"}
    assert refused["message"] == f"{refused['details'][0]['field']}: {refused['details'][0]['message']}"


async def test_the_text_of_a_blank_content_is_that_of_the_contract(client: Client) -> None:
    refused = refusal(await client.http.post("/v1/memories", json={"agent_id": "a", "content": "\n\t "}), 422)
    assert refused["message"] == "content: Content cannot be empty or whitespace"
    assert refused["details"] == [{"field": "content", "message": "Content cannot be empty or whitespace"}]
