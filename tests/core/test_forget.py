import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from commonplace.core.converse import SessionOrder
from commonplace.core.forget import AT_ONCE, ROUNDS, SETTLED
from commonplace.core.subscribe import WebhookOrder
from commonplace.core.sweep import PATIENCE
from commonplace.model.errors import NotFound, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.memory import Tombstone
from commonplace.model.scope import Scope
from commonplace.model.session import Session
from commonplace.ports.table import Delete, Query, Slice, Write
from commonplace.rows import keys
from commonplace.wiring import Services
from steps import EVERYTHING, documents, draft, embed_message, found, handed, row, sentences, written
from watched_table import WatchedTable
from world import TENANT, World

pytestmark = pytest.mark.anyio


async def everything_of(world: World, id: str) -> list[str]:
    """The sort keys of all items of a memory."""
    slice_ = await world.table.query(Query(partition=keys.memory(TENANT, id).partition))
    return [key.sort for key in slice_.keys]


async def test_what_is_deleted_is_gone_everywhere(world: World) -> None:
    memory = await written(world, sentences(20))
    await world.services.forget(TENANT, memory.id)

    with pytest.raises(NotFound):
        await world.services.browse.get(TENANT, memory.id)
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=10)
    assert (page.items, page.total) == ((), 0)
    assert await found(world) == []
    assert await documents(world) == {}
    assert await everything_of(world, memory.id) == ["memory"]


async def test_what_stays_tells_nothing_and_goes_after_a_month(world: World) -> None:
    memory = await written(world, "A secret word")
    await world.services.forget(TENANT, memory.id)
    item = await world.table.get(keys.memory(TENANT, memory.id))
    assert item is not None
    assert "secret" not in repr(item.attributes)
    assert item.attributes["ttl"] == int(world.clock.now().timestamp()) + 30 * 86_400


async def test_deleting_twice_is_not_found(world: World) -> None:
    memory = await written(world)
    await world.services.forget(TENANT, memory.id)
    with pytest.raises(NotFound):
        await world.services.forget(TENANT, memory.id)


async def test_of_ten_who_delete_at_once_one_does(world: World) -> None:
    memory = await written(world)
    outcomes = await asyncio.gather(
        *(world.services.forget(TENANT, memory.id) for _ in range(10)), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert all(isinstance(outcome, NotFound) for outcome in outcomes if outcome is not None)
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=10)
    assert page.total == 0


async def test_while_the_index_is_down_a_deletion_counts_and_the_worker_cleans_up(world: World) -> None:
    memory = await written(world)
    world.index.down = True
    await world.services.forget(TENANT, memory.id)
    world.index.down = False
    assert await found(world) == []
    assert await documents(world) == {(memory.id, 0): 1}

    await world.work()

    assert await documents(world) == {}
    left = await world.services.memories.last_seen(TENANT, memory.id)
    assert isinstance(left, Tombstone)
    assert left.marked_at is None


async def test_with_the_queue_down_too_the_sweeper_cleans_up(world: World) -> None:
    await written(world)
    memory = await written(world, "another")
    world.index.down = world.embedding_queue.down = True
    await world.services.forget(TENANT, memory.id)
    world.index.down = world.embedding_queue.down = False

    world.clock.advance(61)
    assert (await world.services.sweep()).pending == 1
    await world.work()

    assert (memory.id, 0) not in await documents(world)
    assert (await world.services.sweep()).pending == 0


async def test_a_worker_that_cannot_clean_up_is_asked_again(world: World) -> None:
    memory = await written(world)
    world.index.down = True
    await world.services.forget(TENANT, memory.id)
    assert await handed(world, embed_message(memory)) == ["0"]
    world.index.down = False
    assert await handed(world, embed_message(memory)) == []
    assert await documents(world) == {}


async def test_a_worker_that_was_there_in_between_leaves_nothing_behind(world: World) -> None:
    accepted = (await world.services.remember.later(TENANT, draft(sentences(20)))).memory
    before = await row(world, accepted.id)
    await world.work()
    assert len(await documents(world)) > 3

    await world.services.forget.buried(before)

    assert await documents(world) == {}
    assert await everything_of(world, accepted.id) == ["memory"]


