from datetime import timedelta
from typing import Any

import httpx
import pytest

from commonplace.core.admit import CACHED, Admit, KeyOrder
from commonplace.model.apikey import Permission
from commonplace.rows.apikeys import ApiKeys
from relay_routes import ROUTES, UNKNOWN_ID, WITH_ID, Route, everything, made, one_of_each, refusal, without_id
from world import KEY, OTHER_KEY, TENANT, Client, World

pytestmark = pytest.mark.anyio

GUARDED = [route for route in ROUTES if route.scope is not None]
ODD_KEYS: dict[str, dict[str, Any]] = {
    "none": {},
    "an unknown key": {"authorization": "Bearer mem_test_unknown0123456789abcdef"},
    "an unknown X-API-Key": {"x-api-key": "mem_test_unknown0123456789abcdef"},
    "a scheme without a key": {"authorization": "Bearer"},
    "a scheme and spaces": {"authorization": "Bearer    "},
    "a key without a scheme": {"authorization": KEY},
    "another scheme": {"authorization": f"Basic {KEY}"},
    "half of a key": {"authorization": f"Bearer {KEY[:-1]}"},
    "a key and more": {"authorization": f"Bearer {KEY} {KEY}"},
    "a key in another case": {"authorization": f"Bearer {KEY.upper()}"},
    "bytes that are no ASCII": {"authorization": b"Bearer \xc3\xa9\xff"},
    "a very long key": {"authorization": f"Bearer {'k' * 8000}"},
    "an empty X-API-Key": {"x-api-key": ""},
}


async def call(client: Client, route: Route, id: str = UNKNOWN_ID, **options: Any) -> httpx.Response:
    return await client.http.request(route.method, route.at(id), json=route.body, **options)


async def accepted(world: World, key: str, **order: Any) -> None:
    await world.services.admit.accept(key, KeyOrder(tenant=TENANT, environment="test", **order))


@pytest.mark.parametrize("route", GUARDED, ids=str)
async def test_a_route_without_a_key_answers_401_and_does_nothing(world: World, client: Client, route: Route) -> None:
    ids = await one_of_each(client)
    before = await everything(client)
    async with world.client(None) as stranger:
        refused = refusal(await call(stranger, route, ids.get(route.noun or "", UNKNOWN_ID)), 401)
    assert refused["title"] == "Unauthorized"
    assert await everything(client) == before


@pytest.mark.parametrize("headers", ODD_KEYS.values(), ids=ODD_KEYS)
async def test_what_is_no_good_key_answers_401(world: World, headers: dict[str, Any]) -> None:
    async with world.client(None) as stranger:
        refusal(await stranger.http.get("/v1/memories", headers=headers), 401)


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer   {KEY}  "},
        {"x-api-key": KEY},
        {"x-api-key": KEY, "authorization": "Basic dXNlcjpwYXNz"},
    ],
    ids=["Bearer", "bearer with spaces", "X-API-Key", "X-API-Key beside another scheme"],
)
async def test_a_good_key_is_taken_in_either_header(world: World, headers: dict[str, str]) -> None:
    async with world.client(None) as client:
        assert (await client.http.get("/v1/memories", headers=headers)).status_code == 200


@pytest.mark.parametrize("route", GUARDED, ids=str)
async def test_a_key_without_the_scope_of_a_route_answers_403_and_does_nothing(
    world: World, client: Client, route: Route
) -> None:
    ids = await one_of_each(client)
    before = await everything(client)
    others = [each for each in Permission if each not in (route.scope, Permission.ADMIN)]
    await world.accept("mem_test_others00000000000000000", TENANT, others)
    async with world.client("mem_test_others00000000000000000") as limited:
        refused = refusal(await call(limited, route, ids.get(route.noun or "", UNKNOWN_ID)), 403)
    assert str(route.scope) in refused["message"]
    assert await everything(client) == before


