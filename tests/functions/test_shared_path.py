import json
import string
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonplace.core.admit import KeyOrder
from commonplace.http.endpoint import Call, Operation, Reply, Spoken, application
from commonplace.http.shared_path import EDGE, HEALTH, MEMSY, RELAY, TABLE, SharedPath, named
from commonplace.model.apikey import Permission, Principal
from commonplace.model.errors import CommonplaceError, Forbidden, NotFound, TooLarge, Unauthenticated, Unavailable
from world import KEY, OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

EITHER = "either"
"""Whoever the setting names."""

BEARER = {"authorization": f"Bearer {KEY}"}
WRONG = {"authorization": "Bearer mem_test_unknown"}
STRANGER = Principal("open", "open", frozenset({Permission.READ, Permission.WRITE}), secret="")

STATUSES: Mapping[type[CommonplaceError], int] = {
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    TooLarge: 413,
    Unavailable: 503,
}


@dataclass(frozen=True)
class Fake:
    """A dialect that says its name in all that it answers."""

    name: str
    prefixes: Sequence[str]
    body_limit: int
    organizations: bool
    guarded: bool = False
    stranger: Principal | None = None
    owns: Sequence[str] = ()
    api_key_header: bool = True
    routes: Sequence[tuple[str, str]] = ()

    def failure(self, error: CommonplaceError | None, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers of an error; None is a bug of ours."""
        del request_id
        status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
        return status, {"by": self.name}, {}


LIMITS = {RELAY: 400, EDGE: 200, MEMSY: 300, "third": 200}


def relay() -> Fake:
    return Fake(RELAY, ("", "/relay"), LIMITS[RELAY], organizations=False, owns=("",))


def edge(stranger: Principal | None = None) -> Fake:
    return Fake(EDGE, ("", "/edge"), LIMITS[EDGE], True, True, stranger, owns=("/edge",))


def memsy() -> Fake:
    return Fake(MEMSY, ("", "/memsy"), LIMITS[MEMSY], True, True, owns=("/memsy",))


SHARED = [
    ("POST", "/v1/memories", Permission.WRITE),
    ("GET", "/v1/memories", Permission.READ),
    ("GET", "/v1/memories/{id}", Permission.READ),
    ("POST", "/v1/memories/search", Permission.READ),
]
CHANGES = [
    ("PUT", "/v1/memories/{id}", Permission.WRITE),
    ("PATCH", "/v1/memories/{id}", Permission.WRITE),
    ("DELETE", "/v1/memories/{id}", Permission.DELETE),
]


def spoken(dialect: Fake, routes: Sequence[tuple[str, str, Permission]]) -> Spoken:
    """A dialect with these routes, which show what they were given."""

    async def show(call: Call) -> Reply:
        query, body = {name: list(values) for name, values in call.query_lists.items()}, call.body.decode("latin-1")
        return Reply({"by": dialect.name, "tenant": call.tenant, "query": query, "body": body})

    return Spoken(dialect, [Operation(method, path, permission, show) for method, path, permission in routes])


@dataclass
class Rows:
    """Who created which memory of whom. Remembers what it was asked."""

    origins: Mapping[tuple[str, str], str]
    asked: list[tuple[str, str]] = field(default_factory=list)
    failure: Exception | None = None

    async def __call__(self, tenant: str, id: str) -> str | None:
        self.asked.append((tenant, id))
        if self.failure is not None:
            raise self.failure
        return self.origins.get((tenant, id))


@pytest.fixture
def rows() -> Rows:
    return Rows(
        {
            (TENANT, "of-edge"): EDGE,
            (TENANT, "of-relay"): RELAY,
            (TENANT, "of-a-third"): "third",
            (OTHER_TENANT, "of-another"): EDGE,
            (STRANGER.tenant, "open-edge"): EDGE,
            (STRANGER.tenant, "open-relay"): RELAY,
        }
    )


@asynccontextmanager
async def serving(
    world: World,
    rows: Rows,
    fallback: str,
    dialects: Sequence[Spoken] = (spoken(relay(), [*SHARED, *CHANGES]), spoken(edge(), SHARED)),
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a host of these dialects."""
    host = replace(world.services.host, shared=SharedPath(fallback, rows))
    transport = httpx.ASGITransport(application(dialects, host), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def in_open_mode() -> list[Spoken]:
    """The dialects of a host where whoever has no key is a stranger to edge."""
    return [spoken(relay(), [*SHARED, *CHANGES]), spoken(edge(STRANGER), SHARED)]


async def key(world: World, token: str, permissions: Sequence[Permission], *organizations: str) -> dict[str, str]:
    """The headers of a new key."""
    order = KeyOrder(
        tenant=TENANT, environment="test", permissions=tuple(permissions), organizations=tuple(organizations)
    )
    await world.services.admit.accept(token, order)
    return {"authorization": f"Bearer {token}"}


def by(response: httpx.Response, status: int = 200) -> str:
    """Who answered, with this status."""
    assert response.status_code == status, response.text
    name: str = response.json()["by"]
    return name


def expected(whose: str, fallback: str) -> str:
    return fallback if whose == EITHER else whose


def body(**members: object) -> bytes:
    return json.dumps(members).encode()


VALUES: list[object] = ["o", "", None, 0, False, [], {}]
UNDECIDABLE = [
    b"",
    b"  ",
    b"{}",
    b" { } ",
    b"[]",
    b'["organizationId"]',
    b'"organizationId"',
    b"5",
    b"null",
    b'{"organizationId":',
    b'{"organizationId":1,}',
    b'{"organizationId":1}}',
    b"{'organizationId':1}",
    b'{"organizationId":"\xff"}',
    b'\xef\xbb\xbf{"organizationId":1}',
    '{"organizationId":1}'.encode("utf-16"),
    b'{"organizationId":' + b"[" * 100_000,
]
ODD_VALUES = [
    b'{"organizationId":NaN}',
    b'{"organizationId":-Infinity}',
    b'{"organizationId":1e999}',
    b'{"organizationId":' + b"1" * 5000 + b"}",
    b'{"organizationId":"\\ud800"}',
    b'{"organization\\u0049d":1}',
    b'{"\\u006frganizationId":1}',
    b'{"organizationId":1,"organizationId":2}',
    b'\n{"agent_id":"a","content":"c","organizationId":""}',
]
CREATES = [
    *((body(**{name: value}), EDGE) for name in TABLE["POST", "/v1/memories"].edge for value in VALUES),
    *((each, EDGE) for each in ODD_VALUES),
    (body(agent_id="a", content="c", subjectId="s"), EDGE),
    (body(agent_id="a", content="c"), RELAY),
    (body(content="organizationId and embedding"), RELAY),
    (body(content="\u0101 \u0045"), RELAY),
    (b'{"content":"\\u0041\\u006f"}', RELAY),
    (body(namespace="n"), RELAY),
    (body(metadata={"organizationId": "o", "embedding": [1]}), RELAY),
    (body(organization_id="o", subject_id="s", organizationid="o", Embedding=[1]), RELAY),
    (body(queryEmbedding=[1], query="q", limit=1), RELAY),
    (b'{"\\u006frganization":1}', RELAY),
    *((each, EITHER) for each in UNDECIDABLE),
]
SEARCHES = [
    *((body(**{name: value}), EDGE) for name in TABLE["POST", "/v1/memories/search"].edge for value in VALUES),
    *((each, EDGE) for each in ODD_VALUES),
    (body(query="q", organizationId="o"), EDGE),
    *((body(query=value), RELAY) for value in VALUES),
    (body(query="q", agent_id="a", limit=1, namespace="n"), RELAY),
    (body(query="organizationId", metadata_filter={"queryEmbedding": 1}), RELAY),
    (body(limit=5), EITHER),
    (body(namespace="n"), EITHER),
    (body(subjectId="s", agentId="a", embedding=[1]), EITHER),
    (body(agent_id="a", query_embedding=[1]), EITHER),
    *((each, EITHER) for each in UNDECIDABLE),
]
LISTS = [
    ("organizationId=o", EDGE),
    ("organizationId=", EDGE),
    ("organizationId", EDGE),
    ("namespace=n", EDGE),
    ("namespace", EDGE),
    ("agent_id=a&namespace=n", EDGE),
    ("limit=1&organization%49d=o", EDGE),
    ("agent_id=a", RELAY),
    ("offset=0&limit=1", RELAY),
    ("subjectId=s", RELAY),
    ("organizationid=o", RELAY),
    ("x=organizationId", RELAY),
    ("limit=1&x", RELAY),
    ("", EITHER),
    ("limit=5", EITHER),
    ("limit", EITHER),
    ("limit=1&limit=2", EITHER),
]
REQUESTS = [
    *(("POST", "/v1/memories", "", content, whose) for content, whose in CREATES),
    *(("POST", "/v1/memories/search", "", content, whose) for content, whose in SEARCHES),
    *(("GET", "/v1/memories", query, b"", whose) for query, whose in LISTS),
    ("POST", "/v1/memories", "organizationId=o", b"{}", EITHER),
    ("POST", "/v1/memories", "organizationId=o", body(content="c"), RELAY),
    ("POST", "/v1/memories/search", "organizationId=o&q=x", b"", EITHER),
    ("GET", "/v1/memories", "agent_id=a", body(organizationId="o"), RELAY),
    ("GET", "/v1/memories", "", body(organizationId="o"), EITHER),
    ("GET", "/v1/memories", "namespace=n", b"{", EDGE),
]


def names(query: str) -> list[str]:
    """The names of the parameters in a query string."""
    return list(httpx.QueryParams(query).keys())


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
def test_a_request_is_told_by_its_method_path_parameters_and_body(fallback: str) -> None:
    for method, path, query, content, whose in REQUESTS:
        found = named(method, path, names(query), content, fallback)
        assert found == expected(whose, fallback), (method, path, query, content[:80])


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
@pytest.mark.parametrize("turned", [False, True])
async def test_a_request_is_answered_by_whose_it_is(world: World, rows: Rows, fallback: str, turned: bool) -> None:
    dialects = [spoken(relay(), SHARED), spoken(edge(), SHARED)]
    dialects = [
        replace(each, dialect=replace(each.dialect, body_limit=10**6))  # type: ignore[type-var] # it is a Fake
        for each in (reversed(dialects) if turned else dialects)
    ]
    async with serving(world, rows, fallback, dialects) as http:
        for method, path, query, content, whose in REQUESTS:
            url = f"{path}?{query}" if query else path
            answer = await http.request(method, url, content=content, headers=BEARER)
            assert by(answer) == expected(whose, fallback), (method, url, content[:80])
            assert answer.json()["body"] == content.decode("latin-1")
    assert rows.asked == []


ESCAPED = st.text(st.sampled_from(string.ascii_letters), max_size=3)
NAMES = sorted({name for signs in TABLE.values() for name in signs.edge} | {"query", "content", "limit"})


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """A JSON object, any letters of which may be escaped."""
    members = draw(st.dictionaries(st.sampled_from(NAMES) | ESCAPED, st.none() | st.sampled_from(NAMES), max_size=4))
    letters = "".join(
        f"\\u{ord(letter):04{draw(st.sampled_from('xX'))}}" if letter.isalpha() and draw(st.booleans()) else letter
        for letter in ", ".join(f'"{name}":"{value}"' for name, value in members.items())
    )
    return f"{{{letters}}}".encode()


@given(content=objects(), path=st.sampled_from(["/v1/memories", "/v1/memories/search"]))
def test_a_body_that_is_not_parsed_for_relay_would_have_been_relays(content: bytes, path: str) -> None:
    parsed = named("POST", path, (), content, EITHER)
    assert named("POST", path, (), content, RELAY) == (RELAY if parsed == EITHER else parsed)


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
async def test_a_refusal_is_told_by_whose_the_request_is(world: World, rows: Rows, fallback: str) -> None:
    nothing = await key(world, "mem_test_nothing", [])
    async with serving(world, rows, fallback) as http:
        for method, path, query, content, whose in REQUESTS:
            url = f"{path}?{query}" if query else path
            for headers, status in (({}, 401), (WRONG, 401), (nothing, 403)):
                answer = await http.request(method, url, content=content, headers=headers)
                told = whose if len(content) <= LIMITS[RELAY] else EITHER
                assert by(answer, status) == expected(told, fallback), (url, content[:80])


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
async def test_changes_and_deletions_are_relays_whatever_they_say(world: World, rows: Rows, fallback: str) -> None:
    both = [spoken(edge(), [*SHARED, *CHANGES]), spoken(relay(), [*SHARED, *CHANGES])]
    for dialects in (both, [spoken(edge(), SHARED), spoken(relay(), [*SHARED, *CHANGES])]):
        async with serving(world, rows, fallback, dialects) as http:
            for method, path, _ in CHANGES:
                for content in (body(organizationId="o", embedding=[1]), body(content="c"), b"{}", b""):
                    url = f"{path.format(id='of-edge')}?organizationId=o"
                    assert by(await http.request(method, url, content=content, headers=BEARER)) == RELAY
                    assert named(method, path, ["organizationId"], content, fallback) == RELAY
    assert rows.asked == []


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
async def test_what_stands_under_the_name_of_a_dialect_is_its_alone(world: World, rows: Rows, fallback: str) -> None:
    async with serving(world, rows, fallback) as http:
        for name in (RELAY, EDGE):
            for method, path, _ in SHARED:
                for content in (body(organizationId="o", queryEmbedding=[]), body(query="q", content="c"), b"{", b""):
                    for query in ("", "?organizationId=o", "?agent_id=a"):
                        url = f"/{name}{path.format(id='of-edge')}{query}"
                        assert by(await http.request(method, url, content=content, headers=BEARER)) == name
                        assert by(await http.request(method, url, content=content), 401) == name
        for method, path, _ in CHANGES:
            url = f"/edge{path.format(id='of-edge')}"
            assert by(await http.request(method, url), 401) == EDGE
            assert by(await http.request(method, url, headers=BEARER), 404) == EDGE
        assert by(await http.get("/v1/memories/of-edge/", headers=BEARER), 404) == RELAY
    assert rows.asked == []


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("turned", [False, True])
async def test_a_memory_is_shown_by_the_dialect_that_created_it(
    world: World, rows: Rows, fallback: str, method: str, turned: bool
) -> None:
    dialects = [spoken(relay(), SHARED), spoken(edge(), SHARED)]
    whose = {
        "of-edge": EDGE,
        "of-relay": RELAY,
        "of-a-third": RELAY,
        "of-another": fallback,
        "unknown": fallback,
        "search": fallback,
    }
    async with serving(world, rows, fallback, dialects[::-1] if turned else dialects) as http:
        for id, name in whose.items():
            for query in ("", "?namespace=n&limit=1"):
                answer = await http.request(method, f"/v1/memories/{id}{query}", headers=BEARER)
                if method == "GET":
                    assert by(answer) == name, id
                assert answer.status_code == 200
    assert rows.asked == [(TENANT, id) for id in whose for _ in range(2)]


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
async def test_a_memory_is_shown_by_edge_where_an_organization_is_named(
    world: World, rows: Rows, fallback: str
) -> None:
    async with serving(world, rows, fallback) as http:
        for id in ("of-edge", "of-relay", "of-another", "unknown"):
            for query in ("organizationId=o", "organizationId=", "organizationId", "x=1&organizationId=o"):
                url = f"/v1/memories/{id}?{query}"
                assert by(await http.get(url, headers=BEARER)) == EDGE
                assert by(await http.get(url), 401) == EDGE
                assert by(await http.get(url, headers=WRONG), 401) == EDGE
    assert rows.asked == []


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
@pytest.mark.parametrize("turned", [False, True])
async def test_where_the_row_would_have_to_tell_a_request_without_a_good_key_is_refused_by_relay(
    world: World, rows: Rows, fallback: str, turned: bool
) -> None:
    for dialects in ([spoken(relay(), SHARED), spoken(edge(), SHARED)], in_open_mode()):
        async with serving(world, rows, fallback, dialects[::-1] if turned else dialects) as http:
            for id in ("of-edge", "of-relay", "unknown"):
                assert by(await http.get(f"/v1/memories/{id}", headers=WRONG), 401) == RELAY
    assert rows.asked == []
    async with serving(world, rows, fallback) as http:
        for id in ("of-edge", "of-relay", "unknown"):
            assert by(await http.get(f"/v1/memories/{id}"), 401) == RELAY
    assert rows.asked == []


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
async def test_what_a_key_may_not_do_with_a_memory_is_told_by_the_dialect_of_its_row(
    world: World, rows: Rows, fallback: str
) -> None:
    headers = await key(world, "mem_test_writer", [Permission.WRITE])
    async with serving(world, rows, fallback) as http:
        for id, name in (("of-edge", EDGE), ("of-relay", RELAY), ("unknown", fallback)):
            assert by(await http.get(f"/v1/memories/{id}", headers=headers), 403) == name


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
async def test_a_key_that_is_limited_to_organizations_reads_memories_in_edge_and_nothing_in_relay(
    world: World, rows: Rows, fallback: str
) -> None:
    headers = await key(world, "mem_test_limited", tuple(Permission), "org_a")
    async with serving(world, rows, fallback) as http:
        for id in ("of-edge", "of-relay", "unknown"):
            assert by(await http.get(f"/v1/memories/{id}", headers=headers)) == EDGE
            assert by(await http.delete(f"/v1/memories/{id}", headers=headers), 403) == RELAY
        assert by(await http.get("/v1/memories?namespace=n", headers=headers)) == EDGE
        assert by(await http.get("/v1/memories?agent_id=a", headers=headers), 403) == RELAY
        assert by(await http.get("/v1/memories", headers=headers), 200 if fallback == EDGE else 403) == fallback
    assert rows.asked == []


@pytest.mark.parametrize("failure", [Unavailable("down"), RuntimeError("a bug")])
async def test_rows_that_cannot_be_asked_are_told_by_relay(
    world: World, rows: Rows, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    rows.failure = failure
    async with serving(world, rows, EDGE) as http:
        status = 503 if isinstance(failure, Unavailable) else 500
        assert by(await http.get("/v1/memories/of-edge", headers=BEARER), status) == RELAY
    assert [record.getMessage() for record in caplog.records] == ["unexpected failure"] * (status == 500)


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
async def test_in_open_mode_a_stranger_is_answered_in_edge_and_refused_in_relay(
    world: World, rows: Rows, fallback: str
) -> None:
    undecided = 200 if fallback == EDGE else 401
    async with serving(world, rows, fallback, in_open_mode()) as http:
        assert by(await http.post("/v1/memories", content=body(organizationId="o"))) == EDGE
        assert by(await http.post("/v1/memories", content=body(content="c")), 401) == RELAY
        assert by(await http.post("/v1/memories", content=b"{}"), undecided) == fallback
        assert by(await http.get("/v1/memories/open-edge")) == EDGE
        assert by(await http.get("/v1/memories/open-relay"), 401) == RELAY
        assert by(await http.get("/v1/memories/of-edge"), undecided) == fallback
        assert by(await http.get("/v1/memories/of-edge", headers=BEARER)) == EDGE
        assert by(await http.get("/v1/memories/open-edge", headers=BEARER)) == fallback
        assert by(await http.get("/v1/memories?namespace=n", headers=WRONG), 401) == EDGE
        shown = await http.get("/v1/memories/open-edge?organizationId=o")
        assert (by(shown), shown.json()["tenant"]) == (EDGE, "open")
    assert rows.asked == [
        ("open", "open-edge"),
        ("open", "open-relay"),
        ("open", "of-edge"),
        (TENANT, "of-edge"),
        (TENANT, "open-edge"),
    ]


def padded(size: int, **members: object) -> bytes:
    return body(**members).ljust(size)


async def in_pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 50):
        yield content[start : start + 50]


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
@pytest.mark.parametrize("declared", [True, False])
async def test_the_limit_of_a_body_is_that_of_whose_the_request_is_and_told_after_401_and_403(
    world: World, rows: Rows, fallback: str, declared: bool
) -> None:
    reader = await key(world, "mem_test_reader", [Permission.READ])
    mine, theirs = {"organizationId": "o"}, {"content": "c"}
    cases = [
        (padded(LIMITS[EDGE], **mine), EDGE, 200),
        (padded(LIMITS[EDGE] + 1, **mine), EDGE, 413),
        (padded(LIMITS[RELAY], **mine), EDGE, 413),
        (padded(LIMITS[RELAY], **theirs), RELAY, 200),
        (padded(LIMITS[RELAY] + 1, **mine), fallback, 413),
        (padded(LIMITS[RELAY] * 10, **theirs), fallback, 413),
    ]
    async with serving(world, rows, fallback) as http:
        for content, whose, status in cases:
            for headers, answered in (({}, 401), (WRONG, 401), (reader, 403), (BEARER, status)):
                sent = content if declared else in_pieces(content)
                answer = await http.post("/v1/memories", content=sent, headers=headers)
                assert by(answer, answered) == whose, (len(content), answered)
            if status == 200:
                assert answer.json()["body"] == content.decode()


async def test_a_body_that_nobody_takes_does_not_hide_what_the_query_says(world: World, rows: Rows) -> None:
    async with serving(world, rows, RELAY) as http:
        for query, whose in (("?namespace=n", EDGE), ("?agent_id=a", RELAY), ("", RELAY)):
            answer = await http.request("GET", f"/v1/memories{query}", content=b" " * 1000, headers=BEARER)
            assert by(answer, 413) == whose


@pytest.mark.parametrize("length", ["9" * 5000, "1" + "0" * 19])
async def test_no_length_is_too_long_to_be_too_much(world: World, rows: Rows, length: str) -> None:
    async with serving(world, rows, RELAY) as http:
        answer = await http.post("/v1/memories", content=b"{}", headers={**BEARER, "content-length": length})
        assert by(answer, 413) == RELAY


@pytest.mark.parametrize("length", ["-1", "x", "\xb2", "0"])
async def test_a_length_that_is_none_is_not_believed(world: World, rows: Rows, length: str) -> None:
    async with serving(world, rows, RELAY) as http:
        headers = [(b"authorization", BEARER["authorization"].encode()), (b"content-length", length.encode("latin-1"))]
        assert by(await http.post("/v1/memories", content=body(content="c"), headers=headers)) == RELAY
        answer = await http.post("/v1/memories", content=b" " * 1000, headers=headers)
        assert by(answer, 413) == RELAY


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
async def test_there_is_no_question_where_whoever_is_meant_does_not_serve_the_route(
    world: World, rows: Rows, fallback: str
) -> None:
    third = Fake("third", ("",), LIMITS["third"], organizations=True)
    alone, with_a_third = [spoken(relay(), SHARED)], [spoken(relay(), SHARED), spoken(third, SHARED)]
    for dialects in (alone, with_a_third):
        async with serving(world, rows, fallback, dialects) as http:
            for content in (body(organizationId="o"), body(content="c"), b"{}"):
                assert by(await http.post("/v1/memories", content=content, headers=BEARER)) == RELAY
            assert by(await http.get("/v1/memories/of-edge?organizationId=o", headers=BEARER)) == RELAY
    elsewhere = [("GET", "/v1/other", Permission.READ)]
    async with serving(world, rows, fallback, [spoken(edge(), elsewhere), spoken(third, elsewhere)]) as http:
        assert by(await http.get("/v1/other?organizationId=o", headers=BEARER)) == EDGE
    assert rows.asked == []


ANY_CREDENTIALS = [
    {"authorization": ""},
    {"authorization": " "},
    {"authorization": "Bearer"},
    {"authorization": "Bearer "},
    {"authorization": "Basic dTpw"},
    {"x-api-key": ""},
    {"authorization": "", "x-api-key": "nonsense"},
    {"Authorization": f"Bearer {KEY}x"},
    WRONG,
]
GOOD = [BEARER, {"x-api-key": KEY}, {"X-API-Key": KEY, "authorization": "Basic dTpw"}]


def with_health() -> list[Spoken]:
    """MemoryRelay's health is open to all, Memsy's to holders of a key."""

    async def healthy(_: Call) -> Reply:
        return Reply({"by": RELAY})

    of_relay = Spoken(relay(), [Operation(*HEALTH, None, healthy)])
    return [of_relay, spoken(edge(), SHARED), spoken(memsy(), [(*HEALTH, Permission.READ)])]


@pytest.mark.parametrize("fallback", [RELAY, EDGE])
@pytest.mark.parametrize("turned", [False, True])
async def test_health_is_memsys_as_soon_as_anything_like_a_key_is_shown(
    world: World, rows: Rows, fallback: str, turned: bool
) -> None:
    dialects = with_health()
    async with serving(world, rows, fallback, dialects[::-1] if turned else dialects) as http:
        assert by(await http.get("/v1/health")) == RELAY
        assert by(await http.get("/v1/health?organizationId=o")) == RELAY
        for headers in GOOD:
            assert by(await http.get("/v1/health", headers=headers)) == MEMSY
        for headers in ANY_CREDENTIALS:
            assert by(await http.get("/v1/health", headers=headers), 401) == MEMSY, headers
    assert rows.asked == []


async def test_under_the_name_of_one_of_them_health_is_its_alone(world: World, rows: Rows) -> None:
    async with serving(world, rows, RELAY, with_health()) as http:
        for headers in ({}, WRONG, BEARER):
            assert by(await http.get("/relay/v1/health", headers=headers)) == RELAY
        assert by(await http.get("/memsy/v1/health", headers=BEARER)) == MEMSY
        for headers in ({}, *ANY_CREDENTIALS):
            assert by(await http.get("/memsy/v1/health", headers=headers), 401) == MEMSY


async def test_where_memsy_is_not_served_a_wrong_key_does_no_harm_to_health(world: World, rows: Rows) -> None:
    async with serving(world, rows, RELAY, with_health()[:2]) as http:
        for headers in ({}, WRONG, BEARER):
            assert by(await http.get("/v1/health", headers=headers)) == RELAY


def test_a_key_decides_nothing_on_any_other_path() -> None:
    shared = SharedPath(EDGE, Rows({}))
    for method, path, query, content, _ in REQUESTS:
        found = {shared.named(method, path, names(query), content, keyed=keyed) for keyed in (False, True)}
        assert len(found) == 1
        assert MEMSY not in found
    assert shared.named("POST", "/v1/health", (), b"", keyed=True) == RELAY
    assert shared.named("GET", "/health", (), b"", keyed=True) == RELAY


SERVICE = {
    "status",
    "version",
    "api_version",
    "environment",
    "timestamp",
    "uptime_seconds",
    "services",
    "embedding_info",
}


async def test_the_health_of_the_service_is_told_in_the_words_of_both_to_whom_both_know(world: World) -> None:
    async with world.client(None) as client:
        alone = await client("GET", "/v1/health")
        both = await client("GET", "/v1/health", headers=BEARER)
        refused = await client("GET", "/v1/health", headers={"authorization": ""}, expect=401)
        await client("GET", "/memsy/v1/health", expect=401)
        await client("GET", "/api/health", expect=401)
        plain = await client("GET", "/api/health", headers=BEARER)
    assert (set(alone), alone["status"]) == (SERVICE, "healthy")
    assert (set(both), both["status"]) == ({*SERVICE, "billing_enabled", "components"}, "ok")
    assert set(refused) == {"error", "message", "detail"}
    assert (set(plain), plain["status"]) == ({"status", "version", "billing_enabled", "components"}, "ok")


async def test_a_part_that_is_down_is_told_to_both(world: World) -> None:
    world.index.down = True
    async with world.client(None) as client:
        for headers in ({}, BEARER):
            told = await client("GET", "/v1/health", headers=headers, expect=503)
            assert (told["status"], told["services"]["vector_store"]) == ("unhealthy", "down")
