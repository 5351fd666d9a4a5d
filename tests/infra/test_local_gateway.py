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
        ("GET", "/v1/things/a%2Fb", "default"),
        ("GET", "/v1/a.b", "exact"),
        ("GET", "/v1/aXb", "default"),
        ("GET", "/", "default"),
        ("PURGE", "/v1/things/other", "default"),
    ],
)
async def test_a_request_goes_to_the_function_of_its_route(
    http: httpx.AsyncClient, method: str, path: str, function: str
) -> None:
    response = await http.request(method, f"http://test{path}")
    assert response.headers["x-function"] == function


async def test_there_is_an_application_for_each_function_of_the_api(world: World) -> None:
    assert set(applications(TEMPLATE, world.services)) == set(TEMPLATE.functions)
