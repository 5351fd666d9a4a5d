"""Cognipeer's errors: one table from the error tree to statuses, and the words of the API."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    entry,
)

TABLE: Mapping[type[CommonplaceError], int] = {
    Malformed: 400,
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    RateLimited: 429,
    Unavailable: 503,
}
"""The status of each error."""

BUG = 500
BODY_LIMIT = 4 * 1024 * 1024
"""Bytes. API Gateway hands a function at most 6 MB, of a body that is escaped once more."""

NOUNS: Mapping[str, str] = {
    "store": "Memory store not found.",
    "memory": "Memory item not found.",
    "route": "Route not found.",
}
"""How the API says that something is not there."""

NO_CREDENTIALS = "Missing or invalid Authorization header. Use: Bearer <token>"


class Cognipeer:
    """What HTTP needs to know of this API."""

    name = "cognipeer"
    prefixes: Sequence[str] = ("/api/client/v1/memory",)
    owns: Sequence[str] = ("/api/client/v1",)
    body_limit = BODY_LIMIT
    api_key_header = False
    routes: Sequence[tuple[str, str]] = ()
    guarded = False
    stranger: Principal | None = None
    organizations = False

    def failure(self, error: CommonplaceError | None, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers of an error; None is a bug of ours. The id of the request stands in a header anyway."""
        del request_id
        headers = {"retry-after": str(error.retry_after)} if isinstance(error, RateLimited | Unavailable) else {}
        return entry(TABLE, error, BUG), _body(error), headers


def _body(error: CommonplaceError | None) -> dict[str, Any]:
    match error:
        case NoCredentials():
            return {"error": "Unauthorized", "message": NO_CREDENTIALS}
        case Unavailable():
            return {"error": "ServiceUnavailable", "message": error.message}
        case _:
            return {"error": _said(error)}


def _said(error: CommonplaceError | None) -> str:
    match error:
        case None:
            return "Something went wrong on our side"
        case Expired():
            return "API token has expired"
        case Unauthenticated():
            return "Invalid API token"
        case Forbidden(permission=Permission() as permission):
            return f"Forbidden: memory requires {permission} permission"
        case NotFound():
            return NOUNS.get(error.noun, error.message)
        case _:
            return error.message
