import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commonplace.model.agent import AgentFigures
from commonplace.model.errors import CommonplaceError, Conflict, NotFound
from commonplace.model.filter import Filter
from commonplace.model.insight import Insight, Nature
from commonplace.model.memory import Memory, Notify, State, Tier, Tombstone
from commonplace.model.scope import Scope
from commonplace.model.space import Embedding, Space
from commonplace.ports.table import MAX_TRANSACTION, Put, Query
from commonplace.rows import keys
from commonplace.rows.agents import Agents
from commonplace.rows.codec import per_chunk
from commonplace.rows.memories import MOST_SOURCES, Memories
from commonplace.rows.memory_writes import MAX_COMMIT_BYTES, Duplicate, Entry, Settlement
from fakes import START
from steps import EVERYTHING
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

SPACE = Space("m", 384)


def memory(number: int = 0, **fields: Any) -> Memory:
    plain = Memory(
        id=f"m{number:04d}",
        tenant=TENANT,
        scope=Scope(),
        origin="relay",
        content=f"content {number}",
        content_hash=f"hash {number}",
        kind="fact",
        importance=0.5,
        tier=Tier.WARM,
        created_at=START,
        updated_at=START,
        occurred_at=START,
        marked_at=START,
    )
    return replace(plain, **fields)


FULL = memory(
    scope=Scope(store="s", organization="o", user="u", agent="a", session="se", project="p", role="r", team="t"),
    tags=("x", "ü"),
    metadata={"deep": {"list": [1, 2.5, None, True, "ü"]}, "": ""},
    confidential=True,
    state=State.FAILED,
    failure="because",
    importance=0.0,
    revision=7,
    content_revision=6,
    model="m-384",
    passages=3,
    ready_at=START + timedelta(microseconds=1),
    expires_at=START + timedelta(days=1),
    archived_at=START,
    notify=Notify("https://example.com", "secret"),
    claim="claim",
)


@pytest.fixture
def memories(world: World) -> Memories:
    return Memories(world.table)


async def added(memories: Memories, *new: Memory) -> list[CommonplaceError | None]:
    """Writes memories; the stores that they name are there."""
    for tenant, store in {(each.tenant, each.scope.store) for each in new}:
        await memories._table.transact([Put(keys.kept_store(tenant, store), {})])  # noqa: SLF001 - the world's own table
    return await memories.add([Entry(each) for each in new])


async def total(memories: Memories, filter: Filter = EVERYTHING) -> int | None:
    return await memories.total(TENANT, filter)


@pytest.mark.parametrize("one", [memory(), FULL], ids=["plain", "full"])
async def test_a_memory_comes_back_as_it_was_written(memories: Memories, one: Memory) -> None:
    assert await added(memories, one) == [None]
    assert await memories.get(TENANT, one.id) == one
    assert await memories.many(TENANT, [one.id, "nothing", one.id]) == {one.id: one}
    assert await memories.get(OTHER_TENANT, one.id) is None


async def test_what_was_deleted_is_a_tombstone_for_those_who_ask(memories: Memories) -> None:
    await added(memories, FULL, memory(1))
    tombstone = await memories.bury(FULL, START, SPACE)
    assert tombstone == Tombstone(
        id=FULL.id, tenant=TENANT, revision=8, passages=3, spaces=("m-384",), deleted_at=START, marked_at=START
    )
    assert await memories.last_seen_all([(TENANT, FULL.id), (TENANT, "m0001"), (TENANT, "no")]) == [
        tombstone,
        memory(1),
        None,
    ]
    assert await memories.many(TENANT, [FULL.id]) == {}
    await memories.rest(tombstone)
    assert await memories.last_seen(TENANT, FULL.id) == replace(tombstone, marked_at=None)


