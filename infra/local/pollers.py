"""What SQS, the event source mappings and EventBridge do: queues to functions, and functions on time."""

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from commonplace.adapters.embedded.queue import Received, SqliteQueue
from commonplace.wiring import Services
from template import QueuePolicy, QueueSource, Scheduled

log = logging.getLogger("commonplace.local")

CONCURRENCY = 2
"""Batches of one queue that are in work at once: while one waits for the embedder the other reads and writes rows."""

IDLE_SECONDS = 30.0
RETRY_SECONDS = 5
"""A failed message is tried again after so many seconds for each time that it failed."""

Consume = Callable[[Services, dict[str, Any]], Awaitable[dict[str, Any]]]


async def poll(source: QueueSource, policy: QueuePolicy, queue: SqliteQueue, services: Services) -> None:
    """Feeds a function from a queue until it is cancelled."""
    consume: Consume = importlib.import_module(f"{source.function}.app").consume
    while True:
        try:
            batch = await queue.receive(source.batch_size, policy.visibility)
            if batch:
                await _handed_over(batch, consume, policy, queue, services)
            else:
                await queue.wait(IDLE_SECONDS)
        except Exception:  # a poller that ends would stop the pipeline for good
            log.exception("polling failed", extra={"queue": policy.name})
            await asyncio.sleep(RETRY_SECONDS)


async def _handed_over(
    batch: Sequence[Received],
    consume: Consume,
    policy: QueuePolicy,
    queue: SqliteQueue,
    services: Services,
) -> None:
    try:
        response = await consume(services, sqs_event(policy.name, batch))
        failed = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
    except Exception:  # as with Lambda, a batch that ends so comes again as a whole
        log.exception("a batch failed", extra={"queue": policy.name})
        failed = {message.id for message in batch}
    await queue.delete([message.receipt for message in batch if message.id not in failed])
    for message in batch:
        if message.id in failed:
            if message.receive_count >= policy.max_receives:
                await queue.bury([message.receipt])
            else:
                await queue.release([message.receipt], RETRY_SECONDS * message.receive_count)


def sqs_event(queue: str, batch: Sequence[Received]) -> dict[str, Any]:
    """The event in which Lambda hands over messages of SQS."""
    return {
        "Records": [
            {
                "messageId": message.id,
                "receiptHandle": message.receipt,
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": str(message.receive_count)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:local:000000000000:{queue}",
                "awsRegion": "local",
            }
            for message in batch
        ]
    }


async def run_on_schedule(schedule: Scheduled, run: Callable[[], Awaitable[object]]) -> None:
    """Runs something each period until it is cancelled."""
    while True:
        await asyncio.sleep(schedule.period)
        try:
            await run()
        except Exception:  # the next run is due whatever became of this one
            log.exception("scheduled run failed", extra={"function": schedule.function})