@pytest.mark.parametrize("route", GUARDED, ids=str)
async def test_a_key_with_just_the_scope_of_a_route_is_let_in(world: World, client: Client, route: Route) -> None:
    id = await made(client, route.noun) if route.noun else UNKNOWN_ID
    await world.accept("mem_test_single00000000000000000", TENANT, [Permission(str(route.scope))])
    async with world.client("mem_test_single00000000000000000") as limited:
        assert (await call(limited, route, id)).status_code == route.status


@pytest.mark.parametrize("route", WITH_ID, ids=str)
async def test_what_belongs_to_another_tenant_answers_like_what_is_unknown(
    world: World, client: Client, route: Route
) -> None:
    id = await made(client, str(route.noun))
    before = await everything(client)
    async with world.client(OTHER_KEY) as other:
        foreign = refusal(await call(other, route, id), 404)
        unknown = refusal(await call(other, route), 404)
    assert without_id(foreign) == without_id(unknown)
    assert foreign["message"] == f"{str(route.noun).capitalize()} not found"
    assert await everything(client) == before


async def test_nothing_of_another_tenant_is_listed_found_or_counted(world: World, client: Client) -> None:
    ids = await one_of_each(client)
    async with world.client(OTHER_KEY) as other:
        assert set(map(len, (await everything(other)).values())) == {0}
        assert (await other("POST", "/v1/memories/search", {"query": "dark mode"}))["data"] == []
        assert (await other("POST", "/v2/context/build", {"query": "dark mode", "threshold": 0}))["context"] == ""
        assert (await other("GET", "/v1/memories"))["total_count"] == 0
        of_session = {"agent_id": "a", "content": "c", "session_id": ids["session"]}
        refusal(await other.http.post("/v1/memories", json=of_session), 404)
        of_agent = {"agent_id": ids["agent"], "content": "c"}
        refusal(await other.http.post("/v1/memories", json=of_agent), 404)


async def test_an_expired_key_answers_401_from_that_moment_on(world: World) -> None:
    await accepted(world, "mem_test_expiring0000000000000", expires_at=world.clock.now() + timedelta(seconds=10))
    async with world.client("mem_test_expiring0000000000000") as client:
        await client("GET", "/v1/memories")
        world.clock.advance(10)
        refusal(await client.http.get("/v1/memories"), 401)


async def test_no_key_an_unknown_an_expired_and_a_revoked_one_get_the_same_answer(world: World) -> None:
    await accepted(world, "mem_test_expired00000000000000", expires_at=world.clock.now())
    await accepted(world, "mem_test_revoked00000000000000")
    await world.services.admit.revoke("mem_test_revoked00000000000000")
    answers = []
    for key in (
        None,
        "mem_test_unknown00000000000000",
        "mem_test_expired00000000000000",
        "mem_test_revoked00000000000000",
    ):
        async with world.client(key) as client:
            answers.append(without_id(refusal(await client.http.get("/v1/memories"), 401)))
    assert answers == answers[:1] * 4
    assert answers[0]["message"] == "The API key is missing or not valid"


async def test_a_revoked_key_answers_401_at_once(world: World, client: Client) -> None:
    await client("GET", "/v1/memories")
    await world.services.admit.revoke(KEY)
    refusal(await client.http.get("/v1/memories"), 401)


async def test_a_key_that_was_revoked_elsewhere_is_believed_for_a_minute_at_most(world: World, client: Client) -> None:
    await client("GET", "/v1/memories")
    await Admit(ApiKeys(world.table), world.clock, world.ids).revoke(KEY)
    world.clock.advance(CACHED.total_seconds())
    refusal(await client.http.get("/v1/memories"), 401)


async def test_a_minted_key_reads_and_writes_and_no_more(world: World, client: Client) -> None:
    minted = await client("POST", "/v1/keys", {}, expect=201)
    async with world.client(minted["key"]) as reader:
        id = await made(reader, "memory")
        await reader("GET", f"/v1/memories/{id}")
        refusal(await reader.http.delete(f"/v1/memories/{id}"), 403)
        refusal(await reader.http.post("/v1/keys", json={}), 403)
    assert minted["key_info"]["scopes"] == ["read", "write"]
