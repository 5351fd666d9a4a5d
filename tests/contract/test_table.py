"""What every Table does."""

import asyncio
from collections.abc import Sequence

import pytest

from commonplace.model.errors import Malformed, Unavailable
from commonplace.ports.table import (
    INDEXES,
    MAX_TRANSACTION,
    Absent,
    AtMost,
    Attributes,
    Check,
    Condition,
    ConditionFailed,
    Delete,
    Item,
    Key,
    Present,
    Put,
    Query,
    RevisionIs,
    Scanned,
    Table,
    Update,
    Write,
)

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = Key("tenant#1", "one"), Key("tenant#1", "two"), Key("tenant#2", "three")


async def attributes_of(table: Table, key: Key) -> Attributes | None:
    item = await table.get(key)
    return None if item is None else item.attributes


async def failure_of(table: Table, writes: Sequence[Write]) -> dict[int, Item | None]:
    with pytest.raises(ConditionFailed) as failure:
        await table.transact(writes)
    return dict(failure.value.items)


async def all_keys(table: Table, query: Query) -> list[Key]:
    """Follows ``next`` to the end."""
    keys: list[Key] = []
    after: str | None = None
    while True:
        slice_ = await table.query(
            Query(
                partition=query.partition,
                index=query.index,
                low=query.low,
                high=query.high,
                descending=query.descending,
                limit=query.limit,
                after=after,
            )
        )
        assert len(slice_.keys) <= query.limit
        keys += slice_.keys
        after = slice_.next
        if after is None:
            return keys


# Single writes


async def test_an_item_that_was_never_written_is_none(table: Table) -> None:
    assert await table.get(ONE) is None


async def test_what_was_put_is_got(table: Table) -> None:
    await table.transact([Put(ONE, {"content": "tea", "revision": 1})])
    assert await table.get(ONE) == Item(ONE, {"content": "tea", "revision": 1})


async def test_an_item_needs_no_attributes(table: Table) -> None:
    await table.transact([Put(ONE, {})])
    assert await table.get(ONE) == Item(ONE, {})


async def test_a_put_replaces_the_whole_item(table: Table) -> None:
    await table.transact([Put(ONE, {"a": 1, "b": 2})])
    await table.transact([Put(ONE, {"b": 3})])
    assert await attributes_of(table, ONE) == {"b": 3}


async def test_a_delete_removes_the_item_and_does_not_mind_that_there_is_none(table: Table) -> None:
    await table.transact([Put(ONE, {"a": 1})])
    await table.transact([Delete(ONE)])
    await table.transact([Delete(ONE)])
    assert await table.get(ONE) is None


async def test_an_update_sets_and_removes_and_adds_and_leaves_the_rest(table: Table) -> None:
    await table.transact([Put(ONE, {"kept": "k", "gone": "g", "changed": "c", "count": 2})])
    await table.transact(
        [Update(ONE, set={"changed": "d", "new": "n"}, remove=("gone",), add={"count": 3, "fresh": -1})]
    )
    assert await attributes_of(table, ONE) == {"kept": "k", "changed": "d", "new": "n", "count": 5, "fresh": -1}


async def test_an_update_makes_the_item_if_it_is_absent(table: Table) -> None:
    await table.transact([Update(ONE, set={"name": "n"}, add={"count": 1})])
    assert await attributes_of(table, ONE) == {"name": "n", "count": 1}


async def test_an_update_of_nothing_makes_the_item_too_alone_and_in_company(table: Table) -> None:
    await table.transact([Update(ONE)])
    await table.transact([Update(TWO), Update(THREE)])
    assert await table.batch_get([ONE, TWO, THREE]) == {key: Item(key, {}) for key in (ONE, TWO, THREE)}


async def test_removing_an_attribute_that_is_not_there_is_no_error(table: Table) -> None:
    await table.transact([Put(ONE, {"a": 1})])
    await table.transact([Update(ONE, remove=("b",))])
    assert await attributes_of(table, ONE) == {"a": 1}


async def test_words_that_are_reserved_in_dynamodb_are_good_names(table: Table) -> None:
    reserved: Attributes = {
        "name": "n",
        "status": "s",
        "count": 1,
        "ttl": 9,
        "data": "d",
        "index": "i",
        "a.b": "c",
        "#n": 1,
    }
    await table.transact([Put(ONE, reserved, Absent())])
    await table.transact([Update(ONE, set={"status": "t", "a.b": "d"}, remove=("index",), add={"count": 1})])
    assert await attributes_of(table, ONE) == {
        "name": "n", "status": "t", "count": 2, "ttl": 9, "data": "d", "a.b": "d", "#n": 1,
    }  # fmt: skip


