"""A table that counts its transactions and fails when a test says so."""

from collections.abc import Callable, Sequence

from commonplace.model.errors import Unavailable
from commonplace.ports.table import Item, Key, Query, Scanned, Slice, Table, Write

Meant = Callable[[int, Sequence[Write]], bool]
"""Whether a transaction is meant, by its number (from 1) and by what it writes."""


class WatchedTable(Table):
    """``fails`` are transactions that are not made; ``lost`` are made, but their answer is lost."""

    def __init__(self, inner: Table, fails: Meant = lambda _, __: False, lost: Meant = lambda _, __: False) -> None:
        self.inner = inner
        self.fails = fails
        self.lost = lost
        self.transactions: list[int] = []

    async def get(self, key: Key) -> Item | None:
        return await self.inner.get(key)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        return await self.inner.batch_get(keys)

    async def transact(self, writes: Sequence[Write]) -> None:
        self.transactions.append(len(writes))
        number = len(self.transactions)
        if self.fails(number, writes):
            raise Unavailable("The table cannot be used now")
        await self.inner.transact(writes)
        if self.lost(number, writes):
            raise Unavailable("The answer was lost")

    async def query(self, query: Query) -> Slice:
        return await self.inner.query(query)

    async def scan(self, after: str | None, limit: int) -> Scanned:
        return await self.inner.scan(after, limit)
