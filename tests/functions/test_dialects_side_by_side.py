import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest

from account import relay
from commonplace.core.admit import KeyOrder
from commonplace.dialects.relay.errors import Relay
from commonplace.http.endpoint import Application, Call, Operation, Reply, Spoken, application
from commonplace.model.apikey import Permission, Principal
from commonplace.model.errors import (
    CommonplaceError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NoCredentials,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from gateway import Gateway
from relay_routes import REQUEST_ID, refusal
from template import HttpRoute, Template
from world import KEY, TENANT, World

pytestmark = pytest.mark.anyio

BEARER = {"authorization": f"Bearer {KEY}"}
READER = "mem_test_reader0000000000000000000"
EXPIRED = "mem_test_expired000000000000000000"

OTHER_STATUSES: Mapping[type[CommonplaceError], int] = {
    NoCredentials: 401,
    Expired: 401,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    MethodNotAllowed: 405,
    Malformed: 400,
    Invalid: 422,
    Unavailable: 503,
}


class Other:
    """A second API: other words, a Bearer only, small bodies. One of its paths is in the land of MemoryRelay."""

    name = "other"
    prefixes: Sequence[str] = ("/other", "")
    owns: Sequence[str] = ("/other", "/elsewhere/deep")
    body_limit = 100
    api_key_header = False

    def __init__(
        self,
        *,
        guarded: bool = False,
        stranger: Principal | None = None,
        organizations: bool = False,
        routes: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.guarded = guarded
        self.stranger = stranger
        self.organizations = organizations
        self.routes = routes

    def failure(self, error: CommonplaceError | None, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers of an error; None is a bug of ours."""
        if error is None:
            return 500, {"oops": "bug"}, {"x-other": request_id}
        told = f"missing {error.permission}" if isinstance(error, Forbidden) else type(error).__name__
        if isinstance(error, MethodNotAllowed):
            told = f"allowed {' '.join(error.allowed)}"
        return OTHER_STATUSES[type(error)], {"oops": told}, {"x-other": request_id}


class Inner:
    """A third one, inside the second one's paths, of which this function serves nothing."""

    name = "inner"
    prefixes: Sequence[str] = ("",)
    owns: Sequence[str] = ("/other/inner",)
    body_limit = 100
    api_key_header = False
    routes: Sequence[tuple[str, str]] = ()
    guarded = False
    stranger: Principal | None = None
    organizations = False

    def failure(self, error: CommonplaceError | None, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers of an error; None is a bug of ours."""
        return 418, {"inner": type(error).__name__, "of": request_id}, {}


class Counter:
    """Operations of the second API. Counts its writes."""

    def __init__(self) -> None:
        self.count = 0

    def operations(self) -> list[Operation]:
        """The endpoints."""
        return [
            Operation("GET", "/things", Permission.READ, self._listing),
            Operation("POST", "/things", Permission.WRITE, self._count),
            Operation("GET", "/things/{id}", Permission.READ, self._missing),
            Operation("GET", "/things/{id}/bug", None, self.bug),
            Operation("GET", "/things/{id}/none", None, self._none),
            Operation("GET", "/things/{id}/swallowed", None, self._swallowed),
            Operation("DELETE", "/things/{id}", Permission.DELETE, self._removed),
            Operation("POST", "/things/{id}/refused", Permission.WRITE, self._refused),
        ]

    async def _listing(self, call: Call) -> Reply:
        return Reply({"query": dict(call.query), "lists": dict(call.query_lists), "tenant": call.tenant})

    async def _count(self, call: Call) -> Reply:
        call.json()
        self.count += 1
        return Reply({"count": self.count}, 201, {"x-count": str(self.count)})

    async def _missing(self, call: Call) -> Reply:
        raise NotFound(call.path["id"])

    async def bug(self, _: Call) -> Reply:
        raise RuntimeError("a bug")

    async def _none(self, _: Call) -> Reply:
        return Reply(None)

    async def _swallowed(self, _: Call) -> Reply:
        return Reply({}, 204)

    async def _removed(self, _: Call) -> Reply:
        return Reply(None, 204, {"x-count": "0"})

    async def _refused(self, _: Call) -> Reply:
        self.count += 1
        raise Conflict("x")


def served(world: World, spoken: Sequence[Spoken]) -> Application:
    return application(spoken, world.services.host)


def client_of(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    await world.accept(READER, TENANT, [Permission.READ])
    expired = KeyOrder(tenant=TENANT, environment="test", expires_at=world.clock.now() - timedelta(seconds=1))
    await world.services.admit.accept(EXPIRED, expired)
    spoken = [
        Spoken(Other(), Counter().operations()),
        Spoken(Relay(), relay.operations(world.services)),
        Spoken(Inner(), []),
    ]
    async with client_of(served(world, spoken)) as client:
        yield client


def told(response: httpx.Response, status: int) -> object:
    """What the second API says of a failure that has to have this status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert REQUEST_ID.fullmatch(response.headers["x-request-id"])
    assert response.headers["x-other"] == response.headers["x-request-id"]
    body: dict[str, object] = response.json()
    assert set(body) == {"oops"}
    return body["oops"]


async def test_each_dialect_serves_its_operations_under_each_of_its_own_prefixes(http: httpx.AsyncClient) -> None:
    for path in ("/other/things", "/things", "/v1/agents", "/relay/v1/agents"):
        assert (await http.get(path, headers=BEARER)).status_code == 200, path
    assert told(await http.get("/other/v1/agents", headers=BEARER), 404) == "NotFound"
    refusal(await http.get("/relay/things", headers=BEARER), 404)


async def test_an_error_in_an_operation_is_told_in_the_words_of_its_dialect(http: httpx.AsyncClient) -> None:
    for path in ("/other/things/x", "/things/x"):
        assert told(await http.get(path, headers=BEARER), 404) == "NotFound"
    assert refusal(await http.get("/v1/agents/x", headers=BEARER), 404)["message"] == "Agent not found"


async def test_a_bug_is_told_in_the_words_of_the_dialect_of_its_operation_wherever_that_is_mounted(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/other/things/x/bug", "/things/x/bug"):
        assert told(await http.get(path), 500) == "bug"
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "unexpected failure"
    ] * 2


async def test_a_bug_in_an_operation_of_relay_stays_in_its_words(world: World) -> None:
    bug = Operation("GET", "/v1/bug", None, Counter().bug)
    async with client_of(served(world, [Spoken(Other(), []), Spoken(Relay(), [bug])])) as http:
        assert refusal(await http.get("/v1/bug"), 500)["message"] == "Something went wrong on our side"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/other"),
        ("GET", "/other/"),
        ("GET", "/other/nothing"),
        ("GET", "//other//nothing"),
        ("GET", "/other/innermost"),
        ("GET", "/other/things/"),
        ("GET", "/other/a%0Ab"),
        ("DELETE", "/other/things"),
        ("BREW", "/other/things"),
        ("GET", "/elsewhere/deep/down"),
    ],
)
async def test_what_is_unknown_in_a_dialects_own_paths_is_told_in_its_words_without_a_key(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    assert told(await http.request(method, f"http://test{path}"), 404) == "NotFound"


@pytest.mark.parametrize("path", ["/", "/nothing", "/others", "/otherwise/things", "/elsewhere", "/v1/other", "/Other"])
async def test_what_is_unknown_and_nobodys_is_told_in_the_words_of_relay(http: httpx.AsyncClient, path: str) -> None:
    assert refusal(await http.get(path, headers=BEARER), 404)["message"] == "Route not found"


async def test_another_method_on_a_path_outside_of_a_dialects_own_is_told_in_the_words_of_its_owner(
    http: httpx.AsyncClient,
) -> None:
    refusal(await http.delete("/things", headers=BEARER), 404)


@pytest.mark.parametrize("path", ["/other/inner", "/other/inner/", "/other/inner/most"])
async def test_the_longest_claim_wins_and_needs_no_operations(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)
    assert response.status_code == 418
    assert response.json() == {"inner": "NotFound", "of": response.headers["x-request-id"]}


async def test_a_path_that_nobody_owns_is_told_in_the_words_of_the_first(world: World) -> None:
    async with client_of(served(world, [Spoken(Other(), []), Spoken(Inner(), [])])) as http:
        assert told(await http.get("/v1/agents"), 404) == "NotFound"


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({}, "NoCredentials"),
        ({"x-api-key": KEY}, "NoCredentials"),
        ({"authorization": f"Basic {KEY}"}, "NoCredentials"),
        ({"authorization": "Bearer  "}, "NoCredentials"),
        ({"authorization": "Bearer mem_test_unknown", "x-api-key": KEY}, "Unauthenticated"),
        ({"authorization": f"Bearer {EXPIRED}"}, "Expired"),
    ],
)
async def test_a_dialect_may_take_a_bearer_alone_and_tell_a_missing_an_unknown_and_an_expired_key_apart(
    http: httpx.AsyncClient, headers: dict[str, str], kind: str
) -> None:
    assert told(await http.get("/other/things", headers=headers), 401) == kind


@pytest.mark.parametrize("headers", [BEARER, {"authorization": f"bearer {KEY}"}, {**BEARER, "x-api-key": "nonsense"}])
async def test_a_bearer_opens_both(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    for path in ("/other/things", "/v1/agents"):
        assert (await http.get(path, headers=headers)).status_code == 200


async def test_the_other_header_opens_relay_alone(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/agents", headers={"x-api-key": KEY})).status_code == 200
    assert told(await http.get("/other/things", headers={"x-api-key": KEY}), 401) == "NoCredentials"


async def test_each_dialect_says_in_its_own_words_what_a_key_may_not(http: httpx.AsyncClient) -> None:
    headers = {"authorization": f"Bearer {READER}"}
    assert told(await http.post("/other/things", headers=headers), 403) == "missing write"
    refused = refusal(await http.post("/v1/agents", headers=headers, json={"name": "a"}), 403)
    assert refused["message"] == "The API key lacks the scope 'write'"


async def test_each_dialect_has_its_own_limit_of_a_body(http: httpx.AsyncClient) -> None:
    body = b'"' + b"x" * 98 + b'"'
    assert (await http.post("/other/things", headers=BEARER, content=body)).status_code == 201
    assert told(await http.post("/other/things", headers=BEARER, content=body + b" "), 413) == "TooLarge"
    created = await http.post("/v1/agents", headers=BEARER, json={"name": "a", "description": "x" * 200})
    assert created.status_code == 201


async def test_broken_json_is_told_in_the_words_of_the_dialect(http: httpx.AsyncClient) -> None:
    assert told(await http.post("/other/things", headers=BEARER, content=b"{"), 400) == "Malformed"
    refusal(await http.post("/v1/agents", headers=BEARER, content=b"{"), 400)


async def test_an_operation_sees_every_value_of_a_repeated_parameter_in_order(http: httpx.AsyncClient) -> None:
    answer = await http.get("/other/things?tag=b&x=&tag=a%26c&tag=b&y=%C3%A9", headers=BEARER)
    assert answer.json() == {
        "query": {"tag": "b", "x": "", "y": "é"},
        "lists": {"tag": ["b", "a&c", "b"], "x": [""], "y": ["é"]},
        "tenant": TENANT,
    }


async def test_an_operation_may_send_headers_of_its_own(http: httpx.AsyncClient) -> None:
    answer = await http.post("/other/things", headers=BEARER)
    assert (answer.status_code, answer.headers["x-count"]) == (201, "1")
    assert answer.headers["content-type"] == "application/json"
    assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])


async def test_a_named_write_is_done_once_in_every_dialect(http: httpx.AsyncClient) -> None:
    named = {**BEARER, "idempotency-key": "k"}
    first, again = [await http.post("/other/things", headers=named) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (201, {"count": 1})
    assert (first.headers["x-count"], first.headers.get("idempotent-replayed")) == ("1", None)
    assert (again.headers.get("x-count"), again.headers["idempotent-replayed"]) == (None, "true")


async def test_a_success_is_never_without_a_body(http: httpx.AsyncClient) -> None:
    answer = await http.get("/other/things/x/none")
    assert (answer.status_code, answer.content) == (200, b"null")
    assert told(await http.get("/other/things/x/swallowed"), 500) == "bug"


async def test_an_answer_that_can_have_no_body_has_none_and_its_headers_all_the_same(http: httpx.AsyncClient) -> None:
    for path in ("/other/things/x", "/things/x"):
        answer = await http.delete(path, headers=BEARER)
        assert (answer.status_code, answer.content, answer.headers["x-count"]) == (204, b"", "0")
        assert "content-type" not in answer.headers
        assert answer.headers.get("content-length", "0") == "0"
        assert REQUEST_ID.fullmatch(answer.headers["x-request-id"])


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("body", [{}, [], "", 0, False])
def test_a_status_that_has_no_body_takes_none(status: int, body: object) -> None:
    with pytest.raises(ValueError, match=f"An answer with the status {status} has no body"):
        Reply(body, status)


async def test_every_answer_to_a_good_key_has_what_its_dialect_tells_of_it(world: World) -> None:
    counter = Counter()

    async def tell(principal: Principal) -> dict[str, str]:
        return {"x-tenant": principal.tenant, "x-written": str(counter.count), "x-other": "overruled"}

    app = served(
        world, [Spoken(Other(), counter.operations(), tell), Spoken(Relay(), relay.operations(world.services))]
    )
    named = {**BEARER, "idempotency-key": "k"}
    async with client_of(app) as http:
        for count in ("1", "2"):
            answer = await http.post("/other/things/x/refused", headers=named)
            assert told(answer, 409) == "Conflict"
            assert (answer.headers["x-tenant"], answer.headers["x-written"]) == (TENANT, count)
        for answer in [await http.post("/other/things", headers={**named, "idempotency-key": "l"}) for _ in range(2)]:
            assert (answer.status_code, answer.headers["x-written"]) == (201, "3")
        assert told(await http.get("/other/things/x", headers=BEARER), 404) == "NotFound"
        for answer in (await http.get("/other/things"), await http.get("/v1/agents", headers=BEARER)):
            assert "x-tenant" not in answer.headers


ROUTES = [
    ("GET", "/other/things"),
    ("POST", "/other/things"),
    ("GET", "/other/things/{id}"),
    ("DELETE", "/other/things/special"),
    ("PUT", "/other/elsewhere/{id}/parts"),
    ("GET", "/other/files/{id:path}"),
]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/other/things", "GET POST"),
        ("BREW", "/other/things", "GET POST"),
        ("HEAD", "/other/things", "GET POST"),
        ("GET", "/other//elsewhere//x/parts", "PUT"),
        ("POST", "/other/things/x", "GET"),
        ("POST", "/other/things/special", "DELETE GET"),
        ("POST", "/other/files/a/b/c", "GET"),
        ("PUT", "/other/things/x/parts", None),
        ("GET", "/other/things/", None),
        ("POST", "/other/files/", None),
        ("GET", "/other/elsewhere", None),
        ("GET", "/other", None),
    ],
)
async def test_a_dialect_that_names_its_routes_tells_a_wrong_method_from_an_unknown_path(
    world: World, method: str, path: str, allow: str | None
) -> None:
    async with client_of(served(world, [Spoken(Other(routes=ROUTES), []), Spoken(Relay(), [])])) as http:
        answer = await http.request(method, path)
    if method == "HEAD":
        assert (answer.status_code, answer.content) == (405, b"")
    else:
        assert told(answer, 404 if allow is None else 405) == ("NotFound" if allow is None else f"allowed {allow}")


