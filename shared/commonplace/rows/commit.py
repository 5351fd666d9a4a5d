"""Writes that know what their failure means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from commonplace.model.errors import CommonplaceError, Conflict
from commonplace.ports.table import ConditionFailed, Item, Table, Write

Meaning = Callable[[Item | None], CommonplaceError]
"""From the item that stood in the way (None: none did) to the error that the caller should see."""


def changed_meanwhile(_: Item | None) -> CommonplaceError:
    """What an unexpected collision means."""
    return Conflict("Someone else changed this at the same time")


@dataclass(frozen=True, slots=True)
class Staged:
    """A write together with the domain error that its failed condition means."""

    write: Write
    meaning: Meaning = changed_meanwhile


async def commit(table: Table, staged: Sequence[Staged]) -> None:
    """Writes all or nothing; raises the error of the first write whose condition failed."""
    try:
        await table.transact([each.write for each in staged])
    except ConditionFailed as failed:
        position = min(failed.items)
        raise staged[position].meaning(failed.items[position]) from failed
