"""Webhooks over urllib3: strangers choose the URL, so the address is resolved once, judged, and then connected to.

Everything up to the address happens on the event loop. What follows blocks, and runs in threads of its own.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from http.client import HTTPException, HTTPResponse
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from commonplace.adapters.web.addresses import public
from commonplace.model.webhook import Answer
from commonplace.ports.world import Refused, Unreachable

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

THREADS = 8
MOST_URL = 2048
MOST_HOST = 253
MOST_PORT = 65_535
MOST_WAIT = 999_999_999  # thirty years: a Retry-After that can still be added to a date
DEFAULT_PORTS = {"http": 80, "https": 443}
STRANGERS_PORTS = {443, 8443}
FRAMING = {"host", "content-length", "transfer-encoding", "connection"}

# An authority with an "@", a backslash, a scope id or anything else that two parsers may read in two ways does not match.
_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[^\[\]@:/?#%]+))(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?",
    re.IGNORECASE | re.ASCII,
)
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


def _refused() -> Refused:
    return Refused("The URL may not be called")


def _unreachable() -> Unreachable:
    return Unreachable("The endpoint could not be reached")


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL taken apart. ``path`` holds the query; ``host`` is ASCII, without brackets and without a final dot."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def _parse(url: str, *, private_targets: bool) -> _Target:
    """The parts of a URL that is spelt in the one way we accept, or ``Refused``."""
    match = _URL.fullmatch(url)
    # "printable" leaves out control characters, surrogates, and every separator but the space.
    if match is None or len(url) > MOST_URL or not url.isprintable() or " " in url or "\\" in url:
        raise _refused()
    scheme = match["scheme"].lower()
    port = int(match["port"] or DEFAULT_PORTS[scheme])
    host = _six(match["six"]) if match["six"] else _name(match["name"])
    strangers = scheme == "https" and port in STRANGERS_PORTS
    if not (strangers or (private_targets and 0 < port <= MOST_PORT)):
        raise _refused()
    return _Target(scheme, host, port, (match["path"] or "/") + (match["query"] or ""))


def _six(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError as error:
        raise _refused() from error


def _name(text: str) -> str:
    """The host as the resolver gets it. Numbers in odd spellings stay: the resolver says which address they mean."""
    try:
        name = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise _refused() from error
    if len(name) > MOST_HOST or not _NAME.fullmatch(name):
        raise _refused()
    return name


async def _getaddrinfo(host: str, port: int) -> Sequence[str]:
    """The system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def _is_public(address: str) -> bool:
    try:
        return public(ip_address(address))
    except ValueError:
        return False


def _retry_after(value: str | None) -> int | None:
    """A Retry-After in seconds from now, or None if there is none that can be read."""
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):  # the parser lets slip all of these
        return None
    return min(max(0, ceil(seconds)), MOST_WAIT)


