import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from commonplace.core.gather import GroupOrder
from commonplace.core.ingest import EACH_MESSAGE, Ingest
from commonplace.core.promote import PAUSE
from commonplace.core.sweep import HIDDEN, Sweep, Swept
from commonplace.model.directory import GroupKind
from commonplace.model.errors import Unavailable
from commonplace.model.event import EventKind, EventOrder, EventState
from commonplace.model.memory import Change, Memory
from commonplace.ports.table import Delete, Write
from commonplace.rows import keys
from commonplace.rows.clearings import Clearings
from commonplace.rows.events import Events
from commonplace.rows.groups import Groups
from commonplace.rows.memories import Memories
from commonplace.rows.webhooks import Deliveries
from steps import EVERYTHING, documents, draft, found, row, written
from watched_table import WatchedTable
from world import OTHER_TENANT, TEMPLATE, TENANT, World

pytestmark = pytest.mark.anyio

NOTHING = Swept(0, 0, 0, 0, 0, 0)


async def lost(world: World, content: str, tenant: str = TENANT) -> Memory:
    """A memory that nobody was told of."""
    world.embedding_queue.down = world.index.down = True
    memory = (await world.services.remember.later(tenant, draft(content))).memory
    world.embedding_queue.down = world.index.down = False
    return memory


async def expiring(world: World, memory: Memory, seconds: int) -> Memory:
    changed = replace(memory, expires_at=world.clock.now() + timedelta(seconds=seconds), revision=memory.revision + 1)
    await world.services.memories.replace(memory, changed)
    return changed


async def test_where_nothing_is_left_over_nothing_is_done(world: World) -> None:
    await written(world)
    world.clock.advance(3600)
    assert await world.services.sweep() == NOTHING


async def test_what_is_still_on_its_ordinary_way_is_left_alone(world: World) -> None:
    await lost(world, "first")
    world.clock.advance(59)
    assert await world.services.sweep() == NOTHING
    world.clock.advance(2)
    assert await world.services.sweep() == Swept(1, 0, 0, 0, 0, 0)


async def test_after_a_crash_everything_open_can_be_taken_on_at_once(world: World) -> None:
    await lost(world, "first")
    world.clock.advance(1)
    assert await world.services.sweep(timedelta(0)) == Swept(1, 0, 0, 0, 0, 0)


async def test_what_is_pending_is_finished_for_every_tenant(world: World) -> None:
    memories = [await lost(world, f"number {number}") for number in range(keys.SHARDS * 2)]
    theirs = await lost(world, "theirs", OTHER_TENANT)
    world.clock.advance(61)
    assert (await world.services.sweep()).pending == len(memories) + 1
    await world.work()
    assert [(await row(world, memory.id)).ready for memory in memories] == [True] * len(memories)
    assert await found(world, "theirs", tenant=OTHER_TENANT) == [theirs.id]
    world.clock.advance(61)
    assert await world.services.sweep() == NOTHING


async def test_sweeping_twice_does_no_harm(world: World) -> None:
    memory = await lost(world, "first")
    world.clock.advance(61)
    await world.services.sweep()
    await world.services.sweep()
    await world.work()
    assert await found(world, "first") == [memory.id]
    assert (await row(world, memory.id)).revision == 1


async def test_while_the_queue_is_down_the_sweeper_tries_again_later(world: World) -> None:
    memory = await lost(world, "first")
    world.clock.advance(61)
    world.embedding_queue.down = True
    await world.services.sweep()
    world.embedding_queue.down = False
    await world.work()
    assert not (await row(world, memory.id)).ready
    await world.services.sweep()
    await world.work()
    assert (await row(world, memory.id)).ready


async def test_what_has_expired_leaves_rows_and_index(world: World) -> None:
    memory, later, other = await written(world), await written(world, "later"), await written(world, "other")
    await expiring(world, memory, 10)
    await expiring(world, later, 1000)
    world.clock.advance(11)
    assert memory.id in {id for id, _ in await documents(world)}

    assert await world.services.sweep() == Swept(0, 1, 0, 0, 0, 0)

    assert {id for id, _ in await documents(world)} == {later.id, other.id}
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=10)
    assert (page.total, len(page.items)) == (2, 2)
    assert await world.services.sweep() == NOTHING


async def test_what_expires_while_the_index_is_down_leaves_it_later(world: World) -> None:
    memory = await expiring(world, await written(world), 10)
    world.clock.advance(11)
    world.index.down = True
    assert (await world.services.sweep()).expired == 1
    world.index.down = False
    await world.work()
    assert await documents(world) == {}
    assert await world.services.memories.get(TENANT, memory.id) is None


