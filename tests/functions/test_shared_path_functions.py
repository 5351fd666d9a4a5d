"""The paths that MemoryRelay and the edge API share, as the functions serve them: who answers, and what becomes of a memory of
one API in the hands of the other."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from commonplace.http.shared_path import EDGE, RELAY
from commonplace.model.document import Probe
from commonplace.model.filter import Filter
from commonplace.model.space import Space, direction
from relay_routes import KEYS
from steps import UNKNOWN, documents, row
from world import KEY, OTHER_KEY, TENANT, Client, World

pytestmark = pytest.mark.anyio

EITHER = "either"
"""Whoever the setting names."""

MEMORIES, SEARCH = "/v1/memories", "/v1/memories/search"
WRONG = {"authorization": "Bearer mem_test_unknown00000000000000"}
VECTOR = [0.012, 0.034, 0.056]
SEED = {
    "organizationId": "org_demo",
    "subjectId": "customer_acme",
    "agentId": "support-agent",
    "namespace": "support",
    "content": "Acme prefers Slack escalation for P0 incidents.",
    "metadata": {"source": "ticket-123"},
    "embedding": VECTOR,
}
FLAT = {"agent_id": "my-assistant", "content": "The user prefers dark mode"}
MEMORY = {
    *("id", "organization_id", "subject_id", "agent_id", "namespace"),
    *("content", "metadata", "vector_id", "created_at", "updated_at"),
}


@dataclass(frozen=True)
class Asked:
    """A request, whose it is, and what becomes of it there; ``at_edge`` is its status at the edge API where the setting
    decides."""

    method: str
    path: str
    body: object
    whose: str
    status: int
    at_edge: int | None = None


def post(path: str, body: object, whose: str, status: int, at_edge: int | None = None) -> Asked:
    return Asked("POST", path, body, whose, status, at_edge)


def get(path: str, whose: str, status: int, at_edge: int | None = None) -> Asked:
    return Asked("GET", path, None, whose, status, at_edge)


VALUES: list[object] = [None, "", 0, False, [], {}]
CREATES = [
    post(MEMORIES, SEED, EDGE, 201),
    post(MEMORIES, {**SEED, **FLAT}, EDGE, 201),
    *(
        post(MEMORIES, {name: SEED[name], **FLAT}, EDGE, 422)
        for name in ("organizationId", "subjectId", "agentId", "embedding")
    ),
    *(post(MEMORIES, {"organizationId": value, **FLAT}, EDGE, 422) for value in VALUES),
    post(MEMORIES, b'{"organization\\u0049d": "o"}', EDGE, 422),
    post(MEMORIES, b'{"embedding": NaN}', EDGE, 400),
    post(MEMORIES, b'{"embedding": [1e999], "content": "c"}', EDGE, 422),
    post(MEMORIES, FLAT, RELAY, 200),
    post(MEMORIES, {**FLAT, "namespace": "n", "metadata": {"organizationId": "o", "embedding": []}}, RELAY, 200),
    post(MEMORIES, {**FLAT, "organization_id": "o", "subject_id": "s"}, RELAY, 200),
    post(MEMORIES, {"content": "organizationId"}, RELAY, 422),
    post(MEMORIES, {"namespace": "n"}, RELAY, 422),
    post(MEMORIES, {}, EITHER, 422, 422),
    *(post(MEMORIES, body, EITHER, 400, 400) for body in (b"{", b'{"organizationId":', b"nonsense", b"\xff")),
    *(post(MEMORIES, body, EITHER, 422, 422) for body in (b"[]", b'"organizationId"', b"5", b"null")),
    post(MEMORIES, b"", EITHER, 422, 400),
]
LISTS = [
    get(f"{MEMORIES}?organizationId=org_demo", EDGE, 200),
    get(f"{MEMORIES}?organizationId=org_demo&agent_id=a&user_id=u", EDGE, 200),
    get(f"{MEMORIES}?organizationId=", EDGE, 422),
    get(f"{MEMORIES}?organizationId", EDGE, 422),
    get(f"{MEMORIES}?namespace=support", EDGE, 422),
    get(f"{MEMORIES}?agent_id=a&namespace=", EDGE, 422),
    get(f"{MEMORIES}?agent_id=a", RELAY, 200),
    get(f"{MEMORIES}?limit=5&user_id=u", RELAY, 200),
    get(f"{MEMORIES}?offset=0", RELAY, 200),
    get(f"{MEMORIES}?organization_id=org_demo", RELAY, 200),
    get(MEMORIES, EITHER, 200, 422),
    get(f"{MEMORIES}?limit=5", EITHER, 200, 422),
]
SEARCHES = [
    post(SEARCH, {"organizationId": "org_demo"}, EDGE, 200),
    post(SEARCH, {"organizationId": "org_demo", "queryEmbedding": VECTOR, "query": "slack"}, EDGE, 200),
    post(SEARCH, {"organizationId": None, "query": "slack"}, EDGE, 422),
    post(SEARCH, {"queryEmbedding": VECTOR}, EDGE, 422),
    post(SEARCH, {"queryEmbedding": None, "query": "slack"}, EDGE, 422),
    post(SEARCH, {"query": "slack"}, RELAY, 200),
    post(SEARCH, {"query": "slack", "namespace": "support", "limit": 5}, RELAY, 200),
    post(SEARCH, {"query": ""}, RELAY, 422),
    post(SEARCH, {"query": None}, RELAY, 422),
    *(
        post(SEARCH, body, EITHER, 422, 422)
        for body in ({}, {"namespace": "support"}, {"agentId": "a"}, b"[]", b"null")
    ),
    post(SEARCH, b"{", EITHER, 400, 400),
    post(SEARCH, b"", EITHER, 422, 400),
]
UNKNOWNS = [
    *(get(f"{MEMORIES}/{id}", EITHER, 404, 404) for id in (UNKNOWN, "nil", "search", "%F0%9F%AB%96")),
    *(get(f"{MEMORIES}/{id}?organizationId=org_demo", EDGE, 404) for id in (UNKNOWN, "nil", "search")),
    get(f"{MEMORIES}/{UNKNOWN}?namespace=support", EITHER, 404, 404),
]
CHANGES = [
    Asked(method, f"{MEMORIES}/{UNKNOWN}{query}", body, RELAY, 404)
    for method, body in (("PUT", {"content": "x"}), ("PATCH", {"content": "x"}), ("DELETE", None))
    for query in ("", "?organizationId=org_demo")
]
REQUESTS = [*CREATES, *LISTS, *SEARCHES, *UNKNOWNS, *CHANGES]


@pytest.fixture(params=[RELAY, EDGE])
async def fallback(request: pytest.FixtureRequest, world: World) -> str:
    """The dialect of what cannot be decided."""
    name: str = request.param
    world.configure(shared_path_dialect=name)
    return name


def by(response: httpx.Response) -> str:
    """Whose words an answer is in."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    if response.status_code >= 300:
        assert isinstance(body["error"], str)
        assert body.keys() == {"error"} or body.keys() >= KEYS
        return EDGE if body.keys() == {"error"} else RELAY
    wrapped = [*body.get("memories", []), *(match["memory"] for match in body.get("matches", []))]
    if body.keys() in ({"memory"}, {"memories"}, {"mode", "matches"}):
        assert all(memory.keys() == MEMORY for memory in [*wrapped, *([body["memory"]] if "memory" in body else [])])
        return EDGE
    assert body["object"] in ("memory", "list", "search_results")
    return RELAY


