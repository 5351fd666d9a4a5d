import pytest

from relay_fields import FIELDS, MEMORY, REQUIRED, WRONG
from relay_routes import BY_NAME, UNKNOWN_ID, everything, one_of_each, refusal
from world import Client

pytestmark = pytest.mark.anyio

CASES = [(route, field, kind) for route, fields in FIELDS.items() for field, kind in fields.items() if kind]


def test_every_route_with_a_body_stands_in_the_table() -> None:
    assert set(FIELDS) == {name for name, route in BY_NAME.items() if route.body is not None}


@pytest.mark.parametrize(("name", "field", "kind"), CASES)
async def test_a_field_of_a_wrong_type_is_422_and_named_and_nothing_is_written(
    client: Client, name: str, field: str, kind: str
) -> None:
    route = BY_NAME[name]
    ids = await one_of_each(client)
    before = await everything(client)
    path = route.at(ids.get(route.noun or "", UNKNOWN_ID))
    for wrong in WRONG[kind.rstrip(REQUIRED)]:
        response = await client.http.request(route.method, path, json={**(route.body or {}), field: wrong})
        refused = refusal(response, 422)
        assert {each["field"].partition(".")[0] for each in refused["details"]} == {field}, wrong
        assert refused["message"].startswith(field)
    assert await everything(client) == before


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, field, kind in CASES if REQUIRED in kind])
async def test_a_required_field_that_is_absent_or_null_is_422_and_named(client: Client, name: str, field: str) -> None:
    route = BY_NAME[name]
    ids = await one_of_each(client)
    before = await everything(client)
    path = route.at(ids.get(route.noun or "", UNKNOWN_ID))
    without = {key: value for key, value in (route.body or {}).items() if key != field}
    for body in (without, {**without, field: None}):
        refused = refusal(await client.http.request(route.method, path, json=body), 422)
        assert refused["details"] == [{"field": field, "message": "Field required"}]
    assert await everything(client) == before


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, field, kind in CASES if REQUIRED not in kind])
async def test_an_optional_field_that_is_null_counts_as_absent(client: Client, name: str, field: str) -> None:
    route = BY_NAME[name]
    ids = await one_of_each(client)
    path = route.at(ids.get(route.noun or "", UNKNOWN_ID))
    response = await client.http.request(route.method, path, json={**(route.body or {}), field: None})
    assert response.status_code == route.status, response.text


ITEM_CASES = [
    (field, kind) for field, kind in MEMORY.items() if field not in ("deduplicate", "dedup_threshold", "agent_id")
]


@pytest.mark.parametrize(("field", "kind"), ITEM_CASES)
async def test_a_wrong_item_of_a_batch_fails_alone(client: Client, field: str, kind: str) -> None:
    wrong = [{"content": "c", field: value, "client_id": "w"} for value in WRONG[kind.rstrip(REQUIRED)]]
    answer = await client("POST", "/v1/memories/batch", {"memories": [{"content": "good"}, *wrong]})
    assert (answer["success"], answer["succeeded"], answer["failed"]) == (False, 1, len(wrong))
    for item in answer["results"][1:]:
        assert (item["status"], item["success"], item["id"], item["memory_id"]) == ("failed", False, None, None)
        assert (item["error_code"], item["client_id"]) == ("validation_error", "w")
        assert item["error"].startswith(field)
    assert (await client("GET", "/v1/memories"))["total_count"] == 1


@pytest.mark.parametrize("item", [None, 5, "content", [], True])
async def test_an_item_of_a_batch_that_is_no_object_fails_alone(client: Client, item: object) -> None:
    answer = await client("POST", "/v1/memories/batch", {"memories": [item, {"content": "good"}]})
    assert [result["status"] for result in answer["results"]] == ["failed", "success"]
    assert [result["index"] for result in answer["results"]] == [0, 1]


@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}])
async def test_a_metadata_filter_takes_plain_values_only(client: Client, value: object) -> None:
    body = {"query": "x", "metadata_filter": {"key": value}}
    refused = refusal(await client.http.post("/v1/memories/search", json=body), 422)
    assert refused["details"][0]["field"] == "metadata_filter"


@pytest.mark.parametrize("body", [{}, {"content": None, "metadata": None}])
async def test_a_change_of_nothing_changes_nothing(client: Client, body: dict[str, object]) -> None:
    ids = await one_of_each(client)
    before = await everything(client)
    for method in ("PUT", "PATCH"):
        assert await client(method, f"/v1/memories/{ids['memory']}", body) == before["/v1/memories"][0]
    assert await everything(client) == before
