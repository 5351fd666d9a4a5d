"""Anything at all, to every endpoint of Cognipeer's API: never a server error, every answer in the shape of the contract."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steps import UNKNOWN
from world import Client

pytestmark = pytest.mark.anyio

ROOT = "/api/client/v1/memory"
FUZZ = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
KEY = re.compile(r"[A-Za-z0-9_-]+")
HASH = re.compile(r"[0-9a-f]{64}")
VECTOR = re.compile(r"mem-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SCOPES = ("user", "agent", "session", "global")

Holds = Callable[[Any], bool]


def text_of(pattern: re.Pattern[str]) -> Holds:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def one_of(*words: str) -> Holds:
    return lambda value: value in words


def a(*kinds: type) -> Holds:
    return lambda value: type(value) in kinds


def share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def count(value: Any) -> bool:
    return type(value) is int and value >= 0


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


@dataclass(frozen=True)
class Shape:
    """An object: what it always has, and what it may have besides."""

    always: dict[str, Holds]
    maybe: dict[str, Holds]

    def __call__(self, value: Any) -> bool:
        fields = {**self.always, **self.maybe}
        return (
            isinstance(value, dict)
            and self.always.keys() <= value.keys() <= fields.keys()
            and all(fields[name](inner) for name, inner in value.items())
        )


def shape(maybe: dict[str, Holds] | None = None, /, **always: Holds) -> Shape:
    return Shape(always, maybe or {})


def list_of(inner: Holds) -> Holds:
    return lambda value: isinstance(value, list) and all(map(inner, value))


WHOSE: dict[str, Holds] = {"_id": text_of(KEY), "id": text_of(KEY), "tenantId": a(str), "projectId": a(str)}
STORE = shape(
    {"description": a(str), "lastActivityAt": text_of(TIME), "createdBy": a(str), "updatedBy": a(str)},
    **WHOSE,
    key=text_of(KEY),
    name=a(str),
    vectorProviderKey=a(str),
    vectorIndexKey=a(str),
    embeddingModelKey=a(str),
    config=a(dict),
    status=one_of("active", "inactive", "error"),
    memoryCount=count,
    createdAt=text_of(TIME),
    updatedAt=text_of(TIME),
)
SAID: dict[str, Holds] = {
    "content": a(str),
    "scope": one_of(*SCOPES),
    "metadata": a(dict),
    "tags": texts,
    "source": one_of("chat", "api", "agent", "manual"),
    "importance": share,
    "createdAt": text_of(TIME),
}
ITEM = shape(
    {"scopeId": a(str), "lastAccessedAt": text_of(TIME), "expiresAt": text_of(TIME)},
    **WHOSE,
    **SAID,
    storeKey=text_of(KEY),
    contentHash=text_of(HASH),
    accessCount=count,
    embeddingVersion=a(str),
    vectorId=text_of(VECTOR),
    status=one_of("active", "archived", "expired"),
    updatedAt=text_of(TIME),
)
MATCH = shape({"scopeId": a(str)}, **SAID, id=text_of(KEY), score=share)
DONE = shape(success=lambda value: value is True)
REFUSAL = Shape({"error": lambda value: isinstance(value, str) and bool(value)}, {"message": a(str)})


@dataclass(frozen=True)
class Route:
    """An endpoint, a body that it takes, and what it answers."""

    method: str
    path: str
    answer: Holds
    status: int = 200
    body: dict[str, Any] | None = None


STORE_BODY = {"name": "Fuzz", "vectorProviderKey": "p", "embeddingModelKey": "m"}
ADD = {"content": "The user prefers dark mode", "scope": "user", "scopeId": "u", "tags": ["a"], "importance": 0.8}
ROUTES = [
    Route("GET", "/stores", shape(stores=list_of(STORE))),
    Route("POST", "/stores", shape(store=STORE), 201, STORE_BODY),
    Route("GET", "/stores/{key}", shape(store=STORE)),
    Route("PATCH", "/stores/{key}", shape(store=STORE), 200, {"name": "Other"}),
    Route("DELETE", "/stores/{key}", DONE),
    Route("GET", "/stores/{key}/memories", shape(items=list_of(ITEM), total=count)),
    Route("POST", "/stores/{key}/memories", shape(memory=ITEM), 201, ADD),
    Route("DELETE", "/stores/{key}/memories", shape(deleted=count)),
    Route(
        "POST",
        "/stores/{key}/memories/batch",
        shape({"failed": count}, added=count, duplicates=count),
        201,
        {"memories": [ADD, {"content": "Memory 2"}]},
    ),
    Route("GET", "/stores/{key}/memories/{id}", ITEM),
    Route("PATCH", "/stores/{key}/memories/{id}", ITEM, 200, {"content": "Changed"}),
    Route("DELETE", "/stores/{key}/memories/{id}", DONE),
    Route(
        "POST",
        "/stores/{key}/search",
        shape(memories=list_of(MATCH), query=a(str), storeKey=text_of(KEY)),
        200,
        {"query": "dark mode"},
    ),
    Route(
        "POST",
        "/stores/{key}/recall",
        shape(context=a(str), memories=list_of(MATCH), storeKey=text_of(KEY)),
        200,
        {"query": "dark mode"},
    ),
]

FIELDS = (
    *("name", "vectorProviderKey", "embeddingModelKey", "description", "config", "status", "key", "_id"),
    *("content", "scope", "scopeId", "scope_id", "tags", "source", "importance", "metadata", "memories"),
    *("query", "topK", "top_k", "minScore", "min_score", "maxTokens", "max_tokens"),
)
CONFIG = ("defaultScope", "deduplication", "maxMemories", "ttlDays", "defaultTopK", "defaultMinScore", "autoEmbed")
PARAMETERS = ("scope", "scopeId", "tags", "status", "search", "limit", "skip", "before", "topK", "")

WORDS = (
    "user",
    "agent",
    "session",
    "global",
    "active",
    "inactive",
    "error",
    "archived",
    "expired",
    "chat",
    "u",
    "a",
    "dark",
)
ODD = (
    "",
    " ",
    "\ufeff",
    "\x00",
    "\ud800",
    "🫖",
    "İ",
    "ß",
    "%",
    "'; --",
    "\u2028",
    "x" * 600,
    "日本語",
    UNKNOWN,
    "default",
)
ANY_TEXT = st.text(st.characters(), max_size=40)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, -1, 100, 10**9, 10**399, 1.0, 0.5, 1e308, -1e308, 5e-324, -0.0]),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, ANY_TEXT, st.sampled_from(WORDS), st.sampled_from(ODD))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | ANY_TEXT, inner, max_size=4),
    max_leaves=10,
)
CONFIGS = st.dictionaries(st.sampled_from(CONFIG), LEAVES, max_size=3)
BATCHES = st.lists(st.fixed_dictionaries({"content": ANY_TEXT | st.just("again")}) | VALUES, max_size=4)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS) | ANY_TEXT, VALUES, max_size=4)
CHANGES = st.one_of(
    OBJECTS,
    st.fixed_dictionaries({"config": CONFIGS}),
    st.fixed_dictionaries({"memories": BATCHES}),
    st.fixed_dictionaries({"name": st.sampled_from(["Fuzz", "---", "A & B", "日本語", "my_store"]) | ANY_TEXT}),
)
READABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
DATES = st.datetimes().map(str) | st.sampled_from(
    ["2026-01-02", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
PAIRS = st.tuples(
    st.sampled_from(PARAMETERS),
    st.one_of(
        READABLE,
        st.integers().map(str),
        st.sampled_from(WORDS),
        DATES,
        st.sampled_from(["", ",", "1e3", "٣", "9" * 5000]),
    ),
)
QUERIES = st.one_of(
    st.lists(PAIRS, max_size=3).map(urlencode),
    st.sampled_from(
        ["&&=&", "limit", "scope=%", "tags=%ff%fe", "search=%ed%a0%80", "limit=1;skip=2", "%00=%00", "tags=%2C+%2C"]
    ),
)
KEYS = st.sampled_from(["fuzz", "fuzz", "fuzz", "default", "mem-unknown"])
IDS = st.sampled_from(["there", "there", "there", UNKNOWN, "000000000000000000000003"])


@st.composite
def bodies(draw: st.DrawFn, route: Route) -> bytes:
    """A body: as good as the endpoint's own but for some fields, or any JSON, or any bytes."""
    kind = draw(st.sampled_from(["changed", "changed", "changed", "changed", "any", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(max_size=60))
    value = {**(route.body or {}), **draw(CHANGES)} if kind == "changed" else draw(VALUES)
    return json.dumps(value).encode()


@dataclass(frozen=True)
class Sent:
    """A request; ``fuzz`` as its key and ``there`` as its id stand for a store and a memory that are there."""

    route: Route
    key: str
    id: str
    query: str
    body: bytes | None


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    route = draw(st.sampled_from(ROUTES))
    body = draw(bodies(route)) if route.body is not None or draw(st.integers(0, 4)) == 0 else None
    key, id = (draw(names if draw(st.integers(0, 7)) else READABLE.filter(bool)) for names in (KEYS, IDS))
    return Sent(route, key, id, draw(QUERIES), body)


async def stored(client: Client) -> str:
    """The key of a store that is there and takes memories."""
    response = await client.http.post(f"{ROOT}/stores", json=STORE_BODY)
    assert response.status_code in (201, 409), response.text
    fresh = {"status": "active", "config": {"maxMemories": 10**6, "defaultScope": "global"}}
    await client("PATCH", f"{ROOT}/stores/mem-fuzz", fresh)
    return "mem-fuzz"


async def added(client: Client, key: str) -> str:
    """The id of a memory that is there."""
    memory = (await client("POST", f"{ROOT}/stores/{key}/memories", ADD, expect=201))["memory"]
    return str(memory["_id"])


def fine(response: Any, answer: Holds, status: int) -> None:
    """Asserts that an answer is either the one of the endpoint, or a refusal in the words of the API."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    if response.status_code == status:
        assert answer(body), body
    else:
        assert response.status_code in (400, 404, 409, 413, 429), response.text
        assert REFUSAL(body), body


async def tried(client: Client, sent: Sent) -> Any:
    """The answer to a request."""
    key = await stored(client) if sent.key == "fuzz" or sent.id == "there" else sent.key
    id = await added(client, key) if sent.id == "there" else sent.id
    path = sent.route.path.format(key=quote(key, safe=""), id=quote(id, safe=""))
    url = f"http://test{ROOT}{path}?{sent.query}"
    return await client.http.request(sent.route.method, url, content=sent.body)


async def everything(client: Client) -> None:
    """Asserts that what was written can be read back."""
    stores = (await client("GET", f"{ROOT}/stores"))["stores"]
    assert all(map(STORE, stores)), stores
    for key in ("mem-fuzz", "default"):
        response = await client.http.get(f"{ROOT}/stores/{key}/memories?limit=5")
        fine(response, ROUTES[5].answer, 200)


@FUZZ
@given(sent=requests())
async def test_no_request_is_a_server_error(client: Client, sent: Sent) -> None:
    response = await tried(client, sent)
    fine(response, sent.route.answer, sent.route.status)
    await everything(client)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_every_endpoint_is_reached_by_what_it_takes(client: Client, route: Route) -> None:
    body = None if route.body is None else json.dumps(route.body).encode()
    if route.status == 201 and route.path == "/stores":
        key = "unused"
    else:
        key = await stored(client)
    id = await added(client, key) if "{id}" in route.path else ""
    response = await client.http.request(route.method, ROOT + route.path.format(key=key, id=id), content=body)
    assert response.status_code == route.status, response.text
    assert route.answer(response.json()), response.json()


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
    path=st.lists(
        st.sampled_from(["stores", "memories", "search", "recall", "batch", "default", "", ".", "..", "%2e%2e", "%2F"])
        | READABLE.map(lambda text: quote(text, safe="")),
        max_size=6,
    ),
    body=st.binary(max_size=20),
)
async def test_no_path_is_a_server_error_or_a_redirect(
    client: Client, method: str, path: list[str], body: bytes
) -> None:
    response = await client.http.request(method, f"http://test{ROOT}/" + "/".join(path), content=body)
    assert response.status_code in (200, 400, 404, 409), response.text
    assert response.headers["content-type"] == "application/json"
    if method != "HEAD":
        body_ = response.json()
        assert isinstance(body_, dict)
        assert ("error" in body_) is (response.status_code != 200)


@FUZZ
@given(name=st.text(st.characters(), max_size=60))
async def test_every_name_makes_a_store_that_its_key_leads_to_or_is_refused(client: Client, name: str) -> None:
    response = await client.http.post(f"{ROOT}/stores", content=json.dumps({**STORE_BODY, "name": name}).encode())
    fine(response, ROUTES[1].answer, 201)
    if response.status_code == 201:
        made = response.json()["store"]
        path = f"{ROOT}/stores/{made['key']}"  # as the published client puts it into the path: not encoded
        assert (await client("GET", path))["store"] == made
        assert made["name"] == name
        await client("DELETE", path)
