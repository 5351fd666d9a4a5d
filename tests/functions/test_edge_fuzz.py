"""Anything at all, to every endpoint of the edge API: never a server error, every answer in the shape of the contract, and
what was created is there to the letter."""

import json
import math
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steps import UNKNOWN
from world import Client, World

pytestmark = pytest.mark.anyio

FUZZ = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LENGTHS = 2000
"""What is tried here must not use up the lengths of an organization."""

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MEMORY = (
    *("id", "organization_id", "subject_id", "agent_id", "namespace"),
    *("content", "metadata", "vector_id", "created_at", "updated_at"),
)
NAMES = ("organizationId", "subjectId", "agentId", "namespace", "content")
MESSAGES = re.compile(
    r"(organizationId|subjectId|agentId|namespace|content) (is required|must be a string)"
    r"|(embedding|queryEmbedding) must (be an array of numbers|not be empty|not be all zeros|have at most 4096 dimensions)"
    r"|metadata must (be an object|contain only finite numbers|be at most 10240 bytes|be nested at most 64 levels deep)"
    r"|(organizationId|subjectId|agentId|namespace) must be at most 256 bytes"
    r"|content must be at most 50000 characters"
)
WORDS = {400: "Expected a valid JSON request body", 413: "Request body too large"}

Holds = Callable[[Any], bool]


def memory(value: Any) -> bool:
    """Whether this is a memory as the API writes it."""
    return bool(
        isinstance(value, dict)
        and tuple(value) == MEMORY
        and UUID.fullmatch(value["id"]) is not None
        and all(isinstance(value[name], str) for name in MEMORY[1:6])
        and isinstance(value["metadata"], dict)
        and value["vector_id"] in (None, f"mem_{value['id']}")
        and all(TIME.fullmatch(value[name]) is not None for name in MEMORY[8:])
    )


def one(value: Any) -> bool:
    return list(value) == ["memory"] and memory(value["memory"])


def many(value: Any) -> bool:
    return list(value) == ["memories"] and len(value["memories"]) <= 100 and all(map(memory, value["memories"]))


def matches(value: Any) -> bool:
    found = value["matches"]
    return (
        list(value) == ["mode", "matches"]
        and value["mode"] in ("vectorize", "d1")
        and len(found) <= 100
        and all(list(match) == ["score", "memory"] and memory(match["memory"]) for match in found)
        and all(score(match["score"], value["mode"]) for match in found)
    )


def score(value: Any, mode: str) -> bool:
    return value is None if mode == "d1" else type(value) in (int, float) and -1 <= value <= 1


def healthy(value: Any) -> bool:
    return list(value.items()) == [("ok", True), ("service", "memo-st-api"), ("environment", "test")]


@dataclass(frozen=True)
class Route:
    """An endpoint, a body that it takes, what it answers, and which refusals it knows."""

    method: str
    path: str
    answer: Holds
    status: int
    refusals: tuple[int, ...]
    body: dict[str, Any] | None = None


SEED: dict[str, Any] = {
    "organizationId": "org",
    "subjectId": "s",
    "agentId": "a",
    "namespace": "n",
    "content": "The user prefers dark mode",
    "metadata": {"source": "ticket-123"},
    "embedding": [0.012, 0.034, 0.056],
}
ROUTES = [
    Route("POST", "/v1/memories", one, 201, (400, 413, 422), SEED),
    Route("GET", "/v1/memories", many, 200, (422,)),
    Route("GET", "/v1/memories/{id}", one, 200, (404,)),
    Route(
        "POST",
        "/v1/memories/search",
        matches,
        200,
        (400, 413, 422),
        {"organizationId": "org", "queryEmbedding": [0.012, 0.034, 0.056], "namespace": "n", "limit": 5},
    ),
    Route("GET", "/health", healthy, 200, ()),
]

