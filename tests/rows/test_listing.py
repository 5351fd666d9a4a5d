from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from commonplace.adapters.embedded import table as sqlite
from commonplace.adapters.embedded.database import Database
from commonplace.model.errors import Invalid
from commonplace.model.payload import LARGEST
from commonplace.ports.table import Item, Key, Put, Query, Scanned, Slice, Table, Write
from commonplace.rows.listing import (
    BUDGET,
    FULL,
    KEYS_AT_ONCE,
    SKIPPED,
    SLICE,
    Listed,
    Pages,
    Place,
    listed,
    some,
    window,
)

pytestmark = pytest.mark.anyio

QUERY = Query(partition="numbers")


class Counted(Table):
    """Numbers in a partition, of which some are gone, and how many were read."""

    def __init__(self, count: int) -> None:
        self.keys = [Key("numbers", f"{number:06d}") for number in range(count)]
        self.queries: list[Query] = []

    async def get(self, key: Key) -> Item | None:
        raise NotImplementedError

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        raise NotImplementedError

    async def transact(self, writes: Sequence[Write]) -> None:
        raise NotImplementedError

    async def scan(self, after: str | None, limit: int) -> Scanned:
        raise NotImplementedError

    async def query(self, query: Query) -> Slice:
        self.queries.append(query)
        rest = [key for key in self.keys if query.after is None or key.sort > query.after]
        keys = tuple(rest[: query.limit])
        return Slice(keys, keys[-1].sort if len(rest) > len(keys) else None)


class Numbers:
    """Lists the multiples of ``step``, each of so many bytes."""

    def __init__(self, count: int, step: int = 1, weight: int = 0) -> None:
        self.table = Counted(count)
        self.step = step
        self.weight = weight
        self.loaded = 0
        self.loads = 0

    async def load(self, wanted: Sequence[Key]) -> list[int | None]:
        assert wanted, "nothing is loaded for nothing"
        self.loaded += len(wanted)
        self.loads += 1
        return [number if number % self.step == 0 else None for number in (int(key.sort) for key in wanted)]

    async def page(
        self, limit: int, *, offset: int = 0, start: Place | None = None, filtered: bool = True
    ) -> Listed[int]:
        return await self.pages(filtered=filtered)(limit=limit, offset=offset, start=start)

    def pages(self, *, filtered: bool = True) -> Pages[int]:
        return partial(listed, self.table, QUERY, self.load, filtered=filtered, weigh=self.weigh)

    def weigh(self, number: int) -> int:
        assert number % self.step == 0
        return self.weight


@pytest.mark.parametrize("filtered", [True, False])
async def test_an_empty_list_is_at_its_end(filtered: bool) -> None:
    assert await Numbers(0).page(10, filtered=filtered) == Listed((), None, 0)
    assert await Numbers(3).page(10, offset=5, filtered=filtered) == Listed((), None, 3)


@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize(("count", "limit"), [(1, 1), (5, 5), (5, 2), (250, 7), (250, 100), (250, 1000), (200, 100)])
async def test_pages_together_are_the_whole_list_in_order(filtered: bool, count: int, limit: int) -> None:
    numbers = Numbers(count)
    found: list[int] = []
    start: Place | None = None
    while True:
        page = await numbers.page(limit, start=start, filtered=filtered)
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            break
        start = page.next
    assert found == list(range(count))
    assert numbers.loaded == count


@pytest.mark.parametrize("limit", [1, 3, 40])
async def test_what_the_filter_leaves_out_is_on_no_page(limit: int) -> None:
    numbers = Numbers(300, step=7)
    found: list[int] = []
    page = await numbers.page(limit)
    found += page.items
    while page.next is not None:
        page = await numbers.page(limit, start=page.next)
        found += page.items
    assert found == list(range(0, 300, 7))


@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize("offset", [0, 1, 99, 100, 101, 250, 299, 300])
async def test_an_offset_leaves_out_the_first_things(filtered: bool, offset: int) -> None:
    numbers = Numbers(300)
    page = await numbers.page(10, offset=offset, filtered=filtered)
    assert list(page.items) == list(range(300))[offset : offset + 10]
    assert (page.next is None) is (offset >= 290)


async def test_the_things_of_an_offset_are_loaded_only_for_the_filter() -> None:
    plain, filtered = Numbers(300), Numbers(300)
    await plain.page(10, offset=200, filtered=False)
    await filtered.page(10, offset=200)
    assert (plain.loaded, filtered.loaded) == (10, 210)


async def test_an_offset_of_a_filtered_list_counts_what_the_filter_wants() -> None:
    page = await Numbers(100, step=10).page(3, offset=4)
    assert page.items == (40, 50, 60)


