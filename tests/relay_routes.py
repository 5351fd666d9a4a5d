"""Every route that the contract gives to the relay dialect, with the smallest body that each one takes."""

import re
from dataclasses import dataclass, field
from typing import Any

import httpx

from world import Client

TYPES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "bad_request",
    422: "validation_error",
    429: "rate_limit_exceeded",
    500: "internal_error",
    503: "internal_error",
}
"""The ``type`` that belongs to each status (contract 1.4)."""

KEYS = {"type", "title", "status", "detail", "message", "error", "code", "request_id"}
REQUEST_ID = re.compile(r"req_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Route:
    """A route. ``noun`` is what the id in its path names; ``scope`` the permission that it takes, None if it is open."""

    method: str
    path: str
    scope: str | None
    body: dict[str, Any] | None = None
    status: int = 200
    noun: str | None = None
    query: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def at(self, id: str = UNKNOWN_ID) -> str:
        """The path with an id in it."""
        return self.path.replace("{id}", id)


CONTENT = {"agent_id": "my-assistant", "content": "The user prefers dark mode"}
HOOK = "https://example.com/hook"

ROUTES = [
    Route("POST", "/v1/memories", "write", CONTENT),
    Route("GET", "/v1/memories", "read"),
    Route("GET", "/v1/memories/{id}", "read", noun="memory"),
    Route("PUT", "/v1/memories/{id}", "write", {"content": "changed"}, noun="memory"),
    Route("PATCH", "/v1/memories/{id}", "write", {"content": "changed"}, noun="memory"),
    Route("DELETE", "/v1/memories/{id}", "delete", noun="memory"),
    Route("PUT", "/v1/memories/{id}/importance", "write", {"importance": 0.9}, noun="memory"),
    Route("POST", "/v1/memories/search", "read", {"query": "dark mode"}),
    Route("POST", "/v1/memories/batch", "write", {"memories": [CONTENT]}),
    Route("POST", "/v1/memories/maintenance", "write", {"action": "demote_cold"}),
    Route("POST", "/v2/memories", "write", CONTENT, 202),
    Route("GET", "/v2/memories/{id}/status", "read", noun="memory"),
    Route("POST", "/v2/context/build", "read", {"query": "dark mode"}),
    Route("POST", "/v1/memories/context", "read", {"query": "dark mode"}),
    Route("POST", "/v2/context", "read", {"query": "dark mode"}),
    Route("POST", "/v1/sessions", "write", {}, 201),
    Route("POST", "/v1/sessions/get-or-create", "write", {"external_id": "thread-1"}),
    Route("GET", "/v1/sessions", "read"),
    Route("GET", "/v1/sessions/{id}", "read", noun="session"),
    Route("POST", "/v1/sessions/{id}/end", "write", {}, noun="session"),
    Route("PUT", "/v1/sessions/{id}/end", "write", {}, noun="session"),
    Route("POST", "/v1/sessions/{id}/summarize", "write", noun="session"),
    Route("DELETE", "/v1/sessions/{id}", "delete", noun="session"),
    Route("POST", "/v1/agents", "write", {"name": "reviewer"}, 201),
    Route("GET", "/v1/agents", "read"),
    Route("GET", "/v1/agents/{id}", "read", noun="agent"),
    Route("PUT", "/v1/agents/{id}", "write", {"description": "Reviews"}, noun="agent"),
    Route("DELETE", "/v1/agents/{id}", "delete", noun="agent"),
    Route("GET", "/v1/agents/{id}/stats", "read", noun="agent"),
    Route("POST", "/v1/webhooks", "write", {"url": HOOK}, 201),
    Route("GET", "/v1/webhooks", "read"),
    Route("GET", "/v1/webhooks/{id}", "read", noun="webhook"),
    Route("PUT", "/v1/webhooks/{id}", "write", {"description": "Mine"}, noun="webhook"),
    Route("PATCH", "/v1/webhooks/{id}", "write", {"description": "Mine"}, noun="webhook"),
    Route("DELETE", "/v1/webhooks/{id}", "delete", noun="webhook"),
    Route("POST", "/v1/keys", "admin", {}, 201),
    Route("GET", "/v1/health", None),
    Route("GET", "/health", None),
]
BY_NAME = {str(route): route for route in ROUTES}
WITH_BODY = [route for route in ROUTES if route.body is not None]
WITH_ID = [route for route in ROUTES if route.noun is not None]

MAKERS: dict[str, tuple[str, dict[str, Any]]] = {
    "memory": ("/v1/memories", CONTENT),
    "session": ("/v1/sessions", {}),
    "agent": ("/v1/agents", {"name": "first"}),
    "webhook": ("/v1/webhooks", {"url": HOOK}),
}
LISTS = ("/v1/memories", "/v1/sessions", "/v1/agents", "/v1/webhooks")


async def made(client: Client, noun: str) -> str:
    """The id of a new thing; of the same agent each time."""
    path, body = MAKERS[noun]
    response = await client.http.post(path, json=body)
    assert response.is_success, response.text
    return str(response.json()["id"])


async def one_of_each(client: Client) -> dict[str, str]:
    """The ids of a new thing of each noun."""
    return {noun: await made(client, noun) for noun in MAKERS}


async def everything(client: Client) -> dict[str, Any]:
    """What all the lists show."""
    return {path: (await client("GET", path, params={"limit": "100"}))["data"] for path in LISTS}


def refusal(response: httpx.Response, status: int) -> dict[str, Any]:
    """The body of an answer that has to be a refusal of section 1.4, whole."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert KEYS <= set(body) <= KEYS | {"details"}
    assert body["type"] == TYPES[status]
    assert body["status"] == body["code"] == status
    assert isinstance(body["message"], str)
    assert body["message"]
    assert body["detail"] == body["message"] == body["error"]
    assert REQUEST_ID.fullmatch(body["request_id"])
    assert response.headers["x-request-id"] == body["request_id"]
    for each in body.get("details", []):
        assert set(each) == {"field", "message"}
        assert all(isinstance(value, str) and value for value in each.values())
    forbidden = "502 503 504 timeout network" if status < 429 else "400 401 403 404"
    assert not any(word in body["message"] for word in forbidden.split())
    return body


def without_id(body: dict[str, Any]) -> dict[str, Any]:
    """A refusal without what differs from one request to the next."""
    return {name: value for name, value in body.items() if name != "request_id"}
