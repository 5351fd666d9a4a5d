"""Who may do what through the edge API: keys, keys of organizations, permissions, tenants, and no key at all."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import product
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from commonplace.core.admit import KeyOrder
from commonplace.model.apikey import Permission
from commonplace.model.filter import Filter
from commonplace.wiring import OPEN_TENANT
from relay_routes import ROUTES, Route, refusal
from steps import UNKNOWN, row
from world import KEY, OTHER_KEY, OTHER_TENANT, TEMPLATE, TENANT, Client, World

pytestmark = pytest.mark.anyio

PREFIXES = ["/edge", ""]
EMBEDDING = [0.012, 0.034, 0.056]
LIMITED = "mem_test_limited000000000000000000"
NO_MEMORY = {"error": "Memory not found"}
FORBIDDEN = {"error": "Forbidden"}
UNAUTHORIZED = {"error": "Unauthorized"}
COGNIPEER = [route for route in TEMPLATE.routes if route.path.startswith("/api/client/v1/memory/")]
RELAY = [route for route in ROUTES if route.scope is not None]
SHARED_BY_ROW = ("GET", "/v1/memories/{id}")

HOSTILE = ["a", "A", "a#b", "b#c", "a%23b", "a ", "a/b", "*", "%-", "", "a\x00b", "default", "ä", "a\u0308"]
"""Names of tenants and organizations that come out as others where they are put together or cleaned up carelessly."""


def body(organization: str = "org", **fields: object) -> dict[str, Any]:
    parts = {"subjectId": "s", "agentId": "a", "namespace": "n", "content": "c"}
    return {"organizationId": organization, **parts, "embedding": EMBEDDING, **fields}


async def created(client: Client, organization: str = "org", **fields: object) -> str:
    made = await client("POST", "/edge/v1/memories", body(organization, **fields), expect=201)
    return str(made["memory"]["id"])


async def written(world: World, tenant: str) -> int:
    """How many memories a tenant has, whoever's they are."""
    everything = Filter(store="default", confidential=True, archived=True)
    return len((await world.services.memories.page(tenant, everything, limit=1000)).items)


def requests(id: str, organization: str = "org") -> list[tuple[str, str, object]]:
    """One good request to each endpoint that demands a key."""
    return [
        ("POST", "/v1/memories", body(organization)),
        ("GET", f"/v1/memories?{urlencode({'organizationId': organization})}", None),
        ("GET", f"/v1/memories/{id}", None),
        ("POST", "/v1/memories/search", {"organizationId": organization, "queryEmbedding": EMBEDDING}),
    ]


def told(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    found: dict[str, Any] = response.json()
    return found


@pytest.fixture
async def limited(world: World) -> AsyncIterator[Client]:
    """A client whose key is for two organizations."""
    await world.accept(LIMITED, TENANT, organizations=("org_a", "org_b"))
    async with world.client(LIMITED) as client:
        yield client


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    "organization", ["org_c", "ORG_A", "org_a ", "org_", "org_a#", "org_a\x00", "org_a,org_b", TENANT]
)
async def test_a_key_of_organizations_opens_no_other(
    world: World, client: Client, limited: Client, prefix: str, organization: str
) -> None:
    id = await created(client, organization)
    await world.work()
    for method, path, content in requests(id, organization):
        response = await limited.http.request(method, prefix + path, json=content)
        unknown = path == f"/v1/memories/{id}"
        assert told(response, 404 if unknown else 403) == (NO_MEMORY if unknown else FORBIDDEN)
    for named in (organization, "org_a"):
        response = await limited.http.get(f"{prefix}/v1/memories/{id}?organizationId={quote(named, safe='')}")
        assert told(response, 404) == NO_MEMORY
    assert await written(world, TENANT) == 1


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_key_of_organizations_opens_each_of_them(world: World, limited: Client, prefix: str) -> None:
    for organization in ("org_a", "org_b"):
        made = await limited("POST", f"{prefix}/v1/memories", body(organization), expect=201)
        await world.work()
        memory = made["memory"]
        where = {"organizationId": organization}
        assert (await limited("GET", f"{prefix}/v1/memories/{memory['id']}")) == made
        assert (await limited("GET", f"{prefix}/v1/memories?{urlencode(where)}"))["memories"] == [memory]
        for query in (where, {**where, "queryEmbedding": EMBEDDING}):
            found = await limited("POST", f"{prefix}/v1/memories/search", query)
            assert [match["memory"] for match in found["matches"]] == [memory]


