import asyncio

import pytest

from commonplace.core.converse import SessionOrder
from commonplace.core.subscribe import WebhookOrder
from commonplace.model.errors import NotFound
from commonplace.model.memory import Tombstone
from commonplace.model.scope import Scope
from commonplace.model.session import Session
from commonplace.ports.table import Delete, Query
from commonplace.rows import keys
from steps import EVERYTHING, documents, draft, embed_message, found, handed, row, sentences, written
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


async def test_with_the_queue_down_a_long_session_is_deleted_in_the_request(world: World) -> None:
    session = await session_with(world, 105)
    world.embedding_queue.down = True
    await world.services.converse.remove(TENANT, session.id, cascade=True)
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=200)
    assert (page.items, page.total) == ((), 0)


async def test_a_repeated_order_to_forget_a_session_changes_nothing(world: World) -> None:
    session = await session_with(world, 2)
    message = {"kind": "forget", "tenant": TENANT, "session": session.id}
    assert await handed(world, message, message) == []
    assert await handed(world, message) == []
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=10)
    assert page.total == 0


async def test_an_order_to_forget_that_fails_comes_again(world: World) -> None:
    session = await session_with(world, 2)
    message = {"kind": "forget", "tenant": TENANT, "session": session.id}
    world.table.down = True
    assert await handed(world, message) == ["0"]
    world.table.down = False
    assert await handed(world, message) == []
    assert await found(world) == []


async def test_a_deletion_is_told_to_webhooks_without_the_content(world: World) -> None:
    memory = await written(world, "A secret word")
    await world.services.subscribe.add(TENANT, WebhookOrder(url="https://example.com/hook", secret="s"))
    await world.services.forget(TENANT, memory.id)
    await world.work()
    (posted,) = world.sender.posted
    assert posted.headers["x-memoryrelay-event"] == "memory.deleted"
    assert memory.id.encode() in posted.body
    assert b"secret word" not in posted.body


async def test_a_memory_that_someone_else_deletes_meanwhile_does_not_stop_the_deletion_of_its_session(
    world: World,
) -> None:
    memory = await written(world, scope=Scope(session="shared"))

    async def deleted() -> None:
        await world.services.forget(TENANT, memory.id)

    world.table.meanwhile = deleted
    await world.services.forget.whole_session(TENANT, "shared")
    assert await world.services.memories.get(TENANT, memory.id) is None
