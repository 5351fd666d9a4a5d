"""The receiving end of each queue, for the tests of what was sent."""

from typing import Any, Protocol

from commonplace.adapters.aws.sqs import SqsQueue
from commonplace.adapters.embedded.database import Database
from commonplace.adapters.embedded.queue import SqliteQueue
from commonplace.ports.queue import Queue
from fakes import FakeClock


class Consumer(Protocol):
    """The other end of a queue: what the port leaves to whoever drives the worker."""

    @property
    def queue(self) -> Queue: ...

    async def receive(self, visibility: int = 600) -> list[tuple[str, str, int]]:
        """Everything that is visible: id, body, and how often it was received."""

    async def receive_after(self, seconds: int) -> list[tuple[str, str, int]]:
        """What is visible once that much time has passed, or soon after."""


class SqliteConsumer:
    def __init__(self, database: Database) -> None:
        self._clock = FakeClock()
        self.queue = SqliteQueue(database, "embedding", self._clock)

    async def receive(self, visibility: int = 600) -> list[tuple[str, str, int]]:
        received = await self.queue.receive(100, visibility)
        return [(message.id, message.body, message.receive_count) for message in received]

    async def receive_after(self, seconds: int) -> list[tuple[str, str, int]]:
        self._clock.advance(seconds)
        return await self.receive()


class SqsConsumer:
    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._url = queue_url
        self.queue = SqsQueue(client, queue_url)

    async def receive(self, visibility: int = 600) -> list[tuple[str, str, int]]:
        received: dict[str, tuple[str, str, int]] = {}
        while some := await self._poll(visibility, wait=0):
            if received.keys() & some.keys():  # with a visibility of 0 they come again and again
                break
            received |= some
        return list(received.values())

    async def receive_after(self, seconds: int) -> list[tuple[str, str, int]]:
        return list((await self._poll(600, wait=seconds + 1)).values())

    async def _poll(self, visibility: int, wait: int) -> dict[str, tuple[str, str, int]]:
        answer = await self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=visibility,
            WaitTimeSeconds=wait,
            AttributeNames=["ApproximateReceiveCount"],
        )
        return {
            message["MessageId"]: (
                message["MessageId"],
                message["Body"],
                int(message["Attributes"]["ApproximateReceiveCount"]),
            )
            for message in answer.get("Messages", ())
        }
