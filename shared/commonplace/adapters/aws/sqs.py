"""The Queue port on SQS."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from commonplace.model.errors import Unavailable
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
    """The queue at ``queue_url``, through an aiobotocore client with ``client_config``, which ``connect`` gives."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], queue_url: str) -> None:
        self._connect = connect
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
                client = await self._connect()
                answer = await client.send_message_batch(QueueUrl=self._url, Entries=entries)
            except (BotoCoreError, ClientError):
                return {}
        return {int(entry["Id"]): entry["MessageId"] for entry in answer.get("Successful", ())}

    async def redrive(self) -> int:
        """As the port says, from the dead-letter queue of the queue's own redrive policy, by tens.

        Not by StartMessageMoveTask: that returns at once and tells how far it is only to who asks again and again.
        """
        client = await self._connect()
        try:
            dead = await self._dead_letters(client)
            moved = 0
            while messages := await _received(client, dead):
                sent = await self.send([Message(message["Body"]) for message in messages])
                done = [message for message, id in zip(messages, sent, strict=True) if id is not None]
                if not done:
                    raise Unavailable("The queue takes no messages now")
                entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(done)]
                await client.delete_message_batch(QueueUrl=dead, Entries=entries)
                moved += len(done)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("The queue cannot be asked now") from error
        return moved

    async def _dead_letters(self, client: Any) -> str:
        """The URL of the dead-letter queue."""
        asked = await client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["RedrivePolicy"])
        policy = asked.get("Attributes", {}).get("RedrivePolicy")
        if policy is None:
            raise Unavailable("The queue has no dead-letter queue")
        name = json.loads(policy)["deadLetterTargetArn"].rpartition(":")[2]
        url: str = (await client.get_queue_url(QueueName=name))["QueueUrl"]
        return url


async def _received(client: Any, url: str) -> list[dict[str, Any]]:
    answer = await client.receive_message(QueueUrl=url, MaxNumberOfMessages=MAX_ENTRIES, WaitTimeSeconds=1)
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


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