async def test_no_writes_are_no_error(table: Table) -> None:
    await table.transact([])


# Conditions


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a transaction"])
@pytest.mark.parametrize(
    ("condition", "before", "holds"),
    [
        (Absent(), None, True),
        (Absent(), {"revision": 1}, False),
        (Present(), {}, True),
        (Present(), None, False),
        (RevisionIs(2), {"revision": 2}, True),
        (RevisionIs(2), {"revision": 3}, False),
        (RevisionIs(2), {}, False),
        (RevisionIs(0), None, False),
        (AtMost("count", 4), {"count": 4}, True),
        (AtMost("count", 4), {"count": 5}, False),
        (AtMost("count", 4), {"other": 5}, True),
        (AtMost("count", 0), None, True),
        (AtMost("count", -1), None, False),
        (AtMost("count", -1), {"other": 5}, False),
        (AtMost("count", -1), {"count": -1}, True),
        (None, None, True),
        (None, {"revision": 7}, True),
    ],
)
async def test_a_write_happens_only_if_its_condition_holds(
    table: Table, condition: Condition, before: Attributes | None, holds: bool, alone: bool
) -> None:
    company: list[Write] = [] if alone else [Put(THREE, {"written": True})]
    for write in (
        Put(ONE, {"new": 1}, condition),
        Update(ONE, set={"new": 1}, condition=condition),
        Delete(ONE, condition),
    ):
        await table.transact([Delete(ONE) if before is None else Put(ONE, before)])
        await table.transact([Delete(THREE)])
        if holds:
            await table.transact([*company, write])
            kept = before or {} if isinstance(write, Update) else {}
            expected = None if isinstance(write, Delete) else {**kept, "new": 1}
            assert await attributes_of(table, ONE) == expected
        else:
            there = None if before is None else Item(ONE, before)
            assert await failure_of(table, [*company, write]) == {len(company): there}
            assert await attributes_of(table, ONE) == before
        assert (await table.get(THREE) is not None) == (holds and not alone)


@pytest.mark.parametrize(
    ("condition", "holds"), [(Absent(), False), (Present(), True), (RevisionIs(1), True), (RevisionIs(2), False)]
)
async def test_a_check_writes_nothing_but_must_hold(
    table: Table, condition: Absent | Present | RevisionIs, holds: bool
) -> None:
    item = Item(ONE, {"revision": 1})
    await table.transact([Put(ONE, item.attributes)])
    if holds:
        await table.transact([Check(ONE, condition)])
        await table.transact([Check(ONE, condition), Put(TWO, {"a": 1})])
        assert await attributes_of(table, TWO) == {"a": 1}
    else:
        assert await failure_of(table, [Check(ONE, condition)]) == {0: item}
        assert await failure_of(table, [Check(ONE, condition), Put(TWO, {"a": 1})]) == {0: item}
        assert await table.get(TWO) is None
    assert await table.get(ONE) == item


async def test_of_many_that_create_the_same_item_one_succeeds(table: Table) -> None:
    outcomes = await asyncio.gather(
        *(table.transact([Put(ONE, {"by": n}, Absent())]) for n in range(10)), return_exceptions=True
    )
    (winner,) = [n for n, outcome in enumerate(outcomes) if outcome is None]
    assert await attributes_of(table, ONE) == {"by": winner}
    assert [type(outcome) for outcome in outcomes].count(ConditionFailed) == 9


# Transactions


async def test_a_transaction_writes_all(table: Table) -> None:
    await table.transact([Put(TWO, {"a": 1}), Put(THREE, {"revision": 4})])
    await table.transact(
        [Put(ONE, {"b": 2}, Absent()), Update(TWO, add={"a": 1}, condition=Present()), Delete(THREE, RevisionIs(4))]
    )
    assert await table.batch_get([ONE, TWO, THREE]) == {ONE: Item(ONE, {"b": 2}), TWO: Item(TWO, {"a": 2})}


