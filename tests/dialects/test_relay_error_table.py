import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import commonplace
from commonplace.dialects.relay.errors import BUG, TABLE, Relay
from commonplace.model.errors import (
    CommonplaceError,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    Malformed,
    NoCredentials,
    NotFound,
    Problem,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    entry,
)
from commonplace.ports.table import ConditionFailed
from commonplace.ports.world import Refused, Unreachable
from commonplace.rows.memory_writes import Duplicate
from world import Client, World

INSIDE: set[type[CommonplaceError]] = {ConditionFailed, Refused, Unreachable, Duplicate}
"""Errors between our own layers: whoever calls turns each of them into another."""

EVERY = [
    (Malformed("m"), 400, "bad_request"),
    (Unauthenticated("m"), 401, "unauthorized"),
    (NoCredentials("m"), 401, "unauthorized"),
    (Expired("m"), 401, "unauthorized"),
    (Forbidden("m"), 403, "forbidden"),
    (NotFound("memory"), 404, "not_found"),
    (Conflict("m"), 409, "conflict"),
    (TooLarge("m"), 413, "bad_request"),
    (Invalid("m"), 422, "validation_error"),
    (RateLimited("m", 7), 429, "rate_limit_exceeded"),
    (Unavailable("m", 9), 503, "internal_error"),
]


def tree(root: type[CommonplaceError]) -> Iterator[type[CommonplaceError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from tree(kind)


def test_the_table_is_total_over_the_whole_tree() -> None:
    for module in pkgutil.walk_packages(commonplace.__path__, "commonplace."):
        importlib.import_module(module.name)
    ours = {kind for kind in tree(CommonplaceError) if kind.__module__.startswith("commonplace.")}
    assert ours >= INSIDE | set(TABLE)
    for kind in ours - INSIDE:
        assert any(ancestor in TABLE for ancestor in kind.__mro__), f"{kind.__name__} has no status"
    for kind in INSIDE:
        assert not any(ancestor in TABLE for ancestor in kind.__mro__), f"{kind.__name__} must not be shown"


def test_an_error_that_is_not_in_the_table_is_told_as_its_nearest_ancestor() -> None:
    class Narrower(Malformed):
        """A kind that came later."""

    assert entry(TABLE, Narrower("m"), BUG) == TABLE[Malformed]
    assert entry(TABLE, Refused("m"), BUG) == BUG
    assert entry(TABLE, None, BUG) == BUG


@pytest.mark.parametrize(("error", "status", "kind"), EVERY)
def test_every_error_has_one_body_for_all_clients(error: CommonplaceError, status: int, kind: str) -> None:
    answered, body, headers = Relay().failure(error, "req_1")
    assert answered == body["status"] == body["code"] == status
    assert body["type"] == kind
    assert body["detail"] == body["message"] == body["error"] == error.message
    assert body["request_id"] == "req_1"
    assert body["title"]
    assert "details" not in body
    assert headers == ({"retry-after": str(error.retry_after)} if isinstance(error, RateLimited | Unavailable) else {})


def test_a_mistake_in_fields_names_each_of_them() -> None:
    error = Invalid("a: no", (Problem("a", "no"), Problem("b.0", "neither")))
    _, body, _ = Relay().failure(error, "req_1")
    assert body["details"] == [{"field": "a", "message": "no"}, {"field": "b.0", "message": "neither"}]


def test_a_bug_of_ours_tells_nothing_about_itself() -> None:
    status, body, headers = Relay().failure(None, "req_1")
    assert (status, body["message"], headers) == (500, "Something went wrong on our side", {})


@pytest.mark.anyio
async def test_a_url_that_may_not_be_called_is_the_callers_mistake(client: Client) -> None:
    failed = await client("POST", "/v1/webhooks", {"url": "https://refused"}, expect=422)
    assert failed["details"] == [{"field": "url", "message": "The URL may not be called"}]
    body = {"agent_id": "a", "content": "c", "webhook_url": "https://refused"}
    failed = await client("POST", "/v2/memories", body, expect=422)
    assert failed["details"][0]["field"] == "webhook_url"


@pytest.mark.anyio
async def test_a_duplicate_is_an_answer_and_no_error(world: World, client: Client) -> None:
    body = {"agent_id": "a", "content": "c", "deduplicate": True}
    first = await client("POST", "/v1/memories", body)
    world.index.down = True
    again = await client("POST", "/v1/memories", body)
    assert (again["id"], again["is_duplicate"], first["is_duplicate"]) == (first["id"], True, False)


@pytest.mark.anyio
async def test_an_engine_that_is_down_is_said_with_a_time_to_come_back(world: World, client: Client) -> None:
    world.index.down = True
    response = await client.http.post("/v1/memories/search", content=b'{"query":"x"}')
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    world.table.down = True
    world.clock.advance(61)
    response = await client.http.get("/v1/memories")
    assert (response.status_code, response.json()["type"]) == (503, "internal_error")
