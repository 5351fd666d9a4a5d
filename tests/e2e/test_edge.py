"""The edge API over HTTP, of a service as a process whose worker works by itself: on the engines of one machine, and on
DynamoDB Local with OpenSearch."""

import math
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from e2e.conftest import Made, Settled
from e2e.proxy import Proxy
from golden import EDGE, played_over
from service import KEY, Service

pytestmark = pytest.mark.anyio

MEMORIES = "/edge/v1/memories"
SEARCH = f"{MEMORIES}/search"
BY_THEMSELVES = (
    "golden_list",
    "golden_list_on_the_shared_path",
    "creating",
    "limits",
    "reading",
    "searching",
    "verbatim",
)
PLAYED = [file for file in EDGE if file.stem in BY_THEMSELVES]
"""The files that need no hand in the engines or in the time."""

SEED = {
    "organizationId": "org_demo",
    "subjectId": "customer_acme",
    "agentId": "support-agent",
    "namespace": "support",
    "content": "Acme prefers Slack escalation for P0 incidents.",
    "metadata": {"source": "ticket-123"},
    "embedding": [0.012, 0.034, 0.056],
}
LENGTHS = (1, 2, 3, 7, 64, 384, 768, 1536, 4096)
MOST_LENGTHS = 16


@pytest.fixture(scope="module")
def edge(settled: Settled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own, in open mode."""
    with settled() as settings:
        mode = {"AUTH_MODE": "open", "COMMONPLACE_ENVIRONMENT": "test"}
        service = Service(tmp_path_factory.mktemp("edge"), {**settings, **mode})
        service.start()
        yield service
        assert service.stop() == 0, service.log()


@pytest.fixture
def key(edge: Service) -> str:
    """A key of a tenant that has nothing yet, also in an index that is older than the service."""
    return edge.operate("create-key", "--tenant", f"tenant-{uuid4().hex}", "--scopes", "read,write,delete").strip()


@pytest.fixture
async def stranger(edge: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=edge.url, timeout=30) as http:
        yield http


@pytest.fixture
async def http(stranger: httpx.AsyncClient, key: str) -> httpx.AsyncClient:
    stranger.headers["authorization"] = f"Bearer {key}"
    return stranger


def test_the_files_are_there() -> None:
    assert sorted(file.stem for file in PLAYED) == sorted(BY_THEMSELVES)


@pytest.mark.parametrize("file", PLAYED, ids=[file.stem for file in PLAYED])
async def test_the_service_answers_as_the_contract_says(stranger: httpx.AsyncClient, key: str, file: Path) -> None:
    await played_over(stranger, file, key)


async def created(http: httpx.AsyncClient, **fields: object) -> dict[str, Any]:
    response = await http.post(MEMORIES, json={**SEED, **fields})
    assert response.status_code == 201, response.text
    memory: dict[str, Any] = response.json()["memory"]
    return memory


def found(edge: Service, http: httpx.AsyncClient, count: int, **body: object) -> list[tuple[float, str]]:
    """The score and content of each match of a search by vector, once there are as many as are expected."""
    matches: list[dict[str, Any]] = []

    def enough() -> bool:
        response = httpx.post(f"{edge.url}{SEARCH}", json=body, headers=http.headers, timeout=30)
        assert response.status_code == 200, response.text
        matches[:] = response.json()["matches"]
        return response.json()["mode"] == "vectorize" and len(matches) == count

    edge.wait(enough)
    return [(match["score"], match["memory"]["content"]) for match in matches]


def contents(matches: list[tuple[float, str]]) -> list[str]:
    return [content for _, content in matches]


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))


async def test_the_seeds_examples_run_as_printed_and_without_a_key(edge: Service, stranger: httpx.AsyncClient) -> None:
    organization = f"org-{uuid4().hex}"
    response = await stranger.post("/v1/memories", json={**SEED, "organizationId": organization})
    assert response.status_code == 201, response.text
    memory = response.json()["memory"]
    listed = await stranger.get(
        "/v1/memories", params={"organizationId": organization, "namespace": "support", "limit": 25}
    )
    assert listed.json() == {"memories": [memory]}
    assert (await stranger.get(f"/v1/memories/{memory['id']}")).json() == {"memory": memory}
    body = {"organizationId": organization, "namespace": "support", "queryEmbedding": SEED["embedding"], "limit": 10}
    ((score, content),) = found(edge, stranger, 1, **body)
    assert content == SEED["content"]
    assert score == pytest.approx(1.0, abs=1e-3)
    for path in ("/v1/memories", "/v1/agents", "/v1/memories?agent_id=a"):
        assert (await stranger.get(path)).status_code == 401
    wrong = {"authorization": "Bearer mem_test_wrong"}
    refused = await stranger.get("/v1/memories", params={"organizationId": organization}, headers=wrong)
    assert (refused.status_code, refused.json()) == (401, {"error": "Unauthorized"})


async def test_vectors_of_every_length_are_found_by_their_raw_cosine(edge: Service, http: httpx.AsyncClient) -> None:
    choice = random.Random(5)
    vectors: dict[int, list[list[float]]] = {
        length: [[choice.uniform(-1, 1) for _ in range(length)] for _ in range(4)] for length in LENGTHS
    }
    for length, given in vectors.items():
        for number, vector in enumerate(given):
            scale = 10.0 ** choice.choice([-290, -30, 0, 30, 290])
            embedding = [each * scale for each in vector]
            namespace = "even" if number % 2 == 0 else "odd"
            await created(http, content=f"{length}/{number}", namespace=namespace, embedding=embedding)
    for length, given in vectors.items():
        query = [choice.uniform(-1, 1) for _ in range(length)]
        for namespace, numbers in (("", (0, 1, 2, 3)), ("even", (0, 2)), ("odd", (1, 3))):
            body = {"organizationId": "org_demo", "queryEmbedding": query, "namespace": namespace}
            expected = sorted(
                ((cosine(query, given[number]), f"{length}/{number}") for number in numbers), reverse=True
            )
            matches = found(edge, http, len(expected), **body)
            assert [score for score, _ in matches] == pytest.approx([score for score, _ in expected], abs=1e-3)
            if length > 1:  # where all vectors point one way or the other, there is no best one
                assert [content for _, content in matches] == [content for _, content in expected]


async def test_an_organization_brings_sixteen_lengths_and_another_has_its_own(
    edge: Service, http: httpx.AsyncClient
) -> None:
    for length in range(1, MOST_LENGTHS + 1):
        await created(http, content=str(length), embedding=[1.0] * length)
    refused = await http.post(MEMORIES, json={**SEED, "embedding": [1.0] * (MOST_LENGTHS + 1)})
    assert refused.status_code == 422
    assert refused.json() == {"error": "too many embedding dimensions for this organization"}
    await created(http, content="again", embedding=[1.0] * MOST_LENGTHS)
    await created(http, organizationId="org_b", content="other", embedding=[1.0] * (MOST_LENGTHS + 1))
    for length in range(1, MOST_LENGTHS):
        query = {"organizationId": "org_demo", "queryEmbedding": [2.0] * length}
        ((score, content),) = found(edge, http, 1, **query)
        assert content == str(length)
        assert score == pytest.approx(1.0, abs=1e-3)
    both = {"organizationId": "org_demo", "queryEmbedding": [2.0] * MOST_LENGTHS}
    assert {content for _, content in found(edge, http, 2, **both)} == {str(MOST_LENGTHS), "again"}
    none = {"organizationId": "org_demo", "queryEmbedding": [2.0] * (MOST_LENGTHS + 1)}
    assert found(edge, http, 0, **none) == []


async def test_what_memoryrelay_changes_or_deletes_is_found_by_its_vector_no_more(
    edge: Service, http: httpx.AsyncClient
) -> None:
    changed = await created(http, content="The red kettle", embedding=[1, 0, 0])
    deleted = await created(http, content="The blue herring", embedding=[0.9, 0.1, 0])
    await created(http, content="The third", embedding=[0, 0, 1])
    query = {"organizationId": "org_demo", "queryEmbedding": [1, 0, 0]}
    assert len(found(edge, http, 3, **query)) == 3
    answer = await http.patch(f"/v1/memories/{changed['id']}", json={"content": "The green kettle"})
    assert answer.status_code == 200, answer.text
    assert (await http.delete(f"/v1/memories/{deleted['id']}")).status_code == 200
    assert [content for _, content in found(edge, http, 1, **query)] == ["The third"]
    memory = (await http.get(f"/v1/memories/{changed['id']}")).json()["memory"]
    assert (memory["content"], memory["vector_id"]) == ("The green kettle", None)
    search = await http.post("/v1/memories/search", json={"query": "what colour has the kettle?"})
    assert search.json()["data"][0]["id"] == changed["id"]


async def test_another_tenant_and_a_key_of_another_organization_see_nothing(
    edge: Service, http: httpx.AsyncClient
) -> None:
    tenant = f"tenant-{uuid4().hex}"
    mine = edge.operate("create-key", "--tenant", tenant, "--organization", "org_demo").strip()
    theirs = edge.operate("create-key", "--tenant", tenant, "--organization", "org_b").strip()
    owner = {"authorization": f"Bearer {mine}"}
    response = await http.post(MEMORIES, json=SEED, headers=owner)
    assert response.status_code == 201, response.text
    id = response.json()["memory"]["id"]
    query = {"organizationId": "org_demo", "queryEmbedding": SEED["embedding"]}
    http.headers.update(owner)
    assert len(found(edge, http, 1, **query)) == 1
    for key, status in ((theirs, 403), (edge.operate("create-key", "--tenant", "x").strip(), 200)):
        headers = {"authorization": f"Bearer {key}"}
        assert (await http.get(f"/v1/memories/{id}?organizationId=org_demo", headers=headers)).status_code == 404
        assert (await http.get(f"{MEMORIES}/{id}", headers=headers)).status_code == 404
        answer = await http.post(SEARCH, json=query, headers=headers)
        assert answer.status_code == status
        assert status == 403 or answer.json() == {"mode": "vectorize", "matches": []}
    flat = await http.get("/v1/memories?agent_id=a", headers=owner)
    assert flat.status_code == 403


@pytest.fixture
def way(made: Made, tmp_path: Path) -> Iterator[tuple[Proxy, Service]]:
    """A way to OpenSearch that can be cut, and a service that takes it."""
    with made() as engines:
        proxy = Proxy(engines.opensearch)
        service = Service(tmp_path, engines.settings(proxy.url))
        service.start()
        try:
            yield proxy, service
            proxy.restore()
            assert service.stop() == 0, service.log()
        finally:
            service.kill()
            proxy.close()


@pytest.mark.parametrize("failure", [Proxy.cut, Proxy.hang], ids=["down", "silent"])
async def test_the_newest_are_answered_while_the_cluster_is_down_or_silent(
    way: tuple[Proxy, Service], failure: Callable[[Proxy], None]
) -> None:
    proxy, service = way
    query = {"organizationId": "org_demo", "queryEmbedding": [1, 0, 0]}
    async with httpx.AsyncClient(base_url=service.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as http:
        first = await created(http, content="first", embedding=[1, 0, 0])
        assert contents(found(service, http, 1, **query)) == ["first"]
        failure(proxy)
        second = await created(http, content="second", embedding=[0.6, 0.8, 0])
        answer = await http.post(SEARCH, json=query)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-memory-degraded"] == "vector-unavailable"
        newest = [{"score": None, "memory": memory} for memory in (second, first)]
        assert answer.json() == {"mode": "d1", "matches": newest}
        assert (await http.get(f"{MEMORIES}/{second['id']}")).json() == {"memory": second}
        proxy.restore()
        assert contents(found(service, http, 2, **query)) == ["first", "second"]
