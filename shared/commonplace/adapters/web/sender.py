"""Webhooks over urllib3: strangers choose the URL, so the address is resolved once, judged, and then connected to.

Everything up to the address happens on the event loop. What follows blocks, and runs in threads of its own.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from ipaddress import ip_address

from commonplace.adapters.web.addresses import public
from commonplace.adapters.web.exchange import Cord, Delivery, unreachable
from commonplace.adapters.web.retry_after import retry_after
from commonplace.adapters.web.target import Target, parse, refused
from commonplace.model.webhook import Answer
from commonplace.ports.world import Unreachable

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

THREADS = 8
MOST_WAIT = 999_999_999  # thirty years: a Retry-After that can still be added to a date


async def _getaddrinfo(host: str, port: int) -> Sequence[str]:
    """The system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def _is_public(address: str) -> bool:
    try:
        return public(ip_address(address))
    except ValueError:
        return False


def _answer(delivery: Delivery, seconds: float) -> Answer:
    reply = delivery.run(seconds)
    after = retry_after(reply.headers.get("retry-after"))
    return Answer(reply.status, None if after is None else min(after, MOST_WAIT))


class WebhookSender:
    """The ``Sender`` of every deployment.

    ``private_targets`` lifts the rules on addresses, ports and plain HTTP, for an operator whose endpoints live in the
    same network; certificates are verified all the same. ``deadline`` is in seconds, for resolving, connecting, sending
    and reading together; it stands still only while all threads are busy. At most ``response_cap`` bytes of an answer's
    body are read, and what they say is dropped. ``resolve`` gives every address of a host, or raises ``OSError``.
    ``ssl_context`` is the system's unless given.
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
        target = parse(url, private_targets=self._private_targets)
        with contextlib.suppress(Unreachable):
            await self._addresses(target)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """As the port says. ``Host`` and the headers that frame the message are ours; all others are sent as given."""
        target = parse(url, private_targets=self._private_targets)
        start = time.monotonic()
        addresses = await self._addresses(target)
        left = self._deadline - (time.monotonic() - start)
        cord = Cord()
        context = self._context
        delivery = Delivery(target, addresses, headers, body, self._response_cap, context, cord)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, _answer, delivery, left)
        finally:
            cord.pull()  # one who is cancelled leaves no thread at work

    def close(self) -> None:
        """Waits for the deliveries at work and ends the threads."""
        self._threads.shutdown()

    async def _addresses(self, target: Target) -> Sequence[str]:
        try:
            async with asyncio.timeout(self._deadline):
                addresses = tuple(dict.fromkeys(await self._resolve(target.host, target.port)))
        except (OSError, UnicodeError) as error:  # a time-out is an OSError
            raise unreachable() from error
        if not self._private_targets and not all(_is_public(address) for address in addresses):
            raise refused()
        if not addresses:
            raise unreachable()
        return addresses

    def _context(self) -> ssl.SSLContext:
        return self._given_context or self._system_context

    @cached_property
    def _system_context(self) -> ssl.SSLContext:
        # Made at the first delivery and then kept: reading the system's certificates takes tens of milliseconds.
        context = ssl.create_default_context()
        context.hostname_checks_common_name = False
        return context
