import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest

import pollers
from commonplace.adapters.embedded.queue import Received, SqliteQueue
from commonplace.model.errors import Unavailable
from commonplace.ports.queue import Message
from commonplace.wiring import Services
from pollers import RETRY_SECONDS, poll, run_on_schedule, sqs_event
from template import QueuePolicy, QueueSource, Scheduled
from world import World

pytestmark = pytest.mark.anyio

POLICY = QueuePolicy("EmbeddingQueue", visibility=60, max_receives=3)
SOURCE = QueueSource("fake_function", "EmbeddingQueue", 10)


class FakeFunction:
    """A function ``fake_function`` that takes batches: what it was given, and what it fails or raises."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.fails: tuple[str, ...] = ()
        self.raises: list[Exception] = []
        self.taken = asyncio.Event()

    async def consume(self, _: Services, event: dict[str, Any]) -> dict[str, Any]:
        self.events.append(event)
        self.taken.set()
        if self.raises:
            raise self.raises.pop(0)
        failed = [record["messageId"] for record in event["Records"] if record["body"] in self.fails]
        return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}

    def bodies(self) -> list[list[str]]:
        return [[record["body"] for record in event["Records"]] for event in self.events]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> FakeFunction:
    function = FakeFunction()
    module: Any = ModuleType("fake_function.app")
    module.consume = function.consume
    monkeypatch.setitem(sys.modules, "fake_function", ModuleType("fake_function"))
    monkeypatch.setitem(sys.modules, "fake_function.app", module)
    return function


class Polled:
    """A poller that runs, with its queues."""

    def __init__(self, world: World, function: FakeFunction, queue: SqliteQueue) -> None:
        self.function = function
        self.queue = queue
        self.dead = queue.dead
        self.task = asyncio.create_task(poll(SOURCE, POLICY, queue, world.services))

    async def until(self, holds: Callable[[], Any]) -> None:
        """Lets the poller work until something holds."""
        async with asyncio.timeout(20):
            while True:
                found = holds()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await asyncio.sleep(0)

    async def given_back_for(self, seconds: float) -> bool:
        return await self.queue.next_visible() == seconds

    async def depths_are(self, queue: int, dead: int) -> bool:
        return (await self.queue.depth(), await self.dead.depth()) == (queue, dead)


@pytest.fixture
async def polled(world: World, function: FakeFunction) -> AsyncIterator[Polled]:
    queue = world.embedding_queue.inner
    polled = Polled(world, function, queue)
    yield polled
    polled.task.cancel()
    await asyncio.gather(polled.task, return_exceptions=True)


async def test_a_batch_that_is_done_leaves_the_queue(polled: Polled) -> None:
    await polled.queue.send([Message("a"), Message("b")])
    await polled.until(lambda: polled.depths_are(0, 0))
    assert sorted(body for bodies in polled.function.bodies() for body in bodies) == ["a", "b"]


async def test_a_message_that_fails_stays_and_comes_again_later_alone(world: World, polled: Polled) -> None:
    polled.function.fails = ("bad",)
    await polled.queue.send([Message("good"), Message("bad")])
    await polled.until(lambda: polled.given_back_for(RETRY_SECONDS))
    assert await polled.depths_are(1, 0)
    world.clock.advance(RETRY_SECONDS)
    await polled.queue.send([])  # wakes the poller, whose waiting knows nothing of the test's clock
    await polled.until(lambda: polled.function.bodies()[1:])
    assert polled.function.bodies()[-1] == ["bad"]
    assert polled.function.events[-1]["Records"][0]["attributes"]["ApproximateReceiveCount"] == "2"


async def test_after_its_last_try_a_message_lies_in_the_dead_letter_queue(world: World, polled: Polled) -> None:
    polled.function.fails = ("bad",)
    await polled.queue.send([Message("bad")])
    for times in range(1, POLICY.max_receives):
        await polled.until(partial(polled.given_back_for, RETRY_SECONDS * times))
        world.clock.advance(RETRY_SECONDS * times)
        await polled.queue.send([])
    await polled.until(lambda: polled.depths_are(0, 1))
    assert len(polled.function.events) == POLICY.max_receives
    (buried,) = await polled.dead.receive(10, 60)
    assert buried.body == "bad"


async def test_a_function_that_raises_gets_its_messages_again_until_they_are_dead(
    polled: Polled, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pollers, "RETRY_SECONDS", 0)
    polled.function.raises = [RuntimeError("broken"), ValueError("again")]
    await polled.queue.send([Message("a")])
    await polled.until(lambda: polled.depths_are(0, 0))
    assert polled.function.bodies() == [["a"], ["a"], ["a"]]
    polled.function.raises = [RuntimeError("broken")] * POLICY.max_receives
    await polled.queue.send([Message("b")])
    await polled.until(lambda: polled.depths_are(0, 1))
    assert not polled.task.done()
    assert {record.message for record in caplog.records} == {"a batch failed"}
    assert "broken" in caplog.text


async def test_a_poller_survives_a_storage_that_cannot_be_used(
    polled: Polled, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pollers, "RETRY_SECONDS", 0)
    failures = [Unavailable("The storage cannot be used now")]
    receive = polled.queue.receive

    async def receiving(limit: int, visibility: int) -> list[Received]:
        if failures:
            raise failures.pop()
        return await receive(limit, visibility)

    monkeypatch.setattr(polled.queue, "receive", receiving)
    await polled.queue.send([Message("a")])
    await polled.until(lambda: polled.function.bodies() == [["a"]])
    assert not polled.task.done()
    assert [record.message for record in caplog.records] == ["polling failed"]


async def test_a_schedule_runs_each_period_whatever_becomes_of_a_run(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []
    enough = asyncio.Event()

    async def run() -> None:
        runs.append(len(runs))
        if len(runs) == 3:
            enough.set()
        if len(runs) == 2:
            raise RuntimeError("broken")

    task = asyncio.create_task(run_on_schedule(Scheduled("sweeper", 0), run))
    async with asyncio.timeout(20):
        await enough.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(runs) == 3
    assert [record.message for record in caplog.records] == ["scheduled run failed"]


async def test_an_event_has_the_shape_of_one_of_sqs(world: World) -> None:
    queue = world.embedding_queue.inner
    await queue.send([Message('{"kind": "embed"}')])
    batch = await queue.receive(1, 60)
    (record,) = sqs_event("EmbeddingQueue", batch)["Records"]
    assert (record["messageId"], record["receiptHandle"], record["body"]) == (
        batch[0].id,
        batch[0].receipt,
        '{"kind": "embed"}',
    )
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"].endswith(":EmbeddingQueue")
