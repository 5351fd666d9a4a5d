from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from relay_routes import BY_NAME, CONTENT, UNKNOWN_ID, everything, one_of_each, refusal
from world import Client, World

pytestmark = pytest.mark.anyio

ODD = {
    "NUL": "a\x00b",
    "only NUL": "\x00",
    "controls": "\x01\x07\x1b[31m\x7f\x85",
    "four bytes": "\U0001f98a\U0010ffff\U000e0001",
    "right to left": "\u202eשלום\u202c \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "combining": "e\u0301\u0323 ﷽ Z\u0351\u036b\u0343",
    "joined": "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "marks of order": "\ufeff\ufffe\uffff\u2028\u2029",
    "separators": "a#b%c:d.e--f|g&h=i?j",
    "escapes": "a\\b\"c'd\\u0000\\n%23%2F%-",
    "a line": "one\r\ntwo\ttab",
    "SQL": "'; DROP TABLE items; -- \" OR 1=1 NEAR(a b) a* ^b {c} AND NOT",
    "HTML": "<script>alert(1)</script>&amp;",
    "a template": "{{7*7}} ${x} %s %n",
    "a path": "../../etc/passwd",
    "a UUID within": "00000000-0000-4000-8000-000000000000x",
}
SURROGATES = {"high": "a\ud800b", "low": "\udfff", "swapped": "\udc00\ud800"}
LONE = [("high", "\\ud800"), ("low", "x\\udfffy"), ("swapped", "\\udc00\\ud800"), ("cut", "\\ud83d\\u0041")]

odd = pytest.mark.parametrize("text", ODD.values(), ids=ODD)


@odd
async def test_odd_text_in_a_memory_comes_back_as_it_was_and_is_found(client: Client, text: str) -> None:
    scope = {"user_id": text, "session_id": text, "project": text}
    metadata: Mapping[str, Any] = {text: text, "list": [text, {text: [text]}]}
    created = await client("POST", "/v1/memories", {"agent_id": text, "content": text, "metadata": metadata, **scope})
    assert (created["content"], created["metadata"]) == (text, metadata)
    assert (created["user_id"], created["session_id"], created["project_id"]) == (text, text, text)
    assert created["extraction_status"] == "ready"
    assert await client("GET", f"/v1/memories/{created['id']}") == created
    for params in ({"agent_id": text}, {"user_id": text}, {"session_id": text}, {"project": text}):
        assert (await client("GET", "/v1/memories", params=params))["data"] == [created], params
    search = {"query": text, "agent_id": text, "metadata_filter": {text: text}, **scope}
    answer = await client("POST", "/v1/memories/search", search)
    assert answer["query"] == text
    assert [hit["memory"] for hit in answer["data"]] == [created]
    for mode in ("semantic", "keyword"):
        await client("POST", "/v1/memories/search", {"query": text, "search_mode": mode})
    context = await client("POST", "/v2/context/build", {"query": text, "threshold": 0})
    assert text in context["context"]


@odd
async def test_odd_text_in_an_update_and_a_batch_comes_back_as_it_was(client: Client, text: str) -> None:
    id = (await client("POST", "/v1/memories", CONTENT))["id"]
    changed = await client("PUT", f"/v1/memories/{id}", {"content": text, "metadata": {text: text}})
    assert (changed["content"], changed["metadata"]) == (text, {text: text})
    item = {"content": text, "client_id": text, "agent_id": text}
    (result,) = (await client("POST", "/v1/memories/batch", {"memories": [item]}))["results"]
    assert (result["client_id"], result["content_preview"]) == (text, text[:100])
    assert (await client("GET", f"/v1/memories/{result['id']}"))["content"] == text


@odd
async def test_odd_text_written_later_comes_back_and_is_found(world: World, client: Client, text: str) -> None:
    id = (await client("POST", "/v2/memories", {"agent_id": "a", "content": text}, expect=202))["id"]
    assert await world.work() == [{"batchItemFailures": []}]
    assert (await client("GET", f"/v2/memories/{id}/status"))["status"] == "ready"
    assert [hit["id"] for hit in (await client("POST", "/v1/memories/search", {"query": text}))["data"]] == [id]


