"""What requests use: counted, told in headers, and refused where it is too much."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from commonplace.core.admit import KeyOrder
from commonplace.dialects.memsy.errors import Memsy
from commonplace.http.endpoint import Call, Operation, Reply, Spoken, application
from commonplace.model.apikey import Permission
from commonplace.model.errors import NotFound, Unavailable
from commonplace.model.usage import Dimension
from world import KEY, OTHER_KEY, TENANT, Client, World

pytestmark = pytest.mark.anyio

CALLS, EVENTS, STORED, TOKENS, SEARCHES = Dimension
EVENT = {"actor_id": "ada", "session_id": "s", "kind": "user_message"}
TOLD = {
    CALLS: "x-usage-apicalls",
    EVENTS: "x-usage-eventsingested",
    STORED: "x-usage-memoriesstored",
    TOKENS: "x-usage-llmtokens",
    SEARCHES: "x-usage-searchqueries",
}
LIMITED = "mem_test_limited000000000000000000"


def events(count: int, word: str = "number") -> dict[str, Any]:
    """The body that tells so many events."""
    return {"events": [{**EVENT, "content": f"I prefer {word} {number}"} for number in range(count)]}


def used(response: httpx.Response) -> dict[Dimension, int]:
    """What the headers of an answer say, without what was not used."""
    found = {dimension: int(response.headers[name]) for dimension, name in TOLD.items()}
    return {dimension: amount for dimension, amount in found.items() if amount}


def unmetered(response: httpx.Response) -> bool:
    return not any(name.startswith(("x-usage", "x-ratelimit", "x-plan")) for name in response.headers)


async def month(world: World, organization: str = TENANT) -> Mapping[Dimension, int]:
    """What was counted for an organization."""
    return (await world.services.tally.month(TENANT, organization, world.clock.now(), {})).used


def quotas(world: World, **limits: int) -> None:
    """Starts the services anew with these limits."""
    world.configure(quotas=tuple((Dimension(name), limit) for name, limit in limits.items()))


async def asked(client: Client, method: str, path: str, body: object = None, **options: Any) -> httpx.Response:
    return await client.http.request(method, path, json=body, **options)


async def test_every_call_counts_and_what_it_does_too(world: World, client: Client) -> None:
    steps: list[tuple[str, str, object, dict[Dimension, int]]] = [
        ("GET", "/api/me", None, {CALLS: 1}),
        ("POST", "/v1/ingest", events(3), {CALLS: 2, EVENTS: 3}),
        ("POST", "/v1/search", {"query": "q"}, {CALLS: 3, EVENTS: 3, SEARCHES: 1}),
        ("POST", "/memsy/v1/search", {"query": "q"}, {CALLS: 4, EVENTS: 3, SEARCHES: 2}),
        ("GET", "/v1/actors", None, {CALLS: 5, EVENTS: 3, SEARCHES: 2}),
        ("GET", "/v1/roles", None, {CALLS: 6, EVENTS: 3, SEARCHES: 2}),
    ]
    for method, path, body, expected in steps:
        response = await asked(client, method, path, body)
        assert response.status_code == 200, response.text
        assert used(response) == expected == await month(world), path
    await world.work()
    assert used(await asked(client, "GET", "/api/health")) == {CALLS: 7, EVENTS: 3, STORED: 3, SEARCHES: 2}


async def test_an_event_that_is_told_again_counts_once(world: World, client: Client) -> None:
    for _ in range(2):
        await client("POST", "/v1/ingest", events(2))
    both = {"events": [*events(1)["events"], *events(1, "colour")["events"] * 2]}
    await client("POST", "/v1/ingest", both)
    assert await month(world) == {CALLS: 3, EVENTS: 3}


async def test_twenty_calls_at_once_are_counted_exactly(world: World, client: Client) -> None:
    several = [asked(client, "POST", "/v1/ingest", events(5, f"colour {number} of")) for number in range(20)]
    answers = await asyncio.gather(*several, *(asked(client, "POST", "/v1/search", {"query": "q"}) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert await month(world) == {CALLS: 40, EVENTS: 100, SEARCHES: 20}
    key = (await client("GET", "/api/keys"))["keys"][-1]["key_id"]
    (day,) = (await client("GET", f"/api/keys/{key}/usage"))["usage"]
    assert day["api_calls"] == 42


async def test_use_is_of_the_organization_of_the_key_and_of_the_key(world: World, client: Client) -> None:
    await world.accept(LIMITED, TENANT, organizations=["org_a"])
    limited = {"authorization": f"Bearer {LIMITED}"}
    assert used(await asked(client, "GET", "/api/me", headers=limited)) == {CALLS: 1}
    assert used(await asked(client, "GET", "/api/me")) == {CALLS: 1}
    assert used(await asked(client, "GET", "/api/me", headers={"authorization": f"Bearer {OTHER_KEY}"})) == {CALLS: 1}
    assert used(await asked(client, "GET", "/api/me", headers=limited)) == {CALLS: 2}
    assert (await month(world), await month(world, "org_a")) == ({CALLS: 1}, {CALLS: 2})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/ingest", {"events": [{}]}, 422),
        ("POST", "/v1/search", {}, 422),
        ("GET", "/v1/actors/nobody", None, 404),
        ("GET", "/v1/actors?org_id=other", None, 403),
        ("DELETE", "/v1/clear/x", None, 501),
        ("POST", "/api/connectors/slack/connect", None, 403),
        ("DELETE", "/api/keys/unknown", None, 404),
    ],
)
async def test_a_refusal_counts_as_a_call_and_has_the_headers_as_well(
    client: Client, method: str, path: str, body: object, status: int
) -> None:
    response = await asked(client, method, path, body)
    assert response.status_code == status, response.text
    searched = {SEARCHES: 1} if path == "/v1/search" else {}
    assert used(response) == {CALLS: 1, **searched}
    assert response.headers["x-plan"] == "pro"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/orgs", 403),
        ("POST", "/v1/roles", 403),
        ("GET", "/api/keys", 403),
        ("GET", "/api/nothing", 404),
        ("PUT", "/memsy/v1/actors", 405),
    ],
)
async def test_what_is_refused_before_it_is_a_call_has_the_headers_and_is_not_counted(
    world: World, client: Client, method: str, path: str, status: int
) -> None:
    order = KeyOrder(tenant=TENANT, environment="test", permissions=(Permission.WRITE,))
    await world.services.admit.accept(LIMITED, order)
    response = await asked(client, method, path, headers={"authorization": f"Bearer {LIMITED}"})
    assert response.status_code == status, response.text
    assert (response.headers["x-plan"], response.headers["x-usage-apicalls"]) == ("pro", "0")
    assert await month(world) == {}


async def test_without_a_good_key_nothing_is_told_and_nothing_is_counted(world: World, client: Client) -> None:
    for headers in ({"authorization": "Bearer nonsense"}, {"authorization": ""}):
        for method, path in (("GET", "/api/me"), ("POST", "/v1/ingest"), ("GET", "/v1/health")):
            response = await asked(client, method, path, headers=headers)
            assert response.status_code == 401
            assert unmetered(response)
    assert await month(world) == {}


async def test_other_apis_are_neither_metered_nor_told(world: World, client: Client) -> None:
    quotas(world, api_calls=0)
    for path in ("/v1/memories?agent_id=a", "/edge/v1/memories?organizationId=o", "/api/client/v1/memory/stores"):
        response = await client.http.get(path)
        assert response.status_code == 200, response.text
        assert unmetered(response)
    assert await month(world) == {}


async def test_a_deletion_has_headers_and_no_body(client: Client) -> None:
    key = (await client("POST", "/api/keys", {"name": "ci", "scopes": ["read"]}))["key_id"]
    response = await client.http.delete(f"/api/keys/{key}")
    assert (response.status_code, response.content) == (204, b"")
    assert used(response) == {CALLS: 2}
    assert "content-type" not in response.headers


async def test_without_limits_no_header_tells_one(client: Client) -> None:
    headers = (await asked(client, "GET", "/api/me")).headers
    assert headers["x-plan"] == "pro"
    assert not [name for name in headers if name.endswith("-limit") or name.startswith("x-ratelimit")]


async def test_limits_are_told_of_what_has_one_and_the_rate_limit_is_that_of_calls(
    world: World, client: Client
) -> None:
    quotas(world, api_calls=2, search_queries=9)
    headers = (await asked(client, "GET", "/api/me")).headers
    assert headers["x-plan"] == "free"
    limits = {name: value for name, value in headers.items() if name.endswith("-limit")}
    assert limits == {"x-usage-apicalls-limit": "2", "x-usage-searchqueries-limit": "9", "x-ratelimit-limit": "2"}
    assert headers["x-ratelimit-remaining"] == "1"
    assert headers["x-ratelimit-reset"] == str(int(datetime(2026, 2, 1, tzinfo=UTC).timestamp()))


async def test_a_call_too_many_is_refused_at_once_and_not_counted(world: World, client: Client) -> None:
    quotas(world, api_calls=2)
    for remaining in ("1", "0"):
        response = await asked(client, "GET", "/api/me")
        assert (response.status_code, response.headers["x-ratelimit-remaining"]) == (200, remaining)
    for _ in range(2):
        response = await asked(client, "POST", "/v1/ingest", events(1))
        assert response.status_code == 429
        said = response.json().pop("message")
        assert response.json() == {
            "error": "usage_limit_exceeded",
            "message": said,
            "detail": said,
            "dimension": "api_calls",
            "current": 2,
            "limit": 2,
        }
        assert response.headers["retry-after"] == "0"
        assert (response.headers["x-ratelimit-remaining"], used(response)) == ("0", {CALLS: 2})
    assert await month(world) == {CALLS: 2}
    world.clock.advance(31 * 86_400)
    assert (await asked(client, "GET", "/api/me")).headers["x-ratelimit-remaining"] == "1"


async def test_a_search_too_many_is_refused_and_other_calls_are_not(world: World, client: Client) -> None:
    quotas(world, search_queries=1)
    assert (await asked(client, "POST", "/v1/search", {"query": "q"})).status_code == 200
    response = await asked(client, "POST", "/v1/search", {"query": "q"})
    assert (response.status_code, response.headers["retry-after"]) == (429, "0")
    assert (response.json()["dimension"], response.json()["current"]) == ("search_queries", 1)
    assert used(response) == {CALLS: 1, SEARCHES: 1}
    assert (await asked(client, "POST", "/v1/ingest", events(1))).status_code == 200


async def test_events_fit_into_the_quota_together_or_none_of_them_is_kept(world: World, client: Client) -> None:
    quotas(world, events_ingested=3)
    await client("POST", "/v1/ingest", events(2))
    response = await asked(client, "POST", "/v1/ingest", events(2, "colour"))
    assert response.status_code == 429
    found = response.json()
    assert (found["dimension"], found["current"], found["limit"]) == ("events_ingested", 2, 3)
    assert await month(world) == {CALLS: 2, EVENTS: 2}
    assert (await client("GET", "/api/console/events"))["total"] == 2
    await client("POST", "/v1/ingest", events(1, "colour"))
    assert (await asked(client, "POST", "/v1/ingest", events(1, "music"))).status_code == 429


async def test_events_that_are_there_already_need_no_room(world: World, client: Client) -> None:
    quotas(world, events_ingested=3)
    first = await client("POST", "/v1/ingest", events(3))
    assert await client("POST", "/v1/ingest", events(3)) == first
    assert (await asked(client, "POST", "/v1/ingest", events(4))).status_code == 429
    assert await month(world) == {CALLS: 3, EVENTS: 3}


async def test_who_has_stored_all_memories_of_the_month_is_told_so_when_more_would_come(
    world: World, client: Client
) -> None:
    quotas(world, memories_stored=2)
    first = await client("POST", "/v1/ingest", events(3))
    await world.work()
    response = await asked(client, "POST", "/v1/ingest", events(1, "colour"))
    assert (response.status_code, response.json()["error"]) == (429, "usage_limit_exceeded")
    found = response.json()
    assert (found["dimension"], found["current"], found["limit"]) == ("memories_stored", 3, 2)
    assert await client("POST", "/v1/ingest", events(3)) == first
    assert (await asked(client, "GET", "/api/me")).status_code == 200
    world.clock.advance(31 * 86_400)
    await client("POST", "/v1/ingest", events(1, "colour"))


async def test_a_quota_of_one_organization_is_not_used_up_by_another(world: World, client: Client) -> None:
    quotas(world, api_calls=1)
    other = {"authorization": f"Bearer {OTHER_KEY}"}
    answers = [await asked(client, "GET", "/api/me", headers=each) for each in ({}, {}, other, other)]
    assert [answer.status_code for answer in answers] == [200, 429, 200, 429]


async def test_a_refused_write_is_not_the_answer_to_the_next_one_under_its_idempotency_key(
    world: World, client: Client
) -> None:
    named = {"idempotency-key": "k"}
    quotas(world, api_calls=0)
    assert (await asked(client, "POST", "/v1/ingest", events(1), headers=named)).status_code == 429
    quotas(world)
    first, again = [await asked(client, "POST", "/v1/ingest", events(1), headers=named) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert (first.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert await month(world) == {CALLS: 1, EVENTS: 1}


async def call(world: World) -> Call:
    """A call of an operation."""
    return Call(await world.services.admit(KEY), {}, {}, {}, b"", "req_1")


async def test_what_was_done_is_told_though_its_use_cannot_be(world: World) -> None:
    async def act(_: Call) -> Reply:
        world.table.down = True
        return Reply({"done": True}, 201, {"x-own": "1"})

    metered = world.services.metered
    spoken = Spoken(Memsy(), [metered(Operation("POST", "/things", Permission.WRITE, act))], metered.headers)
    transport = httpx.ASGITransport(application([spoken], world.services.host))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        response = await http.post("/things", headers={"authorization": f"Bearer {KEY}"})
    assert (response.status_code, response.json(), response.headers["x-own"]) == (201, {"done": True}, "1")
    assert unmetered(response)
    world.table.down = False
    assert await month(world) == {CALLS: 1}


async def test_a_call_that_cannot_be_counted_is_not_made(world: World, client: Client) -> None:
    made: list[Call] = []

    async def act(call: Call) -> Reply:
        made.append(call)
        return Reply({})

    metered = world.services.metered(Operation("POST", "/things", Permission.WRITE, act))
    asking = await call(world)
    world.table.down = True
    with pytest.raises(Unavailable, match="cannot be used now"):
        await metered.act(asking)
    assert made == []
    assert (await asked(client, "GET", "/api/me")).status_code == 503


async def test_an_error_keeps_headers_of_its_own(world: World, client: Client) -> None:
    world.index.down = True
    response = await asked(client, "POST", "/v1/search", {"query": "q"})
    assert (response.status_code, used(response)) == (503, {CALLS: 1, SEARCHES: 1})
    assert int(response.headers["retry-after"]) > 0


async def test_a_key_for_several_organizations_uses_nothing(world: World, client: Client) -> None:
    order = KeyOrder(tenant=TENANT, environment="test", organizations=("a", "b"))
    await world.services.admit.accept(LIMITED, order)
    response = await asked(client, "GET", "/api/me", headers={"authorization": f"Bearer {LIMITED}"})
    assert response.status_code == 403
    assert unmetered(response)
    assert [await month(world, organization) for organization in ("a", "b", TENANT)] == [{}, {}, {}]


async def test_an_error_of_an_operation_reaches_the_answer_as_it_is(world: World) -> None:
    async def act(_: Call) -> Reply:
        raise NotFound("thing")

    metered = world.services.metered(Operation("GET", "/things", Permission.READ, act), SEARCHES)
    with pytest.raises(NotFound, match="Thing not found"):
        await metered.act(await call(world))
    assert await month(world) == {CALLS: 1, SEARCHES: 1}
