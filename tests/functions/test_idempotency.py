import asyncio
import json

import pytest

from world import OTHER_KEY, Client, World, memory_body

pytestmark = pytest.mark.anyio

NAMED = {"idempotency-key": "order-4711"}


async def test_a_repeated_write_has_one_effect_and_the_same_answer(client: Client) -> None:
    first = await client("POST", "/v1/memories", memory_body(), headers=NAMED)
    assert await client("POST", "/v1/memories", memory_body(), headers=NAMED) == first
    third = await client.http.post("/v1/memories", content=json.dumps(memory_body()), headers=NAMED)
    assert third.json() == first
    assert third.headers["idempotent-replayed"] == "true"
    assert (await client("GET", "/v1/memories"))["total_count"] == 1


async def test_the_status_is_repeated_too(client: Client) -> None:
    first = await client("POST", "/v2/memories", memory_body(), headers=NAMED, expect=202)
    assert await client("POST", "/v2/memories", memory_body(), headers=NAMED, expect=202) == first


async def test_another_request_under_the_same_key_is_refused_and_writes_nothing(client: Client) -> None:
    await client("POST", "/v1/memories", memory_body(), headers=NAMED)
    refused = await client("POST", "/v1/memories", memory_body("Something else"), headers=NAMED, expect=422)
    assert refused["details"] == [{"field": "Idempotency-Key", "message": "Was used for another request"}]
    assert (await client("GET", "/v1/memories"))["total_count"] == 1


async def test_a_key_is_the_tenants_own(world: World, client: Client) -> None:
    first = await client("POST", "/v1/memories", memory_body(), headers=NAMED)
    async with world.client(OTHER_KEY) as other:
        assert (await other("POST", "/v1/memories", memory_body(), headers=NAMED))["id"] != first["id"]


async def test_a_key_is_forgotten_after_a_day(world: World, client: Client) -> None:
    first = await client("POST", "/v1/memories", memory_body(), headers=NAMED)
    world.clock.advance(24 * 3600)
    assert (await client("POST", "/v1/memories", memory_body(), headers=NAMED))["id"] != first["id"]


async def test_a_refused_request_can_be_mended_under_its_key(client: Client) -> None:
    await client("POST", "/v1/memories", memory_body(" "), headers=NAMED, expect=422)
    await client("POST", "/v1/memories", memory_body("mended"), headers=NAMED)


async def test_a_key_that_is_too_long_is_refused(client: Client) -> None:
    await client("POST", "/v1/memories", memory_body(), headers={"idempotency-key": "k" * 256}, expect=422)


async def test_of_requests_at_the_same_time_one_is_done_and_the_others_wait_or_get_its_answer(client: Client) -> None:
    answers = await asyncio.gather(
        *(client.http.post("/v1/memories", json=memory_body(), headers=NAMED) for _ in range(10))
    )
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 200}) == 1
    assert (await client("GET", "/v1/memories"))["total_count"] == 1


@pytest.mark.parametrize(
    ("path", "body", "status", "shown"),
    [
        ("/v1/keys", {"name": "ci", "scopes": ["read"]}, 201, "key"),
        ("/api/keys", {"name": "ci"}, 200, "raw_key"),
        ("/memsy/api/keys", {"name": "ci"}, 200, "raw_key"),
    ],
)
async def test_a_new_api_key_is_shown_once_and_kept_nowhere(
    world: World, client: Client, path: str, body: object, status: int, shown: str
) -> None:
    first, second = [await client("POST", path, body, headers=NAMED, expect=status) for _ in range(2)]
    assert first[shown] != second[shown]
    for answer in (first, second):
        async with world.client(answer[shown]) as holder:
            await holder("GET", "/api/me")
    kept = (await world.table.scan(None, 10_000)).items
    assert {str(item.attributes["noun"]) for item in kept if "noun" in item.attributes} >= {"api-key"}
    assert not [item.key for item in kept if first[shown] in f"{item}" or second[shown] in f"{item}"]


async def test_no_answer_that_is_kept_tells_the_secret_of_a_webhook(world: World, client: Client) -> None:
    body = {"url": "https://example.com/hook", "event_types": ["memory.created"], "secret": "s" * 32}
    first = await client("POST", "/v1/webhooks", body, headers=NAMED, expect=201)
    assert await client("POST", "/v1/webhooks", body, headers=NAMED, expect=201) == first
    kept = (await world.table.scan(None, 10_000)).items
    answers = [item for item in kept if item.attributes.get("noun") == "request"]
    assert answers
    assert "s" * 32 not in f"{answers}"


async def test_searches_are_never_repeated_from_memory(client: Client) -> None:
    search = {"query": "dark mode"}
    assert (await client("POST", "/v1/memories/search", search, headers=NAMED))["total"] == 0
    await client("POST", "/v1/memories", memory_body())
    assert (await client("POST", "/v1/memories/search", search, headers=NAMED))["total"] == 1
