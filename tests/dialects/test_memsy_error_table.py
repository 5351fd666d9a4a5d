import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from memsy import exceptions
from memsy._http import HttpCoreMixin

import commonplace
from commonplace.dialects.cognipeer.errors import Cognipeer
from commonplace.dialects.edge.errors import Edge
from commonplace.dialects.memsy.errors import BUG, SIGNUP, TABLE, Memsy
from commonplace.dialects.relay.errors import Relay
from commonplace.http.dialect import owner
from commonplace.model.apikey import Permission
from commonplace.model.errors import (
    CommonplaceError,
    Conflict,
    Expired,
    FeatureMissing,
    Forbidden,
    Foreign,
    Invalid,
    LimitReached,
    Malformed,
    MethodNotAllowed,
    Misattributed,
    NoCredentials,
    NotFound,
    Problem,
    QuotaExceeded,
    RateLimited,
    SeatRequired,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
    entry,
)
from commonplace.model.usage import Dimension
from commonplace.ports.table import ConditionFailed
from commonplace.ports.world import Refused, Unreachable
from commonplace.rows.memory_writes import Duplicate

INSIDE: set[type[CommonplaceError]] = {ConditionFailed, Refused, Unreachable, Duplicate}
"""Errors between our own layers: whoever calls turns each of them into another."""

KEY = "The API key is missing or not valid"
GIVEN = "The organization comes from the API key; another one cannot be given"
FOREIGN = "The API key is not for this organization"
ADMIN = "Only an admin of the organization may do this"
LACKS = "The API key lacks the scope"
QUOTA = "The monthly quota of events_ingested is used up"

EVERY: list[tuple[CommonplaceError, int, str, str, dict[str, Any], dict[str, str]]] = [
    (Misattributed(), 400, "org_id_not_allowed", GIVEN, {}, {}),
    (NoCredentials(), 401, "invalid_api_key", KEY, {}, {}),
    (Unauthenticated(), 401, "invalid_api_key", KEY, {}, {}),
    (Expired(), 401, "invalid_api_key", KEY, {}, {}),
    (
        Forbidden(f"{LACKS} 'read'", Permission.READ),
        *(403, "insufficient_scope", f"{LACKS} 'read'", {"required_scope": "read"}, {}),
    ),
    (
        Forbidden(f"{LACKS} 'write'", Permission.WRITE),
        *(403, "insufficient_scope", f"{LACKS} 'write'", {"required_scope": "write"}, {}),
    ),
    (Forbidden(f"{LACKS} 'admin'", Permission.ADMIN), 403, "admin_required", ADMIN, {}, {}),
    (Forbidden("m"), 403, "forbidden", "m", {}, {}),
    (Foreign(), 403, "org_forbidden", FOREIGN, {}, {}),
    (SeatRequired(), 403, "seat_required", "An assigned seat is required", {}, {}),
    (
        FeatureMissing("connectors"),
        *(403, "feature_not_available", "Connectors are not available", {"feature": "connectors"}, {}),
    ),
    (
        LimitReached("key", 5, 6),
        *(403, "key_limit_reached", "There are 6 keys, and there may be 5", {"limit": 5, "current": 6}, {}),
    ),
    (
        LimitReached("role", 3, 4),
        *(403, "org_limit_reached", "There are 4 roles, and there may be 3", {"limit": 3, "current": 4}, {}),
    ),
    (NotFound("memory"), 404, "not_found", "Memory not found", {}, {}),
    (NotFound("route"), 404, "not_found", "Route not found", {}, {}),
    (NotFound(SIGNUP), 404, "not_found", "agent_signup_not_enabled", {}, {}),
    (
        MethodNotAllowed(("GET", "POST")),
        *(405, "method_not_allowed", "Method not allowed", {}, {"allow": "GET, POST"}),
    ),
    (Conflict("There is one already"), 409, "conflict", "There is one already", {}, {}),
    (TooLarge("m"), 413, "payload_too_large", "m", {}, {}),
    (
        Malformed("The request body is not valid JSON"),
        *(422, "validation_error", "The request body is not valid JSON", {}, {}),
    ),
    (
        Invalid("events[0].kind is unknown", (Problem("events[0].kind", "is unknown"),)),
        *(422, "validation_error", "events[0].kind is unknown", {}, {}),
    ),
    (
        RateLimited("the quota of somebody", 7),
        *(429, "rate_limit_exceeded", "Too many requests", {}, {"retry-after": "7"}),
    ),
    (
        QuotaExceeded(Dimension.EVENTS_INGESTED, 5001, 5000),
        *(429, "usage_limit_exceeded", QUOTA),
        {"dimension": "events_ingested", "current": 5001, "limit": 5000},
        {"retry-after": "0"},
    ),
    (Unsupported("clear"), 501, "not_implemented", "clear is not implemented", {}, {}),
    (Unavailable("m"), 503, "service_unavailable", "m", {}, {"retry-after": "5"}),
    (Unavailable("m", -1), 503, "service_unavailable", "m", {}, {"retry-after": "0"}),
    (Refused("m"), 500, "internal_error", "m", {}, {}),
]