async def test_a_transaction_that_fails_writes_nothing_and_names_every_position_that_failed(table: Table) -> None:
    await table.transact([Put(TWO, {"revision": 1})])
    failed = await failure_of(
        table,
        [
            Put(ONE, {"a": 1}),
            Put(TWO, {"revision": 2}, Absent()),
            Delete(THREE, Present()),
            Update(Key("counters", "c"), add={"n": 1}),
            Check(Key("nobody", "here"), RevisionIs(1)),
        ],
    )
    assert failed == {1: Item(TWO, {"revision": 1}), 2: None, 4: None}
    assert await table.batch_get([ONE, TWO, THREE, Key("counters", "c")]) == {TWO: Item(TWO, {"revision": 1})}


async def test_a_transaction_takes_its_greatest_number_of_writes_and_no_more(table: Table) -> None:
    writes = [Put(Key("many", f"{n:03}"), {"n": n}) for n in range(MAX_TRANSACTION + 1)]
    with pytest.raises(ValueError, match="too many"):
        await table.transact(writes)
    await table.transact(writes[:-1])
    assert len(await all_keys(table, Query(partition="many"))) == MAX_TRANSACTION


async def test_no_item_stands_twice_in_a_transaction(table: Table) -> None:
    with pytest.raises(ValueError, match="only once"):
        await table.transact([Put(ONE, {"a": 1}), Check(ONE, Absent())])
    assert await table.get(ONE) is None


async def test_counters_are_exact_under_concurrent_transactions(table: Table) -> None:
    counter = Key("tenant#1", "counters")
    await asyncio.gather(
        *(
            table.transact(
                [Put(Key("memories", f"{n:02}"), {"n": n}, Absent()), Update(counter, add={"count": 1, "sum": n})]
            )
            for n in range(20)
        )
    )
    assert await attributes_of(table, counter) == {"count": 20, "sum": sum(range(20))}


# Values


@pytest.mark.parametrize(
    "value",
    [
        "", "plain", "NUL \0 inside", "\0", "four bytes 😀 \U0010ffff", "right to left שלום \u202e", "e\u0301 is not \u00e9", "\ufeff",
        0, 1, -1, 100, 10**15, 2**63 - 1, -(2**63), True, False,
        0.0, 1.0, -0.0, 0.1, 1 / 3, 1e22, 1e300, 5e-324, -2.5, float("inf"),
        b"", b"\0\xff\x80", bytes(range(256)),
    ],
    ids=ascii,
)  # fmt: skip
async def test_a_value_keeps_its_type_and_every_bit(table: Table, value: str | float | bytes) -> None:
    await table.transact([Put(ONE, {"value": value})])
    await table.transact([Update(TWO, set={"value": value})])
    for key in (ONE, TWO):
        attributes = await attributes_of(table, key)
        assert attributes is not None
        assert (type(attributes["value"]), repr(attributes["value"])) == (type(value), repr(value))


async def test_odd_unicode_is_good_in_keys(table: Table) -> None:
    keys = [Key("odd 😀\0 שלום", sort) for sort in ("a\0", "a\0b", "a", "é", "e\u0301", "שלום", "😀", "\uffee")]
    await table.transact([Put(key, {"listing_key": "l 😀\0", "listing_at": key.sort}) for key in keys])
    in_order = sorted(keys, key=lambda key: key.sort.encode())
    assert await all_keys(table, Query(partition="odd 😀\0 שלום", limit=3)) == in_order
    assert await all_keys(table, Query(partition="l 😀\0", index="listing", limit=3)) == in_order
    assert set(await table.batch_get(keys)) == set(keys)


async def test_an_item_of_390_kb_is_kept(table: Table) -> None:
    attributes: Attributes = {"content": "é" * 100_000, "embedding": b"\x01\xfe" * 95_000}
    await table.transact([Put(ONE, attributes, Absent())])
    assert await attributes_of(table, ONE) == attributes


# Many


async def test_batch_get_reads_more_than_a_hundred_and_counts_repeated_keys_once(table: Table) -> None:
    keys = [Key(f"memory#{n}", "row") for n in range(250)]
    for start in range(0, 250, 50):
        await table.transact([Put(key, {"id": key.partition}) for key in keys[start : start + 50]])
    absent = [Key("memory#absent", "row"), Key("memory#1", "other")]
    found = await table.batch_get([*keys, *absent, *keys[:20]])
    assert found == {key: Item(key, {"id": key.partition}) for key in keys}