async def test_an_organization_outside_of_a_key_hides_even_what_is_inside(client: Client, limited: Client) -> None:
    id = await created(client, "org_a")
    for named, status in (("org_a", 200), ("org_b", 404), ("org_c", 404), ("", 404)):
        told(await limited.http.get(f"/edge/v1/memories/{id}?organizationId={named}"), status)


async def test_another_organizations_memory_is_like_an_unknown_one(client: Client, limited: Client) -> None:
    id = await created(client, "org_c")
    foreign, unknown = [await limited.http.get(f"/edge/v1/memories/{each}") for each in (id, UNKNOWN)]
    assert told(foreign, 404) == told(unknown, 404) == NO_MEMORY
    for name in ("content-type", "content-length", "vary"):
        assert foreign.headers[name] == unknown.headers[name]


@pytest.mark.parametrize("route", RELAY, ids=str)
async def test_memoryrelay_refuses_keys_of_organizations(
    world: World, client: Client, limited: Client, route: Route
) -> None:
    id = await created(client, "org_a")
    response = await limited.http.request(route.method, f"/relay{route.at(id)}", json=route.body)
    assert "organizations" in refusal(response, 403)["message"]
    if (route.method, route.path) != SHARED_BY_ROW:
        refusal(await limited.http.request(route.method, route.at(id), json=route.body), 403)
    assert (await row(world, id)).content == "c"
    assert await written(world, TENANT) == 1


@pytest.mark.parametrize("route", COGNIPEER, ids=lambda route: f"{route.method} {route.path}")
async def test_cognipeer_refuses_keys_of_organizations(
    world: World, client: Client, limited: Client, route: Any
) -> None:
    id = await created(client, "org_a")
    path = route.path.format(key="default", id=id)
    refused = told(await limited.http.request(route.method, path, json={}), 403)
    assert isinstance(refused["error"], str)
    assert (await row(world, id)).content == "c"


async def test_a_key_of_the_tenants_own_organization_sees_what_apis_without_organizations_wrote(
    world: World, client: Client
) -> None:
    id = (await client("POST", "/v1/memories", {"agent_id": "a", "content": "c", "user_id": "u"}))["id"]
    await created(client, "org_a")
    await world.accept(LIMITED, TENANT, organizations=(TENANT,))
    async with world.client(LIMITED) as own:
        memories = (await own("GET", f"/edge/v1/memories?organizationId={TENANT}"))["memories"]
        assert [(memory["id"], memory["organization_id"], memory["subject_id"]) for memory in memories] == [
            (id, TENANT, "u")
        ]
        for path in ("/edge/v1/memories", "/v1/memories"):
            assert (await own("GET", f"{path}/{id}"))["memory"] == memories[0]


async def test_another_tenants_organization_of_the_same_name_is_another_one(world: World, client: Client) -> None:
    id = await created(client)
    await client("POST", "/v1/memories", {"agent_id": "a", "content": "of no organization"})
    await world.work()
    async with world.client(OTHER_KEY) as other:
        for prefix, organization in product(PREFIXES, ("org", TENANT, OTHER_TENANT)):
            where = {"organizationId": organization}
            assert await other("GET", f"{prefix}/v1/memories?{urlencode(where)}") == {"memories": []}
            for query, mode in ((where, "d1"), ({**where, "queryEmbedding": EMBEDDING}, "vectorize")):
                found = await other("POST", f"{prefix}/v1/memories/search", query)
                assert found == {"mode": mode, "matches": []}
            response = await other.http.get(f"{prefix}/v1/memories/{id}?organizationId={organization}")
            assert told(response, 404) == NO_MEMORY
        assert told(await other.http.get(f"/edge/v1/memories/{id}"), 404) == NO_MEMORY
        # Nobody's row tells whose the request is: it is MemoryRelay's, like that for an unknown memory.
        assert refusal(await other.http.get(f"/v1/memories/{id}"), 404)["message"] == "Memory not found"


async def test_hostile_names_of_tenants_and_organizations_reach_nobody_else(world: World) -> None:
    tenants = [name for name in HOSTILE if name]
    organizations = [name for name in HOSTILE if name.strip()]
    async with AsyncExitStack() as stack:
        clients: dict[str, Client] = {}
        for number, tenant in enumerate(tenants):
            await world.accept(f"mem_test_hostile{number:018d}", tenant)
            clients[tenant] = await stack.enter_async_context(world.client(f"mem_test_hostile{number:018d}"))
        ids = {
            (tenant, organization): await created(clients[tenant], organization, content=f"{tenant}|{organization}")
            for tenant, organization in product(tenants, organizations)
        }
        await world.work()
        for (tenant, organization), id in ids.items():
            assert await seen(clients[tenant], organization) == [[id]] * 3, (tenant, organization)
        for tenant in tenants:
            others = [id for (owner, _), id in ids.items() if owner != tenant]
            for id in others:
                told(await clients[tenant].http.get(f"/edge/v1/memories/{id}"), 404)


