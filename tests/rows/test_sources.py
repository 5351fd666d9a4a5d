"""Which events a memory was made of, and how it was understood, in rows."""

from dataclasses import replace

import pytest

from commonplace.model.errors import Conflict, Unavailable
from commonplace.model.insight import Insight, Nature
from commonplace.model.memory import Memory, Tier
from commonplace.model.scope import Scope
from commonplace.model.space import Space
from commonplace.model.usage import Dimension
from commonplace.ports.table import Query
from commonplace.rows import keys
from commonplace.rows.memories import MOST_SOURCES, Memories
from commonplace.rows.memory_writes import Duplicate, Entry
from commonplace.rows.usage import Usages, counts
from fakes import START
from watched_table import WatchedTable
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

INSIGHT = Insight(nature=Nature.SEMANTIC, title="T", confidence=0.9)
MEMORY = Memory(
    id="m", tenant=TENANT, scope=Scope(user="ada"), origin="memsy", content="c", content_hash="h", kind="fact",
    importance=0.5, tier=Tier.WARM, created_at=START, updated_at=START, occurred_at=START, insight=INSIGHT,
)  # fmt: skip


@pytest.fixture
def memories(world: World) -> Memories:
    return Memories(world.table)


@pytest.mark.parametrize(
    "insight",
    [
        None,
        INSIGHT,
        Insight(nature=Nature.EPISODIC, title="", confidence=0.0, summary="", entities=()),
        Insight(nature=Nature.PROCEDURAL, title='T"ü🫖', confidence=1.0, summary="S\n", entities=("A", "", "b#c")),
    ],
)
async def test_an_insight_comes_back_as_it_was_written(memories: Memories, insight: Insight | None) -> None:
    one = replace(MEMORY, insight=insight)
    assert await memories.add([Entry(one)]) == [None]
    read = await memories.get(TENANT, "m")
    assert read == one
    assert read is not None
    assert read.insight is None or isinstance(read.insight.nature, Nature)


async def test_sources_come_in_the_order_in_which_they_were_gained_each_once(memories: Memories) -> None:
    await memories.gained(TENANT, "m", ["b"])
    await memories.gained(TENANT, "m", ["a", "b", "a"])
    await memories.gained(TENANT, "m", [])
    await memories.gained(TENANT, "m", ["b", "c"])
    await memories.gained(TENANT, "other", ["d"])
    await memories.gained(OTHER_TENANT, "m", ["theirs"])
    known = await memories.sources(TENANT, ["m", "none", "other", "m"])
    assert known == {"m": ("b", "a", "c"), "none": (), "other": ("d",)}
    assert await memories.sources(TENANT, []) == {}


async def test_what_is_gained_again_is_not_written_again(world: World) -> None:
    table = WatchedTable(world.table)
    memories = Memories(table)
    await memories.gained(TENANT, "m", ["a", "b"])
    await memories.gained(TENANT, "m", ["b", "a"])
    await memories.gained(TENANT, "m", [])
    await memories.gained(TENANT, "other", [])
    assert table.transactions == [1]


async def test_beyond_the_most_nothing_is_added(memories: Memories) -> None:
    many = [f"e{number}" for number in range(MOST_SOURCES)]
    await memories.gained(TENANT, "m", many[:-1])
    await memories.gained(TENANT, "m", [many[-1], "more"])
    await memories.gained(TENANT, "m", ["even more"])
    assert (await memories.sources(TENANT, ["m"]))["m"] == tuple(many)


async def test_the_longest_ids_of_all_fit_into_an_item_of_dynamodb(world: World, memories: Memories) -> None:
    for sign in ("🫖", '"', "\x01", "x"):
        await memories.gained(TENANT, sign, [f"{number:04d}" + sign * 252 for number in range(MOST_SOURCES)])
        item = await world.table.get(keys.sources(TENANT, sign))
        assert item is not None
        assert len(str(item.attributes["events"]).encode()) < 400_000


async def test_of_two_who_gain_at_once_one_has_to_look_again(world: World, memories: Memories) -> None:
    for known in ([], ["a"]):
        await memories.gained(TENANT, "m", known)

        async def meanwhile() -> None:
            await memories.gained(TENANT, "m", [f"quicker {len(known)}"])  # noqa: B023 - it is called in this round

        world.table.meanwhile = meanwhile
        with pytest.raises(Conflict):
            await memories.gained(TENANT, "m", ["b"])
    assert (await memories.sources(TENANT, ["m"]))["m"] == ("quicker 0", "a", "quicker 1")


@pytest.mark.parametrize("insight", [INSIGHT, None])
async def test_nothing_is_left_of_a_buried_memory_but_its_tombstone(
    world: World, memories: Memories, insight: Insight | None
) -> None:
    one = replace(MEMORY, insight=insight)
    await memories.add([Entry(one)])
    if insight is not None:
        await memories.gained(TENANT, "m", ["a"])
    await memories.accessed(TENANT, ["m"], START)
    await memories.bury(one, START, Space("m", 8))
    slice = await world.table.query(Query(partition=keys.memory(TENANT, "m").partition))
    assert [key.sort for key in slice.keys] == ["memory"]


async def test_what_a_memory_counts_for_besides_is_written_with_it_or_not_at_all(world: World) -> None:
    table = WatchedTable(world.table)
    memories, usages = Memories(table), Usages(world.table)
    counted = tuple(counts(TENANT, "org", {Dimension.MEMORIES_STORED: 1}, START))
    many = [
        Entry(replace(MEMORY, id=f"m{number}", claim=f"claim {number % 150}"), counted=counted) for number in range(200)
    ]

    table.fails = lambda number, _: number == 2
    outcomes = await memories.add(many)

    assert {type(outcome) for outcome in outcomes} == {type(None), Duplicate, Unavailable}
    stored = outcomes.count(None)
    assert stored == len(await memories.many(TENANT, [entry.memory.id for entry in many]))
    assert await usages.month(TENANT, "org", START.date()) == {Dimension.MEMORIES_STORED: stored}
    again = await memories.add([entry for entry, outcome in zip(many, outcomes, strict=True) if outcome is not None])
    assert {type(outcome) for outcome in again} == {type(None), Duplicate}
    assert await usages.month(TENANT, "org", START.date()) == {Dimension.MEMORIES_STORED: 150}


async def test_while_the_table_is_down_nothing_is_tried_one_by_one(world: World) -> None:
    table = WatchedTable(world.table, lambda _, __: True)
    outcomes = await Memories(table).add([Entry(replace(MEMORY, id=f"m{number}")) for number in range(99)])
    assert [str(outcome) for outcome in outcomes] == ["The table cannot be used now"] * 99
    assert len(table.transactions) == 1