async def asked(client: Client, method: str, path: str, body: object = None, **options: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    return await client.http.request(method, path, content=content, **options)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: f"{each.method} {each.path} {each.body!r}"[:90])
async def test_a_request_is_answered_by_whose_it_is(client: Client, fallback: str, request_: Asked) -> None:
    whose = fallback if request_.whose == EITHER else request_.whose
    status = request_.at_edge if request_.whose == EITHER and fallback == EDGE else request_.status
    response = await asked(client, request_.method, request_.path, request_.body)
    assert response.status_code == status, response.text
    assert by(response) == whose
    alone = await asked(client, request_.method, f"/{whose}{request_.path}", request_.body)
    assert (alone.status_code, by(alone)) == (status, whose)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: f"{each.method} {each.path} {each.body!r}"[:90])
async def test_who_has_no_good_key_is_told_by_whose_the_request_is(
    world: World, fallback: str, request_: Asked
) -> None:
    whose = fallback if request_.whose == EITHER else request_.whose
    by_row = (
        request_.method == "GET" and request_.path.startswith(f"{MEMORIES}/") and "organizationId" not in request_.path
    )
    async with world.client(None) as stranger:
        for headers in ({}, WRONG):
            response = await asked(stranger, request_.method, request_.path, request_.body, headers=headers)
            assert response.status_code == 401
            assert by(response) == (RELAY if by_row else whose)