@pytest.mark.parametrize("filtered", [True, False])
async def test_things_that_are_gone_are_passed_over(filtered: bool) -> None:
    numbers = Numbers(50, step=2)
    assert (await numbers.page(3, filtered=filtered)).items == (0, 2, 4)


async def test_a_page_that_finds_little_is_short_and_goes_on() -> None:
    numbers = Numbers(BUDGET + 500, step=BUDGET + 100)
    page = await numbers.page(5)
    assert page.items == (0,)
    assert numbers.loaded == BUDGET
    assert page.next is not None
    rest = await numbers.page(5, start=page.next)
    assert rest == Listed((BUDGET + 100,), None, 500)


async def test_a_budget_that_ends_inside_a_slice_loses_nothing() -> None:
    numbers = Numbers(BUDGET + 500, step=BUDGET + 100)
    first = await numbers.page(1)
    page = await numbers.page(5, start=first.next)
    assert page.items == ()
    assert page.next is not None
    assert (await numbers.page(5, start=page.next)).items == (BUDGET + 100,)
    assert BUDGET % SLICE == 0


@pytest.mark.parametrize("offset", [0, 3])
async def test_a_place_knows_how_much_of_the_offset_is_still_to_be_left_out(offset: int) -> None:
    numbers = Numbers(BUDGET + 500, step=1_000)
    page = await numbers.page(5, offset=offset)
    assert page.next is not None
    assert (page.items, page.looked_at, page.next.offset) == (() if offset else (0, 1_000), BUDGET, 1 if offset else 0)
    rest = Listed(() if offset else (2_000,), None, 500)
    for repeated in (0, offset, 99):
        assert await numbers.page(5, offset=repeated, start=page.next) == rest


