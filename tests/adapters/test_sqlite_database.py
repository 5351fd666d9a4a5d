import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from commonplace.adapters.embedded.database import Database
from commonplace.model.errors import Conflict, Unavailable

pytestmark = pytest.mark.anyio


def prepare(connection: apsw.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS words(word TEXT PRIMARY KEY)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "words.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path, (prepare,))
    yield database
    database.close()


def add(word: str) -> Callable[[apsw.Connection], str]:
    def work(connection: apsw.Connection) -> str:
        connection.execute("INSERT INTO words VALUES(?)", (word,))
        return word

    return work


def words(connection: apsw.Connection) -> set[str]:
    return {str(word) for (word,) in connection.execute("SELECT word FROM words")}


@contextmanager
def held(database: Database) -> Iterator[None]:
    """The writer is busy, so that what is written meanwhile waits for one commit."""
    begun, go_on = threading.Event(), threading.Event()

    def work(_: apsw.Connection) -> None:
        begun.set()
        go_on.wait()

    database.write(work)
    begun.wait()
    try:
        yield
    finally:
        go_on.set()


async def test_a_write_gives_what_its_work_gives(database: Database) -> None:
    assert await database.write(add("one")) == "one"


async def test_a_read_sees_every_write_that_has_returned(database: Database) -> None:
    for n in range(50):
        await database.write(add(str(n)))
        expected = {str(m) for m in range(n + 1)}
        assert await database.read(words) == expected
        assert database.glance(words) == expected


async def test_reads_see_no_half_of_a_write(database: Database) -> None:
    def both(connection: apsw.Connection) -> None:
        add("one")(connection)
        seen.append(set(database.glance(words)))
        add("two")(connection)

    seen: list[set[str]] = []
    await database.write(both)
    assert seen == [set()]
    assert await database.read(words) == {"one", "two"}


async def test_writes_that_wait_together_share_one_commit(database: Database) -> None:
    commits: list[bool] = []

    def commit() -> bool:
        commits.append(True)
        return False

    def count(connection: apsw.Connection) -> None:
        connection.set_commit_hook(commit)

    with held(database):
        writes = [database.write(count), *(database.write(add(str(n))) for n in range(20))]
    await asyncio.gather(*writes)
    assert len(commits) == 1
    assert len(await database.read(words)) == 20


async def test_a_job_that_fails_does_not_undo_its_neighbours(database: Database) -> None:
    def fail(connection: apsw.Connection) -> None:
        add("undone")(connection)
        raise Conflict("no")

    with held(database):
        writes = [database.write(work) for work in (add("before"), fail, add("before"), add("after"))]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [str, Conflict, Unavailable, str]
    assert await database.read(words) == {"before", "after"}


async def test_when_sqlite_undoes_the_whole_transaction_nobody_is_told_that_it_was_written(database: Database) -> None:
    def abort(connection: apsw.Connection) -> None:
        connection.execute("INSERT OR ROLLBACK INTO words VALUES('there')")

    await database.write(add("there"))
    with held(database):
        writes = [database.write(work) for work in (add("before"), abort, add("after"))]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    assert await database.read(words) == {"there"}
    assert await database.write(add("later")) == "later"


async def test_a_write_that_nobody_waits_for_any_more_is_done_and_disturbs_nobody(database: Database) -> None:
    with held(database):
        given_up = asyncio.ensure_future(database.write(add("given up")))
        waited_for = database.write(add("waited for"))
        given_up.cancel()
    await waited_for
    assert await database.read(words) == {"given up", "waited for"}


async def test_a_loop_that_was_closed_with_a_write_under_way_does_not_stop_the_writer(database: Database) -> None:
    async def begin() -> None:
        database.write(add("abandoned"))

    with held(database):
        await asyncio.to_thread(asyncio.run, begin())
    await database.write(add("next"))
    assert await database.read(words) == {"abandoned", "next"}


async def test_work_that_ends_in_stop_iteration_is_answered(database: Database) -> None:
    nothing: Iterator[str] = iter(())
    with pytest.raises(RuntimeError):
        await database.write(lambda _: next(nothing))


async def test_what_was_written_is_there_after_the_file_is_opened_again(path: Path) -> None:
    first = Database(path, (prepare,))
    await first.write(add("kept"))
    copy = Database(path, (prepare,))  # while the first still has it open: nothing is kept back until it closes
    assert await copy.read(words) == {"kept"}
    copy.close()
    first.close()
    second = Database(path, (prepare,))
    assert await second.read(words) == {"kept"}
    second.close()


async def test_closing_finishes_what_was_begun(path: Path) -> None:
    database = Database(path, (prepare,))
    writes = [database.write(add(str(n))) for n in range(1000)]
    await asyncio.to_thread(database.close)
    assert len(await asyncio.gather(*writes)) == 1000


async def test_errors_of_sqlite_are_unavailable_with_their_cause(database: Database) -> None:
    def broken(connection: apsw.Connection) -> None:
        connection.execute("SELECT nonsense")

    for method in (database.read, database.write):
        with pytest.raises(Unavailable) as failure:
            await method(broken)
        assert isinstance(failure.value.__cause__, apsw.Error)
    with pytest.raises(Unavailable) as failure:
        database.glance(broken)
    assert isinstance(failure.value.__cause__, apsw.Error)


async def test_a_file_that_is_closed_is_unavailable(path: Path) -> None:
    database = Database(path, (prepare,))
    database.close()
    database.close()
    for attempt in (lambda: database.read(words), lambda: database.write(add("late"))):
        with pytest.raises(Unavailable):
            await attempt()
    with pytest.raises(Unavailable):
        database.glance(words)