class _Cord:
    """Pulled, it ends a connection from outside, whatever its thread waits for: a time-out between two bytes is no
    deadline.

    It holds a duplicate of the socket, which stays the same connection while TLS wraps the first and urllib3 closes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end: socket.socket | None = None
        self.response: HTTPResponse | None = None
        self.pulled = False

    def tie(self, sock: socket.socket) -> socket.socket:
        """Ties the cord to this socket instead of any earlier one."""
        self.untie()
        with self._lock:
            self._end = sock.dup()
            if self.pulled:
                self._cut()
        return sock

    def pull(self) -> None:
        """Ends the connection; one that is tied later ends at once."""
        with self._lock:
            self.pulled = True
            self._cut()

    def untie(self) -> None:
        """Lets go of the connection: it is not closed before this."""
        if self.response is not None:  # urllib3 forgets one whose headers it cannot read
            self.response.close()
        with self._lock:
            if self._end is not None:
                self._end.close()
            self._end = None

    def _cut(self) -> None:
        if self._end is not None:
            with contextlib.suppress(OSError):  # the other side was faster
                self._end.shutdown(socket.SHUT_RDWR)


class _Plain(HTTPConnection):
    """Tells the cord of its socket, before TLS, and of the answer that reads from it."""

    def __init__(self, *args: Any, cord: _Cord, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cord = cord

    def _new_conn(self) -> socket.socket:
        return self._cord.tie(super()._new_conn())

    def response_class(  # type: ignore[override]  # a class to the library, which does nothing but call it
        self, *args: Any, **options: Any
    ) -> HTTPResponse:
        """What ``http.client`` calls for an answer."""
        self._cord.response = HTTPResponse(*args, **options)
        return self._cord.response


class _Secure(_Plain, HTTPSConnection):
    """The same over TLS."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One POST to addresses that have been judged, on a thread that may block."""

    target: _Target
    addresses: Sequence[str]
    headers: Mapping[str, str]
    body: bytes
    response_cap: int
    context: Callable[[], ssl.SSLContext]
    cord: _Cord

    def run(self, seconds: float) -> Answer:
        """The answer of the first address that takes a connection, or ``Unreachable`` after that many seconds."""
        end = time.monotonic() + seconds
        watch = threading.Timer(seconds, self.cord.pull)
        watch.daemon = True
        watch.start()
        try:
            answer = self._first(end)
        except (HTTPError, HTTPException, OSError) as error:
            raise _unreachable() from error
        finally:
            watch.cancel()
            self.cord.untie()
        if self.cord.pulled or time.monotonic() >= end:  # a cut connection looks like a body that ended
            raise _unreachable()
        return answer

    def _first(self, end: float) -> Answer:
        for left in range(len(self.addresses), 0, -1):
            seconds = end - time.monotonic()
            if seconds <= 0 or self.cord.pulled:
                break
            try:
                return self._post(self.addresses[-left], Timeout(connect=seconds / left, read=seconds))
            except (NewConnectionError, ConnectTimeoutError):  # nothing has been sent yet
                continue
        raise _unreachable()

    def _post(self, address: str, timeout: Timeout) -> Answer:
        with self._pool(address, timeout) as pool:
            response = pool.urlopen(
                "POST",
                self.target.path,
                body=self.body,
                headers=self._headers(),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            return self._read(response)

    def _pool(self, address: str, timeout: Timeout) -> HTTPConnectionPool:
        # Never one pool for two deliveries: a connection kept by address would serve a name it was not verified for.
        port, host = self.target.port, self.target.host
        if self.target.scheme == "http":
            return _PlainPool(address, port, timeout=timeout, cord=self.cord)
        return _SecurePool(
            address,
            port,
            timeout=timeout,
            cord=self.cord,
            ssl_context=self.context(),
            cert_reqs="CERT_REQUIRED",
            server_hostname=host,
            assert_hostname=host,
        )

    def _headers(self) -> dict[str, str]:
        given = {name: value for name, value in self.headers.items() if name.strip().lower() not in FRAMING}
        return {"Host": self.target.authority, "Connection": "close", **given}

    def _read(self, response: BaseHTTPResponse) -> Answer:
        try:
            with contextlib.suppress(HTTPError):  # the status has come: a body that breaks off takes nothing from it
                response.read(self.response_cap, decode_content=False)
            return Answer(response.status, _retry_after(response.headers.get("retry-after")))
        finally:
            response.close()


class WebhookSender:
    """The ``Sender`` of every deployment.

    ``private_targets`` lifts the rules on addresses, ports and plain HTTP, for an operator whose endpoints live in the
    same network; certificates are verified all the same. ``deadline`` is in seconds, for resolving, connecting, sending
    and reading together; it stands still only while all threads are busy. At most ``response_cap`` bytes of an answer's
    body are read, and what they say is dropped. ``resolve`` gives every address of a host, or raises ``OSError``. ``ssl_context`` is the system's
    unless given.
    """

    def __init__(
        self,
        *,
        private_targets: bool,
        deadline: float,
        response_cap: int = 20_000,
        resolve: Resolve = _getaddrinfo,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._private_targets = private_targets
        self._deadline = deadline
        self._response_cap = response_cap
        self._resolve = resolve
        self._given_context = ssl_context
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook")

    async def check(self, url: str) -> None:
        """As the port says. A host that does not resolve now is let through: it is judged again at each post."""
        target = _parse(url, private_targets=self._private_targets)
        with contextlib.suppress(Unreachable):
            await self._addresses(target)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """As the port says. ``Host`` and the headers that frame the message are ours; all others are sent as given."""
        target = _parse(url, private_targets=self._private_targets)
        start = time.monotonic()
        addresses = await self._addresses(target)
        left = self._deadline - (time.monotonic() - start)
        cord = _Cord()
        context = self._context
        delivery = _Delivery(target, addresses, headers, body, self._response_cap, context, cord)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, delivery.run, left)
        finally:
            cord.pull()  # one who is cancelled leaves no thread at work

    def close(self) -> None:
        """Waits for the deliveries at work and ends the threads."""
        self._threads.shutdown()

    async def _addresses(self, target: _Target) -> Sequence[str]:
        try:
            async with asyncio.timeout(self._deadline):
                addresses = tuple(dict.fromkeys(await self._resolve(target.host, target.port)))
        except (OSError, UnicodeError) as error:  # a time-out is an OSError
            raise _unreachable() from error
        if not self._private_targets and not all(_is_public(address) for address in addresses):
            raise _refused()
        if not addresses:
            raise _unreachable()
        return addresses

    def _context(self) -> ssl.SSLContext:
        return self._given_context or self._system_context

    @cached_property
    def _system_context(self) -> ssl.SSLContext:
        # Made at the first delivery and then kept: reading the system's certificates takes tens of milliseconds.
        context = ssl.create_default_context()
        context.hostname_checks_common_name = False
        return context