async def test_a_memory_gains_events_once_each_in_their_order_and_so_many_at_most(memories: Memories) -> None:
    await memories.gained(TENANT, "m", ["e2", "e1", "e2"])
    await memories.gained(TENANT, "m", ["e1"])
    await memories.gained(TENANT, "m", ["e0", "e2"])
    assert await memories.sources(TENANT, ["m", "no"]) == {"m": ("e2", "e1", "e0"), "no": ()}
    assert await memories.sources(OTHER_TENANT, ["m"]) == {"m": ()}
    await memories.gained(TENANT, "m", [f"f{number}" for number in range(MOST_SOURCES)])
    found = (await memories.sources(TENANT, ["m"]))["m"]
    assert (len(found), found[:4]) == (MOST_SOURCES, ("e2", "e1", "e0", "f0"))
    await memories.gained(TENANT, "m", ["late"])
    assert (await memories.sources(TENANT, ["m"]))["m"] == found


async def test_a_deleted_memory_leaves_nothing_of_what_it_was_made_of(memories: Memories) -> None:
    made = memory(insight=Insight(nature=Nature.SEMANTIC, title="t", confidence=1.0))
    await added(memories, made)
    await memories.gained(TENANT, made.id, ["e1"])
    await memories.bury(made, START, SPACE)
    assert await memories.sources(TENANT, [made.id]) == {made.id: ()}


async def test_a_tombstone_of_what_was_never_embedded_names_the_space_of_today(memories: Memories) -> None:
    await added(memories, memory())
    assert (await memories.bury(memory(), START, SPACE)).spaces == ("m-384",)


async def test_every_write_states_the_revision_that_it_expects(memories: Memories) -> None:
    one = memory()
    await added(memories, one)
    newer = replace(one, content="newer", revision=2)
    await memories.replace(one, newer)
    embedding = Embedding(SPACE, ((0.5,) * 384,))
    for stale in (
        memories.replace(one, replace(one, content="stale", revision=2)),
        memories.settle(Settlement(replace(one, state=State.READY), embedding, one)),
    ):
        with pytest.raises(Conflict):
            await stale
    with pytest.raises(Conflict):
        await memories.bury(one, START, SPACE)
    assert await memories.get(TENANT, one.id) == newer
    assert await memories.embedding(replace(newer, passages=1), SPACE) is None
    for gone in (memory(1), memory(2)):
        with pytest.raises(NotFound):
            await memories.replace(gone, replace(gone, revision=2))
    with pytest.raises(NotFound):
        await memories.bury(memory(1), START, SPACE)


async def test_more_than_a_transaction_holds_is_written_all_the_same(memories: Memories) -> None:
    many = [memory(number) for number in range(2 * MAX_TRANSACTION + 30)]
    assert await added(memories, *many) == [None] * len(many)
    assert await total(memories) == len(many)
    assert len(await memories.many(TENANT, [each.id for each in many])) == len(many)


async def test_claims_sessions_and_agents_count_toward_what_a_transaction_holds(memories: Memories) -> None:
    many = [
        memory(number, claim=f"claim {number}", scope=Scope(agent=f"a{number}", session=f"s{number}"))
        for number in range(60)
    ]
    assert await added(memories, *many) == [None] * 60
    assert await total(memories) == 60
    assert await total(memories, replace(EVERYTHING, agent="a59")) == 1
    assert await total(memories, replace(EVERYTHING, session="s59")) == 1


async def test_large_contents_are_spread_over_several_transactions(memories: Memories) -> None:
    content = "x" * (MAX_COMMIT_BYTES // 8)
    assert await added(memories, *(memory(number, content=content) for number in range(5))) == [None] * 5
    assert await total(memories) == 5


async def test_one_that_cannot_be_written_keeps_nobody_else_from_it(memories: Memories) -> None:
    await added(memories, memory(1))
    outcomes = await memories.add(
        [Entry(memory(0)), Entry(memory(1)), Entry(memory(2)), Entry(memory(3, scope=Scope(session="no")), "writer")]
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), Conflict, type(None), NotFound]
    assert await total(memories) == 3


