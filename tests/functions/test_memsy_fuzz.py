"""Anything at all, to every endpoint of the Memsy API: never a server error, every answer one that the vendor's client can
read, and what was told is there to the letter."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memsy import models

from commonplace.dialects.memsy.errors import TABLE
from commonplace.dialects.memsy.routes import PREFIXES, ROUTES
from steps import UNKNOWN
from world import TENANT, Client, World

pytestmark = pytest.mark.anyio

FUZZ = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

Reads = Callable[[Any], object]

CODES = {(status, code) for status, code in TABLE.values()}
CODES |= {(403, "admin_required"), (403, "insufficient_scope"), (403, "key_limit_reached")}
EXTRAS = {
    "feature_not_available": {"feature"},
    "org_limit_reached": {"limit", "current"},
    "key_limit_reached": {"limit", "current"},
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
ACTOR = "Ünï:T/../U #?"

EVENT: dict[str, Any] = {
    "actor_id": "user_42",
    "session_id": "sess_a",
    "kind": "user_message",
    "content": "I prefer dark mode",
    "role_id": "role_1",
    "team_id": "team_1",
    "ts": "2026-01-01T00:00:00Z",
    "metadata": '{"plan":"pro"}',
    "event_id": "mine",
}
SEARCH: dict[str, Any] = {
    "query": "dark mode",
    "limit": 10,
    "threshold": 0.0,
    "include_source_events": True,
    "actor_id": "user_42",
    "session_id": "sess_a",
    "role_ids": ["role_1"],
    "team_ids": ["team_1"],
}
GROUP = {"org_id": TENANT, "name": "Sales", "focus": "B2B sales"}
S3 = {"access_key_id": "a", "secret_access_key": "s", "region": "r", "bucket": "b"}


def many(reads: Reads) -> Reads:
    """Reads a bare list."""

    def all(value: Any) -> object:
        assert isinstance(value, list)
        return [reads(each) for each in value]

    return all


def result(value: Any) -> object:
    """A result, with all that the client looks at."""
    assert set(value) == {"id", "content", "score", "metadata"}
    read = models.SearchResult.from_dict(value)
    assert type(read.score) in (int, float)
    assert 0 <= read.score <= 1
    assert len(read.source_metadata) <= 5
    return [read.title, read.tags, read.entities, read.session_id, read.source_events, read.strength]


def found(value: Any) -> object:
    assert set(value) == {"results"}
    assert len(value["results"]) <= 100
    return many(result)(value["results"])


def progress(value: Any) -> object:
    read = models.StatusResponse.from_dict(value)
    assert read.total == len(read.completed_ids) + len(read.failed_ids) + len(read.pending_ids)
    assert set(read.statuses or {}) == {*read.completed_ids, *read.failed_ids, *read.pending_ids}
    return read


def item(value: Any) -> object:
    assert set(value) == set(models.MemoryItemResource.__dataclass_fields__)
    assert all(TIME.fullmatch(value[name]) for name in ("observed_at", "created_at", "updated_at"))
    assert 0 <= value["strength"] <= 5
    assert 0 <= value["confidence"] <= 1
    return models.MemoryItemResource.from_dict(value)


def page(reads: Reads) -> Reads:
    def part(value: Any) -> object:
        assert set(value) - {"truncated"} == {"items", "total", "limit", "offset"}
        assert len(value["items"]) <= value["limit"]
        assert value["total"] >= len(value["items"])
        return many(reads)(value["items"])

    return part


def nothing(value: Any) -> object:
    assert value is None
    return value


def record(kind: Any) -> Reads:
    def read(value: Any) -> object:
        assert set(value) == set(kind.__dataclass_fields__)
        return kind.from_dict(value)

    return read


def never(value: Any) -> object:
    raise AssertionError(value)


@dataclass(frozen=True)
class Route:
    """An endpoint, how its answer is read, and a body that it takes."""

    reads: Reads
    body: dict[str, Any] | None = None
    refusals: tuple[int, ...] = (404, 422)


def groups(path: str, kind: Any) -> dict[tuple[str, str], Route]:
    read = record(kind)
    return {
        ("GET", path): Route(many(read), None, (403, 422)),
        ("POST", path): Route(read, GROUP, (403, 409, 422)),
        ("GET", f"{path}/{{id}}"): Route(read, None, (403, 404, 422)),
        ("PATCH", f"{path}/{{id}}"): Route(read, {"focus": "f", "promotion_prompt": "p"}, (403, 404, 422)),
        ("POST", f"{path}/{{id}}/regenerate-prompt"): Route(read, None, (403, 404, 422)),
        ("DELETE", f"{path}/{{id}}"): Route(nothing, None, (403, 404, 422)),
    }


def of_connectors(method: str, path: str) -> Route:
    reads: dict[str, Reads] = {
        "/api/connectors": many(models.Connector.from_dict),
        "/api/connectors/providers": lambda value: value["providers"],
        "/api/connectors/{provider}/status": models.ConnectorStatus.from_dict,
    }
    body: dict[str, Any] | None = S3 if path.endswith("configure") else {"resources": []} if method == "PUT" else None
    return Route(reads.get(path, never), body, (403, 404))


CHOSEN: dict[tuple[str, str], Route] = {
    ("POST", "/v1/ingest"): Route(models.IngestResponse.from_dict, {"events": [EVENT]}, (400, 413, 422)),
    ("POST", "/v1/status"): Route(progress, {"event_ids": ["mine", UNKNOWN]}, (413, 422)),
    ("POST", "/v1/search"): Route(found, SEARCH, (413, 422)),
    ("GET", "/v1/health"): Route(models.HealthResponse.from_dict, None, ()),
    ("DELETE", "/v1/clear/{container_tag}"): Route(never, None, (501,)),
    **groups("/v1/orgs", models.OrgResource),
    **groups("/v1/roles", models.RoleResource),
    **groups("/v1/teams", models.TeamResource),
    ("GET", "/v1/console/memories"): Route(page(item), None, (422,)),
    ("GET", "/v1/console/memories/stats"): Route(models.MemoryStatsResponse.from_dict, None, ()),
    ("GET", "/v1/console/memories/{id}"): Route(item, None, (404,)),
    ("GET", "/v1/actors"): Route(page(record(models.ActorResource)), None, (403, 422)),
    ("GET", "/v1/actors/{id:path}"): Route(record(models.ActorResource), None, (403, 404, 422)),
    ("GET", "/api/me"): Route(record(models.MeResponse), None, ()),
    ("GET", "/api/health"): Route(models.HealthResponse.from_dict, None, ()),
    ("GET", "/api/console/events"): Route(page(record(models.EventItemResponse)), None, (422,)),
    ("GET", "/api/keys"): Route(models.ApiKeyListResponse.from_dict, None, ()),
    ("POST", "/api/keys"): Route(models.CreateKeyResponse.from_dict, {"name": "ci", "scopes": ["read"]}, (403, 422)),
    ("DELETE", "/api/keys/{id}"): Route(nothing, None, (404,)),
    ("GET", "/api/keys/{id}/usage"): Route(lambda value: value["usage"], None, (404,)),
    ("GET", "/api/usage/summary"): Route(models.UsageSummaryResponse.from_dict, None, ()),
    ("GET", "/api/usage/timeseries"): Route(models.UsageTimeseriesResponse.from_dict, None, (422,)),
    ("GET", "/api/billing/summary"): Route(models.BillingSummary.from_dict, None, ()),
    ("GET", "/api/billing/invoices"): Route(many(models.Invoice.from_dict), None, ()),
    ("POST", "/api/interest/pro"): Route(
        models.ProInterestResponse.from_dict, {"email": "a@example.com", "name": "A"}, (413, 422)
    ),
    ("GET", "/api/interest/pro/status"): Route(lambda value: value["expressed"], None, ()),
    ("POST", "/api/agents/signup"): Route(never, {}, (404,)),
}
ENDPOINTS = [each for each in ROUTES if not each[1].startswith(PREFIXES[1])]
CALLS = {each: CHOSEN[each] if each in CHOSEN else of_connectors(*each) for each in ENDPOINTS}

FIELDS = sorted(
    {*EVENT, *SEARCH, *GROUP, *S3, "events", "event_ids", "exclude_session_id", "scopes", "expires_at", "email"}
)
PARAMETERS = (
    *("sort", "limit", "offset", "actor_id", "status", "kind", "type", "search", "org_id", "q", "session_id"),
    *("granularity", "dimension", "period_start", "period_end", ""),
)
ODD = ("", " ", "\ufeff", "\x00", "\ud800", "🫖", "İ", "ß", "%", "#", "a#b:c", "'; --", "\u2028", "x" * 300, UNKNOWN)
WORDS = (
    *("active", "archived", "observed_at_asc", "strength_desc", "ts_asc", "actor_id_asc", "semantic", "event", TENANT),
    *(
        "hourly",
        "daily",
        "api_calls",
        "2026-01-01",
        "2026-01-01T10:00:00+14:00",
        "0001-01-01",
        "9999-12-31",
        "user_message",
    ),
)
ANY_TEXT = st.text(st.characters(), max_size=40)
GOOD_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 1, -1, 100, 101, 10**308, 10**399, 1.0, 0.5, 1e308, 5e-324, -0.0]),
)
TIMES = st.sampled_from(
    ["2026-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "20260101T000000Z", "2026-W01", "24:00"]
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, ANY_TEXT, TIMES, st.sampled_from(ODD))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | ANY_TEXT, inner, max_size=4),
    max_leaves=10,
)
CHANGES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3)
JSON_TEXTS = VALUES.map(json.dumps)
EVENTS = st.lists(
    st.one_of(
        CHANGES.map(lambda changes: {**EVENT, **changes}),
        st.fixed_dictionaries({"metadata": JSON_TEXTS | ANY_TEXT}).map(lambda changes: {**EVENT, **changes}),
        st.fixed_dictionaries({"content": GOOD_TEXT, "event_id": GOOD_TEXT}).map(lambda changes: {**EVENT, **changes}),
        VALUES,
    ),
    max_size=4,
).map(lambda events: {"events": events})
QUERIES = st.one_of(
    st.just(""),
    st.lists(
        st.tuples(
            st.sampled_from(PARAMETERS), st.one_of(GOOD_TEXT, st.sampled_from(WORDS), st.integers(-2, 600).map(str))
        ),
        max_size=3,
    ).map(urlencode),
    st.sampled_from(["&&=&", "limit", "limit=" + "9" * 5000, "limit=%d9%a3", "offset=1e3", "actor_id=%", "q=%ff%fe"]),
    st.sampled_from(["actor_id=%ed%a0%80", "search=%00", "org_id=acme;limit=2", "kind=%ed%a0%80", "sort=%00"]),
)
IDS = st.one_of(
    *[st.just("there")] * 3, st.sampled_from([UNKNOWN, ACTOR, "stats", "providers", "s3", ".", "..", "\x00"]), GOOD_TEXT
)


@dataclass(frozen=True)
class Sent:
    """A request; ``there`` as its id stands for something that is there."""

    method: str
    path: str
    id: str
    query: str
    body: bytes | None

    @property
    def route(self) -> Route:
        return CALLS[self.method, self.path]


@st.composite
def bodies(draw: st.DrawFn, route: Route) -> bytes:
    """A body: as good as the endpoint's own but for some fields, or any JSON, or any bytes."""
    kind = draw(st.sampled_from(["changed", "changed", "changed", "changed", "any", "bytes", "large"]))
    if kind == "bytes":
        return draw(st.binary(max_size=60))
    if kind == "any":
        value = draw(VALUES)
    elif "events" in (route.body or {}) and draw(st.integers(0, 4)):
        value = draw(EVENTS)
    else:
        value = {**(route.body or {}), **draw(CHANGES)}
    return json.dumps(value).encode().ljust(4 * 2**20 + 1 if kind == "large" and draw(st.integers(0, 3)) == 0 else 0)


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    method, path = draw(st.sampled_from(ENDPOINTS))
    route = CALLS[method, path]
    body = draw(bodies(route)) if route.body is not None or draw(st.integers(0, 4)) == 0 else None
    return Sent(method, path, draw(IDS), draw(QUERIES), body)


