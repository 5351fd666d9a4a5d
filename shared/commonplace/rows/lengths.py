"""Of what lengths the vectors are that callers bring."""

from dataclasses import dataclass

from commonplace.ports.table import Absent, Item, Key, Put, RevisionIs, Table
from commonplace.rows import keys
from commonplace.rows.codec import Reader, text
from commonplace.rows.commit import Staged, commit


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths that somebody's vectors have, in the order in which they came. ``revision`` counts the changes."""

    known: tuple[int, ...] = ()
    revision: int = 0


class VectorLengths:
    """The lengths of the vectors of each organisation, and of each tenant in all."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: str, organization: str | None) -> tuple[Lengths, Lengths]:
        """The lengths that the organisation brought, and those that the tenant did."""
        own, all = keys.lengths(tenant, organization or ""), keys.lengths(tenant, None)
        items = await self._table.batch_get([own, all])
        return _decoded(items.get(own)), _decoded(items.get(all))

    async def add(self, tenant: str, organization: str | None, length: int, seen: tuple[Lengths, Lengths]) -> None:
        """Writes down a length that one of the two, as they were ``seen``, does not know. Raises ``Conflict``."""
        own, all = keys.lengths(tenant, organization or ""), keys.lengths(tenant, None)
        writes = [_added(key, lengths, length) for key, lengths in zip((own, all), seen, strict=True)]
        await commit(self._table, [write for write in writes if write is not None])


def _added(key: Key, lengths: Lengths, length: int) -> Staged | None:
    if length in lengths.known:
        return None
    condition = RevisionIs(lengths.revision) if lengths.revision else Absent()
    known = text([*lengths.known, length])
    return Staged(Put(key, {"noun": "lengths", "lengths": known, "revision": lengths.revision + 1}, condition))


def _decoded(item: Item | None) -> Lengths:
    if item is None:
        return Lengths()
    row = Reader(item.attributes)
    return Lengths(tuple(row.json("lengths")), row.whole("revision"))