async def test_a_method_that_another_function_serves_at_a_path_is_not_called_wrong(world: World) -> None:
    async with client_of(served(world, [Spoken(Other(routes=ROUTES), [])])) as http:
        for method, path in (("GET", "/other//things"), ("POST", "/other/things"), ("GET", "/other/files/a/b")):
            assert told(await http.request(method, path), 404) == "NotFound"


async def test_a_wrong_method_is_told_to_holders_of_a_key_where_the_dialect_is_guarded(world: World) -> None:
    async with client_of(served(world, [Spoken(Other(guarded=True, routes=ROUTES), [])])) as http:
        assert told(await http.put("/other/things"), 401) == "NoCredentials"
        assert told(await http.put("/other/things", headers={"authorization": "Bearer x"}), 401) == "Unauthenticated"
        assert told(await http.put("/other/things", headers=BEARER), 405) == "allowed GET POST"


async def test_a_wrong_method_is_405_in_memsys_paths_and_404_in_those_of_all_others(world: World) -> None:
    async with world.client() as client:
        for path, allow in (
            ("/v1/ingest", "POST"),
            ("/v1/roles", "GET, POST"),
            ("/v1/console/memories/stats", "GET"),
            ("/memsy/v1/actors/a/b", "GET"),
            ("/api/keys/x", "DELETE"),
            ("/memsy/api/connectors/x", "DELETE, GET"),
            ("/api/agents/signup", "POST"),
        ):
            answer = await client.http.put(path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allow), path
            assert answer.json()["error"] == "method_not_allowed"
        for path in ("/v1/agents", "/v1/memories", "/v1/health", "/edge/v1/memories", "/api/client/v1/memory/stores"):
            answer = await client.http.put(path)
            assert (answer.status_code, answer.headers.get("allow")) == (404, None), path
        for path in ("/api", "/api/", "/api/nothing", "/v1/orgs/", "/memsy", "/v1/ingest/x", "/v1/console"):
            answer = await client.http.get(path)
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found"), path


