"""MemoryRelay's errors: one table from the error tree to status and body."""

from collections.abc import Mapping, Sequence
from typing import Any

from commonplace.model.apikey import Principal
from commonplace.model.errors import (
    CommonplaceError,
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    entry,
)

TABLE: Mapping[type[CommonplaceError], tuple[int, str, str]] = {
    Malformed: (400, "bad_request", "Bad Request"),
    Unauthenticated: (401, "unauthorized", "Unauthorized"),
    Forbidden: (403, "forbidden", "Forbidden"),
    NotFound: (404, "not_found", "Not Found"),
    Conflict: (409, "conflict", "Conflict"),
    TooLarge: (413, "bad_request", "Payload Too Large"),
    Invalid: (422, "validation_error", "Validation Error"),
    RateLimited: (429, "rate_limit_exceeded", "Rate Limit Exceeded"),
    Unavailable: (503, "internal_error", "Service Unavailable"),
}
"""Status, type and title of each error."""

BUG = (500, "internal_error", "Internal Server Error")
BODY_LIMIT = 4 * 1024 * 1024
"""Bytes. API Gateway hands a function at most 6 MB, of a body that is escaped once more."""


class Relay:
    """What HTTP needs to know of this API."""

    name = "relay"
    prefixes: Sequence[str] = ("", "/relay")
    owns: Sequence[str] = ("",)
    body_limit = BODY_LIMIT
    api_key_header = True
    routes: Sequence[tuple[str, str]] = ()
    guarded = False
    stranger: Principal | None = None
    organizations = False

    def failure(self, error: CommonplaceError | None, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers of an error; None is a bug of ours."""
        status, kind, title = entry(TABLE, error, BUG)
        message = "Something went wrong on our side" if error is None else error.message
        body: dict[str, Any] = {
            "type": kind,
            "title": title,
            "status": status,
            "detail": message,
            "message": message,
            "error": message,
            "code": status,
            "request_id": request_id,
        }
        if isinstance(error, Invalid) and error.problems:
            body["details"] = [{"field": each.field, "message": each.message} for each in error.problems]
        if isinstance(error, RateLimited | Unavailable):
            return status, body, {"retry-after": str(error.retry_after)}
        return status, body, {}
