"""Stores: made, found, changed, taken away with everything in them."""

from dataclasses import replace

from commonplace.core.forget import clear_message
from commonplace.core.merge import merged
from commonplace.core.retry import until_settled
from commonplace.model.errors import Conflict, Invalid, NotFound
from commonplace.model.scope import DEFAULT_STORE
from commonplace.model.store import Store, StoreChange, StoreFigures, StoreOrder, StoreStatus
from commonplace.ports.queue import Queue
from commonplace.ports.world import Clock, Ids
from commonplace.rows.clearings import Clearing
from commonplace.rows.stores import Stores

UNWRITTEN = 0
"""The revision of a default store that has no row yet."""


class Furnish:
    """The stores of a tenant. The one named ``DEFAULT_STORE`` is always there: every dialect without stores uses it."""

    def __init__(self, stores: Stores, queue: Queue, clock: Clock, ids: Ids) -> None:
        self._stores = stores
        self._queue = queue
        self._clock = clock
        self._ids = ids

    async def create(self, tenant: str, order: StoreOrder) -> Store:
        """A new, empty store. Raises ``Conflict`` if its key is taken."""
        store = self._store(tenant, order, self._ids.new())
        await self._stores.add(store)
        return store

    async def get(self, tenant: str, key: str) -> Store:
        """The store with this key; from now on the default one has its times. Raises ``NotFound``."""
        store = await self.find(tenant, key)
        return await self._default(store) if store.revision == UNWRITTEN else store

    async def find(self, tenant: str, key: str) -> Store:
        """As ``get``, for those who do not look at a store's times: it writes nothing."""
        store = await self._stores.get(tenant, key)
        if store is not None:
            return store
        if key != DEFAULT_STORE:
            raise NotFound("store")
        order = StoreOrder(key=DEFAULT_STORE, name="Default")
        return replace(self._store(tenant, order, DEFAULT_STORE), revision=UNWRITTEN)

    async def active(self, tenant: str, key: str) -> Store:
        """As ``find``, for a store that must take and find memories. Raises ``Invalid`` if it does not."""
        store = await self.find(tenant, key)
        if store.status is not StoreStatus.ACTIVE:
            raise Invalid("Memory store is not active.")
        return store

    async def all(self, tenant: str) -> list[Store]:
        """All stores of the tenant, newest first."""
        await self.get(tenant, DEFAULT_STORE)
        return await self._stores.all(tenant)

    async def figures(self, stores: list[Store]) -> list[StoreFigures]:
        """What each of the stores of one tenant holds, in order."""
        found = await self._stores.figures(stores[0].tenant, [store.id for store in stores]) if stores else {}
        return [found[store.id] for store in stores]

    async def change(self, tenant: str, key: str, change: StoreChange) -> Store:
        """The store after the change. Raises ``NotFound``."""

        async def attempt() -> Store:
            store = await self.get(tenant, key)
            new = replace(
                store,
                name=store.name if change.name is None else change.name,
                description=store.description if change.description is None else change.description,
                config=merged("config", store.config, change.config),
                status=store.status if change.status is None else change.status,
                updated_by=store.updated_by if change.by is None else change.by,
                updated_at=self._clock.now(),
            )
            return await self._stores.replace(store, new)

        return await until_settled(attempt)

    async def remove(self, tenant: str, key: str) -> None:
        """Takes a store away at once, and has the worker empty it. Raises ``NotFound``; ``Invalid`` for the default."""
        if key == DEFAULT_STORE:
            raise Invalid("The default memory store cannot be deleted.")

        async def attempt() -> Clearing:
            store = await self.get(tenant, key)
            clearing = Clearing(tenant=tenant, store=store.id, deleted_at=self._clock.now())
            await self._stores.remove(store, clearing)
            return clearing

        cleared = await until_settled(attempt)
        await self._queue.send([clear_message(cleared)])  # if it is refused, the sweeper finds the mark

    async def _default(self, store: Store) -> Store:
        store = replace(store, revision=1)
        try:
            await self._stores.add(store)
        except Conflict:  # another made it just now
            return await self._stores.get(store.tenant, DEFAULT_STORE) or store
        return store

    def _store(self, tenant: str, order: StoreOrder, id: str) -> Store:
        now = self._clock.now()
        return Store(
            id=id,
            tenant=tenant,
            key=order.key,
            name=order.name,
            description=order.description,
            vector_provider=order.vector_provider,
            embedding_model=order.embedding_model,
            config=order.config,
            created_at=now,
            updated_at=now,
            created_by=order.by,
            updated_by=order.by,
        )