async def test_the_default_function_knows_the_words_of_what_other_functions_serve(world: World) -> None:
    template = Template(
        (HttpRoute("own", "GET", "/other/things/{id}/none"), HttpRoute("default", "ANY", "$default")), (), (), (), {}
    )
    applications = {
        "own": served(world, [Spoken(Other(), Counter().operations())]),
        "default": served(world, [Spoken(Relay(), relay.operations(world.services)), Spoken(Other(), [])]),
    }
    async with client_of(Gateway(template, applications)) as http:
        assert (await http.get("/other/things/x/none")).status_code == 200
        assert told(await http.delete("/other/things/x/none"), 404) == "NotFound"
        assert told(await http.get("/other/things"), 404) == "NotFound"
        refusal(await http.get("/nothing"), 404)


LIMITED = "mem_test_limited000000000000000000"
STRANGER = Principal("open", "open", frozenset({Permission.READ}), secret="")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/other"),
        ("GET", "/other/nothing"),
        ("GET", "/other/things/"),
        ("DELETE", "/other/things"),
        ("BREW", "/other/things"),
        ("GET", "/elsewhere/deep/down"),
    ],
)
async def test_what_is_unknown_in_the_paths_of_a_guarded_dialect_is_told_to_holders_of_a_key_alone(
    world: World, method: str, path: str
) -> None:
    spoken = [Spoken(Other(guarded=True), Counter().operations()), Spoken(Relay(), [])]
    async with client_of(served(world, spoken)) as http:
        assert told(await http.request(method, path), 401) == "NoCredentials"
        assert told(await http.request(method, path, headers={"authorization": "Bearer x"}), 401) == "Unauthenticated"
        assert told(await http.request(method, path, headers=BEARER), 404) == "NotFound"
        refusal(await http.get("/nothing"), 404)


