import asyncio
from datetime import timedelta

import pytest

from commonplace.core.forget import AT_ONCE, ROUNDS, SETTLED
from commonplace.core.shelve import Part
from commonplace.core.sweep import PATIENCE
from commonplace.model.errors import Conflict, Invalid, NotFound
from commonplace.model.filter import Filter
from commonplace.model.memory import Draft
from commonplace.model.scope import Scope
from commonplace.model.store import Store, StoreChange, StoreFigures, StoreOrder, StoreStatus
from commonplace.rows import keys
from steps import documents, handed
from world import TENANT, World

pytestmark = pytest.mark.anyio

ORDER = StoreOrder(key="mem-notes", name="Notes", vector_provider="p", embedding_model="m", by="me@example.com")


async def filled(world: World, count: int) -> Store:
    store = await world.services.furnish.create(TENANT, ORDER)
    drafts = [Draft(content=f"note {n}", agent=None, origin="x", scope=Scope(store=store.id)) for n in range(count)]
    for start in range(0, count, 100):
        await world.services.remember.now(TENANT, drafts[start : start + 100])
    return store


async def test_a_store_is_made_found_and_listed_newest_first(world: World) -> None:
    furnish = world.services.furnish
    first = await furnish.create(TENANT, ORDER)
    assert (first.key, first.status, first.created_by, first.revision) == ("mem-notes", "active", "me@example.com", 1)
    assert await furnish.get(TENANT, "mem-notes") == first
    world.clock.advance(1)
    second = await furnish.create(TENANT, StoreOrder(key="mem-b", name="B"))
    world.clock.advance(1)
    assert [store.key for store in await furnish.all(TENANT)] == ["default", second.key, first.key]
    with pytest.raises(NotFound):
        await furnish.get("another-tenant", "mem-notes")