def strict(content: bytes) -> Any:
    def refused(name: str) -> Any:
        raise AssertionError(name)

    return json.loads(content, parse_constant=refused) if content else None


def refused(body: Any, status: int) -> None:
    """Asserts that a refusal is told as the API tells it, in words that the client does not take for something else."""
    assert (status, body["error"]) in CODES, body
    assert set(body) == {"error", "message", "detail"} | EXTRAS.get(body["error"], set())
    assert isinstance(body["message"], str)
    assert body["message"] == body["detail"] != ""
    assert status != 403 or "scope" not in body["message"].lower()


async def there(world: World, client: Client, path: str) -> str:
    """The id of something that is there."""
    if "/actors" in path or "/console" in path:
        event = {**EVENT, "actor_id": ACTOR, "event_id": "known"}
        await client("POST", "/v1/ingest", {"events": [event]})
        await world.work()
        (memory, *_) = (await client("GET", "/v1/console/memories"))["items"]
        return ACTOR if "/actors" in path else str(memory["memory_id"])
    if "/keys" in path:
        made = await client.http.post("http://test/api/keys", json={"name": "ci"})
        return str(made.json()["key_id"]) if made.status_code == 200 else UNKNOWN
    for kind in ("role", "team"):
        if f"/{kind}s" in path:
            body = {"name": "n", "focus": "f"}
            made = await client.http.post(f"http://test/v1/{kind}s", json=body)
            return str(made.json()[f"{kind}_id"]) if made.status_code == 200 else UNKNOWN
    return TENANT