async def test_a_tombstone_that_is_gone_is_no_error(world: World) -> None:
    memory = await written(world)
    await world.services.forget(TENANT, memory.id)
    left = await world.services.memories.last_seen(TENANT, memory.id)
    assert isinstance(left, Tombstone)
    await world.services.embed.clear(left)
    await world.table.transact([Delete(keys.memory(TENANT, memory.id))])
    marked = Tombstone(
        id=left.id,
        tenant=TENANT,
        revision=left.revision,
        passages=1,
        spaces=left.spaces,
        deleted_at=left.deleted_at,
        marked_at=left.deleted_at,
    )
    await world.services.embed.clear(marked)
    assert await world.services.memories.last_seen(TENANT, memory.id) is None


async def session_with(world: World, count: int) -> Session:
    session = await world.services.converse.open(TENANT, SessionOrder())
    drafts = [draft(f"memory {number}", scope=Scope(session=session.id)) for number in range(count)]
    for start in range(0, count, 50):
        await world.services.remember.now(TENANT, drafts[start : start + 50])
    assert (await world.services.converse.get(TENANT, session.id)).memory_count == count
    return session


def forget_message(session: Session) -> dict[str, object]:
    """The message that asks the worker for the memories of a deleted session."""
    return {"kind": "forget", "tenant": TENANT, "session": session.id}


async def test_a_session_of_more_than_a_hundred_memories_is_deleted_with_all_of_them(world: World) -> None:
    other = await written(world)
    session = await session_with(world, 105)
    await world.services.converse.remove(TENANT, session.id, cascade=True)
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=200)
    assert len(page.items) == 6
    await world.work()
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=200)
    assert [memory.id for memory in page.items] == [other.id]
    assert page.total == 1
    assert await documents(world) == {(other.id, 0): 1}


async def test_with_the_queue_down_the_sweeper_has_the_rest_of_a_long_session_deleted(world: World) -> None:
    session = await session_with(world, 105)
    world.embedding_queue.down = True
    await world.services.converse.remove(TENANT, session.id, cascade=True)
    world.embedding_queue.down = False
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=200)
    assert len(page.items) == 5
    world.clock.advance(61)
    assert (await world.services.sweep()).stores == 1
    await world.work()
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=200)
    assert (page.items, page.total) == ((), 0)


async def test_a_very_long_session_is_deleted_in_several_messages(world: World) -> None:
    session = await session_with(world, (1 + ROUNDS) * AT_ONCE + 5)
    await world.services.converse.remove(TENANT, session.id, cascade=True)
    assert await handed(world, forget_message(session)) == []
    assert await world.services.memories.total(TENANT, EVERYTHING) == 5
    await world.work()
    assert await world.services.memories.total(TENANT, EVERYTHING) == 0


async def test_a_repeated_order_to_forget_a_session_changes_nothing(world: World) -> None:
    session = await session_with(world, 2)
    await world.services.converse.remove(TENANT, session.id, cascade=True)
    assert await handed(world, forget_message(session), forget_message(session)) == []
    assert await handed(world, forget_message(session)) == []
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=10)
    assert page.total == 0


@pytest.mark.parametrize("cascade", [True, False])
async def test_the_memories_of_a_session_go_if_it_was_deleted_with_them(world: World, cascade: bool) -> None:
    session = await session_with(world, 105)
    assert await handed(world, forget_message(session)) == []
    assert await world.services.memories.total(TENANT, EVERYTHING) == 105
    await world.services.converse.remove(TENANT, session.id, cascade=cascade)
    assert await handed(world, forget_message(session)) == []
    assert await world.services.memories.total(TENANT, EVERYTHING) == (0 if cascade else 105)


async def test_an_order_to_forget_that_fails_comes_again(world: World) -> None:
    session = await session_with(world, 105)
    await world.services.converse.remove(TENANT, session.id, cascade=True)
    world.table.down = True
    assert await handed(world, forget_message(session)) == ["0"]
    world.table.down = False
    assert await handed(world, forget_message(session)) == []
    assert await world.services.memories.total(TENANT, EVERYTHING) == 0


