"""Paths: matched as they were sent, and decoded once."""

from typing import Any
from urllib.parse import quote

import pytest
from mangum.handlers.api_gateway import HTTPGateway

from commonplace.http.path import decoded, matched
from world import Client, World

pytestmark = pytest.mark.anyio

NAMES = (
    "/lead",
    "trail/",
    "a/b",
    "a//b",
    "//",
    "a/../b",
    "a%2Fb",
    "%",
    "%25",
    "a+b c",
    "x\ny",
    "slack:T/../U #?ü",
    "💡",
    "status",
    "a/status",
)


def told(actor: str, content: str) -> dict[str, object]:
    return {"actor_id": actor, "session_id": "s", "kind": "user_message", "content": content}


async def known(world: World, client: Client) -> None:
    """Of each of the names there is a memory."""
    events = [told(name, f"I prefer tea number {number}") for number, name in enumerate(NAMES)]
    await client("POST", "/v1/ingest", {"events": events})
    await world.work()


@pytest.mark.parametrize("prefix", ["", "/", "/memsy", "//memsy/"])
async def test_the_record_of_an_actor_is_that_of_exactly_this_name(world: World, client: Client, prefix: str) -> None:
    await known(world, client)
    for name in NAMES:
        path = f"http://test{prefix}/v1/actors/{quote(name, safe='').replace('.', '%2E')}"
        assert (await client("GET", path))["actor_id"] == name
    for stranger in ("lead", "trail", "b", "a/b/", "a%2F%2Fb"):
        await client("GET", f"/v1/actors/{quote(stranger, safe='')}", expect=404)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/api/connectors/x%2Fstatus", 404, "Connector not found"),
        ("DELETE", "/api/connectors/x%2Fstatus", 404, "Connector not found"),
        ("GET", "/api/connectors/%2F/resources", 404, "Connector not found"),
        ("DELETE", "/v1/clear/a%2Fb", 501, "clear is not implemented"),
        ("GET", "/v1/roles/a%2Fb%0A", 404, "Role not found"),
        ("GET", "/v1/console/memories/a%2Fb", 404, "Memory not found"),
        ("GET", "/v1%2Factors", 404, "Route not found"),
        ("GET", "/v1/actors%0A", 404, "Route not found"),
        ("GET", "/v1/memories/a%2Fb", 404, "Memory not found"),
        ("GET", "/api/client/v1/memory/stores/default/memories/a%2Fb", 404, "Memory item not found."),
        ("GET", "/api/client/v1/memory/stores/a%2Fb", 404, "Memory store not found."),
        ("GET", "/edge/v1/memories/a%2Fb", 404, "Memory not found"),
        ("GET", "/edge/v1/memories%2Fa", 404, "Not found"),
    ],
)
async def test_a_slash_that_belongs_to_a_name_makes_no_other_path(
    client: Client, method: str, path: str, status: int, message: str
) -> None:
    body = await client(method, path, expect=status)
    assert body.get("message", body["error"]) == message


@pytest.mark.parametrize("name", NAMES)
def test_what_was_sent_is_what_the_variable_of_a_route_means(name: str) -> None:
    segment = quote(name, safe="")
    path = matched({"type": "http", "path": f"/v1/x/{name}", "raw_path": f"/v1/x/{segment}".encode()})
    assert path.startswith("/v1/x/")
    assert decoded({"id": path.removeprefix("/v1/x/")}) == {"id": name}


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/v1/memories", "/v1/memories"),
        ("/%76%31/m%65mories", "/v1/memories"),
        ("//v1///memories", "/v1/memories"),
        ("/v1/memories/", "/v1/memories/"),
        ("/a%2fb", "/a%2Fb"),
        ("/%2f%2F", "/%2F%2F"),
        ("/ü", "/%C3%BC"),
        ("/%ff", "/%EF%BF%BD"),
        ("*", "%2A"),
        ("", ""),
    ],
)
def test_all_spellings_of_a_path_are_one(raw: str, path: str) -> None:
    assert matched({"type": "http", "path": "/other", "raw_path": raw.encode()}) == path


def scope(path: str) -> Any:
    """What becomes of an event of API Gateway, which has the path decoded already (Mangum decodes it once more)."""
    http = {"sourceIp": "203.0.113.7", "path": path, "method": "GET"}
    event = {"version": "2.0", "headers": {}, "requestContext": {"http": http}}
    config: Any = {"api_gateway_base_path": "/", "text_mime_types": [], "exclude_headers": []}
    gateway: Any = HTTPGateway(event, {}, config)  # type: ignore[arg-type]  # nothing here reads the context
    return gateway.scope


@pytest.mark.parametrize(
    ("decoded_path", "path"),
    [
        ("//v1/actors/100%", "/v1/actors/100%25"),
        ("/v1/actors/a\nb", "/v1/actors/a%0Ab"),
        ("/v1/actors/a/b", "/v1/actors/a/b"),
        ("/v1/actors/\ud800", "/v1/actors/%3F"),
    ],
)
def test_a_path_that_comes_decoded_is_not_decoded_again(decoded_path: str, path: str) -> None:
    assert matched(scope(decoded_path)) == path