async def test_hostile_names_of_organizations_and_namespaces_reach_nobody_else(world: World, client: Client) -> None:
    names = [name for name in HOSTILE if name.strip()]
    ids = {
        (organization, namespace): await created(client, organization, namespace=namespace)
        for organization, namespace in product(names, names)
    }
    await world.work()
    for (organization, namespace), id in ids.items():
        assert await seen(client, organization, namespace=namespace) == [[id]] * 3, (organization, namespace)


async def seen(client: Client, organization: str, **where: str) -> list[list[str]]:
    """The ids that a list, a search without a vector and one with a vector show."""
    asked = {"organizationId": organization, **where}
    listed = (await client("GET", f"/edge/v1/memories?{urlencode(asked)}"))["memories"]
    answers = [
        (await client("POST", "/edge/v1/memories/search", {**asked, **vector}))["matches"]
        for vector in ({}, {"queryEmbedding": EMBEDDING})
    ]
    return [[memory["id"] for memory in listed], *([match["memory"]["id"] for match in found] for found in answers)]


NEEDED: Mapping[tuple[str, str], Permission] = {
    ("POST", "/v1/memories"): Permission.WRITE,
    ("GET", "/v1/memories?organizationId=org"): Permission.READ,
    ("GET", "/v1/memories/{id}"): Permission.READ,
    ("POST", "/v1/memories/search"): Permission.READ,
}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("permission", list(Permission))
async def test_an_endpoint_takes_the_permission_that_it_needs(
    world: World, client: Client, prefix: str, permission: Permission
) -> None:
    id = await created(client)
    await world.accept("mem_test_single00000000000000000", TENANT, [permission])
    async with world.client("mem_test_single00000000000000000") as single:
        for (method, path), needed in NEEDED.items():
            content = body() if method == "POST" else None
            response = await single.http.request(method, prefix + path.format(id=id), json=content)
            if permission in (needed, Permission.ADMIN):
                assert response.status_code in (200, 201), response.text
            else:
                assert told(response, 403) == FORBIDDEN
    assert await written(world, TENANT) == (2 if permission in (Permission.WRITE, Permission.ADMIN) else 1)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_no_key_an_unknown_an_expired_and_a_revoked_one_get_the_same_answer(
    world: World, client: Client, prefix: str
) -> None:
    id = await created(client)
    expired, revoked = "mem_test_expired00000000000000", "mem_test_revoked00000000000000"
    for dead, at in ((expired, world.clock.now()), (revoked, None)):
        await world.services.admit.accept(dead, KeyOrder(tenant=TENANT, environment="test", expires_at=at))
    await world.services.admit.revoke(revoked)
    for key in (None, "mem_test_unknown00000000000000", expired, revoked):
        async with world.client(key) as nobody:
            for method, path, content in requests(id):
                response = await nobody.http.request(method, prefix + path, json=content)
                if prefix or path != f"/v1/memories/{id}":
                    assert told(response, 401) == UNAUTHORIZED
                else:
                    refusal(response, 401)
    assert await written(world, TENANT) == 1