async def test_batch_get_of_nothing_is_empty(table: Table) -> None:
    assert await table.batch_get([]) == {}


# Queries


@pytest.fixture
async def shelf(table: Table) -> Table:
    """Keys a to j in one partition, and in an index."""
    await table.transact(
        [Put(Key("shelf", letter), {"listing_key": "list", "listing_at": f"at-{letter}"}) for letter in "cabjihgfed"]
    )
    await table.transact([Put(Key("shelf 2", "a"), {"listing_key": "list 2", "listing_at": "at-a"})])
    return table


def letters(keys: Sequence[Key]) -> str:
    return "".join(key.sort for key in keys)


@pytest.mark.parametrize("limit", [1, 3, 5, 10, 100])
@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (None, None, "abcdefghij"),
        ("c", None, "cdefghij"),
        (None, "c", "abc"),
        ("c", "f", "cdef"),
        ("c", "c", "c"),
        ("bb", "dd", "cd"),
        ("x", None, ""),
        ("f", "c", ""),
    ],
)
async def test_a_range_has_both_its_ends_in_either_direction_at_any_limit(
    shelf: Table, low: str | None, high: str | None, expected: str, limit: int
) -> None:
    def query(index: str | None, partition: str, prefix: str, *, descending: bool) -> Query:
        bounds = {"low": low and prefix + low, "high": high and prefix + high}
        return Query(partition=partition, index=index, descending=descending, limit=limit, **bounds)

    for index, partition, prefix in ((None, "shelf", ""), ("listing", "list", "at-")):
        assert letters(await all_keys(shelf, query(index, partition, prefix, descending=False))) == expected
        assert letters(await all_keys(shelf, query(index, partition, prefix, descending=True))) == expected[::-1]


async def test_next_is_none_at_the_end_even_if_the_slice_is_full(shelf: Table) -> None:
    full = await shelf.query(Query(partition="shelf", limit=10))
    assert (letters(full.keys), full.next) == ("abcdefghij", None)
    assert (await shelf.query(Query(partition="shelf", limit=9))).next is not None


async def test_a_partition_that_nobody_wrote_is_empty(shelf: Table) -> None:
    for index in (None, *INDEXES):
        slice_ = await shelf.query(Query(partition="nobody", index=index))
        assert (slice_.keys, slice_.next) == ((), None)


