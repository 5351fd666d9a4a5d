"""One HTTP exchange under a deadline. It blocks, so it runs on a thread of its own."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPHeaderDict, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from commonplace.adapters.web.target import Target
from commonplace.ports.world import Unreachable

FRAMING = {"host", "content-length", "transfer-encoding", "connection"}


def unreachable() -> Unreachable:
    """The error for an endpoint that gave no answer, whatever the cause."""
    return Unreachable("The endpoint could not be reached")


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answered, without the body."""

    status: int
    headers: HTTPHeaderDict


class Cord:
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

    def __init__(self, *args: Any, cord: Cord, **options: Any) -> None:
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
class Delivery:
    """One POST to addresses that have been judged, on a thread that may block.

    ``target`` says the path, the ``Host`` and the name on the certificate; the connection goes to ``addresses`` only, in
    their order. At most ``response_cap`` bytes of the reply's body are read. ``context`` is asked for only for HTTPS.
    Whoever pulls the ``cord`` ends the delivery early.
    """

    target: Target
    addresses: Sequence[str]
    headers: Mapping[str, str]
    body: bytes
    response_cap: int
    context: Callable[[], ssl.SSLContext]
    cord: Cord

    def run(self, seconds: float) -> Reply:
        """The reply of the first address that takes a connection.

        Raises ``Unreachable`` when there is none, when the cord was pulled, and after that many seconds.
        """
        end = time.monotonic() + seconds
        watch = threading.Timer(seconds, self.cord.pull)
        watch.daemon = True
        watch.start()
        try:
            reply = self._first(end)
        except (HTTPError, HTTPException, OSError) as error:
            raise unreachable() from error
        finally:
            watch.cancel()
            self.cord.untie()
        if self.cord.pulled or time.monotonic() >= end:  # a cut connection looks like a body that ended
            raise unreachable()
        return reply

    def _first(self, end: float) -> Reply:
        for left in range(len(self.addresses), 0, -1):
            seconds = end - time.monotonic()
            if seconds <= 0 or self.cord.pulled:
                break
            try:
                return self._post(self.addresses[-left], Timeout(connect=seconds / left, read=seconds))
            except (NewConnectionError, ConnectTimeoutError):  # nothing has been sent yet
                continue
        raise unreachable()

    def _post(self, address: str, timeout: Timeout) -> Reply:
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

    def _read(self, response: BaseHTTPResponse) -> Reply:
        try:
            with contextlib.suppress(HTTPError):  # the status has come: a body that breaks off takes nothing from it
                response.read(self.response_cap, decode_content=False)
            return Reply(response.status, response.headers)
        finally:
            response.close()
