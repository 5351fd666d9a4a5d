import httpx
import pytest
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway import Gateway, applications
from template import HttpRoute, Template
from world import TEMPLATE, World

pytestmark = pytest.mark.anyio


def named(name: str) -> ASGIApp:
    return Response(headers={"x-function": name})


ROUTES = (
    HttpRoute("pattern", "GET", "/v1/things/{id}"),
    HttpRoute("pattern", "DELETE", "/v1/things/{id}"),
    HttpRoute("deep", "GET", "/v1/things/{id}/parts/{part}"),
    HttpRoute("exact", "GET", "/v1/things/special"),
    HttpRoute("exact", "GET", "/v1/a.b"),
    HttpRoute("rest", "ANY", "/api/{path+}"),
    HttpRoute("rest", "GET", "/v1/actors/{id+}"),
    HttpRoute("any", "ANY", "/api/v1/{id}"),
    HttpRoute("any", "ANY", "/v1/any"),
    HttpRoute("exact", "GET", "/v1/any"),
    HttpRoute("exact", "GET", "/api/v1/special"),
    HttpRoute("pattern", "GET", "/api/v1/{id}"),
    HttpRoute("deep", "GET", "/api/v1/{id}/parts/{part}"),
    HttpRoute("default", "ANY", "$default"),
)


@pytest.fixture
def http() -> httpx.AsyncClient:
    template = Template(ROUTES, (), (), (), {})
    gateway = Gateway(template, {name: named(name) for name in template.functions})
    return httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://test")


@pytest.mark.parametrize(
    ("method", "path", "function"),
    [
        ("GET", "/v1/things/special", "exact"),
        ("GET", "/v1/things/other", "pattern"),
        ("HEAD", "/v1/things/other", "default"),
        ("OPTIONS", "/v1/things/other", "default"),
        ("DELETE", "/v1/things/special", "pattern"),
        ("POST", "/v1/things/special", "default"),
        ("GET", "/v1/things/a/parts/b", "deep"),
        ("GET", "/v1/things/a/parts", "default"),
        ("GET", "/v1/things/a/parts/b/", "default"),
        ("GET", "/v1/things/", "default"),
        ("GET", "/v1/things", "default"),
        ("GET", "//v1/things/special", "exact"),
        ("GET", "/v1/things/a%0Ab", "pattern"),
        ("GET", "/v1/things/a%2Fb", "pattern"),
        ("GET", "/v1%2Fthings/special", "default"),
        ("GET", "/v1/thin%67s/special", "exact"),
        ("GET", "/v1/a.b", "exact"),
        ("GET", "/v1/aXb", "default"),
        ("GET", "/", "default"),
        ("PURGE", "/v1/things/other", "default"),
        ("GET", "/api/anything", "rest"),
        ("PURGE", "/api/any/thing/at/all/", "rest"),
        ("HEAD", "/api//any//thing", "rest"),
        ("OPTIONS", "/api/any%0Athing", "rest"),
        ("GET", "/api/", "default"),
        ("GET", "/api", "default"),
        ("GET", "/apis/x", "default"),
        ("GET", "/x/api/y", "default"),
        ("GET", "/v1/actors/slack%3AT%2F..%2FU%20%23%3F", "rest"),
        ("GET", "/v1/actors/a", "rest"),
        ("POST", "/v1/actors/a", "default"),
        ("GET", "/v1/actors", "default"),
        ("GET", "/v1/any", "exact"),
        ("PUT", "/v1/any", "any"),
        ("GET", "/api/v1/special", "exact"),
        ("GET", "/api/v1/other", "pattern"),
        ("PUT", "/api/v1/special", "any"),
        ("PUT", "/api/v1/other", "any"),
        ("GET", "/api/v1/a/parts/b", "deep"),
        ("PUT", "/api/v1/a/parts/b", "rest"),
        ("GET", "/api/v1/a/parts", "rest"),
    ],
)
async def test_a_request_goes_to_the_function_of_its_route(
    http: httpx.AsyncClient, method: str, path: str, function: str
) -> None:
    response = await http.request(method, f"http://test{path}")
    assert response.headers["x-function"] == function


async def test_there_is_an_application_for_each_function_of_the_api(world: World) -> None:
    assert set(applications(TEMPLATE, world.services)) == set(TEMPLATE.functions)
