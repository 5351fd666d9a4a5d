from typing import Any

import pytest

from relay_routes import BY_NAME, CONTENT, ROUTES, UNKNOWN_ID, WITH_ID, Route, made, one_of_each, refusal
from world import TEMPLATE, Client, World

pytestmark = pytest.mark.anyio

NOT_SERVED = [
    ("POST", "/v1/entities"),
    ("GET", "/v1/entities"),
    ("GET", "/v1/entities/{id}"),
    ("PUT", "/v1/entities/{id}"),
    ("DELETE", "/v1/entities/{id}"),
    ("POST", "/v1/entities/links"),
    ("POST", "/v1/entities/{id}/link"),
    ("GET", "/v1/entities/{id}/relationships"),
    ("GET", "/v1/entities/{id}/neighborhood"),
    ("GET", "/v1/extraction/settings"),
    ("POST", "/v1/extraction/keys"),
    ("POST", "/v1/extraction/keys/{id}/activate"),
    ("POST", "/v1/extraction/keys/deactivate-all"),
    ("DELETE", "/v1/extraction/keys/{id}"),
    ("POST", "/v1/decisions"),
    ("GET", "/v1/decisions"),
    ("GET", "/v1/decisions/check"),
    ("POST", "/v1/decisions/{id}/supersede"),
    ("POST", "/v1/patterns"),
    ("GET", "/v1/patterns/search"),
    ("GET", "/v1/patterns/suggest"),
    ("POST", "/v1/patterns/{id}/adopt"),
    ("POST", "/v1/projects"),
    ("GET", "/v1/projects"),
    ("GET", "/v1/projects/shared-patterns"),
    ("GET", "/v1/projects/northrelay"),
    ("GET", "/v1/projects/northrelay/context"),
    ("POST", "/v1/projects/impact-analysis"),
    ("GET", "/v1/quota"),
    ("POST", "/v1/embed"),
    ("GET", "/v2/icm/capabilities"),
    ("GET", "/v2/icm/workspaces"),
]
UNKNOWN = [
    ("GET", "/"),
    ("GET", "/v1"),
    ("GET", "/v1/"),
    ("GET", "/v3/memories"),
    ("GET", "/docs"),
    ("GET", "/relay"),
    ("GET", "/relay/relay/v1/memories"),
    ("GET", "/v1/memories/a/b"),
    ("GET", "/v1%2Fmemories"),
    ("GET", "/v1/memories/%2E%2E/agents"),
    ("GET", "/V1/MEMORIES"),
    ("DELETE", "/v1/memories"),
    ("PATCH", "/v1/agents"),
    ("GET", "/v1/memories/search/x"),
    ("PUT", "/v1/memories/search/x"),
    ("PATCH", "/v1/sessions/x"),
    ("GET", "/v1/keys"),
    ("POST", "/v1/health"),
    ("TRACE", "/v1/memories"),
    ("BREW", "/v1/memories"),
]


@pytest.mark.parametrize(("method", "path"), NOT_SERVED)
async def test_what_is_not_served_is_404_in_the_error_body(client: Client, method: str, path: str) -> None:
    body: dict[str, str] | None = {} if method in ("POST", "PUT") else None
    refused = refusal(await client.http.request(method, path.replace("{id}", UNKNOWN_ID), json=body), 404)
    assert refused["message"] == "Route not found"


@pytest.mark.parametrize(("method", "path"), UNKNOWN)
async def test_an_unknown_path_or_method_is_404_in_the_error_body(client: Client, method: str, path: str) -> None:
    refusal(await client.http.request(method, path), 404)


async def test_an_unknown_path_needs_no_key(world: World) -> None:
    async with world.client(None) as stranger:
        refusal(await stranger.http.get("/v1/nothing"), 404)


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_route_answers_under_its_path_under_relay_and_with_slashes_before_it(
    client: Client, route: Route
) -> None:
    for prefix in ("", "/", "//", "/relay", "//relay"):
        id = await made(client, route.noun) if route.noun else UNKNOWN_ID
        url = f"http://test{prefix}{route.at(id)}"
        response = await client.http.request(route.method, url, json=route.body)
        repeated = route.path == "/v1/agents" and route.method == "POST" and prefix
        assert response.status_code == (200 if repeated else route.status), (url, response.text)
        assert response.json()


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_slash_at_the_end_is_another_path_and_never_a_redirect(client: Client, route: Route) -> None:
    ids = await one_of_each(client)
    path = route.at(ids.get(route.noun or "", UNKNOWN_ID))
    refusal(await client.http.request(route.method, f"{path}/", json=route.body), 404)


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_head_and_other_methods_are_no_server_error_and_no_redirect(client: Client, route: Route) -> None:
    ids = await one_of_each(client)
    path = route.at(ids.get(route.noun or "", UNKNOWN_ID))
    for method in ("HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"):
        response = await client.http.request(method, path)
        assert response.status_code < 300 or 400 <= response.status_code < 500, (method, response.text)
        if f"{method} {route.path}" not in BY_NAME and method != "HEAD" and route.path not in OVERLAPPING:
            refusal(response, 404)


