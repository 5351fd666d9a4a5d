import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from commonplace.adapters.embedded.database import Database
from commonplace.adapters.embedded.queue import SqliteQueue, prepare
from commonplace.ports.queue import Message
from fakes import START, FakeClock

pytestmark = pytest.mark.anyio

FOR_EVER = 3600.0
PATIENCE = 20.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "queue.db", (prepare,))
    yield database
    database.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(database: Database, clock: FakeClock) -> SqliteQueue:
    return SqliteQueue(database, "work", clock)


@pytest.fixture
def dead(queue: SqliteQueue) -> SqliteQueue:
    return queue.dead


async def test_a_message_knows_when_it_was_sent(queue: SqliteQueue, clock: FakeClock) -> None:
    await queue.send([Message("{}")])
    clock.advance(5)
    (received,) = await queue.receive(10, 30)
    assert received.sent_at == START


async def test_no_more_than_the_limit_is_received_and_the_longest_visible_first(
    queue: SqliteQueue, clock: FakeClock
) -> None:
    await queue.send([Message("late", delay=2), Message("early", delay=1), Message("later", delay=3)])
    clock.advance(10)
    assert [received.body for received in await queue.receive(2, 30)] == ["early", "late"]
    assert [received.body for received in await queue.receive(2, 30)] == ["later"]


async def test_what_is_not_deleted_comes_again_and_what_is_deleted_does_not(
    queue: SqliteQueue, clock: FakeClock
) -> None:
    await queue.send([Message("done"), Message("not done")])
    done, _ = await queue.receive(10, 30)
    await queue.delete([done.receipt])
    clock.advance(30)
    (again,) = await queue.receive(10, 30)
    assert (again.body, again.receive_count) == ("not done", 2)
    assert await queue.depth() == 1


async def test_a_receipt_is_good_until_the_message_is_received_again(queue: SqliteQueue, clock: FakeClock) -> None:
    await queue.send([Message("{}")])
    (slow,) = await queue.receive(10, 30)
    clock.advance(30)
    (second,) = await queue.receive(10, 30)
    await queue.delete([slow.receipt])
    await queue.release([slow.receipt])
    assert await queue.depth() == 1
    assert await queue.receive(10, 30) == []
    await queue.delete([second.receipt])
    assert await queue.depth() == 0


async def test_what_is_released_is_visible_after_the_delay_and_keeps_its_count(
    queue: SqliteQueue, clock: FakeClock
) -> None:
    await queue.send([Message("{}")])
    (first,) = await queue.receive(10, 30)
    await queue.release([first.receipt], delay=7)
    clock.advance(6.999)
    assert await queue.receive(10, 30) == []
    clock.advance(0.001)
    (second,) = await queue.receive(10, 30)
    assert second.receive_count == 2
    await queue.release([second.receipt])
    assert [third.receive_count for third in await queue.receive(10, 30)] == [3]


async def test_queues_of_one_file_do_not_see_each_other(queue: SqliteQueue, dead: SqliteQueue) -> None:
    await queue.send([Message("{}")])
    assert await dead.receive(10, 30) == []
    (received,) = await queue.receive(10, 30)
    await dead.delete([received.receipt])
    assert (await queue.depth(), await dead.depth()) == (1, 0)


async def test_what_is_buried_comes_back_with_a_fresh_count_when_it_is_redriven(
    queue: SqliteQueue, dead: SqliteQueue
) -> None:
    sent = await queue.send([Message("one"), Message("two"), Message("three")])
    received = await queue.receive(2, 30)
    await queue.bury([message.receipt for message in received])
    assert (await queue.depth(), await dead.depth()) == (1, 2)
    (seen, _) = await dead.receive(10, 30)
    assert (seen.body, seen.receive_count) == ("one", 2)
    assert await queue.redrive() == 2
    again = await queue.receive(10, 30)
    assert {message.id for message in again} == set(sent)
    assert {message.receive_count for message in again} == {1}
    assert len({message.receipt for message in (*received, seen, *again)}) == 6
    assert await dead.depth() == 0


async def test_messages_survive_that_the_file_is_opened_again(tmp_path: Path, clock: FakeClock) -> None:
    for expected in (1, 2):
        database = Database(tmp_path / "kept.db", (prepare,))
        await SqliteQueue(database, "work", clock).send([Message("{}")])
        assert await SqliteQueue(database, "work", clock).depth() == expected
        database.close()


async def test_it_says_when_the_next_message_is_visible(queue: SqliteQueue, clock: FakeClock) -> None:
    assert await queue.next_visible() is None
    await queue.send([Message("late", delay=20)])
    clock.advance(0.5)
    assert await queue.next_visible() == 19.5
    await queue.send([Message("now")])
    assert await queue.next_visible() == 0
    await queue.receive(10, 5)
    assert await queue.next_visible() == 5
    clock.advance(60)
    assert await queue.next_visible() == 0


async def waiting(*queues: SqliteQueue) -> "list[asyncio.Task[None]]":
    """Those who wait, once they have seen that there is nothing."""
    tasks = [asyncio.create_task(asyncio.wait_for(queue.wait(FOR_EVER), PATIENCE)) for queue in queues]
    bells = {id(queue._bell): queue._bell for queue in queues}.values()  # noqa: SLF001 - no other sign of who waits
    while sum(len(bell.waiting) for bell in bells) < len(queues):  # noqa: ASYNC110 - the queue tells nobody who waits
        await asyncio.sleep(0)
    return tasks


async def test_waiting_ends_at_once_if_a_message_is_visible(queue: SqliteQueue) -> None:
    await queue.send([Message("{}")])
    await asyncio.wait_for(queue.wait(FOR_EVER), PATIENCE)


async def test_waiting_ends_with_its_time(queue: SqliteQueue) -> None:
    await queue.wait(0.001)
    await queue.send([Message("{}", delay=1)])
    await queue.wait(0.001)


async def test_all_who_wait_are_woken_by_a_message_whoever_sends_it(
    database: Database, queue: SqliteQueue, clock: FakeClock
) -> None:
    other = SqliteQueue(database, "work", clock)
    tasks = await waiting(queue, queue, other)
    await asyncio.to_thread(asyncio.run, SqliteQueue(database, "work", clock).send([Message("{}")]))
    await asyncio.gather(*tasks)


async def test_a_release_and_a_redrive_wake_those_who_wait_for_them(queue: SqliteQueue) -> None:
    await queue.send([Message("{}")])
    (received,) = await queue.receive(1, 7200)
    (task,) = await waiting(queue)
    await queue.release([received.receipt])
    await task
    (received,) = await queue.receive(1, 7200)
    await queue.bury([received.receipt])
    (task,) = await waiting(queue)
    await queue.redrive()
    await task


async def test_waiting_ends_when_the_delay_of_a_message_is_over(queue: SqliteQueue, clock: FakeClock) -> None:
    await queue.send([Message("{}", delay=900)])
    clock.advance(899.99)
    await asyncio.wait_for(queue.wait(FOR_EVER), PATIENCE)
