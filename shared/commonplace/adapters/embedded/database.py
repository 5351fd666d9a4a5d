"""The SQLite file behind the embedded adapters: one writing thread, a few reading ones, and group commit.

Through ``apsw``, which brings its own SQLite: many Python builds cannot load extensions.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

import apsw
import sqlite_vec

from commonplace.model.errors import Unavailable

T = TypeVar("T")
Prepare = Callable[[apsw.Connection], None]

READERS = 2
BUSY_MS = 10_000
MOST_IN_A_COMMIT = 256
CACHE_KIB = 8 * 1024
READER_CACHE_KIB = 24 * 1024
"""What a reading thread keeps in memory: it scans vectors, 1.5 KB each, again and again."""


class _Job(Generic[T]):
    """A piece of writing, and the future of the one who waits for it."""

    def __init__(self, work: Callable[[apsw.Connection], T]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.result: T
        self.error: BaseException | None = None

    def run(self, connection: apsw.Connection) -> None:
        """Runs the work in a savepoint of its own, so that its failure undoes nothing of its neighbours."""
        try:
            with connection:
                self.result = self.work(connection)
        except BaseException as error:  # noqa: BLE001 - whatever it was, it belongs to the one who waits
            self.error = error

    def settle(self) -> None:
        """Answers the one who waits, on its own loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(_translated(self.error))


class Database:
    """One SQLite file.

    ``write`` returns after the commit has reached the disk (``synchronous=FULL``). Writes that wait at the same time
    share one commit. ``prepare`` functions make their tables, once, before anything else. After ``close`` every method
    raises ``Unavailable``.
    """

    def __init__(self, path: Path | str, prepare: tuple[Prepare, ...] = ()) -> None:
        self._path = str(path)
        self._closed = False
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._connections: list[apsw.Connection] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-read")
        writer = self._connect()
        writer.pragma("journal_mode", "wal")
        for step in prepare:
            with writer:
                step(writer)
        self._writer = threading.Thread(target=self._write_forever, args=(writer,), name="sqlite-write", daemon=True)
        self._writer.start()

    def read(self, work: Callable[[apsw.Connection], T]) -> Awaitable[T]:
        """Runs ``work`` on a reading connection, in one snapshot. It sees every write that has returned."""
        self._check_open()
        return asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def glance(self, work: Callable[[apsw.Connection], T]) -> T:
        """Runs a few statements that each find rows by their keys, on the caller's own thread: handing so little to another
        thread costs more than doing it. It sees every write that has returned; it is no snapshot."""
        self._check_open()
        try:
            return work(self._reading())
        except apsw.Error as error:
            raise _translated(error) from error

    def write(self, work: Callable[[apsw.Connection], T]) -> Awaitable[T]:
        """Runs ``work`` in a transaction that is durable when this returns, and undone if ``work`` raises."""
        self._check_open()
        job = _Job(work)
        self._jobs.put(job)  # type: ignore[arg-type]  # a job of T is settled with its own T
        return job.future

    def close(self) -> None:
        """Finishes what was begun and closes the file."""
        self._closed = True
        self._jobs.put(None)
        self._writer.join()
        self._readers.shutdown()
        for connection in self._connections:
            connection.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The storage is closed")

    def _connect(self, cache_kib: int = CACHE_KIB) -> apsw.Connection:
        connection = apsw.Connection(self._path)
        connection.set_busy_timeout(BUSY_MS)
        connection.pragma("synchronous", "full")
        connection.pragma("cache_size", -cache_kib)
        connection.enable_load_extension(True)
        connection.load_extension(sqlite_vec.loadable_path())
        connection.enable_load_extension(False)
        self._connections.append(connection)
        return connection

    def _reading(self, cache_kib: int = CACHE_KIB) -> apsw.Connection:
        """The reading connection of this thread."""
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(cache_kib)
        return connection

    def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            connection = self._reading(READER_CACHE_KIB)
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("COMMIT")
        except apsw.Error as error:
            raise _translated(error) from error

    def _write_forever(self, connection: apsw.Connection) -> None:
        job: _Job[object] | None
        while (job := self._jobs.get()) is not None:
            jobs = [job]
            stop = False
            while len(jobs) < MOST_IN_A_COMMIT and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    stop = True
                    break
                jobs.append(following)
            self._commit(connection, jobs)
            if stop:
                return

    def _commit(self, connection: apsw.Connection, jobs: list[_Job[object]]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                job.run(connection)
                if not connection.in_transaction:
                    # A full disk and the like undo the whole transaction: what follows would commit by itself.
                    raise apsw.AbortError("the transaction was undone by SQLite") from job.error
            connection.execute("COMMIT")
        except apsw.Error as error:
            if connection.in_transaction:
                with contextlib.suppress(apsw.Error):  # it may be too broken to be undone, and the thread must go on
                    connection.execute("ROLLBACK")
            for job in jobs:
                job.error = job.error or error
        waiting: dict[asyncio.AbstractEventLoop, list[_Job[object]]] = {}
        for job in jobs:
            waiting.setdefault(job.loop, []).append(job)
        for loop, settled in waiting.items():
            with contextlib.suppress(RuntimeError):  # a loop that is closed has nobody who waits
                loop.call_soon_threadsafe(_settle, settled)


def _settle(jobs: list[_Job[object]]) -> None:
    for job in jobs:
        job.settle()


def _translated(error: BaseException) -> BaseException:
    """SQLite's own failures (full disk, lock that does not end) as the error that the core knows."""
    if isinstance(error, StopIteration):  # no future takes it, so its waiter would wait for ever
        return RuntimeError("work ended in StopIteration")
    if not isinstance(error, apsw.Error):
        return error
    unavailable = Unavailable("The storage cannot be used now")
    unavailable.__cause__ = error
    return unavailable