@FUZZ
@given(sent=requests(), prefix=st.sampled_from(PREFIXES))
async def test_no_request_is_a_server_error(world: World, client: Client, sent: Sent, prefix: str) -> None:
    id = await there(world, client, sent.path) if sent.id == "there" and "{" in sent.path else sent.id
    # Clients take "." and ".." out of a path, also where they are a whole segment; escaped they stay.
    escaped = quote(id, safe="", errors="replace").replace(".", "%2E")
    path = re.sub(r"\{[^}]*\}", lambda _: escaped, sent.path)
    url = f"http://test{prefix}{path}?{sent.query}"
    response = await client.http.request(sent.method, url, content=sent.body)
    too_large = sent.body is not None and len(sent.body) > 4 * 2**20
    allowed = {*sent.route.refusals, *((413,) if too_large else ())}
    elsewhere = "{" in sent.path and id in ("stats", "providers", "s3")
    if response.status_code == 204:
        assert response.content == b""
    else:
        assert response.headers["content-type"] == "application/json"
    body = strict(response.content)
    if response.status_code < 300:
        assert response.headers["x-plan"] == "pro"
        if not elsewhere:
            assert response.status_code == (204 if sent.method == "DELETE" else 200)
            sent.route.reads(body)
    else:
        assert elsewhere or response.status_code in allowed, (response.status_code, response.text)
        assert response.status_code in {*allowed, 404, 405, 403}, response.text
        refused(body, response.status_code)


