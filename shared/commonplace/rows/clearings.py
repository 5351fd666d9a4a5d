"""What was deleted as a whole, a store or a session, and whose memories are still to go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from commonplace.model.scope import DEFAULT_STORE
from commonplace.ports.table import Delete, Item, Key, Put, Query, RevisionIs, Table, Update
from commonplace.rows import keys
from commonplace.rows.apart import apart
from commonplace.rows.codec import Reader, present
from commonplace.rows.commit import Staged, commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearing:
    """What is to be cleared of a tenant: a store that was deleted then; or, in the default store, a session."""

    tenant: str
    deleted_at: datetime
    store: str = DEFAULT_STORE
    session: str | None = None
    revision: int = 1


class Clearings:
    """The clearings of all tenants."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: str, store: str, session: str | None) -> Clearing | None:
        """The clearing of a store or of a session, or None if nothing is to be cleared there."""
        item = await self._table.get(_key(tenant, store, session))
        return None if item is None else _decoded(item)

    async def due(self, shard: str, before: datetime, limit: int) -> list[Clearing]:
        """Clearings of a shard that were to be taken up before a time, longest due first."""
        query = Query(partition=shard, index="work", high=keys.stamp(before), limit=limit)
        wanted = (await self._table.query(query)).keys
        items = await self._table.batch_get(wanted)
        return [_decoded(items[key]) for key in wanted if key in items]

    async def put_off(self, clearings: Sequence[Clearing], until: datetime) -> None:
        """Moves when clearings are to be taken up again. One that is done, or was moved since it was read, stays as it is."""
        writes = [
            Update(
                _key(each.tenant, each.store, each.session),
                set={"work_at": _at(until, each)},
                add={"revision": 1},
                condition=RevisionIs(each.revision),
            )
            for each in clearings
        ]
        await apart(self._table, writes)

    async def done(self, clearing: Clearing) -> None:
        """Writes that nothing is left to be cleared."""
        await commit(self._table, [Staged(Delete(_key(clearing.tenant, clearing.store, clearing.session)))])


def begun(clearing: Clearing) -> Staged:
    """The write that marks what is to be cleared, to be made together with what deletes the store or the session."""
    row = present(
        {
            "noun": "clearing",
            "tenant": clearing.tenant,
            "store": clearing.store,
            "session": clearing.session,
            "deleted_at": clearing.deleted_at,
            "revision": clearing.revision,
            "work_key": keys.clearing(clearing.session or clearing.store),
            "work_at": _at(clearing.deleted_at, clearing),
        }
    )
    return Staged(Put(_key(clearing.tenant, clearing.store, clearing.session), row))


def _key(tenant: str, store: str, session: str | None) -> Key:
    return keys.cleared(tenant, store) if session is None else keys.cleared_session(tenant, session)


def _at(moment: datetime, clearing: Clearing) -> str:
    return keys.timed(moment, clearing.session or clearing.store)


def _decoded(item: Item) -> Clearing:
    row = Reader(item.attributes)
    return Clearing(
        tenant=row.string("tenant"),
        deleted_at=row.moment("deleted_at"),
        store=row.string("store"),
        session=row.maybe("session"),
        revision=row.whole("revision"),
    )
