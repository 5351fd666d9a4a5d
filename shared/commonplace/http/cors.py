"""Which web pages may use the API from a browser (the Fetch Standard's CORS protocol)."""

from collections.abc import Collection
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS = "GET, POST, OPTIONS"
HEADERS = "Authorization, Content-Type"
MAX_AGE = "86400"
"""Seconds for which a browser may remember an answer to a preflight."""


class Cors:
    """An ASGI layer that lets the pages of the given origins read what comes from the one inside.

    It answers every OPTIONS request itself, on any path, to anybody and without a key: 204 and no body. Every answer
    varies by Origin; only one to an allowed origin, which is compared as a whole, carries its name. Credentials of a
    browser (cookies) are never asked for. Starlette's own layer will not do: it answers preflights with 200 and a body,
    those of foreign origins with 400, and leaves other OPTIONS requests and answers without an Origin as they are.
    """

    def __init__(self, inner: ASGIApp, origins: Collection[str]) -> None:
        self._inner = inner
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        origin = Headers(scope=scope).get("origin", "")

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Origin")
                if origin in self._origins:
                    headers["access-control-allow-origin"] = origin
            await send(message)

        if scope["method"] == "OPTIONS":
            await _preflight(sending)
        else:
            await self._inner(scope, receive, sending)


async def _preflight(send: Send) -> None:
    headers = {
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": HEADERS,
        "access-control-max-age": MAX_AGE,
    }
    await send({"type": "http.response.start", "status": 204, "headers": Headers(headers).raw})
    await send({"type": "http.response.body", "body": b""})
