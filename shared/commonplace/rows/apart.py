"""Writes that have nothing to do with each other: what stands in the way of one is in no other's."""

import asyncio
from collections.abc import Sequence

from commonplace.ports.table import ConditionFailed, Table, Write

AT_ONCE = 8
"""Writes of one call that are under way at the same time."""


async def apart(table: Table, writes: Sequence[Write]) -> list[bool]:
    """Writes each by itself; for each whether its condition held, so that it was written.

    Raises the first other error, when no other write is under way any more; some are written then, and others are not.
    """

    async def written(write: Write) -> bool:
        try:
            await table.transact([write])
        except ConditionFailed:
            return False
        return True

    outcomes: list[bool] = []
    for start in range(0, len(writes), AT_ONCE):
        some = writes[start : start + AT_ONCE]
        for outcome in await asyncio.gather(*map(written, some), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            outcomes.append(outcome)
    return outcomes