FIELDS = (*NAMES, "metadata", "embedding", "queryEmbedding", "limit", "organization_id", "agent_id", "query", "id")
PARAMETERS = ("organizationId", "namespace", "limit", "agent_id", "")
ODD = ("", " ", "\ufeff", "\x00", "\ud800", "🫖", "İ", "ß", "%", "#", "a#b:c", "'; --", "\u2028", "x" * 300, UNKNOWN)
ANY_TEXT = st.text(st.characters(), max_size=40)
GOOD_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    DOUBLES,
    st.sampled_from([0, 1, -1, 100, 10**308, -(10**308), 10**399, 1.0, 0.5, 1e308, -1e308, 5e-324, -0.0]),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, ANY_TEXT, st.sampled_from(ODD))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | ANY_TEXT, inner, max_size=4),
    max_leaves=10,
)
VECTORS = st.lists(NUMBERS, max_size=8)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS) | ANY_TEXT, VALUES, max_size=3)
CHANGES = st.one_of(
    OBJECTS,
    st.fixed_dictionaries({"embedding": VECTORS, "queryEmbedding": VECTORS}),
    st.fixed_dictionaries({"metadata": OBJECTS, "namespace": st.sampled_from(ODD) | ANY_TEXT}),
    st.fixed_dictionaries({"limit": VALUES}),
)
QUERIES = st.one_of(
    st.lists(
        st.tuples(st.sampled_from(PARAMETERS), GOOD_TEXT | st.sampled_from(["", "org", "n", "1e3", "9" * 5000])),
        max_size=3,
    ).map(lambda pairs: urlencode([("organizationId", "org"), *pairs])),
    st.lists(st.tuples(st.sampled_from(PARAMETERS), GOOD_TEXT), max_size=3).map(urlencode),
    st.sampled_from(["&&=&", "limit", "organizationId", "organizationId=%", "organizationId=%ff%fe", "%00=%00"]),
    st.sampled_from(
        ["organizationId=%ed%a0%80", "organizationId=org&namespace=%ed%a0%80", "organizationId=org;limit=2"]
    ),
)
IDS = st.one_of(st.just("there"), st.just("there"), st.sampled_from([UNKNOWN, "search", "batch", ".", ".."]), GOOD_TEXT)


@st.composite
def bodies(draw: st.DrawFn, route: Route) -> bytes:
    """A body: as good as the endpoint's own but for some fields, or any JSON, or any bytes."""
    kind = draw(st.sampled_from(["changed", "changed", "changed", "changed", "any", "bytes", "large"]))
    if kind == "bytes":
        return draw(st.binary(max_size=60))
    value = draw(VALUES) if kind == "any" else {**(route.body or {}), **draw(CHANGES)}
    return json.dumps(value).encode().ljust(2**20 + 1 if kind == "large" and draw(st.booleans()) else 0)


@dataclass(frozen=True)
class Sent:
    """A request; ``there`` as its id stands for a memory that is there."""

    route: Route
    id: str
    query: str
    body: bytes | None


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    route = draw(st.sampled_from(ROUTES))
    body = draw(bodies(route)) if route.body is not None or draw(st.integers(0, 4)) == 0 else None
    return Sent(route, draw(IDS), draw(QUERIES) if route.body is None else "", body)


@pytest.fixture
async def roomy(world: World) -> AsyncIterator[Client]:
    """A client of a service that takes vectors of any number of lengths."""
    world.configure(organization_lengths=LENGTHS, tenant_lengths=LENGTHS)
    async with world.client() as client:
        yield client


def strict(content: bytes) -> Any:
    def refused(name: str) -> Any:
        raise AssertionError(name)

    return json.loads(content, parse_constant=refused)


def refused(body: Any, status: int) -> None:
    """Asserts that a refusal is told in the words of the API."""
    assert list(body) == ["error"], body
    words = body["error"]
    if status == 404:
        assert words in ("Memory not found", "Not found")
    elif status == 422:
        assert MESSAGES.fullmatch(words), words
    else:
        assert words == WORDS[status]


async def tried(client: Client, sent: Sent, prefix: str) -> Any:
    """The answer to a request."""
    id = sent.id
    if id == "there":
        id = (await client("POST", "/edge/v1/memories", SEED, expect=201))["memory"]["id"]
    # Clients take "." and ".." out of a path, also where they are a whole segment; escaped they stay.
    path = sent.route.path.format(id=quote(id, safe="").replace(".", "%2E"))
    return await client.http.request(sent.route.method, f"http://test{prefix}{path}?{sent.query}", content=sent.body)


@FUZZ
@given(sent=requests())
async def test_no_request_is_a_server_error(roomy: Client, sent: Sent) -> None:
    response = await tried(roomy, sent, "/edge")
    assert response.headers["content-type"] == "application/json"
    body = strict(response.content)
    if response.status_code == sent.route.status:
        assert sent.route.answer(body), body
    elif response.status_code >= 300:
        too_large = sent.body is not None and len(sent.body) > 2**20
        allowed = {*sent.route.refusals, *((413,) if too_large else ())}
        assert response.status_code in allowed, response.text
        refused(body, response.status_code)
    await all_there(roomy)


