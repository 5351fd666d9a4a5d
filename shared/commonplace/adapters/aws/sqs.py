"""The Queue port on SQS."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from commonplace.ports.queue import MAX_DELAY, Message, Queue

MAX_ENTRIES = 10
"""Messages in one SendMessageBatch (SQS's limit)."""

MAX_BATCH_BYTES = 256 * 1024
"""Bytes of text in one SendMessageBatch, and so in one message too."""

MAX_CONCURRENT = 4
"""Batches that are on their way at the same time."""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What SQS takes in no message. One such character would have the whole batch refused."""

_Batch = list[tuple[int, Message]]
"""Messages with their positions among all that are sent."""


def client_config() -> Config:
    """The configuration for the client of an ``SqsQueue``: a queue that is down is known to be so within seconds."""
    return Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})


class SqsQueue(Queue):
    """The queue at ``queue_url``, through an aiobotocore client with ``client_config``."""

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._url = queue_url
        self._turns = asyncio.Semaphore(MAX_CONCURRENT)

    async def send(self, messages: Sequence[Message]) -> list[str | None]:
        """Sends by tens. Refuses a body over ``MAX_BATCH_BYTES`` or with characters that SQS does not take; takes a delay
        outside of 0 to ``MAX_DELAY`` for the nearest that is allowed. A message whose answer got lost counts as refused,
        though it may come."""
        outcome: list[str | None] = [None] * len(messages)
        for sent in await asyncio.gather(*map(self._send, _batches(messages))):
            for position, message_id in sent.items():
                outcome[position] = message_id
        return outcome

    async def _send(self, batch: _Batch) -> dict[int, str]:
        entries = [
            {
                "Id": str(position),
                "MessageBody": message.body,
                "DelaySeconds": min(max(message.delay, 0), MAX_DELAY),
            }
            for position, message in batch
        ]
        async with self._turns:
            try:
                answer = await self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            except (BotoCoreError, ClientError):
                return {}
        return {int(entry["Id"]): entry["MessageId"] for entry in answer.get("Successful", ())}


def _batches(messages: Sequence[Message]) -> Iterator[_Batch]:
    batch: _Batch = []
    room = MAX_BATCH_BYTES
    for position, message in enumerate(messages):
        if _FORBIDDEN.search(message.body):
            continue
        size = len(message.body.encode())
        if size > MAX_BATCH_BYTES:
            continue
        if len(batch) == MAX_ENTRIES or size > room:
            yield batch
            batch, room = [], MAX_BATCH_BYTES
        batch.append((position, message))
        room -= size
    if batch:
        yield batch