class Overtaken(Memories):
    """Rows of which everything that has expired is changed or deleted as soon as it was read."""

    def __init__(self, world: World, *, deleted: bool) -> None:
        super().__init__(world.table)
        self._world = world
        self._deleted = deleted

    async def expired(self, shard: str, before: datetime, limit: int) -> list[Memory]:
        found = await super().expired(shard, before, limit)
        for memory in found:
            if self._deleted:
                await self._world.services.forget(memory.tenant, memory.id)
            else:
                await self.replace(memory, replace(memory, expires_at=None, revision=memory.revision + 1))
        return found


@pytest.mark.parametrize("deleted", [True, False])
async def test_what_is_changed_or_deleted_during_the_sweep_is_left_as_it_is(world: World, deleted: bool) -> None:
    memory = await expiring(world, await written(world), 10)
    world.clock.advance(11)
    services = world.services
    memories = Overtaken(world, deleted=deleted)
    deliveries = Deliveries(world.table)
    sweep = Sweep(
        memories,
        deliveries,
        Clearings(world.table),
        services.events,
        Groups(world.table),
        services.forget,
        world.embedding_queue,
        world.delivery_queue,
        world.clock,
        services.settings.max_receives,
    )

    assert await sweep() == NOTHING

    left = await services.memories.get(TENANT, memory.id)
    assert (left is None) is deleted


async def test_a_table_that_is_down_ends_the_sweep(world: World) -> None:
    await lost(world, "first")
    world.clock.advance(61)
    world.table.down = True
    with pytest.raises(Unavailable):
        await world.services.sweep()
    world.table.down = False
    assert (await world.services.sweep()).pending == 1


async def test_a_change_of_metadata_that_the_index_missed_is_brought_to_it(world: World) -> None:
    memory = await written(world)
    world.index.down = world.embedding_queue.down = True
    await world.services.revise(TENANT, memory.id, Change(metadata={"n": 1}))
    world.index.down = world.embedding_queue.down = False
    world.clock.advance(61)
    assert (await world.services.sweep()).pending == 1
    texts = list(world.embedder.texts)
    await world.work()
    assert await documents(world) == {(memory.id, 0): 2}
    assert world.embedder.texts == texts


def ordered(content: str, **fields: Any) -> EventOrder:
    return replace(EventOrder(actor="ada", session="s", kind=EventKind.USER, content=content), **fields)


async def unread(world: World, *orders: EventOrder, tenant: str = TENANT, organization: str = "org") -> list[str]:
    """Events that nobody was told of."""
    world.embedding_queue.down = True
    ids = await world.services.ingest(tenant, organization, orders, lambda _, __: [])
    world.embedding_queue.down = False
    return ids