async def test_a_storage_that_fails_after_a_session_was_deleted_does_not_save_its_memories(world: World) -> None:
    session = await session_with(world, 3)

    class Failing(WatchedTable):
        async def query(self, query: Query) -> Slice:
            if query.index == "by_session":
                raise Unavailable("The table cannot be used now")
            return await super().query(query)

    failing = Services(
        world.services.settings, replace(world.engines, table=Failing(world.table)), world.clock, world.ids
    )
    world.embedding_queue.down = True
    await failing.converse.remove(TENANT, session.id, cascade=True)
    world.embedding_queue.down = False
    with pytest.raises(NotFound):
        await world.services.converse.get(TENANT, session.id)
    assert await world.services.memories.total(TENANT, EVERYTHING) == 3
    world.clock.advance(61)
    assert (await world.services.sweep()).stores == 1
    await world.work()
    assert await world.services.memories.total(TENANT, EVERYTHING) == 0
    assert await found(world) == []


async def test_what_a_list_shows_late_does_not_outlive_its_session(world: World) -> None:
    session = await session_with(world, 2)
    listed = await world.services.browse.page(TENANT, EVERYTHING, limit=10)
    world.table.late = [keys.memory(TENANT, memory.id) for memory in listed.items]
    await world.services.converse.remove(TENANT, session.id, cascade=True)
    await world.work()
    world.table.late = ()
    assert len(await documents(world)) == 2
    world.clock.advance((SETTLED + PATIENCE).total_seconds() + 1)
    assert (await world.services.sweep()).stores == 1
    await world.work()
    assert await documents(world) == {}
    assert (await world.services.sweep(timedelta(0))).stores == 0
    assert await world.table.get(keys.cleared_session(TENANT, session.id)) is None


async def test_deletions_that_the_same_counters_count_are_made_one_after_the_other(world: World) -> None:
    session = await session_with(world, 20)
    under_way: list[Sequence[Write]] = []
    met: list[int] = []

    class Watching(WatchedTable):
        async def transact(self, writes: Sequence[Write]) -> None:
            if not any(write.key.sort == "figures" for write in writes):
                await super().transact(writes)
                return
            under_way.append(writes)
            met.append(len(under_way))
            await asyncio.sleep(0)
            await super().transact(writes)
            under_way.remove(writes)

    watched = Services(
        world.services.settings, replace(world.engines, table=Watching(world.table)), world.clock, world.ids
    )
    await watched.converse.remove(TENANT, session.id, cascade=True)
    assert await world.services.memories.total(TENANT, EVERYTHING) == 0
    assert met == [1] * 21


async def test_what_the_index_keeps_of_a_deleted_session_the_worker_takes_out(world: World) -> None:
    session = await session_with(world, 20)
    world.index.down = True
    await world.services.converse.remove(TENANT, session.id, cascade=True)
    world.index.down = False
    assert len(await documents(world)) == 20
    await world.work()
    assert await documents(world) == {}


async def test_a_deletion_is_told_to_webhooks_without_the_content(world: World) -> None:
    memory = await written(world, "A secret word")
    await world.services.subscribe.add(TENANT, WebhookOrder(url="https://example.com/hook", secret="s"))
    await world.services.forget(TENANT, memory.id)
    await world.work()
    (posted,) = world.sender.posted
    assert posted.headers["x-memoryrelay-event"] == "memory.deleted"
    assert memory.id.encode() in posted.body
    assert b"secret word" not in posted.body


async def test_a_memory_that_someone_else_deletes_meanwhile_does_not_stop_the_deletion_of_the_others(
    world: World,
) -> None:
    memory = await written(world, scope=Scope(session="shared"))

    async def deleted() -> None:
        await world.services.forget(TENANT, memory.id)

    world.table.meanwhile = deleted
    assert await world.services.forget.matching(TENANT, Filter(store="default", session="shared")) == 0
    assert await world.services.memories.get(TENANT, memory.id) is None