@odd
async def test_odd_text_in_an_agent_comes_back_and_finds_it(client: Client, text: str) -> None:
    agent = await client("POST", "/v1/agents", {"name": text, "description": text, "metadata": {"k": text}}, expect=201)
    assert (agent["name"], agent["description"], agent["metadata"]) == (text, text, {"k": text})
    own = await client("POST", "/v1/agents", {"name": f"{text}2", "id": f"id {text}"}, expect=201)
    assert own["id"] == f"id {text}"
    for reference, found in ((text, agent), (f"id {text}", own)):
        path = f"/v1/agents/{quote(reference, safe='')}"
        assert await client("GET", path) == found
        assert (await client("GET", f"{path}/stats"))["memory_count"] == 0
        assert (await client("PUT", path, {"description": "new"}))["id"] == found["id"]
        assert (await client("DELETE", path)) == {"id": found["id"], "deleted": True}


@odd
async def test_odd_text_in_a_session_comes_back_and_finds_it(client: Client, text: str) -> None:
    body = {"external_id": text, "title": text, "project": text, "agent_id": text, "metadata": {text: text}}
    opened = await client("POST", "/v1/sessions/get-or-create", body)
    assert {name: opened[name] for name in ("external_id", "title", "project", "metadata")} == {
        name: body[name] for name in ("external_id", "title", "project", "metadata")
    }
    assert opened["contributors"] == [text]
    again = await client("POST", "/v1/sessions/get-or-create", {"external_id": text})
    assert (again["id"], again["created"]) == (opened["id"], False)
    for params in ({"agent_id": text}, {"project": text}):
        assert [each["id"] for each in (await client("GET", "/v1/sessions", params=params))["data"]] == [opened["id"]]
    await client("POST", "/v1/memories", {**CONTENT, "content": text, "session_id": opened["id"]})
    summary = await client("POST", f"/v1/sessions/{opened['id']}/summarize")
    assert summary["memory_count"] == 1
    ended = await client("POST", f"/v1/sessions/{opened['id']}/end", {"summary": text, "metadata": {text: 1}})
    assert (ended["summary"], ended["metadata"]) == (text, {text: 1})


@odd
async def test_odd_text_in_keys_and_webhooks_comes_back(client: Client, text: str) -> None:
    assert (await client("POST", "/v1/keys", {"name": text}, expect=201))["key_info"]["name"] == text
    body = {"url": "https://example.com/hook", "description": text, "secret": text}
    hook = await client("POST", "/v1/webhooks", body, expect=201)
    assert (await client("GET", f"/v1/webhooks/{hook['id']}"))["description"] == text


async def test_texts_that_only_look_alike_are_different_names(client: Client) -> None:
    names = ["é", "e\u0301", "É", "a", "a ", " a", "A", "a#b", "a%23b", "a\x00", "a%-", "%-"]
    ids = [(await client("POST", "/v1/agents", {"name": name}, expect=201))["id"] for name in names]
    assert len(set(ids)) == len(names)
    opened = [(await client("POST", "/v1/sessions/get-or-create", {"external_id": name}))["id"] for name in names]
    assert len(set(opened)) == len(names)
    for name in names:
        await client("POST", "/v1/memories", {"agent_id": "x", "content": "c", "user_id": name})
    for name in names:
        assert (await client("GET", "/v1/memories", params={"user_id": name, "limit": "50"}))["data"][0][
            "user_id"
        ] == name


