"""Counters, kept in the same transaction as what they count."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from commonplace.ports.table import Key, Table, Update
from commonplace.rows.codec import Reader, present
from commonplace.rows.commit import Staged


@dataclass(frozen=True, slots=True)
class Count:
    """One more (or less) of something. ``at`` is remembered as the time of the last one."""

    key: Key
    name: str
    by: int
    at: datetime | None = None


def tallied(counts: Iterable[Count]) -> list[Staged]:
    """One update for each counter item, however many counts it gets."""
    updates: dict[Key, tuple[dict[str, int], datetime | None]] = {}
    for count in counts:
        sums, latest = updates.setdefault(count.key, ({}, None))
        sums[count.name] = sums.get(count.name, 0) + count.by
        times = [moment for moment in (latest, count.at) if moment is not None]
        updates[count.key] = (sums, max(times, default=None))
    return [Staged(Update(key, set=present({"last_at": latest}), add=sums)) for key, (sums, latest) in updates.items()]


async def counted(table: Table, key: Key, name: str) -> int:
    """How many there are; never below 0."""
    item = await table.get(key)
    return 0 if item is None else max(0, Reader(item.attributes).whole(name))
