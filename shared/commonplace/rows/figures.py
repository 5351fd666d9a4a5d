"""Counters, kept in the same transaction as what they count."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from commonplace.ports.table import AtMost, Key, Table, Update
from commonplace.rows.codec import Reader, present
from commonplace.rows.commit import Meaning, Staged, changed_meanwhile


@dataclass(frozen=True, slots=True)
class Count:
    """One more (or less) of something. ``at`` is remembered as the time of the last one. ``most`` is what the number may
    come to: nothing is written that would bring it above, and ``meaning`` is what that means."""

    key: Key
    name: str
    by: int
    at: datetime | None = None
    most: int | None = None
    meaning: Meaning = changed_meanwhile


def tallied(counts: Iterable[Count]) -> list[Staged]:
    """One update for each counter item, however many counts it gets."""
    together: dict[Key, list[Count]] = {}
    for count in counts:
        together.setdefault(count.key, []).append(count)
    return [_added_up(key, each) for key, each in together.items()]


def _added_up(key: Key, counts: Sequence[Count]) -> Staged:
    sums: dict[str, int] = {}
    for count in counts:
        sums[count.name] = sums.get(count.name, 0) + count.by
    latest = max((count.at for count in counts if count.at is not None), default=None)
    bound = next((count for count in counts if count.most is not None), None)
    if bound is None or bound.most is None:
        return Staged(Update(key, set=present({"last_at": latest}), add=sums))
    room = AtMost(bound.name, bound.most - sums[bound.name])
    return Staged(Update(key, set=present({"last_at": latest}), add=sums, condition=room), bound.meaning)


async def counted(table: Table, key: Key, name: str) -> int:
    """How many there are; never below 0."""
    item = await table.get(key)
    return 0 if item is None else max(0, Reader(item.attributes).whole(name))
