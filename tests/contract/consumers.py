"""The receiving end of each queue, for the tests of what was sent."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from commonplace.adapters.aws.sqs import SqsQueue
from commonplace.adapters.embedded.database import Database
from commonplace.adapters.embedded.queue import SqliteQueue
from commonplace.ports.queue import Message, Queue
from fakes import FakeClock


def kept(client: Any) -> Callable[[], Awaitable[Any]]:
    """A client that is open already, for adapters that open theirs when they first need it."""

    async def connect() -> Any:
        return client

    return connect


class Consumer(Protocol):
    """The other end of a queue: what the port leaves to whoever drives the worker."""

    @property
    def queue(self) -> Queue: ...

    async def receive(self, visibility: int = 600) -> list[tuple[str, str, int]]:
        """Everything that is visible: id, body, and how often it was received."""

    async def receive_after(self, seconds: int) -> list[tuple[str, str, int]]:
        """What is visible once that much time has passed, or soon after."""

    async def give_up(self, bodies: Sequence[str]) -> None:
        """Puts messages where those lie that were tried too often."""


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

    async def give_up(self, bodies: Sequence[str]) -> None:
        await self.queue.dead.send([Message(body) for body in bodies])


class SqsConsumer:
    def __init__(self, client: Any, queue_url: str, dead_letters_url: str) -> None:
        self._client = client
        self._url = queue_url
        self._dead_letters = SqsQueue(kept(client), dead_letters_url)
        self.queue = SqsQueue(kept(client), queue_url)

    async def receive(self, visibility: int = 600) -> list[tuple[str, str, int]]:
        received: dict[str, tuple[str, str, int]] = {}
        while some := await self._poll(visibility, wait=0):
            if received.keys() & some.keys():  # with a visibility of 0 they come again and again
                break
            received |= some
        return list(received.values())

    async def receive_after(self, seconds: int) -> list[tuple[str, str, int]]:
        return list((await self._poll(600, wait=seconds + 1)).values())

    async def give_up(self, bodies: Sequence[str]) -> None:
        await self._dead_letters.send([Message(body) for body in bodies])

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
