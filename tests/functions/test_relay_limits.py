import json
from typing import Any

import pytest

from relay_routes import BY_NAME, CONTENT, HOOK, UNKNOWN_ID, everything, one_of_each, refusal
from world import Client

pytestmark = pytest.mark.anyio

FOX = "\U0001f98a"


def metadata(size: int) -> dict[str, str]:
    """Metadata of so many bytes as compact JSON, most of them in characters of four."""
    rest = size - len(json.dumps({"k": ""}, separators=(",", ":")))
    return {"k": FOX * (rest // 4) + "x" * (rest % 4)}


def nested(levels: int) -> dict[str, Any]:
    """Metadata of so many levels: the object is the first, the number inside of it all the last."""
    value: Any = 1
    for _ in range(levels - 2):
        value = [value]
    return {"k": value}


def url(length: int) -> str:
    return f"{HOOK}/{'x' * (length - len(HOOK) - 1)}"


CREATES = ("POST /v1/memories", "POST /v2/memories")
CONTEXTS = ("POST /v2/context/build", "POST /v1/memories/context", "POST /v2/context")
SESSIONS = ("POST /v1/sessions", "POST /v1/sessions/get-or-create")
ENDS = ("POST /v1/sessions/{id}/end", "PUT /v1/sessions/{id}/end")
CHANGES = ("PUT /v1/memories/{id}", "PATCH /v1/memories/{id}")
HOOKS = ("POST /v1/webhooks", "PUT /v1/webhooks/{id}", "PATCH /v1/webhooks/{id}")
AGENTS = ("POST /v1/agents", "PUT /v1/agents/{id}")

LIMITS: list[tuple[tuple[str, ...], str, list[Any], list[Any]]] = [
    (CREATES + CHANGES, "content", ["x", FOX, "x" * 50_000], ["", " \n", "x" * 50_001, FOX * 50_001]),
    (
        CREATES + CHANGES + SESSIONS + ENDS + AGENTS,
        "metadata",
        [{}, metadata(10_240), nested(64)],
        [metadata(10_241), nested(65)],
    ),
    (CREATES, "agent_id", ["x", FOX * 255], ["", "x" * 256]),
    (CREATES, "session_id", ["x", "x" * 255], ["", "x" * 256]),
    (CREATES, "importance", [0, 1, 0.0, 1.0, 5e-324], []),
    (CREATES, "dedup_threshold", [0.5, 1, 1.0], [0.49999, 1.00001]),
    (
        CREATES,
        "memory_type",
        ["fact", "event", "insight", "task", "preference", "entity_reference", "system"],
        ["Fact", "note"],
    ),
    (CREATES, "tier", ["hot", "warm", "cold"], ["lukewarm"]),
    (CREATES, "visibility", ["private", "confidential"], ["public"]),
    (("POST /v2/memories",), "webhook_url", [url(2048)], [url(2049), "", f"{HOOK}/refused"]),
    (("PUT /v1/memories/{id}/importance",), "importance", [0, 1, 0.5], [-0.001, 1.001]),
    (("POST /v1/memories/search",), "query", ["x", "?", FOX, "x " * 2_500], ["", "\t", "x" * 5_001]),
    (("POST /v1/memories/search",), "limit", [1, 100], [0, 101]),
    (("POST /v1/memories/search",), "min_score", [0, 1, 0.5], [-0.1, 1.1]),
    (("POST /v1/memories/search",), "threshold", [0, 1, 0.5], [-0.1, 1.1]),
    (("POST /v1/memories/search",), "search_mode", ["hybrid", "semantic", "keyword"], ["vector"]),
    (("POST /v1/memories/batch",), "memories", [[CONTENT], [CONTENT] * 100], [[], [CONTENT] * 101]),
    (CONTEXTS, "query", ["x", "x " * 2_500], ["", "x" * 5_001]),
    (CONTEXTS, "limit", [1, 50], [0, 51]),
    (CONTEXTS, "max_memories", [1, 100], [0, 101]),
    (CONTEXTS, "threshold", [0, 1], [-0.1, 1.1]),
    (CONTEXTS, "max_tokens", [1, 10**9, 10**300], [0, -1]),
    (SESSIONS, "external_id", ["x", FOX * 255], ["", "x" * 256]),
    (SESSIONS, "title", ["", FOX * 500], ["x" * 501]),
    (ENDS, "summary", ["", "x" * 50_000], ["x" * 50_001]),
    (AGENTS, "name", ["x", FOX * 255], ["", " ", "x" * 256]),
    (AGENTS, "description", ["", "x" * 1_000], ["x" * 1_001]),
    (HOOKS, "url", [url(2048)], [url(2049), "", f"{HOOK}/refused"]),
    (HOOKS, "secret", ["x", "x" * 256], ["", "x" * 257]),
    (HOOKS, "description", ["", "x" * 255], ["x" * 256]),
    (
        HOOKS,
        "event_types",
        [[], ["memory.created", "memory.updated", "memory.deleted", "embedding.completed"]],
        [["memory.read"]],
    ),
    (("POST /v1/keys",), "name", ["", "x" * 255], ["x" * 256]),
    (("POST /v1/keys",), "scopes", [["read"], ["admin", "delete", "write", "read"]], [["root"]]),
    (("POST /v1/keys",), "expires_days", [1, 365], [0, 366]),
    (("POST /v1/keys",), "daily_spend_limit_usd", [0, 0.01, 10**9], [-0.01]),
]
CASES = [(name, field, good, bad) for names, field, good, bad in LIMITS for name in names]


@pytest.mark.parametrize(("name", "field", "good"), [case[:3] for case in CASES])
async def test_a_value_at_the_limit_is_taken(client: Client, name: str, field: str, good: list[Any]) -> None:
    route = BY_NAME[name]
    ids = await one_of_each(client)
    path = route.at(ids.get(route.noun or "", UNKNOWN_ID))
    for value in good:
        response = await client.http.request(route.method, path, json={**(route.body or {}), field: value})
        taken = {route.status, 200} if route.path == "/v1/agents" else {route.status}
        assert response.status_code in taken, response.text[:500]


@pytest.mark.parametrize(("name", "field", "bad"), [(name, field, bad) for name, field, _, bad in CASES if bad])
async def test_a_value_beyond_the_limit_is_422_and_named_and_nothing_is_written(
    client: Client, name: str, field: str, bad: list[Any]
) -> None:
    route = BY_NAME[name]
    ids = await one_of_each(client)
    before = await everything(client)
    path = route.at(ids.get(route.noun or "", UNKNOWN_ID))
    for value in bad:
        response = await client.http.request(route.method, path, json={**(route.body or {}), field: value})
        refused = refusal(response, 422)
        assert {each["field"].partition(".")[0] for each in refused["details"]} == {field}
    assert await everything(client) == before


@pytest.mark.parametrize("path", ["/v1/agents", "/v1/sessions"])
async def test_a_page_has_20_things_by_default_and_at_most_100(client: Client, path: str) -> None:
    for number in range(21):
        body = {"name": f"agent {number}"} if path == "/v1/agents" else {}
        await client("POST", path, body, expect=201)
    assert len((await client("GET", path))["data"]) == 20
    for limit, shown in (("1", 1), ("100", 21)):
        assert len((await client("GET", path, params={"limit": limit}))["data"]) == shown
    for limit in ("0", "101", "-1", "9" * 30, "0x1", "1.5", "banana", "１a"):
        refused = refusal(await client.http.get(path, params={"limit": limit}), 422)
        assert refused["details"][0]["field"] == "limit"


async def test_a_page_of_memories_has_20_by_default_and_any_number_is_clamped_to_1_to_1000(client: Client) -> None:
    for _ in range(2):
        await client("POST", "/v1/memories/batch", {"memories": [CONTENT] * 55})
    shown = {"": 20, "1": 1, "50": 50, "100": 100, "1000": 110, "1001": 110, "9" * 18: 110, "0": 1, "-5": 1}
    for limit, count in shown.items():
        assert len((await client("GET", "/v1/memories", params={"limit": limit}))["data"]) == count, limit
    for limit in ("banana", "1.5"):
        refused = refusal(await client.http.get("/v1/memories", params={"limit": limit}), 422)
        assert refused["details"][0]["field"] == "limit"


@pytest.mark.parametrize("path", ["/v1/agents", "/v1/sessions", "/v1/memories"])
async def test_an_offset_that_is_no_place_in_a_list_is_422(client: Client, path: str) -> None:
    assert (await client("GET", path, params={"offset": "1000000000"}))["data"] == []
    for offset in ("-1", "banana", "1.5", "1000000001"):
        refused = refusal(await client.http.get(path, params={"offset": offset}), 422)
        assert refused["details"][0]["field"] == "offset"


QUERIES = [
    ("GET", "/v1/memories", "cursor", ["x", "é", "AAAA", "x" * 4000, "%00"]),
    ("GET", "/v1/sessions", "cursor", ["x"]),
    ("GET", "/v1/agents", "cursor", ["x"]),
    ("GET", "/v1/memories", "tier", ["lukewarm", "HOT"]),
    ("GET", "/v1/memories", "include_embeddings", ["maybe", "2"]),
    ("GET", "/v1/sessions", "status", ["deleted", "ACTIVE"]),
    ("GET", "/v1/sessions/{id}", "include_memories", ["maybe"]),
    ("DELETE", "/v1/sessions/{id}", "cascade_memories", ["maybe", "-1"]),
    ("POST", "/v1/memories/search", "limit", ["banana", "0", "101", "9" * 40]),
    ("POST", "/v1/memories/search", "threshold", ["banana", "nan", "inf", "-1", "1e999"]),
]


@pytest.mark.parametrize(("method", "path", "field", "bad"), QUERIES)
async def test_a_query_parameter_that_means_nothing_is_422_and_named(
    client: Client, method: str, path: str, field: str, bad: list[str]
) -> None:
    ids = await one_of_each(client)
    before = await everything(client)
    body = {"query": "x"} if method == "POST" else None
    for value in bad:
        response = await client.http.request(
            method, path.replace("{id}", ids["session"]), params={field: value}, json=body
        )
        assert refusal(response, 422)["details"][0]["field"] == field
    assert await everything(client) == before


@pytest.mark.parametrize("path", ["/v1/memories", "/v1/sessions", "/v1/agents"])
async def test_a_query_parameter_without_a_value_counts_as_absent(client: Client, path: str) -> None:
    await one_of_each(client)
    names = (
        "limit",
        "offset",
        "cursor",
        "agent_id",
        "user_id",
        "session_id",
        "project",
        "tier",
        "memory_type",
        "status",
    )
    assert len((await client("GET", path, params=dict.fromkeys(names, "")))["data"]) > 0


async def test_a_cursor_of_another_list_or_tenant_is_422(client: Client) -> None:
    for _ in range(3):
        await client("POST", "/v1/sessions", {}, expect=201)
        await client("POST", "/v1/memories", CONTENT)
    cursor = (await client("GET", "/v1/memories", params={"limit": "1"}))["next_cursor"]
    assert len((await client("GET", "/v1/memories", params={"cursor": cursor}))["data"]) == 2
    for path, params in (("/v1/sessions", {}), ("/v1/agents", {}), ("/v1/memories", {"user_id": "u"})):
        refusal(await client.http.get(path, params={**params, "cursor": cursor}), 422)


async def test_the_body_of_a_search_wins_over_its_query_string(client: Client) -> None:
    await client("POST", "/v1/memories/batch", {"memories": [CONTENT] * 3})
    repeated = {"q": "light", "limit": "1", "threshold": "0", "session_id": "s", "scope": "x", "namespace": "y"}
    plain = {"q": "dark mode", "limit": "1"}
    answer = await client("POST", "/v1/memories/search", {"query": "dark mode", "limit": 2}, params={"limit": "1"})
    assert (answer["query"], len(answer["data"])) == ("dark mode", 2)
    answer = await client("POST", "/v1/memories/search", params=plain)
    assert (answer["query"], len(answer["data"])) == ("dark mode", 1)
    answer = await client("POST", "/v1/memories/search", {"query": "dark mode"}, params=repeated)
    assert (answer["query"], answer["data"]) == ("dark mode", [])