@pytest.fixture
async def edge_id(client: Client, fallback: str) -> str:  # noqa: ARG001 - the setting comes first
    """A memory that the edge API created."""
    return str((await client("POST", MEMORIES, SEED, expect=201))["memory"]["id"])


@pytest.fixture
async def relay_id(client: Client, fallback: str) -> str:  # noqa: ARG001 - the setting comes first
    """A memory that MemoryRelay created."""
    return str((await client("POST", MEMORIES, FLAT))["id"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_memory_is_shown_in_the_words_of_who_created_it(
    client: Client, edge_id: str, relay_id: str, method: str
) -> None:
    for id, name in ((edge_id, EDGE), (relay_id, RELAY)):
        for query in ("", "?namespace=n&limit=1", "?organization_id=org_demo"):
            response = await client.http.request(method, f"{MEMORIES}/{id}{query}")
            assert response.status_code == 200
            if method == "GET":
                assert by(response) == name
                assert response.json() == await client("GET", f"/{name}{MEMORIES}/{id}")
            else:
                assert response.content == b""


async def test_a_memory_of_cognipeers_is_memoryrelays_on_the_shared_path(client: Client, fallback: str) -> None:
    stores = "/api/client/v1/memory/stores/default/memories"
    id = (await client("POST", stores, {"content": "The red kettle"}, expect=201))["memory"]["_id"]
    assert by(await client.http.get(f"{MEMORIES}/{id}")) == RELAY, fallback
    assert by(await client.http.get(f"{MEMORIES}/{id}?organizationId={TENANT}")) == EDGE


async def test_an_organization_makes_it_edges_and_has_to_be_the_memorys(
    client: Client, edge_id: str, relay_id: str
) -> None:
    for id, organization in ((edge_id, "org_demo"), (relay_id, TENANT)):
        for query, status in (
            (f"organizationId={organization}", 200),
            (f"organizationId={organization}&organizationId=x", 200),
            ("organizationId=", 404),
            ("organizationId", 404),
            (f"organizationId=x&organizationId={organization}", 404),
            (f"organizationId={organization.upper()}", 404),
        ):
            response = await client.http.get(f"{MEMORIES}/{id}?{query}")
            assert (response.status_code, by(response)) == (status, EDGE), query
            assert status == 200 or response.json() == {"error": "Memory not found"}


async def test_another_tenants_memory_is_unknown_before_its_row_tells_anything(
    world: World, fallback: str, edge_id: str, relay_id: str
) -> None:
    async with world.client(OTHER_KEY) as other:
        unknown = await other.http.get(f"{MEMORIES}/{UNKNOWN}")
        for id in (edge_id, relay_id):
            response = await other.http.get(f"{MEMORIES}/{id}")
            assert (response.status_code, by(response)) == (404, fallback)
            assert response.json().keys() == unknown.json().keys()
            assert response.json()["error"] == unknown.json()["error"]
            named = await other.http.get(f"{MEMORIES}/{id}?organizationId=org_demo")
            assert (named.status_code, by(named)) == (404, EDGE)


async def test_a_deleted_memory_is_like_an_unknown_one(client: Client, fallback: str, edge_id: str) -> None:
    await client("DELETE", f"{MEMORIES}/{edge_id}")
    response = await client.http.get(f"{MEMORIES}/{edge_id}")
    assert (response.status_code, by(response)) == (404, fallback)


async def test_edges_prefix_shows_both_and_memoryrelays_too(client: Client, edge_id: str, relay_id: str) -> None:
    for id in (edge_id, relay_id):
        assert (await client("GET", f"/edge{MEMORIES}/{id}"))["memory"]["id"] == id
        assert (await client("GET", f"/relay{MEMORIES}/{id}"))["id"] == id


async def near(world: World) -> list[str]:
    """The memories whose own vectors the index holds."""
    probe = Probe(tenant=TENANT, vector=direction(VECTOR), text=None, k=100)
    everything = Filter(store="default", confidential=True, archived=True)
    arm = (await world.index.inner.search(Space.given(len(VECTOR)), probe, everything)).vectors
    return [candidate.memory for candidate in arm.candidates]


async def matched(client: Client) -> list[str]:
    """The ids that a search near the seed's vector finds."""
    body = {"organizationId": "org_demo", "queryEmbedding": VECTOR}
    found = await client("POST", SEARCH, body)
    assert found["mode"] == "vectorize"
    return [match["memory"]["id"] for match in found["matches"]]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed yet"])
async def test_a_new_content_of_memoryrelays_takes_the_vector_of_the_old_one_with_it(
    world: World, client: Client, edge_id: str, method: str, indexed: bool
) -> None:
    before = (await client("GET", f"{MEMORIES}/{edge_id}"))["memory"]
    if indexed:
        await world.work()
        assert await near(world) == await matched(client) == [edge_id]
    world.clock.advance(1.5)
    flat = await client(method, f"{MEMORIES}/{edge_id}", {"content": "The red kettle whistles"})
    assert (flat["id"], flat["object"], flat["content"]) == (edge_id, "memory", "The red kettle whistles")
    await world.work()
    assert await near(world) == await matched(client) == []
    after = (await client("GET", f"{MEMORIES}/{edge_id}"))["memory"]
    assert after == {
        **before,
        "content": "The red kettle whistles",
        "vector_id": None,
        "updated_at": after["updated_at"],
    }
    assert after["updated_at"] > before["updated_at"]
    assert (await client("GET", f"{MEMORIES}?organizationId=org_demo"))["memories"] == [after]
    found = await client("POST", SEARCH, {"query": "red kettle"})
    assert [hit["id"] for hit in found["data"]] == [edge_id]
    assert (await client("POST", SEARCH, {"query": "slack escalation", "min_score": 0.1}))["data"] == []


async def test_other_facts_that_memoryrelay_changes_leave_the_vector(
    world: World, client: Client, edge_id: str
) -> None:
    await world.work()
    before = (await client("GET", f"{MEMORIES}/{edge_id}"))["memory"]
    world.clock.advance(1)
    await client("PATCH", f"{MEMORIES}/{edge_id}", {"metadata": {"a": [1, {"b": None}]}})
    await client("PUT", f"{MEMORIES}/{edge_id}/importance", {"importance": 0.9})
    await world.work()
    after = (await client("GET", f"{MEMORIES}/{edge_id}"))["memory"]
    assert (after["metadata"], after["vector_id"]) == ({"a": [1, {"b": None}]}, before["vector_id"])
    assert after["updated_at"] > before["updated_at"]
    assert await near(world) == await matched(client) == [edge_id]


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed yet"])
async def test_a_deletion_of_memoryrelays_is_seen_by_all(
    world: World, client: Client, edge_id: str, indexed: bool
) -> None:
    if indexed:
        await world.work()
        assert await near(world) == [edge_id]
    assert await client("DELETE", f"{MEMORIES}/{edge_id}") == {"id": edge_id, "object": "memory", "deleted": True}
    for _ in range(2):
        assert await matched(client) == []
        for path in (f"/edge{MEMORIES}/{edge_id}", f"{MEMORIES}/{edge_id}", f"/relay{MEMORIES}/{edge_id}"):
            assert (await client.http.get(path)).status_code == 404
        cognipeer = "/api/client/v1/memory/stores/default"
        assert (await client.http.get(f"{cognipeer}/memories/{edge_id}")).status_code == 404
        assert (await client("GET", f"{MEMORIES}?organizationId=org_demo"))["memories"] == []
        assert (await client("GET", f"{MEMORIES}?agent_id=support-agent"))["data"] == []
        assert (await client("POST", SEARCH, {"query": "slack"}))["data"] == []
        assert (await client("POST", f"{cognipeer}/search", {"query": "slack"}))["memories"] == []
        assert (await client("POST", SEARCH, {"organizationId": "org_demo"}))["matches"] == []
        await world.work()
    assert await near(world) == []
    assert await documents(world) == {}


async def test_a_deletion_while_the_index_is_down_is_seen_at_once_and_made_good_later(
    world: World, client: Client, edge_id: str
) -> None:
    await world.work()
    world.index.down = True
    await client("DELETE", f"{MEMORIES}/{edge_id}")
    assert (await client("GET", f"{MEMORIES}?organizationId=org_demo"))["memories"] == []
    world.index.down = False
    assert await matched(client) == []
    await world.work()
    assert await near(world) == []
    assert await documents(world) == {}


async def test_edge_changes_and_deletes_nothing(world: World, client: Client, edge_id: str, relay_id: str) -> None:
    for id in (edge_id, relay_id):
        before = await row(world, id)
        for method, body in (("PUT", {"content": "x"}), ("PATCH", {"content": "x"}), ("DELETE", None)):
            response = await asked(client, method, f"/edge{MEMORIES}/{id}", body)
            assert (response.status_code, response.json()) == (404, {"error": "Not found"})
        assert await row(world, id) == before


async def test_edges_memories_are_memoryrelays_too(world: World, client: Client, edge_id: str) -> None:
    await world.work()
    memory = await client("GET", f"/relay{MEMORIES}/{edge_id}")
    assert (memory["content"], memory["metadata"]) == (SEED["content"], SEED["metadata"])
    assert (memory["user_id"], memory["project_id"]) == ("customer_acme", "support")
    (agent,) = (await client("GET", "/v1/agents"))["data"]
    assert (agent["name"], agent["id"]) == ("support-agent", memory["agent_id"])
    for query in ("", "?user_id=customer_acme", "?agent_id=support-agent"):
        assert [each["id"] for each in (await client("GET", f"/relay{MEMORIES}{query}"))["data"]] == [edge_id]
    found = await client("POST", SEARCH, {"query": "who wants slack escalation?", "user_id": "customer_acme"})
    assert [hit["id"] for hit in found["data"]] == [edge_id]


@pytest.fixture
async def keyless(world: World) -> AsyncIterator[Client]:
    async with world.client(None) as client:
        yield client


async def test_x_api_key_is_good_on_the_shared_path_for_either(keyless: Client, fallback: str) -> None:
    headers = {"x-api-key": KEY}
    for request in (SEED, FLAT):
        response = await asked(keyless, "POST", MEMORIES, request, headers=headers)
        assert response.status_code in (200, 201), (fallback, response.text)