async def test_a_claim_can_be_held_once(memories: Memories) -> None:
    first, second, third = (memory(number, claim="claim") for number in range(3))
    outcomes = await added(memories, first, second)
    assert outcomes[0] is None
    assert isinstance(outcomes[1], Duplicate)
    assert outcomes[1].id == first.id

    await memories.replace(first, replace(first, claim=None, revision=2))
    assert await added(memories, second) == [None]
    await memories.bury(second, START, SPACE)
    assert await added(memories, third) == [None]


async def test_counters_are_exact_under_writes_at_the_same_time(world: World, memories: Memories) -> None:
    new = [memory(number, scope=Scope(agent="a", session="s")) for number in range(20)]
    await asyncio.gather(*(added(memories, each) for each in new))
    await asyncio.gather(*(memories.bury(each, START, SPACE) for each in new[:7]))
    for filter in (EVERYTHING, replace(EVERYTHING, agent="a"), replace(EVERYTHING, session="s")):
        assert await total(memories, filter) == 13
    assert await Agents(world.table).figures(TENANT, ["a"]) == {"a": AgentFigures(13, 0, START)}


async def test_a_total_is_told_only_where_a_counter_knows_it(memories: Memories) -> None:
    await added(memories, memory())
    for filter in (
        Filter(store="default"),
        replace(EVERYTHING, user="u"),
        replace(EVERYTHING, agent="a", session="s"),
        replace(EVERYTHING, tags=("x",)),
    ):
        assert await total(memories, filter) is None
    assert await total(memories, replace(EVERYTHING, agent="nobody")) == 0
    assert await memories.total(OTHER_TENANT, EVERYTHING) == 0


def vectors(count: int, start: int = 0) -> Embedding:
    return Embedding(SPACE, tuple((float(start + number),) * 384 for number in range(count)))


async def items_of(world: World, id: str) -> list[str]:
    return [key.sort for key in (await world.table.query(Query(partition=keys.memory(TENANT, id).partition))).keys]


async def test_hundreds_of_passages_stand_in_several_items_and_come_back_in_order(
    world: World, memories: Memories
) -> None:
    count = 5 * per_chunk(SPACE) // 2
    one = memory()
    await added(memories, one)
    ready = replace(one, state=State.READY, model=SPACE.name, passages=count, marked_at=None, ready_at=START)
    await memories.settle(Settlement(ready, vectors(count), one))

    assert count > 100
    assert await memories.get(TENANT, one.id) == ready
    assert await memories.embedding(ready, SPACE) == vectors(count)
    assert len(await items_of(world, one.id)) == 1 + 3
    assert await memories.embedding(replace(ready, content_revision=2), SPACE) is None
    assert await memories.embedding(ready, Space("other", 384)) is None
    assert await memories.embedding(replace(ready, passages=4 * count), SPACE) is None


async def test_surplus_vectors_are_deleted_when_there_are_fewer(world: World, memories: Memories) -> None:
    many, one = 3 * per_chunk(SPACE), memory()
    await added(memories, one)
    first = replace(one, state=State.READY, model=SPACE.name, passages=many)
    await memories.settle(Settlement(first, vectors(many), one))
    second = replace(first, revision=2, content_revision=2)
    await memories.replace(first, second)
    fewer = replace(second, passages=2)
    await memories.settle(Settlement(fewer, vectors(2, 500), second))

    assert await memories.embedding(fewer, SPACE) == vectors(2, 500)
    assert len(await items_of(world, one.id)) == 1 + 1
    await memories.bury(fewer, START, SPACE)
    assert await items_of(world, one.id) == ["memory"]


async def test_settling_without_vectors_keeps_those_that_are_there(memories: Memories) -> None:
    one = memory()
    await added(memories, one)
    ready = replace(one, state=State.READY, model=SPACE.name, passages=2)
    await memories.settle(Settlement(ready, vectors(2), one))
    failed = replace(ready, state=State.FAILED, failure="because", marked_at=None)
    await memories.settle(Settlement(failed, None, ready))
    assert await memories.get(TENANT, one.id) == failed
    assert await memories.embedding(failed, SPACE) == vectors(2)


