"""The Memories API's errors: one table from the error tree to statuses and words."""

from collections.abc import Mapping, Sequence
from typing import Any

from commonplace.dialects.edge.body import MALFORMED
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

TABLE: Mapping[type[CommonplaceError], tuple[int, str | None]] = {
    Malformed: (400, MALFORMED),
    Unauthenticated: (401, "Unauthorized"),
    Forbidden: (403, "Forbidden"),
    NotFound: (404, "Not found"),
    Conflict: (409, None),
    TooLarge: (413, "Request body too large"),
    Invalid: (422, None),
    RateLimited: (429, "Rate limit exceeded"),
    Unavailable: (503, "Service unavailable"),
}
"""The status of each error, and what is said of it; None: what it says itself.

The API itself has no conflicts. One can come of a header that it does not know, where a request is repeated under an
Idempotency-Key while the first one is in work. What an ``Unavailable`` says is the words of an engine, and not told.
"""

BUG = (500, "Internal server error")

BODY_LIMIT = 1024 * 1024
"""Bytes."""

NO_MEMORY = "Memory not found"

NO_VECTORS = "Vector search unavailable"
"""What an ``Unavailable`` says, and what is told of it, where a search by vector was refused and not answered without."""


class Edge:
    """What HTTP needs to know of this API. ``stranger`` is who a request without a key is; None: it needs one."""

    name = "edge"
    prefixes: Sequence[str] = ("", "/edge")
    owns: Sequence[str] = ("/edge",)
    body_limit = BODY_LIMIT
    api_key_header = True
    routes: Sequence[tuple[str, str]] = ()
    guarded = True
    organizations = True

    def __init__(self, stranger: Principal | None = None) -> None:
        self.stranger = stranger

    def failure(self, error: CommonplaceError | None, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers of an error; None is a bug of ours. The id of the request stands in a header anyway."""
        del request_id
        code, words = entry(TABLE, error, BUG)
        match error:
            case NotFound(noun="memory"):
                words = NO_MEMORY
            case Unavailable() if error.message == NO_VECTORS:
                words = NO_VECTORS
            case CommonplaceError() if words is None:
                words = error.message
        headers = {"retry-after": str(error.retry_after)} if isinstance(error, RateLimited | Unavailable) else {}
        return code, {"error": words}, headers
