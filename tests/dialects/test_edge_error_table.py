import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import commonplace
from commonplace.dialects.edge.errors import BUG, NO_VECTORS, TABLE, Edge
from commonplace.model.apikey import Permission, Principal
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

EVERY: list[tuple[CommonplaceError | None, int, str]] = [
    (Malformed("m"), 400, "Expected a valid JSON request body"),
    (NoCredentials(), 401, "Unauthorized"),
    (Unauthenticated("m"), 401, "Unauthorized"),
    (Expired(), 401, "Unauthorized"),
    (Forbidden("m"), 403, "Forbidden"),
    (Forbidden("m", Permission.WRITE), 403, "Forbidden"),
    (NotFound("memory"), 404, "Memory not found"),
    (NotFound("route"), 404, "Not found"),
    (NotFound("agent"), 404, "Not found"),
    (Conflict("A request with this Idempotency-Key is in work"), 409, "A request with this Idempotency-Key is in work"),
    (TooLarge("m"), 413, "Request body too large"),
    (Invalid("organizationId is required"), 422, "organizationId is required"),
    (Invalid("a message", (Problem("name", "is required"),)), 422, "a message"),
    (Invalid(NO_VECTORS), 422, NO_VECTORS),
    (RateLimited("m", 7), 429, "Rate limit exceeded"),
    (Unavailable("Vector search unavailable"), 503, "Vector search unavailable"),
    (Unavailable("Amazon Bedrock cannot be used now", 9), 503, "Service unavailable"),
    (Refused("m"), 500, "Internal server error"),
    (None, 500, "Internal server error"),
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

    assert entry(TABLE, Narrower("m"), BUG) == (413, "Request body too large")
    assert entry(TABLE, Refused("m"), BUG) == BUG
    assert entry(TABLE, None, BUG) == BUG


@pytest.mark.parametrize(("error", "status", "said"), EVERY)
def test_every_error_is_its_status_and_one_text(error: CommonplaceError | None, status: int, said: str) -> None:
    headers = {"retry-after": str(error.retry_after)} if isinstance(error, RateLimited | Unavailable) else {}
    assert Edge().failure(error, "req_1") == (status, {"error": said}, headers)


def test_a_time_to_come_back_is_in_whole_seconds() -> None:
    assert Edge().failure(RateLimited("m", 7), "req_1")[2] == {"retry-after": "7"}
    assert Edge().failure(Unavailable("m"), "req_1")[2] == {"retry-after": "5"}


def test_the_api_stands_at_the_root_and_under_a_prefix_of_its_own() -> None:
    assert Edge.name == "edge"
    assert tuple(Edge.prefixes) == ("", "/edge")
    assert tuple(Edge.owns) == ("/edge",)
    assert Edge.body_limit == 1024 * 1024


def test_a_key_is_asked_for_before_anything_is_told() -> None:
    assert Edge.api_key_header is True
    assert Edge.guarded is True
    assert Edge.organizations is True


def test_a_stranger_is_nobody_unless_that_is_said() -> None:
    assert Edge().stranger is None
    stranger = Principal("t1", "open", frozenset({Permission.READ}), "s")
    assert Edge(stranger).stranger is stranger
