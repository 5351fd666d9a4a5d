"""Memsy's errors: one table from the error tree to statuses and codes, and one body for all of its clients."""

from collections.abc import Mapping, Sequence
from typing import Any

from commonplace.dialects.memsy.routes import PREFIXES, ROUTES
from commonplace.model.apikey import Permission, Principal
from commonplace.model.errors import (
    CommonplaceError,
    Conflict,
    FeatureMissing,
    Forbidden,
    Foreign,
    Invalid,
    LimitReached,
    Malformed,
    MethodNotAllowed,
    Misattributed,
    NotFound,
    QuotaExceeded,
    RateLimited,
    SeatRequired,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
    entry,
)

TABLE: Mapping[type[CommonplaceError], tuple[int, str]] = {
    Misattributed: (400, "org_id_not_allowed"),
    Unauthenticated: (401, "invalid_api_key"),
    Forbidden: (403, "forbidden"),
    Foreign: (403, "org_forbidden"),
    SeatRequired: (403, "seat_required"),
    FeatureMissing: (403, "feature_not_available"),
    LimitReached: (403, "org_limit_reached"),
    NotFound: (404, "not_found"),
    MethodNotAllowed: (405, "method_not_allowed"),
    Conflict: (409, "conflict"),
    TooLarge: (413, "payload_too_large"),
    Malformed: (422, "validation_error"),
    Invalid: (422, "validation_error"),
    RateLimited: (429, "rate_limit_exceeded"),
    QuotaExceeded: (429, "usage_limit_exceeded"),
    Unsupported: (501, "not_implemented"),
    Unavailable: (503, "service_unavailable"),
}
"""Status and code of each error; that of a ``Forbidden`` or a ``LimitReached`` also depends on what is missing or reached."""

BUG = (500, "internal_error")

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes. API Gateway hands a function at most 6 MB, of a body that is escaped once more."""

SIGNUP = "signup"
"""The noun of what is not found where agents would sign up by themselves, which is off."""

SIGNUP_OFF = "agent_signup_not_enabled"


class Memsy:
    """What HTTP needs to know of this API."""

    name = "memsy"
    prefixes: Sequence[str] = PREFIXES
    routes: Sequence[tuple[str, str]] = ROUTES
    owns: Sequence[str] = (
        *("/v1/ingest", "/v1/status", "/v1/search", "/v1/clear", "/v1/detect-conflicts"),
        *("/v1/orgs", "/v1/roles", "/v1/teams", "/v1/console", "/v1/actors"),
        *("/api", "/memsy"),
    )
    body_limit = BODY_LIMIT
    api_key_header = True
    guarded = True
    stranger: Principal | None = None
    organizations = True

    def failure(self, error: CommonplaceError | None, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers of an error; None is a bug of ours. The id of the request stands in a header anyway."""
        del request_id
        status, code = entry(TABLE, error, BUG)
        said = _said(error)
        body = {"error": _code(error, code), "message": said, "detail": said, **_extras(error)}
        return status, body, _headers(error)


def _code(error: CommonplaceError | None, code: str) -> str:
    match error:
        case Forbidden(permission=Permission.ADMIN):
            return "admin_required"
        case Forbidden(permission=Permission()):
            return "insufficient_scope"
        case LimitReached(noun="key"):
            return "key_limit_reached"
        case _:
            return code


def _said(error: CommonplaceError | None) -> str:
    """The words. Clients look for "scope" in those of a 403, and for "quota" in those of a 429: other errors have neither."""
    match error:
        case None:
            return "Something went wrong on our side"
        case Forbidden(permission=Permission.ADMIN):
            return "Only an admin of the organization may do this"
        case NotFound() if error.noun == SIGNUP:
            return SIGNUP_OFF
        case MethodNotAllowed():
            return "Method not allowed"
        case RateLimited() if not isinstance(error, QuotaExceeded):
            return "Too many requests"
        case _:
            return error.message


def _extras(error: CommonplaceError | None) -> dict[str, Any]:
    """What else the body says."""
    match error:
        case Forbidden(permission=Permission() as permission) if permission is not Permission.ADMIN:
            return {"required_scope": permission.value}
        case LimitReached():
            return {"limit": error.limit, "current": error.current}
        case FeatureMissing():
            return {"feature": error.feature}
        case QuotaExceeded():
            return {"dimension": error.dimension.value, "current": error.current, "limit": error.limit}
        case _:
            return {}


def _headers(error: CommonplaceError | None) -> dict[str, str]:
    match error:
        case RateLimited() | Unavailable():
            return {"retry-after": str(max(0, error.retry_after))}
        case MethodNotAllowed():
            return {"allow": ", ".join(error.allowed)}  # RFC 9110, section 15.5.6: it has to be there
        case _:
            return {}
