import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import commonplace
from commonplace.dialects.cognipeer.errors import BUG, TABLE, Cognipeer
from commonplace.model.apikey import Permission
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

INSIDE: set[type[CommonplaceError]] = {ConditionFailed, Refused, Unreachable, Duplicate}
"""Errors between our own layers: whoever calls turns each of them into another."""

UNAUTHORIZED = {
    "error": "Unauthorized",
    "message": "Missing or invalid Authorization header. Use: Bearer <token>",
}

EVERY: list[tuple[CommonplaceError, int, dict[str, Any]]] = [
    (Malformed("Invalid JSON body"), 400, {"error": "Invalid JSON body"}),
    (Invalid("Memory store is not active."), 400, {"error": "Memory store is not active."}),
    (Invalid("name is required", (Problem("name", "is required"),)), 400, {"error": "name is required"}),
    (NoCredentials(), 401, UNAUTHORIZED),
    (Unauthenticated("m"), 401, {"error": "Invalid API token"}),
    (Expired(), 401, {"error": "API token has expired"}),
    (Forbidden("m", Permission.WRITE), 403, {"error": "Forbidden: memory requires write permission"}),
    (Forbidden("m", Permission.READ), 403, {"error": "Forbidden: memory requires read permission"}),
    (Forbidden("m"), 403, {"error": "m"}),
    (NotFound("store"), 404, {"error": "Memory store not found."}),
    (NotFound("memory"), 404, {"error": "Memory item not found."}),
    (NotFound("route"), 404, {"error": "Route not found."}),
    (NotFound("agent"), 404, {"error": "Agent not found"}),
    (Conflict("Memory store with key"), 409, {"error": "Memory store with key"}),
    (TooLarge("m"), 413, {"error": "m"}),
    (RateLimited("memories limit reached (5/5)", 7), 429, {"error": "memories limit reached (5/5)"}),
    (Unavailable("m"), 503, {"error": "ServiceUnavailable", "message": "m"}),
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
    class Narrower(TooLarge):
        """A kind that came later."""

    assert entry(TABLE, Narrower("m"), BUG) == 413
    assert entry(TABLE, Refused("m"), BUG) == 500
    assert entry(TABLE, None, BUG) == 500


@pytest.mark.parametrize(("error", "answered", "body"), EVERY)
def test_every_error_has_its_status_and_its_words(error: CommonplaceError, answered: int, body: dict[str, Any]) -> None:
    headers = {"retry-after": str(error.retry_after)} if isinstance(error, RateLimited | Unavailable) else {}
    assert Cognipeer().failure(error, "req_1") == (answered, body, headers)


def test_a_time_to_come_back_is_five_seconds_unless_it_is_said() -> None:
    assert Cognipeer().failure(Unavailable("m"), "req_1")[2] == {"retry-after": "5"}


def test_a_bug_of_ours_tells_nothing_about_itself() -> None:
    assert Cognipeer().failure(None, "req_1") == (500, {"error": "Something went wrong on our side"}, {})


def test_the_api_stands_where_its_client_looks_for_it() -> None:
    assert tuple(Cognipeer.prefixes) == ("/api/client/v1/memory",)
    assert tuple(Cognipeer.owns) == ("/api/client/v1",)
    assert Cognipeer.api_key_header is False
    assert Cognipeer.body_limit == 4 * 1024 * 1024
