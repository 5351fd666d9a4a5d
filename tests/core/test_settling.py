"""Many memories made searchable in one call: their rows are written in few transactions, and each fails alone."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from commonplace.core.embed import Embed
from commonplace.core.subscribe import WebhookOrder
from commonplace.model.errors import CommonplaceError, NotFound, Unavailable
from commonplace.model.memory import Change, Memory, Notify, State
from commonplace.model.space import Embedding, Space
from commonplace.model.webhook import EventType
from commonplace.ports.table import MAX_TRANSACTION, Put, Write
from commonplace.rows.codec import per_chunk
from commonplace.rows.memories import Memories
from commonplace.rows.memory_writes import MAX_COMMIT_BYTES, Entry, Settlement, settled_together, settling
from steps import documents, draft, found, handed, row, sentences
from watched_table import WatchedTable
from world import TENANT, World

pytestmark = pytest.mark.anyio


async def pending(world: World, *contents: str) -> list[Memory]:
    """Memories that nobody was told of."""
    world.embedding_queue.down = world.index.down = True
    memories = [(await world.services.remember.later(TENANT, draft(content))).memory for content in contents]
    world.embedding_queue.down = world.index.down = False
    return memories


def embed(world: World, table: WatchedTable) -> Embed:
    return Embed(
        Memories(table),
        world.index,
        world.embedder,
        world.services.notify,
        world.clock,
        world.meter,
        embed_given=True,
    )


def ready(outcomes: Sequence[Memory | CommonplaceError]) -> list[bool]:
    return [isinstance(outcome, Memory) and outcome.ready for outcome in outcomes]


async def test_a_hundred_memories_are_settled_in_few_transactions(world: World) -> None:
    memories = await pending(world, *(f"fact number {number}" for number in range(100)))
    table = WatchedTable(world.table)
    outcomes = await embed(world, table)(memories)
    assert ready(outcomes) == [True] * 100
    assert table.transactions == [100, 100]  # each has a row and its vectors
    assert [await row(world, memory.id) for memory in memories] == outcomes
    assert len(await documents(world)) == 100


async def test_what_is_ready_already_is_not_written_again(world: World) -> None:
    memories = await pending(world, "one", "two")
    table = WatchedTable(world.table)
    first = await embed(world, table)(memories)
    again = await embed(world, table)([each for each in first if isinstance(each, Memory)])
    assert again == first
    assert table.transactions == [4]


async def test_one_is_changed_one_is_deleted_and_the_others_are_fine(world: World) -> None:
    memories = await pending(world, "changed", "fine", "deleted", "fine too", "refused")
    world.index.refuses = ("refused",)

    async def meanwhile() -> None:
        await world.services.revise(TENANT, memories[0].id, Change(content="changed anew"))
        await world.services.forget(TENANT, memories[2].id)

    world.embedder.meanwhile = meanwhile
    outcomes = await world.services.embed(memories)

    assert ready(outcomes) == [False, True, False, True, False]
    assert outcomes[0] == memories[0]
    assert isinstance(outcomes[2], NotFound)
    assert isinstance(outcomes[4], Unavailable)
    changed = await row(world, memories[0].id)
    assert (changed.content, changed.revision, changed.ready) == ("changed anew", 2, True)
    assert {id for id, _ in await documents(world)} == {memories[number].id for number in (0, 1, 3)}
    assert set((await found(world, "fine"))[:2]) == {memories[1].id, memories[3].id}


async def test_a_hundred_of_which_one_is_gone_are_all_settled_but_that_one(world: World) -> None:
    memories = await pending(world, *(f"fact number {number}" for number in range(60)))

    async def meanwhile() -> None:
        await world.services.forget(TENANT, memories[7].id)

    world.embedder.meanwhile = meanwhile
    table = WatchedTable(world.table)
    outcomes = await embed(world, table)(memories)
    assert ready(outcomes) == [number != 7 for number in range(60)]
    assert table.transactions == [100, *[2] * 50, 20]


async def test_each_is_told_of_once_and_only_if_it_was_settled(world: World) -> None:
    order = WebhookOrder(url="https://example.com/hook", event_types=(EventType.EMBEDDING_COMPLETED,), secret="s")
    await world.services.subscribe.add(TENANT, order)
    memories = await pending(world, *(f"fact number {number}" for number in range(40)))
    asked = replace(memories[1], notify=Notify("https://example.com/own", "s"), revision=2)
    await world.services.memories.replace(memories[1], asked)
    memories[1] = asked

    async def meanwhile() -> None:
        await world.services.forget(TENANT, memories[0].id)

    world.embedder.meanwhile = meanwhile
    assert sum(ready(await world.services.embed(memories))) == 39
    await world.services.embed(memories)
    await world.work()
    posted = [each.url for each in world.sender.posted if each.headers["x-memoryrelay-event"] == "embedding.completed"]
    assert sorted(posted) == ["https://example.com/hook"] * 39 + ["https://example.com/own"]
    assert (await row(world, asked.id)).notify is None


async def test_while_the_table_is_down_all_stay_pending_and_are_settled_later(world: World) -> None:
    memories = await pending(world, *(f"fact number {number}" for number in range(75)))
    table = WatchedTable(world.table, lambda number, _: number == 2)
    outcomes = await embed(world, table)(memories)
    assert ready(outcomes) == [True] * 50 + [False] * 25
    assert {type(outcome) for outcome in outcomes[50:]} == {Unavailable}
    assert (await row(world, memories[60].id)).state is State.PENDING
    assert ready(await embed(world, table)(memories[50:])) == [True] * 25


async def test_where_the_endpoints_cannot_be_read_nothing_is_settled(world: World) -> None:
    memories = await pending(world, "one", "two")

    async def down() -> None:
        world.table.down = True

    world.index.meanwhile = down
    outcomes = await world.services.embed(memories)
    world.table.down = False
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert await handed(world, *({"kind": "embed", "tenant": TENANT, "id": memory.id} for memory in memories)) == []
    assert ready([await row(world, memory.id) for memory in memories]) == [True, True]


async def test_long_memories_are_settled_in_transactions_that_the_table_takes(world: World) -> None:
    memories = await pending(world, *(sentences(400, f"w{number}") for number in range(6)))

    class Weighed(WatchedTable):
        most = 0

        async def transact(self, writes: Sequence[Write]) -> None:
            values = [value for write in writes if isinstance(write, Put) for value in write.attributes.values()]
            self.most = max(self.most, sum(len(value) for value in values if isinstance(value, bytes)))
            await super().transact(writes)

    table = Weighed(world.table)
    assert ready(await embed(world, table)(memories)) == [True] * 6
    assert max(table.transactions) <= MAX_TRANSACTION
    assert table.most < 4_000_000


def settlement(memory: Memory, vectors: int, space: Space, before: int = 0) -> Settlement:
    embedding = Embedding(space, tuple((0.5,) * space.dimension for _ in range(vectors))) if vectors else None
    was = replace(memory, passages=before, model=space.name if before else None)
    return Settlement(replace(memory, state=State.READY, model=space.name, passages=vectors), embedding, was)


async def test_groups_have_neither_too_many_writes_nor_too_many_bytes(world: World) -> None:
    (model,) = await pending(world, "model")
    space = Space("wide", 1536)
    some = [replace(model, id=f"m{number:03d}") for number in range(90)]
    for vectors, before in ((0, 0), (1, 0), (30, 0), (1, 5 * per_chunk(space)), (400, 0)):
        settlements = [settlement(memory, vectors, space, before) for memory in some]
        groups = settled_together(settlements)
        assert [each for group in groups for each in group] == settlements
        for group in groups:
            assert len(settling(group)) <= MAX_TRANSACTION
            bytes_ = sum(4 * 1536 * len(each.embedding.vectors) for each in group if each.embedding)
            assert bytes_ <= MAX_COMMIT_BYTES
        sizes = [len(group) for group in groups]
        assert len(set(sizes[:-1])) <= 1  # each is as full as it can be
    assert settled_together([]) == []


async def test_many_settlements_end_each_in_its_own_way(world: World) -> None:
    memories = Memories(world.table)
    (model,) = await pending(world, "model")
    some = [replace(model, id=f"m{number}", claim=None) for number in range(4)]
    space = Space("small", 4)
    assert await memories.add([Entry(memory) for memory in some]) == [None] * 4
    await memories.replace(some[1], replace(some[1], revision=2))
    await memories.bury(some[2], world.clock.now(), space)
    outcomes = await memories.settle_all([settlement(memory, 1, space) for memory in some])
    assert [type(outcome).__name__ for outcome in outcomes] == ["NoneType", "Conflict", "NotFound", "NoneType"]
    left = await memories.many(TENANT, [memory.id for memory in some])
    assert {id: memory.ready for id, memory in left.items()} == {"m0": True, "m1": False, "m3": True}
    assert await memories.embedding(left["m1"], space) is None
    assert await memories.settle_all([]) == []