def test_every_endpoint_is_fuzzed() -> None:
    assert CHOSEN.keys() <= CALLS.keys()
    assert {path for _, path in CALLS.keys() - CHOSEN.keys()} == {path for _, path in CALLS if "/connectors" in path}


@pytest.mark.parametrize("call", ENDPOINTS, ids=" ".join)
async def test_every_endpoint_is_reached_by_what_it_takes(world: World, client: Client, call: tuple[str, str]) -> None:
    method, path = call
    route = CALLS[call]
    if path.startswith("/v1/orgs/"):
        await client("POST", "/v1/orgs", GROUP)
    whole = re.sub(r"\{[^}]*\}", quote(await there(world, client, path), safe=""), path)
    response = await client.http.request(method, whole, json=route.body)
    body = strict(response.content)
    if route.reads is never:
        assert response.status_code in route.refusals
        refused(body, response.status_code)
    else:
        assert response.status_code == (204 if method == "DELETE" else 200), response.text
        route.reads(body)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = GOOD_TEXT.filter(lambda text: text.replace("\0", "").strip() != "")


@st.composite
def good(draw: st.DrawFn) -> dict[str, Any]:
    """An event that has to be taken, and to become a memory."""
    words = st.from_regex(r"[A-Za-z]{3,10}( [a-zäöüß🫖]{3,10}){4}", fullmatch=True)
    body = {name: draw(NAMES) for name in ("actor_id", "session_id")}
    body |= {"kind": draw(st.sampled_from(["user_message", "tool_result", "app_event"])), "content": draw(words)}
    if draw(st.booleans()):
        body |= {"role_id": draw(NAMES), "team_id": draw(NAMES)}
    if draw(st.booleans()):
        body["metadata"] = json.dumps(
            draw(st.dictionaries(NAMES, JSON_VALUES, max_size=4)), ensure_ascii=draw(st.booleans())
        )
    return body