@pytest.mark.parametrize("offset", [0, 1, SKIPPED - 1, SKIPPED, SKIPPED + 1, SKIPPED + 10_500, 3 * SKIPPED, 10**9])
async def test_an_offset_of_any_size_is_left_out_over_as_many_pages_as_it_takes(offset: int) -> None:
    count = 3 * SKIPPED + 5
    numbers = Numbers(count)
    page = await numbers.page(5, offset=offset, filtered=False)
    pages = 1
    while page.next is not None and page.items == ():
        assert page.looked_at == SKIPPED
        page = await numbers.page(5, start=page.next, filtered=False)
        pages += 1
    assert list(page.items) == list(range(count))[offset : offset + 5]
    assert pages == min(max(1, -(-offset // SKIPPED)), 4)
    assert numbers.loaded == len(page.items)
    assert len(numbers.table.queries) <= min(count, offset) / KEYS_AT_ONCE + pages + 1


@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize("each", [1, FULL // 250, FULL // 100, FULL // 99, FULL // 3, FULL // 2 + 1, FULL, 2 * FULL])
async def test_a_page_has_no_more_than_an_answer_can_carry_and_one_thing_at_least(filtered: bool, each: int) -> None:
    count, step = 303, 3 if filtered else 1
    numbers = Numbers(count * step, step, each)
    found: list[int] = []
    start: Place | None = None
    while True:
        page = await numbers.page(count, start=start, filtered=filtered)
        found += page.items
        if page.next is None:
            break
        assert len(page.items) == min(count, max(1, FULL // each))
        start = page.next
    assert found == list(range(0, count * step, step))


async def test_things_that_are_left_out_take_no_room_on_a_page() -> None:
    numbers = Numbers(30, weight=FULL // 3)
    for filtered in (True, False):
        page = await numbers.page(9, offset=20, filtered=filtered)
        assert page.items == (20, 21, 22)
        assert (await numbers.page(9, start=page.next, filtered=filtered)).items == (23, 24, 25)


async def test_not_many_rows_are_loaded_at_once_whatever_is_asked_for() -> None:
    numbers = Numbers(1_000, weight=FULL // 5)
    assert len((await numbers.page(1_000, filtered=False)).items) == 5
    assert numbers.loaded == SLICE


async def test_what_no_answer_could_carry_is_refused_before_it_is_all_in_memory() -> None:
    for filtered in (True, False):
        numbers = Numbers(3_000, step=2 if filtered else 1, weight=LARGEST // 10)
        pages = numbers.pages(filtered=filtered)
        assert len(await some(pages, 10**6, limit=10, weigh=numbers.weigh)) == 10
        with pytest.raises(Invalid, match="larger than 6 MB"):
            await some(pages, 10**6, limit=11, weigh=numbers.weigh)
    numbers = Numbers(3_000, step=2, weight=LARGEST // 10)
    assert await window(numbers.pages(), 10**6, lambda _: True, limit=10, offset=700, weigh=numbers.weigh) == (
        list(range(1_400, 1_420, 2)),
        1_500,
    )
    numbers.loaded = 0
    with pytest.raises(Invalid, match="larger than 6 MB"):
        await window(numbers.pages(), 10**6, lambda _: True, limit=11, offset=0, weigh=numbers.weigh)
    assert numbers.loaded <= 4 * SLICE


async def test_what_is_left_out_counts_as_looked_at_so_that_no_offset_is_read_without_an_end() -> None:
    numbers = Numbers(5 * SKIPPED)
    assert await some(numbers.pages(filtered=False), SKIPPED, limit=3, offset=SKIPPED) == [
        SKIPPED,
        SKIPPED + 1,
        SKIPPED + 2,
    ]
    numbers.table.queries.clear()
    assert await some(numbers.pages(filtered=False), SKIPPED, limit=3, offset=SKIPPED + 1) == []
    assert len(numbers.table.queries) == SKIPPED // KEYS_AT_ONCE


async def test_where_little_is_wanted_many_rows_are_read_at_a_time() -> None:
    numbers = Numbers(1_100, step=1_000)
    assert (await numbers.page(1, offset=1)).items == (1_000,)
    assert numbers.loads < 30
    start = (await numbers.page(1)).next
    numbers.loaded = 0
    page = await numbers.page(1, start=start)
    assert page.items == (1_000,)
    assert page.looked_at == numbers.loaded <= 1_000 + SLICE
    assert (await numbers.page(9, start=page.next)) == Listed((), None, 99)


@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize(
    ("limit", "offset"), [(5, 0), (BUDGET, 100), (BUDGET + 300, 0), (7, BUDGET + 250), (9_999, 1), (0, 0)]
)
async def test_what_is_asked_for_is_found_over_as_many_pages_as_it_takes(
    filtered: bool, limit: int, offset: int
) -> None:
    step = 3 if filtered else 1
    numbers = Numbers(step * (BUDGET + 255), step=step)
    found = await some(numbers.pages(filtered=filtered), 10**6, limit=limit, offset=offset)
    assert found == list(range(0, len(numbers.table.keys), step))[offset : offset + limit]


async def test_some_of_a_list_is_looked_for_among_so_many_rows() -> None:
    numbers = Numbers(4 * BUDGET, step=100)
    assert await some(numbers.pages(), 2 * BUDGET, limit=1_000) == list(range(0, 2 * BUDGET, 100))
    assert numbers.loaded == 2 * BUDGET
    assert await some(numbers.pages(), 2 * BUDGET, limit=1_000, offset=50) == []


@pytest.mark.parametrize(("limit", "offset"), [(2, 0), (5, 3), (1_000, 40), (0, 0), (3, 1_000)])
async def test_a_window_shows_a_part_of_what_is_wanted_and_counts_all_of_it(limit: int, offset: int) -> None:
    numbers = Numbers(BUDGET + 500, step=7)
    wanted = [number for number in range(0, BUDGET + 500, 7) if number % 2]
    found = await window(numbers.pages(), 10**6, lambda number: number % 2 == 1, limit=limit, offset=offset)
    assert found == (wanted[offset : offset + limit], len(wanted))


@pytest.mark.parametrize("step", [1, 3, 50, 10**6])
async def test_a_window_counts_among_so_many_rows(step: int) -> None:
    numbers = Numbers(6 * BUDGET, step=step)
    found, count = await window(numbers.pages(), 3 * BUDGET, lambda number: number > 0, limit=2, offset=1)
    assert 3 * BUDGET <= numbers.loaded < 4 * BUDGET
    if step in (1, 10**6):  # a page of it is as many rows as it has room for, or as it may read
        assert numbers.loaded == 3 * BUDGET
    assert (numbers.loaded - 1) // step == count
    assert found == [2 * step, 3 * step][: max(0, count - 1)]


async def test_a_place_stays_where_it_is_whatever_comes_and_goes_before_it() -> None:
    for filtered in (True, False):
        numbers = Numbers(20)
        page = await numbers.page(5, filtered=filtered)
        numbers.table.keys = [Key("numbers", "-"), *numbers.table.keys[3:]]
        assert (await numbers.page(3, start=page.next, filtered=filtered)).items == (5, 6, 7)


async def test_a_page_in_the_middle_of_a_real_table_goes_on_right_there(tmp_path: Path) -> None:
    database = Database(tmp_path / "rows.db", (sqlite.prepare,))
    table = sqlite.SqliteTable(database)
    keys = [Key("numbers", f"{number:06d}") for number in range(30)]
    await table.transact([Put(key, {"n": 1}) for key in keys])

    async def load(wanted: Sequence[Key]) -> list[str | None]:
        return [key.sort if int(key.sort) % 3 == 0 else None for key in wanted]

    query = Query(partition="numbers", descending=True)
    page = await listed(table, query, load, limit=2)
    assert page.items == ("000027", "000024")
    page = await listed(table, query, load, limit=2, start=page.next)
    assert page.items == ("000021", "000018")
    database.close()
