"""Counting what requests use, and telling of it in headers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from commonplace.core.usage import Tally
from commonplace.model.apikey import Principal
from commonplace.model.errors import Forbidden, QuotaExceeded, Unavailable
from commonplace.model.usage import Dimension, Usage
from commonplace.ports.world import Clock

if TYPE_CHECKING:  # the worker and the sweeper, which answer no requests, load nothing that would
    from commonplace.http.endpoint import Call, Operation, Reply

Told = Callable[[Usage], Mapping[str, str]]
"""From what was used to headers."""


class Metering:
    """Counts the calls of operations for the organization and the key that make them, and tells what was used this month.
    What is over one of the ``limits`` is refused with ``QuotaExceeded``; of calls that come at the very same moment a few
    more may pass."""

    def __init__(self, tally: Tally, clock: Clock, limits: Mapping[Dimension, int], told: Told) -> None:
        self._tally = tally
        self._clock = clock
        self._limits = limits
        self._told = told

    def __call__(self, operation: "Operation", dimension: Dimension | None = None) -> "Operation":
        """The operation, metered: as a call, and as one of ``dimension`` too."""
        amounts = {Dimension.API_CALLS: 1} if dimension is None else {Dimension.API_CALLS: 1, dimension: 1}

        async def act(call: "Call") -> "Reply":
            await self.room(call, amounts)
            caller = call.caller
            await self._tally.count(caller.tenant, caller.organization, amounts, self._clock.now(), caller.key)
            return await operation.act(call)

        return replace(operation, act=act)

    async def room(self, call: "Call", amounts: Mapping[Dimension, int]) -> None:
        """Raises ``QuotaExceeded`` if so much more of a dimension is over its limit; nothing is read where none has one."""
        if not self._limits.keys() & amounts.keys():
            return
        used = (await self._usage(call.caller)).used
        for dimension, amount in amounts.items():
            limit = self._limits.get(dimension)
            if limit is not None and used.get(dimension, 0) + amount > limit:
                raise QuotaExceeded(dimension, used.get(dimension, 0), limit)

    async def _usage(self, principal: Principal) -> Usage:
        return await self._tally.month(principal.tenant, principal.organization, self._clock.now(), self._limits)

    async def headers(self, principal: Principal) -> Mapping[str, str]:
        """What was used, in headers. None where it cannot be looked up: what was done is done, and is not done again for want
        of its headers. Nor are there any for a key for several organizations, whose use could be meant."""
        try:
            return self._told(await self._usage(principal))
        except (Unavailable, Forbidden):
            return {}
