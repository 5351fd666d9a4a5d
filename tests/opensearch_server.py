"""Somebody else's OpenSearch, over real sockets: it takes down what it is asked, and fails as it is told to."""

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

Item = dict[str, Any]
"""How a bulk ends for one of its actions: ``status``, and perhaps ``error``."""


@dataclass(frozen=True)
class Fault:
    """An answer other than the right one, to a whole request."""

    status: int
    body: Any = None


class Hang:
    """No answer while the server lives."""


class Cut:
    """The connection ends without an answer."""


@dataclass(frozen=True)
class Call:
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def lines(self) -> list[Any]:
        """The body, line by line."""
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def actions(self) -> list[Any]:
        """The actions of a bulk, without their documents."""
        return [line for line in self.lines if line.keys() <= {"index", "delete"}]

    @property
    def ids(self) -> list[str]:
        """What a bulk is about."""
        return [next(iter(action.values()))["_id"] for action in self.actions]

    def signed_with(self, secret: str) -> bool:
        """Whether the signature (SigV4) is that of this very request, made with this secret key."""
        algorithm, _, rest = self.headers["Authorization"].partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        scope = parts["Credential"].split("/")[1:]
        path, _, query = self.target.partition("?")
        names = parts["SignedHeaders"].split(";")
        canonical = "\n".join(
            [
                self.method,
                quote(path, safe="/~"),
                "&".join(sorted(query.split("&"))),
                *(f"{name}:{self.headers[name].strip()}" for name in names),
                "",
                ";".join(names),
                hashlib.sha256(self.body).hexdigest(),
            ]
        )
        said = [self.headers["X-Amz-Date"], "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()]
        signing = f"AWS4{secret}".encode()
        for part in scope:
            signing = hmac.digest(signing, part.encode(), "sha256")
        return hmac.digest(signing, "\n".join([algorithm, *said]).encode(), "sha256").hex() == parts["Signature"]


FOUND: Final = {"took": 7, "timed_out": False, "_shards": {"total": 1, "successful": 1, "failed": 0}}


def hit(memory: str, passage: int, version: int, score: float) -> dict[str, Any]:
    return {
        "_index": "any",
        "_id": memory,
        "_version": version,
        "_score": score,
        "fields": {"memory": [memory], "passage": [passage]},
    }


def finds(*hits: dict[str, Any]) -> dict[str, Any]:
    """What a search answers that has found something."""
    return {**FOUND, "hits": {"hits": list(hits)}, "status": 200}


@dataclass
class OpenSearchServer:
    """A cluster with one index for each alias that it is asked for, unless ``indexes`` says which there are.

    ``next`` are the faults of the next requests (None: none), ``always`` of all after those. ``items`` are, for each
    ``_id``, the ends of its next actions in a bulk; what nothing is said of is done. ``arms`` are the answers to the
    searches of the next ``_msearch``.
    """

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    next: deque[Fault | Hang | Cut | None] = field(default_factory=deque)
    always: Fault | Hang | Cut | None = None
    indexes: Sequence[str] | None = None
    items: dict[str, deque[Item]] = field(default_factory=dict)
    arms: Sequence[dict[str, Any]] | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def called(self, ending: str) -> list[Call]:
        """The requests to paths that end so."""
        return [call for call in self.calls if call.path.endswith(ending)]

    @property
    def bulks(self) -> list[Call]:
        return self.called("/_bulk")

    def end(self) -> None:
        """Lets go of those who hang."""
        self._ended.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body, now = await request.read(), asyncio.get_running_loop().time()
        call = Call(request.method, request.raw_path, request.headers, body, now)
        self.calls.append(call)
        match self.next.popleft() if self.next else self.always:
            case Fault(status, said):
                return _said(status, said)
            case Hang():
                await self._ended.wait()
            case Cut() if request.transport is not None:
                request.transport.abort()
        return _said(*self._right(call))

    def _right(self, call: Call) -> tuple[int, Any]:
        last = call.path.rpartition("/")[2]
        if call.path == "/_msearch":
            arms = [finds()] * (len(call.lines) // 2) if self.arms is None else self.arms
            return 200, {"took": 9, "responses": list(arms)}
        if last == "_bulk":
            items = [self._done(action) for action in call.actions]
            return 200, {
                "took": 1,
                "errors": any("error" in next(iter(item.values())) for item in items),
                "items": items,
            }
        if call.path.startswith("/_alias/"):
            indexes = [f"{last}-000001"] if self.indexes is None else self.indexes
            return (
                (200, {name: {"aliases": {last: {}}} for name in indexes}) if indexes else (404, {"error": "missing"})
            )
        return 200, {} if last == "_mapping" else {"acknowledged": True}

    def _done(self, action: dict[str, Any]) -> dict[str, Any]:
        ((verb, at),) = action.items()
        scripted = self.items.get(at["_id"])
        return {verb: {"_id": at["_id"], **(scripted.popleft() if scripted else {"status": 200})}}


def _said(status: int, body: Any) -> web.Response:
    if isinstance(body, str):
        return web.Response(status=status, text=body, content_type="text/html")
    return web.json_response(body, status=status)


@asynccontextmanager
async def serving() -> AsyncIterator[OpenSearchServer]:
    """A server on the loopback, on the running event loop."""
    server = OpenSearchServer()
    application = web.Application(client_max_size=2**26)
    application.router.add_route("*", "/{any:.*}", server.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield server
    finally:
        server.end()
        await runner.cleanup()