async def test_a_key_is_given_once(world: World) -> None:
    furnish = world.services.furnish
    outcomes = await asyncio.gather(*(furnish.create(TENANT, ORDER) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(outcome, Store) for outcome in outcomes) == 1
    errors = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert [error.message for error in errors] == ['Memory store with key "mem-notes" already exists.'] * 2


async def test_the_default_store_is_always_there_and_cannot_be_taken_away(world: World) -> None:
    furnish = world.services.furnish
    found = await asyncio.gather(*(furnish.get(TENANT, "default") for _ in range(3)))
    assert {(store.id, store.key) for store in found} == {("default", "default")}
    assert [store.key for store in await furnish.all(TENANT)] == ["default"]
    with pytest.raises(Invalid):
        await furnish.remove(TENANT, "default")
    with pytest.raises(NotFound):
        await furnish.get(TENANT, "mem-unknown")


async def test_a_change_leaves_what_it_does_not_name_and_merges_the_config(world: World) -> None:
    furnish = world.services.furnish
    order = StoreOrder(key="k", name="K", description="d", config={"a": 1, "b": 2})
    before = await furnish.create(TENANT, order)
    world.clock.advance(5)
    after = await furnish.change(TENANT, "k", StoreChange(config={"b": 3}, status=StoreStatus.INACTIVE, by="you"))
    assert (after.name, after.description, after.config) == ("K", "d", {"a": 1, "b": 3})
    assert (after.status, after.updated_by, after.revision) == (StoreStatus.INACTIVE, "you", 2)
    assert after.updated_at - before.updated_at == timedelta(seconds=5)
    named = await furnish.change(TENANT, "k", StoreChange(name="N", description="e"))
    assert (named.name, named.description, named.updated_by) == ("N", "e", "you")
    with pytest.raises(Invalid, match="not active"):
        await furnish.active(TENANT, "k")
    with pytest.raises(NotFound):
        await furnish.change(TENANT, "nobody", StoreChange(name="N"))


async def test_concurrent_changes_of_one_store_all_happen(world: World) -> None:
    furnish = world.services.furnish
    await furnish.create(TENANT, ORDER)
    changes = [StoreChange(config={f"k{n}": n}) for n in range(4)]
    await asyncio.gather(*(furnish.change(TENANT, "mem-notes", change) for change in changes))
    assert (await furnish.active(TENANT, "mem-notes")).config == {f"k{n}": n for n in range(4)}


async def test_a_store_knows_what_it_holds_and_when_something_last_came_or_went(world: World) -> None:
    furnish = world.services.furnish
    empty = await furnish.create(TENANT, StoreOrder(key="e", name="E"))
    store = await filled(world, 3)
    came = world.clock.now()
    assert await furnish.figures([store, empty]) == [StoreFigures(memories=3, last_activity_at=came), StoreFigures()]
    assert await furnish.figures([]) == []
    page = await world.services.shelve.page(TENANT, store.key, Part(), 10, 0)
    world.clock.advance(9)
    await world.services.forget(TENANT, page[0][0].memory.id)
    (figures,) = await furnish.figures([store])
    assert figures == StoreFigures(memories=2, last_activity_at=came + timedelta(seconds=9))


async def test_a_deleted_store_is_gone_at_once_and_emptied_by_the_worker(world: World) -> None:
    furnish = world.services.furnish
    store = await filled(world, 5)
    await furnish.remove(TENANT, store.key)
    with pytest.raises(NotFound):
        await furnish.get(TENANT, store.key)
    again = await furnish.create(TENANT, ORDER)
    assert again.id != store.id
    assert (await world.services.shelve.page(TENANT, again.key, Part(), 10, 0))[1] == 0
    await world.work()
    assert await documents(world) == {}
    assert await furnish.figures([store]) == [StoreFigures(last_activity_at=world.clock.now())]
    await settled(world)
    assert (await world.services.sweep(timedelta(0))).stores == 0
    with pytest.raises(NotFound):
        await furnish.remove(TENANT, "mem-unknown")


async def settled(world: World) -> None:
    """The sweeper and the worker look once more at what was deleted, after lists have caught up."""
    world.clock.advance((SETTLED + PATIENCE).total_seconds() + 1)
    assert (await world.services.sweep()).stores == 1
    await world.work()


async def test_what_a_list_shows_late_does_not_outlive_its_store(world: World) -> None:
    store = await filled(world, 2)
    listed = await world.services.memories.page(TENANT, Filter(store=store.id), limit=10)
    world.table.late = [keys.memory(TENANT, memory.id) for memory in listed.items]
    await world.services.furnish.remove(TENANT, store.key)
    await world.work()
    assert len(await documents(world)) == 2
    world.table.late = ()
    world.clock.advance(61)
    assert (await world.services.sweep()).stores == 0, "too early to look again"
    await settled(world)
    assert await documents(world) == {}
    assert (await world.services.sweep(timedelta(0))).stores == 0


async def test_a_large_store_is_emptied_in_several_messages(world: World) -> None:
    store = await filled(world, ROUNDS * AT_ONCE + 50)
    world.embedding_queue.down = True
    await world.services.furnish.remove(TENANT, store.key)
    world.embedding_queue.down = False
    clear = {"kind": "clear", "tenant": TENANT, "store": store.id}
    assert await handed(world, clear) == []
    assert (await world.services.furnish.figures([store]))[0].memories == 50
    world.clock.advance(61)
    assert (await world.services.sweep()).stores == 0, "its next message is on its way"
    await world.work()
    assert (await world.services.furnish.figures([store]))[0].memories == 0
    assert await handed(world, clear) == []


async def test_the_sweeper_has_a_store_emptied_whose_message_was_lost(world: World) -> None:
    store = await filled(world, 2)
    world.embedding_queue.down = True
    await world.services.furnish.remove(TENANT, store.key)
    world.embedding_queue.down = False
    world.clock.advance(61)
    assert (await world.services.sweep()).stores == 1
    await world.work()
    assert await documents(world) == {}
    await settled(world)
    assert (await world.services.sweep()).stores == 0


async def test_where_the_next_message_is_lost_too_the_sweeper_goes_on(world: World) -> None:
    store = await filled(world, ROUNDS * AT_ONCE + 1)
    world.embedding_queue.down = True
    await world.services.furnish.remove(TENANT, store.key)
    assert await handed(world, {"kind": "clear", "tenant": TENANT, "store": store.id}) == []
    world.clock.advance(61)
    assert (await world.services.sweep()).stores == 1
    world.embedding_queue.down = False
    assert (await world.services.furnish.figures([store]))[0].memories == 1
    assert (await world.services.sweep()).stores == 1
    await world.work()
    assert (await world.services.furnish.figures([store]))[0].memories == 0


async def test_while_a_message_waits_the_sweeper_adds_one_and_not_one_each_minute(world: World) -> None:
    store = await filled(world, 1)
    await world.services.furnish.remove(TENANT, store.key)
    swept = 0
    for _ in range(10):
        world.clock.advance(61)
        swept += (await world.services.sweep()).stores
    assert swept == 1
    await world.work()
    assert await documents(world) == {}
    assert (await world.services.sweep(timedelta(0))).stores == 0


async def test_a_store_that_was_not_deleted_is_not_cleared(world: World) -> None:
    store = await filled(world, 1)
    assert await handed(world, {"kind": "clear", "tenant": TENANT, "store": store.id}) == []
    assert len(await documents(world)) == 1
