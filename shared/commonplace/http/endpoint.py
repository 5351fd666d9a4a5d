"""One shape for every HTTP function: operations of dialects, behind authentication, limits and error rendering."""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from commonplace.core.once import Answered, Once
from commonplace.http.body import Body
from commonplace.http.cors import Cors
from commonplace.http.credentials import AnyKey, permit, visitor
from commonplace.http.dialect import Dialect, owner
from commonplace.http.host import Host
from commonplace.http.path import decoded, matched
from commonplace.http.shared_path import RELAY
from commonplace.model.apikey import Permission, Principal
from commonplace.model.errors import (
    CommonplaceError,
    Forbidden,
    Malformed,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from commonplace.model.payload import demand_carried
from commonplace.model.values import Json, json_value

log = logging.getLogger("commonplace.http")

NO_BODY = (204, 205, 304)
"""Statuses whose answers cannot have a body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, its JSON body, and headers of its own (lower-case names).

    There is always a body, if only ``null`` or ``{}``: clients parse what they get; only a status that can have none has
    None. A write that is repeated under its Idempotency-Key gets the status and the body again, but not these headers.
    """

    body: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ``ValueError`` for a status that would swallow the body."""
        if self.status in NO_BODY and self.body is not None:
            raise ValueError(f"An answer with the status {self.status} has no body")


@dataclass(frozen=True, slots=True)
class Call:
    """A request as an operation sees it. ``tenant`` is the caller's and comes from the key.

    Of a query parameter that is repeated, ``query`` has the last value, and ``query_lists`` all in their order.
    """

    principal: Principal | None
    path: Mapping[str, str]
    query: Mapping[str, str]
    query_lists: Mapping[str, Sequence[str]]
    body: bytes
    request_id: str

    @property
    def caller(self) -> Principal:
        """Whom the request comes from; only for operations that demand a permission."""
        if self.principal is None:
            raise Unauthenticated("An API key is required")
        return self.principal

    @property
    def tenant(self) -> str:
        """The caller's tenant."""
        return self.caller.tenant

    def demand(self, organization: str) -> None:
        """Raises ``Forbidden`` if the caller's key is not for this organization."""
        if not self.caller.within(organization):
            raise Forbidden("The API key is not for this organization")

    def json(self) -> Json:
        """The body as JSON; an empty body is an empty object. Raises ``Malformed``."""
        return parsed(self.body) if self.body.strip() else {}


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint: what it takes to call it, and what it does. ``permission`` None leaves it open to everyone.

    The answer of a ``secret`` one shows what is shown only once. It is kept nowhere, so repeating the request under its
    Idempotency-Key has another effect and another answer.
    """

    method: str
    path: str
    permission: Permission | AnyKey | None
    act: Callable[[Call], Awaitable[Reply]]
    secret: bool = False


Told = Callable[[Principal], Awaitable[Mapping[str, str]]]
"""From whom an answer is for to headers. Raises nothing."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A dialect, and those of its operations that a function serves: none, where it only answers for its paths.

    ``told`` gives the headers (lower-case names) that each of its answers to a good key has, be it a refusal.
    """

    dialect: Dialect
    operations: Sequence[Operation]
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """An operation, and the dialect that it belongs to: one of those that a route can mean."""

    dialect: Dialect
    operation: Operation


def application(spoken: Sequence[Spoken], host: Host) -> "Application":
    """The ASGI application that serves these operations, each in the words of its dialect, bugs of ours included.

    Where dialects share a route, method and path, ``host.shared`` says which of them a request means; if that one is not
    among them, it is the first. What no operation serves, an unknown path or method, is the 404 of the dialect that owns
    the path.
    """
    dialects = [each.dialect for each in spoken]
    telling = {each.dialect.name: each.told for each in spoken}

    async def told(request: Request, dialect: Dialect) -> Mapping[str, str]:
        principal, tell = getattr(request.state, "principal", None), telling[dialect.name]
        return {} if principal is None or tell is None else await tell(principal)

    async def failed(request: Request, dialect: Dialect, error: CommonplaceError | None) -> Response:
        status, body, headers = dialect.failure(error, request.state.request_id)
        headers = {**await told(request, dialect), **headers}
        return _sent(_text(body), status, headers, request.state.request_id)

    def endpoint(path: str, there: Mapping[str, Offer]) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            body = Body(request)
            variables = decoded(request.path_params)
            try:
                offer = await _meant(request, path, variables, there, body, host)
                request.state.dialect, operation = offer.dialect, offer.operation
                principal = None
                if operation.permission is not None:
                    principal = await visitor(request.headers, offer.dialect, host.authenticate)
                    request.state.principal = principal
                    permit(principal, offer.dialect, operation.permission)
                call = Call(
                    principal,
                    variables,
                    request.query_params,
                    _lists(request.query_params),
                    await body.within(offer.dialect.body_limit),
                    request.state.request_id,
                )
                answered, headers = await _answered(request, operation, call, host.once)
                demand_carried(answered.body)
                headers = {**await told(request, offer.dialect), **headers}
                return _sent(answered.body, answered.status, headers, call.request_id)
            except CommonplaceError as error:
                return await failed(request, request.state.dialect, error)

        return serve

    async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
        request, dialect = Request(scope), owner(scope["path"], dialects)
        response = await failed(request, dialect, await _refusal(request, dialect, host))
        await response(scope, receive, send)

    async def broken(request: Request, _: Exception) -> Response:
        # A bug in an operation is told in the words of its dialect, on a path that another one owns as well.
        dialect = getattr(request.state, "dialect", None) or owner(request.scope["path"], dialects)
        return await failed(request, dialect, None)

    routes = [Route(path, endpoint(path, there), methods=[method]) for (method, path), there in _offers(spoken).items()]
    # The mount takes every path and method that is left, where Starlette would say 405; what begins with no slash not even that.
    router = Router([*routes, Mount("/", app=unknown)], redirect_slashes=False, default=unknown)
    return Application(router, broken, host)


class Application:
    """An ASGI application. Around the router: CORS, a request id, single slashes, an answer whatever happens, and none of
    it but its headers to HEAD."""

    def __init__(self, router: Router, broken: Callable[[Request, Exception], Awaitable[Response]], host: Host) -> None:
        self._router = router
        self._broken = broken
        self._ids = host.ids
        self._shown = Cors(self._answer, host.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        await self._shown(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = f"req_{self._ids.new()}"
        scope = {**scope, "path": matched(scope), "state": {"request_id": request_id}}
        request = Request(scope, receive)
        started = False

        async def sending(message: Any) -> None:
            nonlocal started
            started = True
            if scope["method"] == "HEAD" and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._router.app(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception as error:
            log.exception("unexpected failure", extra={"request_id": request_id})
            if not started:
                response = await self._broken(request, error)
                await response(scope, receive, sending)


def _offers(spoken: Sequence[Spoken]) -> dict[tuple[str, str], dict[str, Offer]]:
    """What there is at each method and path, by the name of the dialect."""
    offers: dict[tuple[str, str], dict[str, Offer]] = {}
    for each in spoken:
        for prefix in each.dialect.prefixes:
            for operation in each.operations:
                there = offers.setdefault((operation.method, prefix + operation.path), {})
                there.setdefault(each.dialect.name, Offer(each.dialect, operation))
    return offers


async def _refusal(request: Request, dialect: Dialect, host: Host) -> CommonplaceError:
    """Why a dialect serves nothing at this path."""
    if dialect.guarded:
        try:
            request.state.principal = await visitor(request.headers, dialect, host.authenticate)
        except CommonplaceError as error:
            return error
    allowed = _methods(request.scope["path"], dialect)
    # The method is among them where another function would serve it: the gateway saw another path, as with a second slash.
    return MethodNotAllowed(allowed) if allowed and request.method not in allowed else NotFound("route")


def _methods(path: str, dialect: Dialect) -> tuple[str, ...]:
    """The methods that a dialect has at a path, in whatever function."""
    matching = (method for method, route in dialect.routes if _pattern(route).fullmatch(path))
    return tuple(sorted(set(matching)))


@cache
def _pattern(route: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{[^}]*\}", "[^/]+", re.sub(r"\{[^}]*:path\}", ".+", route)))


async def _meant(
    request: Request, path: str, variables: Mapping[str, str], there: Mapping[str, Offer], body: Body, host: Host
) -> Offer:
    """Which of the offers at a path a request means. Raises what looking for its row raises, for MemoryRelay to tell."""
    first = next(iter(there.values()))
    if len(there) == 1:
        return first
    try:
        content = await body.within(max(offer.dialect.body_limit for offer in there.values()))
    except TooLarge:
        content = b""  # whoever is chosen by the rest refuses it, after looking at the key
    keyed = "authorization" in request.headers or "x-api-key" in request.headers
    name = host.shared.named(first.operation.method, path, request.query_params.keys(), content, keyed=keyed)
    if name is None:
        request.state.dialect = speaker = there.get(RELAY, first).dialect
        stranger = next((each.dialect.stranger for each in there.values() if each.dialect.stranger is not None), None)
        principal = await visitor(request.headers, speaker, host.authenticate, stranger)
        name = await host.shared.by_row(principal, variables["id"])
    return there.get(name, first)


async def _answered(
    request: Request, operation: Operation, call: Call, once: Once
) -> tuple[Answered, Mapping[str, str]]:
    """What the operation answers, with its headers; what it answered before to a write with the same Idempotency-Key."""
    headers: dict[str, str] = {}

    async def act() -> Answered:
        reply = await operation.act(call)
        headers.update(reply.headers)
        return Answered(reply.status, _text(reply.body))

    key = request.headers.get("idempotency-key")
    reads = operation.method != "POST" or operation.permission is Permission.READ
    if not key or call.principal is None or reads or operation.secret:
        answered = await act()
    else:
        # What a key with other organisations was answered, it was answered alone.
        limits = _text(sorted(call.principal.organizations)).encode()
        whole = b"\n".join([request.scope["path"].encode(), request.scope["query_string"], call.body, limits])
        answered = await once(call.tenant, key, whole, act)
        if answered.repeated:
            headers["idempotent-replayed"] = "true"
    return answered, headers


def parsed(body: bytes) -> Json:
    """The strict JSON of a body in UTF-8, as ``json_value`` reads it. Raises ``Malformed``."""
    try:
        return json_value(body.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed("The request body is not valid JSON") from error


def _lists(query: QueryParams) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in query.multi_items():
        lists.setdefault(name, []).append(value)
    return lists


def _text(body: object) -> str:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _sent(text: str, status: int, headers: Mapping[str, str], request_id: str) -> Response:
    own = {"x-request-id": request_id, **headers}
    return (
        Response(status_code=status, headers=own)
        if status in NO_BODY
        else Response(text.encode(), status, own, "application/json")
    )