async def test_a_guarded_dialect_says_so_when_keys_cannot_be_looked_up(world: World) -> None:
    world.table.down = True
    async with client_of(served(world, [Spoken(Other(guarded=True), [])])) as http:
        assert told(await http.get("/other/nothing", headers=BEARER), 503) == "Unavailable"


async def test_a_strangers_requests_come_from_the_stranger_and_a_wrong_key_is_nobodys(world: World) -> None:
    spoken = [Spoken(Other(guarded=True, stranger=STRANGER), Counter().operations()), Spoken(Relay(), [])]
    async with client_of(served(world, spoken)) as http:
        for headers in ({}, {"authorization": "Basic x"}, {"authorization": "Bearer "}, {"x-api-key": KEY}):
            answer = await http.get("/other/things", headers=headers)
            assert (answer.status_code, answer.json()["tenant"]) == (200, "open")
            assert told(await http.get("/other/nothing", headers=headers), 404) == "NotFound"
        assert told(await http.post("/other/things"), 403) == "missing write"
        assert (await http.get("/other/things", headers=BEARER)).json()["tenant"] == TENANT
        for path in ("/other/things", "/other/nothing"):
            wrong = await http.get(path, headers={"authorization": "Bearer mem_test_unknown"})
            assert told(wrong, 401) == "Unauthenticated"