@FUZZ
@given(event=good(), prefix=st.sampled_from(PREFIXES))
async def test_what_is_told_is_there_to_the_letter(
    world: World, client: Client, event: dict[str, Any], prefix: str
) -> None:
    (id,) = (await client("POST", f"{prefix}/v1/ingest", {"events": [event]}))["event_ids"]
    await world.work()
    status = await client("POST", f"{prefix}/v1/status", {"event_ids": [id]})
    assert status["completedIds"] == [id]
    actor, session = (event[name].replace("\0", "") for name in ("actor_id", "session_id"))
    (told, *_) = (await client("GET", f"{prefix}/api/console/events?{urlencode({'session_id': session})}"))["items"]
    metadata = None if "metadata" not in event else json.loads(event["metadata"])
    assert (told["actor_id"], told["session_id"], told["kind"]) == (actor, session, event["kind"])
    assert (told["event_id"], told["content"]) == (id, event["content"])
    assert repr(told["metadata"]) == repr(metadata)  # 1 is not 1.0, nor True
    where = {"query": event["content"], "actor_id": actor, "include_source_events": True, "limit": 100}
    hits = (await client("POST", f"{prefix}/v1/search", where))["results"]
    assert {hit["metadata"]["actor_id"] for hit in hits} == {actor}
    (hit,) = [hit for hit in hits if id in hit["metadata"]["source_event_ids"]]
    assert (hit["content"], hit["metadata"]["session_id"]) == (event["content"], session)
    assert event["content"] in [source["content"] for source in hit["metadata"]["source_events"]]
    shown = await client("GET", f"{prefix}/v1/console/memories/{hit['id']}")
    scope = (shown["scope"]["actor_id"], shown["scope"]["role_id"], shown["scope"]["team_id"])
    assert scope == (
        actor,
        *(event[name].replace("\0", "") if name in event else None for name in ("role_id", "team_id")),
    )
    await client("POST", f"{prefix}/v1/search", where)
    world.clock.advance(61)


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
    start=st.sampled_from(["/api", "/memsy", "/memsy/v1", "/memsy/api", "/v1/orgs", "/v1/actors", "/v1/console"]),
    path=st.lists(
        st.sampled_from(["v1", "api", "memories", "search", "keys", "usage", "", ".", "..", "%2e%2e", "%2F", "%0A"])
        | GOOD_TEXT.map(lambda text: quote(text, safe="")),
        max_size=5,
    ),
    body=st.binary(max_size=20),
)
async def test_no_path_is_a_server_error_or_a_redirect(
    client: Client, method: str, start: str, path: list[str], body: bytes
) -> None:
    response = await client.http.request(method, "http://test" + "/".join([start, *path]), content=body)
    assert response.status_code in (200, 204, 400, 403, 404, 405, 409, 422), response.text
    if response.status_code != 204:
        assert response.headers["content-type"] == "application/json"
    if method != "HEAD" and response.status_code >= 300:
        assert isinstance(response.json()["message" if "message" in response.json() else "error"], str)