async def test_paging_loses_and_repeats_nothing_where_many_share_a_sort_key(table: Table) -> None:
    keys = [Key(f"memory#{n}", "row") for n in range(30)]
    await table.transact([Put(key, {"work_key": "w", "work_at": f"{n // 10}"}) for n, key in enumerate(keys)])
    for descending in (False, True):
        found = await all_keys(table, Query(partition="w", index="work", limit=4, descending=descending))
        assert sorted(found) == sorted(keys)
        tens = [keys.index(key) // 10 for key in found]
        assert tens == sorted(tens, reverse=descending)


async def test_paging_goes_on_where_it_was_when_items_come_and_go(shelf: Table) -> None:
    first = await shelf.query(Query(partition="shelf", limit=4))
    await shelf.transact([Delete(Key("shelf", "d")), Put(Key("shelf", "a2"), {}), Put(Key("shelf", "dd"), {})])
    rest = await shelf.query(Query(partition="shelf", after=first.next))
    assert [key.sort for key in rest.keys] == ["dd", *"efghij"]


@pytest.mark.parametrize("after", ["", "nonsense", "{}", "[]", "[1]", '["a", "b"]', "null"])
@pytest.mark.parametrize("index", [None, "listing"])
async def test_a_position_that_is_none_is_malformed(table: Table, index: str | None, after: str) -> None:
    with pytest.raises(Malformed):
        await table.query(Query(partition="shelf", index=index, after=after))


# Indexes


async def in_indexes(table: Table, partition: str) -> dict[str, list[Key]]:
    found = {index: await all_keys(table, Query(partition=partition, index=index)) for index in INDEXES}
    return {index: keys for index, keys in found.items() if keys}


async def test_an_item_stands_in_an_index_if_it_has_both_of_its_attributes(table: Table) -> None:
    await table.transact(
        [
            Put(ONE, {"listing_key": "x", "listing_at": "1", "agent_key": "x", "work_key": "x"}),
            Put(TWO, {"listing_at": "1", "expiring_key": "x", "expiring_at": "9"}),
        ]
    )
    assert await in_indexes(table, "x") == {"listing": [ONE], "by_agent": [ONE], "expiring": [TWO]}


@pytest.mark.parametrize("index", INDEXES)
async def test_every_index_lists_its_partition_in_order_and_no_other(table: Table, index: str) -> None:
    partition, sort = INDEXES[index]
    items = {Key(f"memory#{n}", "row"): {partition: "x#a" if n % 2 else "x", sort: f"{n}"} for n in (3, 1, 4, 2, 5)}
    await table.transact([Put(key, attributes) for key, attributes in items.items()])
    assert await all_keys(table, Query(partition="x#a", index=index)) == [Key(f"memory#{n}", "row") for n in (1, 3, 5)]
    newest = await table.query(Query(partition="x#a", index=index, descending=True, limit=2))
    assert newest.keys == (Key("memory#5", "row"), Key("memory#3", "row"))
    assert list(await in_indexes(table, "x")) == [index]


async def test_an_update_moves_an_item_into_and_within_and_out_of_indexes(table: Table) -> None:
    await table.transact([Put(ONE, {"listing_key": "x", "listing_at": "1", "work_key": "x", "work_at": "1"})])
    await table.transact([Update(ONE, set={"user_key": "x"}, remove=("work_key", "work_at"))])
    assert await in_indexes(table, "x") == {"listing": [ONE], "by_user": [ONE]}
    await table.transact([Update(ONE, set={"listing_at": "2", "user_key": "y"})])
    assert await in_indexes(table, "x") == {"listing": [ONE]}
    assert await in_indexes(table, "y") == {"by_user": [ONE]}
    assert await all_keys(table, Query(partition="x", index="listing", high="1")) == []
    assert await all_keys(table, Query(partition="x", index="listing", low="2")) == [ONE]


async def test_a_put_that_replaces_and_a_delete_take_an_item_out_of_indexes(table: Table) -> None:
    await table.transact(
        [Put(ONE, {"listing_key": "x", "listing_at": "1"}), Put(TWO, {"work_key": "x", "work_at": "1"})]
    )
    await table.transact([Put(ONE, {"session_key": "x", "listing_at": "1"})])
    assert await in_indexes(table, "x") == {"by_session": [ONE], "work": [TWO]}
    await table.transact([Delete(ONE), Delete(TWO)])
    assert await in_indexes(table, "x") == {}


async def test_a_transaction_that_fails_moves_nothing_in_an_index(table: Table) -> None:
    await table.transact([Put(ONE, {"listing_key": "x", "listing_at": "1"})])
    await failure_of(table, [Delete(ONE), Put(TWO, {"listing_key": "x", "listing_at": "2"}, Present())])
    assert await in_indexes(table, "x") == {"listing": [ONE]}


# Everything


async def test_a_scan_in_slices_gives_every_item_once_and_whole(table: Table) -> None:
    items: dict[Key, Attributes] = {
        Key(f"p{n % 7}", f"s{n}"): {"n": n, "data": b"\0\1", "text": "é"} for n in range(53)
    }
    for key, attributes in items.items():
        await table.transact([Put(key, attributes)])
    found: list[Item] = []
    after: str | None = None
    while True:
        scanned = await table.scan(after, 10)
        assert len(scanned.items) <= 10
        found += scanned.items
        after = scanned.next
        if after is None:
            break
    assert len(found) == 53
    assert {item.key: item.attributes for item in found} == items


async def test_a_scan_of_nothing_ends_at_once(table: Table) -> None:
    assert await table.scan(None, 10) == Scanned((), None)


@pytest.mark.parametrize("after", ["", "x", "-1", "[]", '["a"]', '["a", 1]', "{", "9" * 40])
async def test_a_scan_from_nowhere_is_refused(table: Table, after: str) -> None:
    with pytest.raises(Malformed):
        await table.scan(after, 10)


# Failure


async def test_a_table_that_is_down_says_so(down_table: Table) -> None:
    for attempt in (
        down_table.get(ONE),
        down_table.batch_get([ONE]),
        down_table.query(Query(partition="p")),
        down_table.scan(None, 10),
        down_table.transact([Put(ONE, {}, Absent())]),
        down_table.transact([Put(ONE, {}), Put(TWO, {})]),
    ):
        with pytest.raises(Unavailable):
            await attempt