async def test_marked_and_expired_memories_are_found_by_their_shard_oldest_first(memories: Memories) -> None:
    day = timedelta(days=1)
    new = [memory(number, marked_at=START - number * day, expires_at=START + number * day) for number in range(3)]
    await added(memories, *new, memory(3, marked_at=None))
    marked = [each for shard in keys.every_shard("pending") for each in await memories.marked(shard, START, 10)]
    assert sorted(each.id for each in marked) == ["m0001", "m0002"]
    expired = [
        each for shard in keys.every_shard("expiring") for each in await memories.expired(shard, START + 2 * day, 10)
    ]
    assert sorted(each.id for each in expired) == ["m0000", "m0001"]
    await memories.bury(new[1], START - day, SPACE)
    shard = keys.pending("m0001")
    assert [type(each) for each in await memories.marked(shard, START, 10)][-1] is Tombstone
    everything = [await memories.expired(each, START + 9 * day, 10) for each in keys.every_shard("expiring")]
    assert sorted(each.id for found in everything for each in found) == ["m0000", "m0002"]


async def test_a_shard_gives_no_more_than_was_asked_for_the_oldest(memories: Memories) -> None:
    same = [number for number in range(300) if keys.pending(f"m{number:04d}") == keys.pending("m0000")][:5]
    await added(memories, *(memory(number, marked_at=START - timedelta(seconds=number)) for number in same))
    found = await memories.marked(keys.pending("m0000"), START + timedelta(days=1), 3)
    assert [each.id for each in found] == [f"m{number:04d}" for number in same[:1:-1]]


async def test_lists_are_newest_first_by_the_narrowest_part_of_the_scope(memories: Memories) -> None:
    scopes = [Scope(user="u", session="s"), Scope(user="u"), Scope(session="s"), Scope(store="other", user="u")]
    await added(memories, *(memory(n, scope=scope, created_at=START + timedelta(n)) for n, scope in enumerate(scopes)))

    async def listed(**parts: str) -> list[str]:
        page = await memories.page(TENANT, replace(EVERYTHING, **parts), limit=10)  # type: ignore[arg-type]  # all str
        return [each.id for each in page.items]

    assert await listed() == ["m0002", "m0001", "m0000"]
    assert await listed(user="u") == ["m0001", "m0000"]
    assert await listed(session="s") == ["m0002", "m0000"]
    assert await listed(session="s", user="u") == ["m0000"]
    assert await listed(store="other") == ["m0003"]
    assert await listed(store="other", user="u") == ["m0003"]


async def test_vectors_of_another_model_take_the_place_of_the_old_ones(world: World, memories: Memories) -> None:
    many, one, other = 2 * per_chunk(SPACE), memory(), Space("n", 8)
    await added(memories, one)
    first = replace(one, state=State.READY, model=SPACE.name, passages=many)
    await memories.settle(Settlement(first, vectors(many), one))
    second = replace(first, model=other.name, passages=1)
    await memories.settle(Settlement(second, Embedding(other, ((0.5,) * 8,)), first))
    assert await memories.embedding(first, SPACE) is None
    assert await memories.embedding(second, other) == Embedding(other, ((0.5,) * 8,))
    assert len(await items_of(world, one.id)) == 1 + 1


async def test_a_memory_is_buried_with_the_vectors_of_whichever_model_it_has(world: World, memories: Memories) -> None:
    one = memory()
    await added(memories, one)
    ready = replace(one, state=State.READY, model=SPACE.name, passages=2)
    await memories.settle(Settlement(ready, vectors(2), one))
    tombstone = await memories.bury(ready, START, Space("n", 8))
    assert tombstone.spaces == (SPACE.name, "n-8")
    assert len(await items_of(world, one.id)) == 1
