"""Counting what requests use, and telling of it in headers."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from commonplace.core.usage import Tally
from commonplace.http.endpoint import Call, Operation, Refused, Reply
from commonplace.model.errors import CommonplaceError, Forbidden, QuotaExceeded, Unavailable
from commonplace.model.usage import Dimension, Usage
from commonplace.ports.world import Clock

Told = Callable[[Usage], Mapping[str, str]]
"""From what was used to headers."""


class Metering:
    """Counts the calls of operations for the organization and the key that make them, and says in each answer, be it a
    refusal, what was used this month. What is over one of the ``limits`` is refused with ``QuotaExceeded``; of calls that
    come at the very same moment a few more may pass."""

    def __init__(self, tally: Tally, clock: Clock, limits: Mapping[Dimension, int], told: Told) -> None:
        self._tally = tally
        self._clock = clock
        self._limits = limits
        self._told = told

    def __call__(self, operation: Operation, dimension: Dimension | None = None) -> Operation:
        """The operation, metered: as a call, and as one of ``dimension`` too."""
        dimensions = [Dimension.API_CALLS, *([] if dimension is None else [dimension])]

        async def act(call: Call) -> Reply:
            try:
                for each in dimensions:
                    await self.room(call, each, 1)
                await self._count(call, dimensions)
                reply = await operation.act(call)
            except CommonplaceError as error:
                raise Refused(error, await self._headers(call)) from error
            return replace(reply, headers={**reply.headers, **await self._headers(call)})

        return replace(operation, act=act)

    async def room(self, call: Call, dimension: Dimension, amount: int) -> None:
        """Raises ``QuotaExceeded`` if so much more of a dimension is over its limit."""
        limit = self._limits.get(dimension)
        if limit is None:
            return
        used = (await self._usage(call)).used.get(dimension, 0)
        if used + amount > limit:
            raise QuotaExceeded(dimension, used, limit)

    async def _count(self, call: Call, dimensions: list[Dimension]) -> None:
        amounts = dict.fromkeys(dimensions, 1)
        await self._tally.count(call.tenant, call.caller.organization, amounts, self._clock.now(), call.caller.key)

    async def _usage(self, call: Call) -> Usage:
        return await self._tally.month(call.tenant, call.caller.organization, self._clock.now(), self._limits)

    async def _headers(self, call: Call) -> Mapping[str, str]:
        """None where use cannot be looked up: what was done is done, and is not done again for want of its headers. Nor has a
        key for several organizations any, whose use could be meant."""
        try:
            return self._told(await self._usage(call))
        except (Unavailable, Forbidden):
            return {}
