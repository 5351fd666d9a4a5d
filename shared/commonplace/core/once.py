"""One effect and one answer for a request that names itself."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from commonplace.model.errors import CommonplaceError, Conflict, Invalid, Unavailable
from commonplace.ports.world import Clock
from commonplace.rows.requests import NamedRequest, NamedRequests

REMEMBERED = timedelta(hours=24)
LOCKED = timedelta(seconds=60)
"""Longer than any request may take: who claimed a key and has not answered by then has died."""

LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Answered:
    """A status and a body, and whether they are those of an earlier request."""

    status: int
    body: str
    repeated: bool = False


class Once:
    """Keeps the answers of named requests for ``REMEMBERED``."""

    def __init__(self, requests: NamedRequests, clock: Clock) -> None:
        self._requests = requests
        self._clock = clock

    async def __call__(self, tenant: str, key: str, request: bytes, act: Callable[[], Awaitable[Answered]]) -> Answered:
        """The answer of ``act``, or of the earlier request under this key; ``request`` is all that it depends on.

        Raises ``Invalid`` for another request under the same key, ``Conflict`` while the first one is in work. A
        request that is refused is forgotten. If the process dies between the effect and the answer, or a part of the
        service fails, the effect can happen again after ``LOCKED``.
        """
        if len(key) > LONGEST_KEY:
            raise Invalid.field("Idempotency-Key", f"Must be at most {LONGEST_KEY} characters")
        now = self._clock.now()
        named = NamedRequest(
            tenant=tenant,
            key=key,
            fingerprint=hashlib.sha256(request).hexdigest(),
            locked_until=now + LOCKED,
            forgotten_at=now + REMEMBERED,
        )
        earlier = await self._requests.claim(named)
        if earlier is not None and earlier.forgotten_at > now:
            if earlier.fingerprint != named.fingerprint:
                raise Invalid.field("Idempotency-Key", "Was used for another request")
            if earlier.answer is not None:
                return Answered(earlier.status, earlier.answer, repeated=True)
            if earlier.locked_until > now:
                raise Conflict("A request with this Idempotency-Key is being worked on")
        if earlier is not None:
            named = replace(named, revision=earlier.revision + 1)
            await self._requests.claim(named, over=earlier)
        try:
            answered = await act()
        except Unavailable:
            raise  # it may have had its effect: the key stays locked for a while
        except CommonplaceError:
            await self._requests.release(named)
            raise
        await self._requests.answer(replace(named, status=answered.status, answer=answered.body))
        return answered