RAISED: dict[tuple[int, str], type[exceptions.MemsyAPIError]] = {
    (400, "org_id_not_allowed"): exceptions.OrgIdNotAllowedError,
    (401, "invalid_api_key"): exceptions.AuthenticationError,
    (403, "insufficient_scope"): exceptions.AuthorizationError,
    (403, "admin_required"): exceptions.AuthorizationError,
    (403, "org_forbidden"): exceptions.AuthorizationError,
    (403, "forbidden"): exceptions.AuthorizationError,
    (403, "seat_required"): exceptions.SeatRequiredError,
    (403, "feature_not_available"): exceptions.FeatureNotAvailable,
    (403, "org_limit_reached"): exceptions.OrgLimitReachedError,
    (403, "key_limit_reached"): exceptions.KeyLimitReachedError,
    (404, "not_found"): exceptions.MemsyAPIError,
    (405, "method_not_allowed"): exceptions.MemsyAPIError,
    (409, "conflict"): exceptions.MemsyAPIError,
    (413, "payload_too_large"): exceptions.MemsyAPIError,
    (422, "validation_error"): exceptions.MemsyAPIError,
    (429, "rate_limit_exceeded"): exceptions.RateLimitExceeded,
    (429, "usage_limit_exceeded"): exceptions.UsageLimitExceeded,
    (500, "internal_error"): exceptions.MemsyAPIError,
    (501, "not_implemented"): exceptions.MemsyAPIError,
    (503, "service_unavailable"): exceptions.MemsyAPIError,
}
"""What the vendor's client makes of each status and code, as the contract has it. Two of the contract's rows never come:
billing is answered without an error, and no call gives anyone a seat."""


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
    class Narrower(SeatRequired):
        """A kind that came later."""

    assert entry(TABLE, Narrower(), BUG) == (403, "seat_required")
    assert entry(TABLE, Refused("m"), BUG) == BUG
    assert entry(TABLE, None, BUG) == BUG


@pytest.mark.parametrize(("error", "status", "code", "said", "extras", "headers"), EVERY)
def test_every_error_has_one_body(
    error: CommonplaceError, status: int, code: str, said: str, extras: dict[str, Any], headers: dict[str, str]
) -> None:
    body = {"error": code, "message": said, "detail": said, **extras}
    assert Memsy().failure(error, "req_1") == (status, body, headers)


@pytest.mark.parametrize(("error", "status", "code", "said", "extras", "headers"), EVERY)
def test_the_vendors_client_raises_for_each_error_what_the_contract_says(
    error: CommonplaceError, status: int, code: str, said: str, extras: dict[str, Any], headers: dict[str, str]
) -> None:
    answered, body, told = Memsy().failure(error, "req_1")
    raised = HttpCoreMixin()._classify_error(  # noqa: SLF001 - the client's one place for it; only requests lead there
        httpx.Response(answered, json=body, headers=told)
    )
    assert type(raised) is RAISED[status, code]
    assert (raised.status_code, raised.error_code, raised.detail) == (status, code, said)
    assert {name: getattr(raised, name) for name in extras} == extras
    if isinstance(raised, exceptions.RateLimitExceeded):
        assert raised.retry_after == float(headers["retry-after"])