async def messages(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while batch := await world.embedding_queue.inner.receive(10, 360):
        found += [json.loads(message.body) for message in batch]
    return found


async def test_events_on_their_ordinary_way_are_left_alone(world: World) -> None:
    await unread(world, ordered("I prefer tea"))
    world.clock.advance(59)
    assert await world.services.sweep() == NOTHING
    assert await messages(world) == []
    world.clock.advance(2)
    assert await world.services.sweep() == Swept(0, 0, 0, 0, 1, 0)
    assert len(await messages(world)) == 1


async def test_after_a_crash_events_that_nobody_sent_can_be_taken_on_at_once(world: World) -> None:
    await unread(world, ordered("I prefer tea"))
    world.clock.advance(1)
    assert await world.services.sweep(timedelta(0)) == Swept(0, 0, 0, 0, 1, 0)


async def test_an_event_that_was_sent_is_sent_again_only_when_that_message_is_dead(world: World) -> None:
    await unread(world, ordered("I prefer tea"))
    world.clock.advance(61)
    assert (await world.services.sweep()).events == 1
    life = HIDDEN * world.services.settings.max_receives
    world.clock.advance(life.total_seconds() + 59)
    assert (await world.services.sweep()).events == 0
    world.clock.advance(2)
    assert (await world.services.sweep()).events == 1
    assert len(await messages(world)) == 2


def test_a_message_is_hidden_as_long_as_the_template_says() -> None:
    visible = {queue.name: queue.visibility for queue in TEMPLATE.queues}
    assert HIDDEN.total_seconds() == visible["EmbeddingQueue"] >= visible["DeliveryQueue"]


async def test_a_large_call_that_is_told_again_outlives_the_row_of_its_batch(world: World) -> None:
    ids = await unread(world, *(ordered(f"I prefer number {number}") for number in range(60)))
    (batch,) = {event.batch for event in (await world.services.events.many(TENANT, "org", ids)).values()}
    world.clock.advance(61)
    assert (await world.services.sweep()).events == 60
    await world.table.transact([Delete(keys.batch(TENANT, batch or ""))])
    await world.work()
    found = await world.services.events.many(TENANT, "org", ids)
    assert {event.state for event in found.values()} == {EventState.COMPLETED}
    assert len(found) == 60


async def test_a_sweep_does_not_delete_what_is_told_anew_while_it_looks(world: World) -> None:
    ids = [f"own-{number}" for number in range(60)]
    orders = [ordered(f"I prefer number {id}", id=id) for id in ids]
    closing: list[Sequence[Write]] = []

    class Dying(WatchedTable):
        async def transact(self, writes: Sequence[Write]) -> None:
            if any(write.key.sort == "batch" for write in writes):
                closing.append(writes)
                raise asyncio.CancelledError
            await super().transact(writes)

    dying = Ingest(Events(Dying(world.table)), world.embedding_queue, world.clock, world.ids)
    with pytest.raises(asyncio.CancelledError):
        await dying(TENANT, "org", orders, lambda _, __: [])
    assert len(closing) == 1
    world.clock.advance(2 * 3600)

    async def again() -> None:
        await unread(world, orders[0])

    world.table.meanwhile = again  # just before the first of the dead ones is deleted
    await world.services.sweep()
    assert list(await world.services.events.many(TENANT, "org", ids)) == [ids[0]]
    left = [await world.table.get(keys.event(TENANT, "org", id)) for id in ids]
    assert [item is not None for item in left] == [True] + [False] * 59


async def test_a_message_names_events_of_one_organization_and_not_too_many(world: World) -> None:
    mine = await unread(world, *(ordered(f"I prefer number {number}") for number in range(300)))
    theirs = await unread(world, ordered("theirs"), ordered("mine", id=mine[0]), organization="other")
    others = await unread(world, ordered("of others"), tenant=OTHER_TENANT)
    world.clock.advance(61)
    assert (await world.services.sweep()).events == 303
    found = await messages(world)
    assert max(len(each["ids"]) for each in found) == EACH_MESSAGE
    named: dict[tuple[str, str, str], list[str]] = {}
    for each in found:
        named.setdefault((each["kind"], each["tenant"], each["organization"]), []).extend(each["ids"])
    assert {owner: sorted(ids) for owner, ids in named.items()} == {
        ("extract", TENANT, "org"): sorted(mine),
        ("extract", TENANT, "other"): sorted(theirs),
        ("extract", OTHER_TENANT, "org"): others,
    }


async def with_role(world: World, tenant: str = TENANT, organization: str = "org") -> None:
    await world.services.gather.create(tenant, organization, GroupOrder(kind=GroupKind.ROLE, name="Cook", focus="food"))


async def test_organizations_with_roles_have_a_turn_of_promotion_each_hour(world: World) -> None:
    owners = [(TENANT, "org"), (TENANT, "other"), (OTHER_TENANT, "org")]
    for owner in owners:
        await with_role(world, *owner)
    await unread(world, ordered("I prefer tea"), organization="without")
    assert await world.services.sweep() == Swept(0, 0, 0, 0, 0, 3)
    found = await messages(world)
    assert {(each["kind"], each["tenant"], each["organization"]) for each in found} == {
        ("promote", *each) for each in owners
    }
    world.clock.advance(PAUSE.total_seconds() - 1)
    assert (await world.services.sweep()).promotions == 0
    world.clock.advance(1)
    assert (await world.services.sweep()).promotions == 3


async def test_a_turn_that_the_queue_does_not_take_comes_with_the_next_sweep(world: World) -> None:
    await with_role(world)
    world.embedding_queue.down = True
    assert (await world.services.sweep()).promotions == 0
    world.embedding_queue.down = False
    assert (await world.services.sweep()).promotions == 1


async def test_events_are_swept_until_their_memories_are_found(world: World) -> None:
    (id,) = await unread(world, ordered("I prefer tea"))
    world.embedder.down = True
    swept = 0
    for _ in range(60):
        world.clock.advance(60)
        swept += (await world.services.sweep()).events
        await world.work()
    assert 2 <= swept <= 4
    world.embedder.down = False
    for _ in range(7):
        world.clock.advance(60)
        await world.services.sweep()
        await world.work()
    event = (await world.services.events.many(TENANT, "org", [id]))[id]
    assert event.state is EventState.COMPLETED
    world.clock.advance(61)
    assert await world.services.sweep() == NOTHING
    assert await world.services.memories.total(TENANT, EVERYTHING) == 1


async def test_while_the_queue_is_down_events_wait_for_another_sweep(world: World) -> None:
    await unread(world, ordered("I prefer tea"))
    world.clock.advance(61)
    world.embedding_queue.down = True
    assert (await world.services.sweep()).events == 1
    world.embedding_queue.down = False
    assert await messages(world) == []
    assert (await world.services.sweep()).events == 1
    assert len(await messages(world)) == 1
