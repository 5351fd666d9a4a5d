"""Anything at all, to every route: never a server error, and a refusal always in its own shape."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay_fields import FIELDS
from relay_routes import MAKERS, ROUTES, Route, everything, made, refusal
from world import Client

pytestmark = pytest.mark.anyio

FUZZ = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
NAMES = sorted({name for fields in FIELDS.values() for name in fields})
ANY_TEXT = st.text(st.characters(), max_size=40)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    ANY_TEXT,
    st.sampled_from(["read", "hot", "fact", "hybrid", "memory.created", "demote_cold", "https://example.com/{x}"]),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4), max_leaves=10
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES) | ANY_TEXT, VALUES, max_size=6)
QUERY = (
    *("limit", "offset", "cursor", "agent_id", "user_id", "session_id", "project", "tier", "memory_type", "status"),
    *("q", "threshold", "include_embeddings", "include_memories", "cascade_memories"),
)
PARAMETERS = st.dictionaries(
    st.sampled_from(QUERY),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.integers().map(str),
    max_size=3,
)
IDS = st.sampled_from(sorted(MAKERS)) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=30
)


@st.composite
def bodies(draw: st.DrawFn, route: Route) -> bytes:
    """A body: as good as the route's own but for some fields, or any JSON, or any bytes."""
    kind = draw(st.sampled_from(["changed", "changed", "changed", "any", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(max_size=60))
    value = {**(route.body or {}), **draw(OBJECTS)} if kind == "changed" else draw(VALUES)
    return json.dumps(value).encode()


@st.composite
def requests(draw: st.DrawFn) -> tuple[Route, str, dict[str, str], bytes | None]:
    """A route, what stands for its id, its query, its body."""
    route = draw(st.sampled_from(ROUTES))
    body = draw(bodies(route)) if route.body is not None or draw(st.integers(0, 4)) == 0 else None
    return route, draw(IDS), draw(PARAMETERS), body


async def some(client: Client, noun: str) -> str:
    """The id of a thing: one that is there, or a new one."""
    there = (await everything(client))[MAKERS[noun][0]]
    return str(there[0]["id"]) if there else await made(client, noun)


def fine(response: Any) -> None:
    if response.status_code >= 300:
        refusal(response, response.status_code)
        assert response.status_code in (400, 404, 409, 422), response.text
    else:
        assert response.headers["content-type"] == "application/json"
        assert isinstance(response.json(), dict)


@FUZZ
@given(request=requests())
async def test_no_request_is_a_server_error(
    client: Client, request: tuple[Route, str, dict[str, str], bytes | None]
) -> None:
    route, reference, params, body = request
    id = await some(client, reference) if reference in MAKERS else reference
    path = route.at(quote(id, safe=""))
    fine(await client.http.request(route.method, path, params=params, content=body))
    await everything(client)


@FUZZ
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    path=st.lists(
        st.sampled_from(["v1", "v2", "relay", "memories", "agents", "sessions", "context", "", ".", "..", "%2e%2e"])
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda text: quote(text, safe="")),
        max_size=6,
    ),
    body=st.binary(max_size=20),
)
async def test_no_path_is_a_server_error_or_a_redirect(
    client: Client, method: str, path: list[str], body: bytes
) -> None:
    fine(await client.http.request(method, "http://test/" + "/".join(path), content=body))
