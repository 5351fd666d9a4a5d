from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from commonplace.dialects.relay.errors import Relay
from commonplace.http.endpoint import Call, Operation, Reply, Spoken, application
from commonplace.model.apikey import Permission
from world import KEY, TEMPLATE, World

pytestmark = pytest.mark.anyio

ORIGINS = ("https://memo.st", "http://localhost:3000")
FOREIGN = (
    "https://memo.st.evil.example",
    "https://memo.st/",
    "https://memo.st:443",
    "https://memo.s",
    "http://memo.st",
    "HTTPS://MEMO.ST",
    "https://memo.st, http://localhost:3000",
    "http://localhost",
    "null",
    "*",
    "",
)
PATHS = ("/things", "/things/", "/nothing", "/edge/v1/memories", "//things", "/", "/a%0Ab")


async def _listing(_: Call) -> Reply:
    return Reply({})


async def _varying(_: Call) -> Reply:
    return Reply({}, headers={"vary": "Accept-Encoding", "x-own": "1"})


async def _bug(_: Call) -> Reply:
    raise RuntimeError("a bug")


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    operations = [
        Operation("GET", "/things", Permission.READ, _listing),
        Operation("GET", "/varying", None, _varying),
        Operation("GET", "/bug", None, _bug),
    ]
    served = application([Spoken(Relay(), operations)], replace(world.services.host, origins=ORIGINS))
    transport = httpx.ASGITransport(served, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-headers": "Authorization, Content-Type",
    "access-control-max-age": "86400",
    "vary": "Origin",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ORIGINS)
async def test_every_options_request_of_an_allowed_origin_is_answered_204_without_a_key(
    http: httpx.AsyncClient, path: str, origin: str
) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for headers in ({}, asked, {"authorization": "Bearer wrong"}):
        answer = await http.options(f"http://test{path}", headers={"origin": origin, **headers})
        assert (answer.status_code, answer.content) == (204, b"")
        assert dict(answer.headers) == {**PREFLIGHT, "access-control-allow-origin": origin}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", [*FOREIGN, None])
async def test_every_other_options_request_is_answered_204_without_leave(
    http: httpx.AsyncClient, path: str, origin: str | None
) -> None:
    headers = {} if origin is None else {"origin": origin}
    answer = await http.options(f"http://test{path}", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert dict(answer.headers) == PREFLIGHT


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/things", 200),
        ("HEAD", "/things", 200),
        ("GET", "/varying", 200),
        ("POST", "/things", 404),
        ("GET", "/nothing", 404),
        ("GET", "/bug", 500),
    ],
)
async def test_every_answer_varies_by_origin_and_lets_the_pages_of_allowed_ones_read_it(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    key = {"authorization": f"Bearer {KEY}"}
    for origin in (*ORIGINS, *FOREIGN, None):
        headers = key if origin is None else {**key, "origin": origin}
        answer = await http.request(method, path, headers=headers)
        assert answer.status_code == status
        assert answer.headers.get("access-control-allow-origin") == (origin if origin in ORIGINS else None)
        assert "Origin" in answer.headers["vary"].split(", ")
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_refusal_can_be_read_as_well(http: httpx.AsyncClient) -> None:
    answer = await http.get("/things", headers={"origin": ORIGINS[0]})
    assert (answer.status_code, answer.headers["vary"]) == (401, "Origin")
    assert answer.headers["access-control-allow-origin"] == ORIGINS[0]


async def test_what_an_answer_varies_by_is_kept(http: httpx.AsyncClient) -> None:
    answer = await http.get("/varying")
    assert answer.headers.get_list("vary") == ["Accept-Encoding, Origin"]
    assert answer.headers["x-own"] == "1"


async def test_the_service_answers_options_on_the_path_of_every_route_and_elsewhere(world: World) -> None:
    async with world.client(None) as stranger:
        for path in {"/", *(route.path for route in TEMPLATE.routes)}:
            answer = await stranger.http.options(f"http://test/{path.lstrip('/')}")
            assert (answer.status_code, dict(answer.headers)) == (204, PREFLIGHT), path