OVERLAPPING = {f"/v1/memories/{word}" for word in ("search", "batch", "context", "maintenance")} | {
    "/v1/sessions/get-or-create"
}
"""Paths that are also those of a thing with that id, in other methods: 404 or 422, in the words of that thing."""


async def test_words_that_are_paths_are_matched_before_ids(client: Client) -> None:
    for path in ("/v1/memories/search", "/v1/memories/batch", "/v1/memories/context", "/v1/memories/maintenance"):
        refused = refusal(await client.http.post(path, json={}), 422)
        assert refused["details"][0]["message"] == "Field required"
        assert refusal(await client.http.get(path), 404)["message"] == "Memory not found"
    assert refusal(await client.http.get("/v1/sessions/get-or-create"), 404)["message"] == "Session not found"


BODYLESS: list[tuple[str, dict[str, str]]] = [
    ("no body", {}),
    ("no body but a content type", {"content-type": "application/json"}),
    ("a length of zero", {"content-length": "0"}),
]


@pytest.mark.parametrize(("_about", "headers"), BODYLESS, ids=[about for about, _ in BODYLESS])
async def test_a_post_without_a_body_is_taken_where_nothing_is_required(
    client: Client, _about: str, headers: dict[str, str]
) -> None:
    session = await made(client, "session")
    for method, path, status in (
        ("POST", f"/v1/sessions/{session}/summarize", 200),
        ("POST", f"/v1/sessions/{session}/end", 200),
        ("PUT", f"/v1/sessions/{session}/end", 200),
        ("POST", "/v1/sessions", 201),
        ("POST", "/v1/keys", 201),
    ):
        response = await client.http.request(method, path, headers=headers)
        assert response.status_code == status, response.text


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"]
)
async def test_the_content_type_does_not_matter(client: Client, kind: str) -> None:
    body = b'{"agent_id":"my-assistant","content":"caf\xc3\xa9"}'
    response = await client.http.post("/v1/memories", content=body, headers={"content-type": kind})
    assert response.json()["content"] == "café"


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body is not None], ids=str)
async def test_unknown_fields_and_nulls_are_ignored(client: Client, route: Route) -> None:
    id = await made(client, route.noun) if route.noun else UNKNOWN_ID
    body: dict[str, Any] = {**(route.body or {}), "brand_new": {"a": [1, None]}, "": 1, "x": None}
    response = await client.http.request(route.method, route.at(id), json=body)
    assert response.status_code == route.status, response.text


@pytest.mark.parametrize("route", WITH_ID, ids=str)
@pytest.mark.parametrize(
    "id", [UNKNOWN_ID, "not-a-uuid", "0", "nil", "a" * 300, "%00", "%F0%9F%A6%8A", "%25", "%2F", "%0A", "a%23b"]
)
async def test_an_unknown_id_of_any_form_is_404(client: Client, route: Route, id: str) -> None:
    refused = refusal(await client.http.request(route.method, route.at(id), json=route.body), 404)
    assert refused["message"] == f"{str(route.noun).capitalize()} not found"


async def test_the_table_of_routes_of_the_tests_is_that_of_the_template() -> None:
    served = {f"{route.method} {route.path}" for route in TEMPLATE.routes}
    assert set(BY_NAME) <= served
    assert {name.replace(" /relay", " ") for name in served if " /relay" in name} == set(BY_NAME)


async def test_a_url_with_a_prefix_and_a_query_is_no_other_route(client: Client) -> None:
    created = await client("POST", "/relay/v1/memories?x=1&x=2", CONTENT)
    assert (await client("GET", f"/v1/memories/{created['id']}?limit=banana"))["id"] == created["id"]