def test_every_status_and_code_that_there_is_has_been_shown_to_the_client() -> None:
    assert {(status, code) for _, status, code, *_ in EVERY} == RAISED.keys()
    assert {*TABLE.values(), BUG} <= RAISED.keys()


def test_a_bug_of_ours_tells_nothing_about_itself() -> None:
    said = "Something went wrong on our side"
    assert Memsy().failure(None, "req_1") == (500, {"error": "internal_error", "message": said, "detail": said}, {})


def test_the_words_by_which_clients_tell_errors_apart_stand_in_no_other() -> None:
    for error, status, code, *_ in EVERY:
        said = Memsy().failure(error, "req_1")[1]["message"].lower()
        assert ("scope" in said) is (code == "insufficient_scope")
        assert status != 429 or ("quota" in said) is (code == "usage_limit_exceeded")


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (Misattributed(), Invalid("m")),
        (Foreign(), Forbidden("m")),
        (SeatRequired(), Forbidden("m")),
        (FeatureMissing("connectors"), Forbidden("m")),
        (LimitReached("key", 1, 1), Forbidden("m")),
        (MethodNotAllowed(("GET",)), NotFound("route")),
        (Unsupported("clear"), NotFound("route")),
        (QuotaExceeded(Dimension.API_CALLS, 1, 1), RateLimited("m", 0)),
    ],
)
def test_to_the_other_apis_this_ones_errors_are_those_that_they_know(
    error: CommonplaceError, known: CommonplaceError
) -> None:
    for dialect in (Relay(), Cognipeer(), Edge()):
        status, _, headers = dialect.failure(known, "r")
        assert dialect.failure(error, "r")[::2] == (status, headers)


def test_a_wrong_method_is_a_route_that_is_not_there_to_who_does_not_tell_them_apart() -> None:
    error = MethodNotAllowed()
    assert (error.noun, error.message, error.allowed) == ("route", "Route not found", ())
    assert Relay().failure(error, "r") == Relay().failure(NotFound("route"), "r")
    assert Cognipeer().failure(error, "r") == Cognipeer().failure(NotFound("route"), "r")
    assert Memsy().failure(error, "r")[2] == {"allow": ""}


def test_an_unsupported_operation_says_its_name() -> None:
    error = Unsupported("clear")
    assert (error.noun, error.message, str(error)) == ("clear", *["clear is not implemented"] * 2)


def test_a_quota_is_not_waited_for() -> None:
    error = QuotaExceeded(Dimension.API_CALLS, 7, 6)
    assert (error.retry_after, error.dimension, error.current, error.limit) == (0, Dimension.API_CALLS, 7, 6)


def test_the_api_stands_at_the_root_and_under_a_prefix_of_its_own() -> None:
    assert Memsy.name == "memsy"
    assert tuple(Memsy.prefixes) == ("", "/memsy")
    assert Memsy.body_limit == 4 * 1024 * 1024


def test_a_key_is_asked_for_before_anything_is_told() -> None:
    assert Memsy.api_key_header is True
    assert Memsy.guarded is True
    assert Memsy.organizations is True
    assert Memsy.stranger is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *((path, "memsy") for path in ("/v1/ingest", "/v1/status", "/v1/search", "/v1/clear/tag", "/v1/orgs/o/x")),
        ("/v1/detect-conflicts", "memsy"),
        *((path, "memsy") for path in ("/v1/roles", "/v1/teams", "/v1/console/memories/stats", "/v1/actors/a")),
        *((path, "memsy") for path in ("/api", "/api/me", "/api/agents/signup", "/memsy", "/memsy/v1/health")),
        *((path, "cognipeer") for path in ("/api/client/v1", "/api/client/v1/memory")),
        *((path, "relay") for path in ("/", "/v1/memories", "/v1/health", "/v1/keys", "/v1/searches", "/apis")),
        ("/edge/v1/ingest", "edge"),
    ],
)
def test_each_path_that_nobody_serves_is_answered_by_whose_it_is(path: str, name: str) -> None:
    assert owner(path, [Relay(), Cognipeer(), Edge(), Memsy()]).name == name
