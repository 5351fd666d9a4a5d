"""Writes by themselves: each is made or not, whatever becomes of the others."""

import asyncio
from collections.abc import Sequence

import pytest

from commonplace.model.errors import Unavailable
from commonplace.ports.table import Absent, Key, Present, Put, Write
from commonplace.rows.apart import AT_ONCE, apart
from watched_table import WatchedTable
from world import World

pytestmark = pytest.mark.anyio


def puts(count: int) -> list[Write]:
    return [Put(Key("p", str(number)), {"n": number}, Absent()) for number in range(count)]


async def kept(world: World, count: int) -> list[bool]:
    return [await world.table.get(Key("p", str(number))) is not None for number in range(count)]


async def test_nothing_is_nothing(world: World) -> None:
    assert await apart(world.table, []) == []


async def test_a_write_whose_condition_does_not_hold_is_in_no_others_way(world: World) -> None:
    count = 2 * AT_ONCE + 1
    writes = puts(count)
    await world.table.transact([writes[1], writes[AT_ONCE]])
    writes[2] = Put(Key("p", "2"), {}, Present())
    assert await apart(world.table, writes) == [number not in (1, 2, AT_ONCE) for number in range(count)]
    assert await kept(world, count) == [number != 2 for number in range(count)]


async def test_a_table_that_fails_is_told_of_when_the_writes_at_its_side_have_come_to_their_end(world: World) -> None:
    class Slow(WatchedTable):
        async def transact(self, writes: Sequence[Write]) -> None:
            if writes[0].key.sort == "1":
                raise Unavailable("The table cannot be used now")
            for _ in range(20):
                await asyncio.sleep(0)
            await super().transact(writes)

    with pytest.raises(Unavailable):
        await apart(Slow(world.table), puts(2 * AT_ONCE))
    assert await kept(world, 2 * AT_ONCE) == [number != 1 and number < AT_ONCE for number in range(2 * AT_ONCE)]