@pytest.mark.parametrize(("_about", "escape"), LONE, ids=[about for about, _ in LONE])
async def test_half_a_surrogate_pair_is_refused_wherever_it_stands(client: Client, _about: str, escape: str) -> None:
    ids = await one_of_each(client)
    before = await everything(client)
    texts = (
        ("POST /v1/memories", '{"agent_id": "a", "content": "@"}'),
        ("POST /v1/memories", '{"agent_id": "@", "content": "c"}'),
        ("POST /v1/memories", '{"agent_id": "a", "content": "c", "metadata": {"k": ["@"]}}'),
        ("POST /v1/memories", '{"agent_id": "a", "content": "c", "metadata": {"@": 1}}'),
        ("POST /v1/memories", '{"agent_id": "a", "content": "c", "memory_type": "@"}'),
        ("POST /v1/memories", '{"agent_id": "a", "content": "c", "user_id": "@"}'),
        ("POST /v2/memories", '{"agent_id": "a", "content": "c", "webhook_url": "https://example.com/@"}'),
        ("PUT /v1/memories/{id}", '{"content": "@"}'),
        ("POST /v1/memories/search", '{"query": "@"}'),
        ("POST /v1/memories/search", '{"query": "x", "metadata_filter": {"@": 1}}'),
        ("POST /v1/memories/search", '{"query": "x", "metadata_filter": {"@": {}}}'),
        ("POST /v1/memories/search", '{"query": "x", "metadata_filter": {"k": "@"}}'),
        ("POST /v2/context/build", '{"query": "x", "exclude_memory_ids": ["@"]}'),
        ("POST /v1/memories/maintenance", '{"action": "@"}'),
        ("POST /v1/sessions", '{"title": "@"}'),
        ("POST /v1/sessions/get-or-create", '{"external_id": "@"}'),
        ("POST /v1/sessions/{id}/end", '{"summary": "@"}'),
        ("POST /v1/agents", '{"name": "@"}'),
        ("POST /v1/agents", '{"id": "@"}'),
        ("POST /v1/webhooks", '{"url": "https://example.com/@"}'),
        ("POST /v1/webhooks", '{"url": "https://example.com", "secret": "@"}'),
        ("POST /v1/webhooks", '{"url": "https://example.com", "event_types": ["@"]}'),
        ("POST /v1/keys", '{"name": "@"}'),
        ("POST /v1/keys", '{"scopes": ["@"]}'),
    )
    for name, text in texts:
        route = BY_NAME[name]
        path = route.at(ids.get(route.noun or "", UNKNOWN_ID))
        content = text.replace("@", escape).encode()
        response = await client.http.request(route.method, path, content=content)
        assert response.status_code in (400, 422), (text, response.text)
        refusal(response, response.status_code)
    assert await everything(client) == before


@pytest.mark.parametrize(("_about", "escape"), LONE, ids=[about for about, _ in LONE])
async def test_half_a_surrogate_pair_in_a_batch_or_in_an_ignored_field_is_no_server_error(
    client: Client, _about: str, escape: str
) -> None:
    for text in (
        '{"memories": [{"content": "c", "client_id": "@"}]}',
        '{"memories": [{"content": "@", "client_id": "c"}]}',
        '{"memories": [{"content": "c"}], "ignored": "@"}',
        '{"memories": [{"content": "c", "@": "@"}]}',
    ):
        response = await client.http.post("/v1/memories/batch", content=text.replace("@", escape).encode())
        assert response.status_code in (200, 400, 422), response.text
        if response.status_code != 200:
            refusal(response, response.status_code)


async def test_a_whole_surrogate_pair_is_one_character(client: Client) -> None:
    body = b'{"agent_id": "a", "content": "\\ud83e\\udd8a"}'
    assert (await client.http.post("/v1/memories", content=body)).json()["content"] == "\U0001f98a"


NUMBERS = [
    0,
    -1,
    2**31,
    2**63 - 1,
    2**63,
    -(2**63) - 1,
    2**200,
    10**398,
    0.1,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    1e16,
]


@pytest.mark.parametrize("number", NUMBERS, ids=[str(number)[:20] for number in NUMBERS])
async def test_a_number_in_metadata_comes_back_as_it_was_and_can_be_asked_for(client: Client, number: float) -> None:
    created = await client("POST", "/v1/memories", {**CONTENT, "metadata": {"n": number, "deep": [number]}})
    assert created["metadata"] == {"n": number, "deep": [number]}
    assert created["extraction_status"] == "ready"
    search = {"query": "dark mode", "metadata_filter": {"n": number}}
    found = await client("POST", "/v1/memories/search", search)
    assert [hit["id"] for hit in found["data"]] == [created["id"]]