@FUZZ
@given(sent=requests())
async def test_no_request_to_the_shared_paths_is_a_server_error(roomy: Client, sent: Sent) -> None:
    response = await tried(roomy, sent, "")
    assert response.status_code in (200, 201, 400, 404, 413, 422), response.text
    assert response.headers["content-type"] == "application/json"
    body = strict(response.content)
    if response.status_code >= 300:
        assert isinstance(body["error"], str)
        if list(body) == ["error"]:
            refused(body, response.status_code)
        else:
            assert body["code"] == body["status"] == response.status_code
    for name, holds in (("memory", one), ("memories", many), ("mode", matches)):
        assert name not in body or holds(body), body
    if {"memory", "memories", "mode"} & body.keys():
        assert sent.route.answer(body), body
        assert response.status_code == sent.route.status
    await all_there(roomy)


async def all_there(client: Client) -> None:
    """Asserts that what was written can be read back."""
    assert many(await client("GET", "/edge/v1/memories?organizationId=org&limit=3"))
    assert matches(await client("POST", "/edge/v1/memories/search", {"organizationId": "org", "limit": 3}))


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | DOUBLES
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def good(draw: st.DrawFn) -> dict[str, Any]:
    """A body that has to be taken."""
    texts = GOOD_TEXT.filter(lambda text: text.strip().strip("\ufeff") != "")
    body: dict[str, Any] = {name: draw(texts) for name in NAMES}
    if draw(st.booleans()):
        body["metadata"] = draw(st.dictionaries(GOOD_TEXT, JSON_VALUES, max_size=4))
    if draw(st.booleans()):
        body["embedding"] = draw(st.lists(DOUBLES, min_size=1, max_size=12).filter(any))
    return body


def shown(body: dict[str, Any], id: str) -> dict[str, Any]:
    """What a body has to come back as, without its times."""
    return {
        "id": id,
        "organization_id": body["organizationId"],
        "subject_id": body["subjectId"],
        "agent_id": body["agentId"],
        "namespace": body["namespace"],
        "content": body["content"],
        "metadata": body.get("metadata", {}),
        "vector_id": f"mem_{id}" if "embedding" in body else None,
    }


@FUZZ
@given(body=good(), prefix=st.sampled_from(["/edge", ""]))
async def test_what_is_created_is_there_to_the_letter(
    world: World, roomy: Client, body: dict[str, Any], prefix: str
) -> None:
    created = (await roomy("POST", f"{prefix}/v1/memories", body, expect=201))["memory"]
    assert memory(created)
    times = {name: created[name] for name in ("created_at", "updated_at")}
    assert created == {**shown(body, created["id"]), **times}
    assert repr(created["metadata"]) == repr(body.get("metadata", {}))  # 1 is not 1.0, nor True
    where = {"organizationId": body["organizationId"], "namespace": body["namespace"]}
    assert (await roomy("GET", f"{prefix}/v1/memories/{created['id']}"))["memory"] == created
    assert (await roomy("GET", f"{prefix}/v1/memories?{urlencode(where)}"))["memories"][0] == created
    recent = await roomy("POST", f"{prefix}/v1/memories/search", where)
    assert recent["matches"][0] == {"score": None, "memory": created}
    if "embedding" in body:
        await world.work()
        query = {**where, "queryEmbedding": body["embedding"], "limit": 100}
        nearest = (await roomy("POST", f"{prefix}/v1/memories/search", query))["matches"]
        (score,) = [match["score"] for match in nearest if match["memory"] == created]
        assert math.isclose(score, 1, abs_tol=1e-3)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_every_endpoint_is_reached_by_what_it_takes(client: Client, route: Route) -> None:
    id = (await client("POST", "/edge/v1/memories", SEED, expect=201))["memory"]["id"]
    query = "?organizationId=org" if route.path == "/v1/memories" and route.method == "GET" else ""
    body = await client(route.method, f"/edge{route.path.format(id=id)}{query}", route.body, expect=route.status)
    assert route.answer(body), body


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    path=st.lists(
        st.sampled_from(["v1", "v2", "memories", "search", "health", "batch", "", ".", "..", "%2e%2e", "%2F", "%0A"])
        | GOOD_TEXT.map(lambda text: quote(text, safe="")),
        max_size=5,
    ),
    body=st.binary(max_size=20),
)
async def test_no_path_is_a_server_error_or_a_redirect(
    client: Client, method: str, path: list[str], body: bytes
) -> None:
    response = await client.http.request(method, "http://test/edge/" + "/".join(path), content=body)
    if method == "OPTIONS":
        assert (response.status_code, response.content) == (204, b"")
        return
    assert response.status_code in (200, 400, 404, 422), response.text
    assert response.headers["content-type"] == "application/json"
    if method != "HEAD" and response.status_code != 200:
        assert isinstance(response.json()["error"], str)
