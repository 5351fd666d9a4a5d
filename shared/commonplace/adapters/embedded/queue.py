"""The Queue port on SQLite, and what a poller in the same process needs in the place of SQS."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

import apsw

from commonplace.adapters.embedded.database import Database
from commonplace.model.errors import Unavailable
from commonplace.ports.queue import MAX_DELAY, Message, Queue
from commonplace.ports.world import Clock

MAX_BODY = 256 * 1024
"""The most bytes in a message: SQS's limit, so that nothing works here that fails there."""

# Times are whole milliseconds since 1970. ``takings`` is never reset, so a receipt is good for one receipt only.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages(
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, visible_at INTEGER NOT NULL, sent_at INTEGER NOT NULL,
    receive_count INTEGER NOT NULL DEFAULT 0, takings INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS messages_by_queue ON messages(queue, visible_at);
"""
_SEND = "INSERT INTO messages(queue, visible_at, sent_at, body) VALUES(?, ?, ?, ?) RETURNING CAST(id AS TEXT)"
_VISIBLE = "SELECT id FROM messages WHERE queue = ? AND visible_at <= ? ORDER BY visible_at, id LIMIT ?"
_TAKE = """
UPDATE messages SET visible_at = ?, receive_count = receive_count + 1, takings = takings + 1 WHERE id = ?
RETURNING takings, body, receive_count, sent_at
"""
_TAKEN = "WHERE queue = ? AND id = ? AND takings = ?"
_DELETE = f"DELETE FROM messages {_TAKEN}"  # noqa: S608 - made of constants
_MOVE = f"UPDATE messages SET queue = ?, visible_at = ? {_TAKEN}"  # noqa: S608 - made of constants
_RELEASE = f"UPDATE messages SET visible_at = ? {_TAKEN}"  # noqa: S608 - made of constants
_REDRIVE = "UPDATE messages SET queue = ?, visible_at = ?, receive_count = 0 WHERE queue = ?"
_DEPTH = "SELECT count(*) FROM messages WHERE queue = ?"
_NEXT = "SELECT min(visible_at) FROM messages WHERE queue = ?"


@dataclass(frozen=True, slots=True)
class Received:
    """A message that is being worked on. ``receipt`` stands for this one receipt: it does nothing any more once the
    message was received again. ``receive_count`` is 1 the first time; ``sent_at`` is in UTC."""

    id: str
    receipt: str
    body: str
    receive_count: int
    sent_at: datetime


class _Bell:
    """Wakes those who wait for one queue, on whatever loop they wait."""

    def __init__(self) -> None:
        self.waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def ring(self) -> None:
        for loop, event in tuple(self.waiting):
            with contextlib.suppress(RuntimeError):  # a loop that is closed has nobody who waits
                loop.call_soon_threadsafe(event.set)


# By file and name, not by object: who sends and who polls need not share one SqliteQueue.
_bells: WeakKeyDictionary[Database, dict[str, _Bell]] = WeakKeyDictionary()


def prepare(connection: apsw.Connection) -> None:
    """Makes the table of all queues if it is not there."""
    connection.execute(_SCHEMA)


class SqliteQueue(Queue):
    """The queue ``name`` of a file. Every method but ``send`` raises ``Unavailable`` when the file cannot be used."""

    def __init__(self, database: Database, name: str, clock: Clock) -> None:
        self.name = name
        self._database = database
        self._clock = clock
        self._bell = _bells.setdefault(database, {}).setdefault(name, _Bell())

    async def send(self, messages: Sequence[Message]) -> list[str | None]:
        """Sends in one transaction. Refuses a body of more than ``MAX_BODY`` bytes, and everything if the file cannot be
        used; takes a delay outside of 0 to ``MAX_DELAY`` for the nearest that is allowed."""
        now = self._now()
        rows = [
            (self.name, now + min(max(message.delay, 0), MAX_DELAY) * 1000, now, message.body)
            if _acceptable(message.body)
            else None
            for message in messages
        ]

        def insert(connection: apsw.Connection) -> list[str | None]:
            return [None if row is None else connection.execute(_SEND, row).get for row in rows]

        try:
            ids = await self._database.write(insert)
        except Unavailable:
            return [None] * len(rows)
        self._bell.ring()
        return ids

    async def receive(self, limit: int, visibility: int) -> list[Received]:
        """At most ``limit`` messages, the longest visible first; nobody else sees them for ``visibility`` seconds."""
        now = self._now()

        def take(connection: apsw.Connection) -> list[Received]:
            visible: list[Any] = connection.execute(_VISIBLE, (self.name, now, limit)).fetchall()
            return [_received(connection, number, now + visibility * 1000) for (number,) in visible]

        return await self._database.write(take)

    async def delete(self, receipts: Iterable[str]) -> None:
        """The work is done. A receipt that is no longer good is passed over."""
        await self._each(_DELETE, (), receipts)

    async def release(self, receipts: Iterable[str], delay: int = 0) -> None:
        """Gives messages back: they are visible after ``delay`` seconds, and keep their receive count."""
        await self._each(_RELEASE, (self._now() + delay * 1000,), receipts)
        self._bell.ring()

    @property
    def dead(self) -> "SqliteQueue":
        """The queue of the messages that were given up."""
        return SqliteQueue(self._database, f"{self.name}.dead", self._clock)

    async def bury(self, receipts: Iterable[str]) -> None:
        """Gives messages up: they move to ``dead``, and keep their id and their receive count."""
        await self._each(_MOVE, (self.dead.name, self._now()), receipts)

    async def redrive(self) -> int:
        """As the port says, in one transaction."""
        now = self._now()

        def move(connection: apsw.Connection) -> int:
            connection.execute(_REDRIVE, (self.name, now, self.dead.name))
            return connection.changes()

        moved = await self._database.write(move)
        self._bell.ring()
        return moved

    async def depth(self) -> int:
        """How many messages there are: visible, delayed and being worked on."""
        return await self._database.read(lambda connection: int(connection.execute(_DEPTH, (self.name,)).get))

    async def next_visible(self) -> float | None:
        """In how many seconds the next message can be received: 0 for now, None if there is no message."""
        visible_at: int | None = await self._database.read(
            lambda connection: connection.execute(_NEXT, (self.name,)).get
        )
        return None if visible_at is None else max(visible_at - self._now(), 0) / 1000

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 - how long a poll lasts is part of what it asks for
        """Returns when a message may be there: one is visible, one was sent in this process, or one's delay is over.
        Returns after ``timeout`` seconds at the latest."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        self._bell.waiting.add(waiter)  # before looking, so that nothing is sent unheard in between
        try:
            visible_in = await self.next_visible()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout if visible_in is None else min(timeout, visible_in)):
                    await waiter[1].wait()
        finally:
            self._bell.waiting.discard(waiter)

    async def _each(self, statement: str, values: tuple[str | int, ...], receipts: Iterable[str]) -> None:
        rows = [(*values, self.name, *map(int, receipt.split("."))) for receipt in receipts]
        if rows:
            await self._database.write(lambda connection: connection.executemany(statement, rows).fetchall())

    def _now(self) -> int:
        return (self._clock.now() - _EPOCH) // _MILLISECOND


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def _acceptable(body: str) -> bool:
    try:
        return len(body.encode()) <= MAX_BODY
    except UnicodeEncodeError:  # half a surrogate pair is no text
        return False


def _received(connection: apsw.Connection, number: int, visible_at: int) -> Received:
    taken: Any = connection.execute(_TAKE, (visible_at, number)).get
    takings, body, receive_count, sent_at = taken
    return Received(str(number), f"{number}.{takings}", body, receive_count, _EPOCH + sent_at * _MILLISECOND)
