from collections.abc import Iterator
from pathlib import Path

import pytest

from commonplace.adapters.embedded.database import Database
from commonplace.adapters.embedded.table import PURGE_BITE, SqliteTable, prepare
from commonplace.ports.table import Key, Put, Query, Update

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000


@pytest.fixture
def table(tmp_path: Path) -> Iterator[SqliteTable]:
    database = Database(tmp_path / "purge.db", (prepare,))
    yield SqliteTable(database)
    database.close()


async def test_a_purge_drops_what_has_expired_from_the_table_and_its_indexes_and_nothing_else(
    table: SqliteTable,
) -> None:
    lived = {"past": NOW - 1, "now": NOW, "future": NOW + 1}
    await table.transact(
        [Put(Key("p", name), {"ttl": ttl, "listing_key": "l", "listing_at": name}) for name, ttl in lived.items()]
        + [Put(Key("p", "eternal"), {"listing_key": "l", "listing_at": "eternal"})]
    )
    assert await table.purge(NOW) == 1
    kept = [Key("p", name) for name in ("eternal", "future", "now")]
    assert list((await table.query(Query(partition="p"))).keys) == kept
    assert list((await table.query(Query(partition="l", index="listing"))).keys) == kept


async def test_an_update_gives_and_takes_a_ttl(table: SqliteTable) -> None:
    await table.transact([Put(Key("p", "a"), {"ttl": 1}), Put(Key("p", "b"), {})])
    await table.transact([Update(Key("p", "a"), remove=("ttl",)), Update(Key("p", "b"), set={"ttl": 1})])
    assert await table.purge(NOW) == 1
    assert await table.get(Key("p", "a")) is not None


async def test_a_purge_of_many_takes_several_bites(table: SqliteTable) -> None:
    for start in range(0, 2 * PURGE_BITE + 1, 100):
        keys = [Key("p", f"{n:05}") for n in range(start, min(start + 100, 2 * PURGE_BITE + 1))]
        await table.transact([Put(key, {"ttl": 5}) for key in keys])
    assert await table.purge(NOW) == 2 * PURGE_BITE + 1
    assert (await table.query(Query(partition="p"))).keys == ()