async def limited(world: World, key: str, *organizations: str) -> dict[str, str]:
    """The headers of a new key that is limited to organisations."""
    order = KeyOrder(tenant=TENANT, environment="test", permissions=tuple(Permission), organizations=organizations)
    await world.services.admit.accept(key, order)
    return {"authorization": f"Bearer {key}"}


async def test_a_key_that_is_limited_to_organizations_opens_only_what_knows_them(world: World) -> None:
    headers = await limited(world, LIMITED, "org_a")
    for knows in (True, False):
        spoken = [
            Spoken(Other(organizations=knows), Counter().operations()),
            Spoken(Relay(), relay.operations(world.services)),
        ]
        async with client_of(served(world, spoken)) as http:
            answer = await http.get("/other/things", headers=headers)
            if knows:
                assert answer.status_code == 200
            else:
                assert told(answer, 403) == "missing None"
            refused = refusal(await http.get("/v1/agents", headers=headers), 403)
            assert refused["message"] == "The API key is limited to organizations, and this API has none"
            assert (await http.get("/v1/health", headers=headers)).status_code == 200


async def test_what_was_answered_to_a_key_of_one_organization_is_never_answered_to_one_of_another(
    world: World,
) -> None:
    keys = [
        await limited(world, f"{LIMITED}{number}", *organizations)
        for number, organizations in enumerate((("a", "b"), ("b", "a"), ("a",), ("a,b",)))
    ]
    spoken = [Spoken(Other(organizations=True), Counter().operations())]
    async with client_of(served(world, spoken)) as http:
        named = [await http.post("/other/things", headers={**each, "idempotency-key": "k"}) for each in [*keys, BEARER]]
    assert [answer.status_code for answer in named] == [201, 201, 422, 422, 422]
    assert [answer.headers.get("idempotent-replayed") for answer in named] == [None, "true", None, None, None]


async def sent(app: Application, method: str, path: str) -> tuple[int, dict[bytes, bytes], bytes]:
    """The status, headers and body that leave the application; the tests' client drops the body of an answer to HEAD."""
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        messages.append(message)

    headers = [(name.encode(), value.encode()) for name, value in BEARER.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    start, *pieces = messages
    return start["status"], dict(start["headers"]), b"".join(piece["body"] for piece in pieces)


async def test_an_answer_to_head_is_that_to_get_without_its_body(world: World) -> None:
    app = served(world, [Spoken(Other(), Counter().operations())])
    for path, expected in (
        ("/other/things", 200),
        ("/other/things/x", 404),
        ("/other/nothing", 404),
        ("/other/things/x/bug", 500),
    ):
        status, headers, body = await sent(app, "GET", path)
        assert (status, headers[b"content-length"]) == (expected, str(len(body)).encode())
        status, headers_to_head, body_to_head = await sent(app, "HEAD", path)
        assert (status, body_to_head) == (expected, b"")
        assert headers_to_head[b"content-length"] == headers[b"content-length"]
