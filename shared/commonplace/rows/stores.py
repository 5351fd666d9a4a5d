"""Stores: their rows."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from commonplace.model.errors import CommonplaceError, Conflict, NotFound
from commonplace.model.store import Store, StoreFigures, StoreStatus
from commonplace.ports.table import Absent, Delete, Item, Key, Put, Query, RevisionIs, Table, Value
from commonplace.rows import keys
from commonplace.rows.clearings import Clearing, begun
from commonplace.rows.codec import Reader, present, text
from commonplace.rows.commit import Staged, commit
from commonplace.rows.listing import listed, some

EVERY = 10_000
"""Stores of a tenant that one list shows at most."""


class Stores:
    """The stores of all tenants."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: str, key: str) -> Store | None:
        """The store that has this key now, or None."""
        item = await self._table.get(keys.store(tenant, key))
        return None if item is None else _decoded(item)

    async def add(self, store: Store) -> None:
        """Writes a new store. Raises ``Conflict`` if its key is taken."""
        kept = Put(keys.kept_store(store.tenant, store.id), {"noun": "kept-store"})
        new = Put(keys.store(store.tenant, store.key), _encoded(store), Absent())
        await commit(self._table, [Staged(new, _taken), Staged(kept)])

    async def replace(self, old: Store, new: Store) -> Store:
        """Writes a new revision over ``old``. Raises ``NotFound`` or ``Conflict``."""
        new = replace(new, revision=old.revision + 1)
        put = Put(keys.store(old.tenant, old.key), _encoded(new), RevisionIs(old.revision))
        await commit(self._table, [Staged(put, _changed)])
        return new

    async def remove(self, store: Store, clearing: Clearing) -> None:
        """Takes a store away and frees its key; from now on nothing is added to it, and what was in it is marked to be
        cleared. Raises ``NotFound`` or ``Conflict``."""
        await commit(
            self._table,
            [
                Staged(Delete(keys.store(store.tenant, store.key), RevisionIs(store.revision)), _changed),
                Staged(Delete(keys.kept_store(store.tenant, store.id))),
                begun(clearing),
            ],
        )

    async def all(self, tenant: str) -> list[Store]:
        """The stores of a tenant, newest first."""

        async def load(wanted: Sequence[Key]) -> list[Store | None]:
            items = await self._table.batch_get(wanted)
            return [_decoded(items[key]) if key in items else None for key in wanted]

        query = Query(partition=keys.members("stores", tenant), index="listing", descending=True)
        return await some(partial(listed, self._table, query, load, filtered=False), EVERY, limit=EVERY)

    async def figures(self, tenant: str, ids: Sequence[str]) -> dict[str, StoreFigures]:
        """What each of the stores holds."""
        wanted = {id: keys.figures(tenant, "store", id) for id in ids}
        items = await self._table.batch_get(list(wanted.values()))
        return {id: _figures(items.get(key)) for id, key in wanted.items()}


def _figures(item: Item | None) -> StoreFigures:
    if item is None:
        return StoreFigures()
    row = Reader(item.attributes)
    return StoreFigures(memories=max(0, row.whole("memories")), last_activity_at=row.maybe_moment("last_at"))


def _encoded(store: Store) -> dict[str, Value]:
    return present(
        {
            "noun": "store",
            "id": store.id,
            "tenant": store.tenant,
            "key": store.key,
            "name": store.name,
            "description": store.description,
            "vector_provider": store.vector_provider,
            "embedding_model": store.embedding_model,
            "config": text(store.config),
            "status": store.status.value,
            "created_at": store.created_at,
            "updated_at": store.updated_at,
            "created_by": store.created_by,
            "updated_by": store.updated_by,
            "revision": store.revision,
            "listing_key": keys.members("stores", store.tenant),
            "listing_at": keys.timed(store.created_at, store.id),
        }
    )


def _decoded(item: Item) -> Store:
    row = Reader(item.attributes)
    return Store(
        id=row.string("id"),
        tenant=row.string("tenant"),
        key=row.string("key"),
        name=row.string("name"),
        description=row.maybe("description"),
        vector_provider=row.string("vector_provider"),
        embedding_model=row.string("embedding_model"),
        config=row.json("config"),
        status=StoreStatus(row.string("status")),
        created_at=row.moment("created_at"),
        updated_at=row.moment("updated_at"),
        created_by=row.maybe("created_by"),
        updated_by=row.maybe("updated_by"),
        revision=row.whole("revision"),
    )


def _taken(item: Item | None) -> CommonplaceError:
    key = "?" if item is None else Reader(item.attributes).string("key")
    return Conflict(f'Memory store with key "{key}" already exists.')


def _changed(item: Item | None) -> CommonplaceError:
    return NotFound("store") if item is None else Conflict("The store was changed at the same time")