async def test_an_expiring_key_is_good_until_its_moment(world: World) -> None:
    until = world.clock.now() + timedelta(seconds=10)
    order = KeyOrder(tenant=TENANT, environment="test", expires_at=until)
    await world.services.admit.accept("mem_test_expiring0000000000000", order)
    async with world.client("mem_test_expiring0000000000000") as client:
        await created(client)
        world.clock.advance(10)
        assert told(await client.http.get("/edge/v1/memories?organizationId=org"), 401) == UNAUTHORIZED


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/edge"),
        ("GET", "/edge/"),
        ("GET", "/edge/nothing"),
        ("GET", "/edge/v1/memories/"),
        ("GET", "/edge/v1/Memories"),
        ("DELETE", "/edge/v1/memories/x"),
        ("PATCH", "/edge/v1/memories/x"),
        ("PUT", "/edge/v1/memories"),
        ("POST", "/edge/health"),
        ("GET", "/edge/v1/memories/x/y"),
        ("BREW", "/edge/v1/memories"),
    ],
)
async def test_what_is_no_endpoint_is_told_to_holders_of_a_key_alone(world: World, method: str, path: str) -> None:
    async with world.client(None) as nobody:
        for headers in ({}, {"authorization": "Bearer x"}, {"x-api-key": "x"}):
            assert told(await nobody.http.request(method, path, headers=headers), 401) == UNAUTHORIZED
        for headers in ({"authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}):
            assert told(await nobody.http.request(method, path, headers=headers), 404) == {"error": "Not found"}


STRANGE = [None, "Basic x", "Bearer ", "Bearer"]


@pytest.fixture
async def stranger(world: World) -> AsyncIterator[Client]:
    """A client without a key, where the service lets such in."""
    world.configure(auth_mode="open")
    async with world.client(None) as client:
        yield client


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_in_open_mode_nobody_needs_a_key(world: World, stranger: Client, prefix: str) -> None:
    for number, authorization in enumerate(STRANGE):
        organization = f"org {number}"
        headers = {} if authorization is None else {"authorization": authorization}
        made = await stranger("POST", f"{prefix}/v1/memories", body(organization), expect=201, headers=headers)
        await world.work()
        for method, path, content in requests(made["memory"]["id"], organization)[1:]:
            answer = await stranger(method, prefix + path, content, headers=headers)
            assert made["memory"]["id"] in str(answer)
    assert await written(world, OPEN_TENANT) == len(STRANGE)
    assert await written(world, TENANT) == 0


async def test_in_open_mode_a_memory_is_read_whatever_organization_is_named(stranger: Client) -> None:
    id = await created(stranger)
    for named in ("org", "other", "", OPEN_TENANT):
        assert (await stranger("GET", f"/edge/v1/memories/{id}?organizationId={named}"))["memory"]["id"] == id


async def test_in_open_mode_an_organization_shows_no_memory_that_has_none(world: World, stranger: Client) -> None:
    await world.accept("mem_test_owner000000000000000000", OPEN_TENANT)
    async with world.client("mem_test_owner000000000000000000") as owner:
        id = (await owner("POST", "/v1/memories", {"agent_id": "a", "content": "c"}))["id"]
    assert told(await stranger.http.get(f"/v1/memories/{id}?organizationId=org"), 404) == NO_MEMORY
    assert (await stranger("GET", f"/v1/memories/{id}?organizationId={OPEN_TENANT}"))["memory"]["id"] == id


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_in_open_mode_a_wrong_key_is_wrong(world: World, stranger: Client, prefix: str) -> None:
    id = await created(stranger)
    for headers in ({"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}):
        for method, path, content in requests(id):
            response = await stranger.http.request(method, prefix + path, json=content, headers=headers)
            if prefix or path != f"/v1/memories/{id}":
                assert told(response, 401) == UNAUTHORIZED
            else:
                refusal(response, 401)
    assert await written(world, OPEN_TENANT) == 1


async def test_in_open_mode_a_key_still_says_whose_a_request_is(stranger: Client) -> None:
    id = await created(stranger)
    mine = {"authorization": f"Bearer {KEY}"}
    assert await stranger("GET", "/edge/v1/memories?organizationId=org", headers=mine) == {"memories": []}
    assert told(await stranger.http.get(f"/edge/v1/memories/{id}", headers=mine), 404) == NO_MEMORY


async def test_in_open_mode_a_key_of_organizations_stays_one(world: World, stranger: Client) -> None:
    await world.accept(LIMITED, OPEN_TENANT, organizations=("org_a",))
    id = await created(stranger)
    headers = {"authorization": f"Bearer {LIMITED}"}
    for method, path, content in requests(id):
        response = await stranger.http.request(method, f"/edge{path}", json=content, headers=headers)
        told(response, 404 if path == f"/v1/memories/{id}" else 403)


@pytest.mark.parametrize("route", RELAY, ids=str)
async def test_in_open_mode_memoryrelay_still_demands_its_key(stranger: Client, route: Route) -> None:
    id = await created(stranger)
    refusal(await stranger.http.request(route.method, f"/relay{route.at(id)}", json=route.body), 401)
    if (route.method, route.path) != SHARED_BY_ROW:
        refusal(await stranger.http.request(route.method, route.at(id), json=route.body), 401)
    assert (await stranger("GET", f"/v1/memories/{id}"))["memory"]["content"] == "c"


@pytest.mark.parametrize("route", COGNIPEER, ids=lambda route: f"{route.method} {route.path}")
async def test_in_open_mode_cognipeer_still_demands_its_key(stranger: Client, route: Any) -> None:
    path = route.path.format(key="default", id=await created(stranger))
    told(await stranger.http.request(route.method, path, json={}), 401)


async def test_in_open_mode_what_is_no_endpoint_is_a_404(stranger: Client) -> None:
    for method, path in (("GET", "/edge/nothing"), ("DELETE", "/edge/v1/memories/x"), ("GET", "/edge/v1/memories/")):
        assert told(await stranger.http.request(method, path), 404) == {"error": "Not found"}
