"""The counters of use: how many there are, and how large."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonplace.model.errors import Conflict
from commonplace.model.usage import Dimension
from commonplace.ports.table import Absent, Item, Key, Put, Query, Scanned, Slice, Table, Write
from commonplace.rows import keys
from commonplace.rows.commit import Staged, commit
from commonplace.rows.figures import tallied
from commonplace.rows.usage import Usages, counts, staged
from world import TENANT, World

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 4, 1, 0, 30, tzinfo=UTC)
EVERYTHING = dict.fromkeys(Dimension, 10**9)
WORD = st.text(alphabet="a#%-\U0001f600", max_size=4)
WORDS = st.tuples(WORD, WORD)


class ReadTable(Table):
    """Counts the reads of a table, and what they are of."""

    def __init__(self, inner: Table) -> None:
        self.inner = inner
        self.reads: list[int] = []

    async def get(self, key: Key) -> Item | None:
        self.reads.append(1)
        return await self.inner.get(key)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        self.reads.append(len(keys))
        return await self.inner.batch_get(keys)

    async def transact(self, writes: Sequence[Write]) -> None:
        raise NotImplementedError

    async def query(self, query: Query) -> Slice:
        raise NotImplementedError

    async def scan(self, after: str | None, limit: int) -> Scanned:
        raise NotImplementedError


def size(item: Item) -> int:
    """The bytes of an item of counters, as DynamoDB counts them: a number has one for each two digits, and one more."""
    texts = [item.key.partition, item.key.sort, "partition", "sort", *item.attributes]
    return sum(map(len, texts)) + sum((len(str(value)) + 1) // 2 + 1 for value in item.attributes.values())


async def test_use_of_everything_is_three_writes_and_of_nothing_is_none() -> None:
    writes = staged(TENANT, "org", EVERYTHING, NOW, "key_1")
    assert len({each.write.key for each in writes}) == len(writes) == 3
    assert len(staged(TENANT, "org", EVERYTHING, NOW)) == 2
    assert len(staged(TENANT, "org", {Dimension.EVENTS_INGESTED: 1}, NOW, "key_1")) == 2
    assert staged(TENANT, "org", {Dimension.API_CALLS: 0}, NOW, "key_1") == []
    assert tallied(counts(TENANT, "org", EVERYTHING, NOW, "key_1")) == writes


async def test_use_counts_with_what_used_it_or_not_at_all(world: World) -> None:
    key = Key("thing", "thing")
    for _ in range(2):
        thing = Staged(Put(key, {"noun": "thing"}, Absent()))
        try:
            await commit(world.table, [thing, *staged(TENANT, "org", {Dimension.EVENTS_INGESTED: 3}, NOW, "key_1")])
        except Conflict:
            continue
    assert await Usages(world.table).month(TENANT, "org", NOW.date()) == {Dimension.EVENTS_INGESTED: 3}


async def test_a_month_of_days_is_one_read_of_as_many_items(world: World) -> None:
    table = ReadTable(world.table)
    days = [date(2026, 3, 1) + timedelta(days=number) for number in range(31)]
    await Usages(table).hours(TENANT, "org", days)
    await Usages(table).calls(TENANT, "key_1", days)
    await Usages(table).month(TENANT, "org", days[0])
    assert table.reads == [31, 31, 1]


async def test_a_day_with_thousands_of_everything_an_hour_stays_within_one_write_unit(world: World) -> None:
    organization = "o" * 64
    for hour in range(24):
        amounts = dict.fromkeys(Dimension, 9_999)
        await Usages(world.table).count(TENANT, organization, amounts, NOW.replace(hour=hour), "key_1")
    found = await world.table.get(keys.day_usage(TENANT, organization, "2026-04-01"))
    assert found is not None
    assert len(found.attributes) == 24 * len(Dimension)
    assert size(found) <= 1024
    points = await Usages(world.table).hours(TENANT, organization, [NOW.date()])
    assert [point.start.hour for point in points] == sorted([*range(24)] * 5)
    assert {point.quantity for point in points} == {9_999}


@settings(derandomize=True, max_examples=300, database=None, deadline=None)
@given(WORDS, WORDS)
def test_the_counters_of_different_things_never_have_the_same_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    built = [
        keys.month_usage(*one, "2026-04"),
        keys.month_usage(*other, "2026-04"),
        keys.day_usage(*one, "2026-04-01"),
        keys.day_usage(*other, "2026-04-01"),
        keys.key_usage(*one, "2026-04"),
        keys.key_usage(*other, "2026-04"),
    ]
    assert len(set(built)) == (3 if one == other else 6)
