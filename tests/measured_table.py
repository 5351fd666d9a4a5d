"""A table that takes keys of DynamoDB's lengths only: SQLite would not mind longer ones."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from commonplace.ports.table import INDEXES, Item, Key, Put, Query, Scanned, Slice, Table, Update, Write
from world import World

MOST_PARTITION = 2048
MOST_SORT = 1024


class MeasuredTable(Table):
    """Fails on a key that is too long, of an item or in an index."""

    def __init__(self, inner: Table) -> None:
        self._inner = inner

    async def get(self, key: Key) -> Item | None:
        fit(key.partition, key.sort)
        return await self._inner.get(key)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        for key in keys:
            fit(key.partition, key.sort)
        return await self._inner.batch_get(keys)

    async def transact(self, writes: Sequence[Write]) -> None:
        for write in writes:
            fit(write.key.partition, write.key.sort)
            for partition, sort in index_keys(write):
                fit(partition, sort)
        await self._inner.transact(writes)

    async def scan(self, after: str | None, limit: int) -> Scanned:  # noqa: ARG002 - as the port has it
        raise AssertionError("no function may read everything")

    async def query(self, query: Query) -> Slice:
        fit(query.partition, query.low or "", query.high or "")
        return await self._inner.query(query)


def fit(partition: str, *sorts: str) -> None:
    """Fails if DynamoDB would not take these."""
    assert len(partition.encode()) <= MOST_PARTITION, partition
    assert all(len(sort.encode()) <= MOST_SORT for sort in sorts), sorts


def index_keys(write: Write) -> Iterator[tuple[str, str]]:
    """The keys that a write gives an item in the indexes."""
    attributes = write.attributes if isinstance(write, Put) else write.set if isinstance(write, Update) else {}
    for partition, sort in INDEXES.values():
        yield str(attributes.get(partition, "")), str(attributes.get(sort, ""))


def measure(world: World) -> None:
    """Has the functions of a world measure every key from now on."""
    world.engines = replace(world.engines, table=MeasuredTable(world.engines.table))
    world.configure()
