"""The command line, on the data of a service that is not running."""

import io
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from commonplace import cli
from commonplace.adapters.embedded.queue import SqliteQueue
from commonplace.adapters.system import SystemClock
from commonplace.engines import opened
from commonplace.model.apikey import Permission
from commonplace.model.errors import Unauthenticated
from commonplace.ports.queue import Message
from commonplace.settings import Settings
from commonplace.wiring import Services
from fakes import FakeClock, FakeIds

pytestmark = pytest.mark.anyio


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractAsyncContextManager[Services]]:
    monkeypatch.setenv("COMMONPLACE_DATA", str(tmp_path))

    @asynccontextmanager
    async def reopened() -> AsyncIterator[Services]:
        settings = Settings(data=tmp_path)
        async with opened(settings, SystemClock()) as engines:
            yield Services(settings, engines, FakeClock(), FakeIds())

    return reopened


async def test_a_key_is_made_and_shown_and_opens_what_it_says(
    services: Callable[[], AbstractAsyncContextManager[Services]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli_run("create-key", "--name", "ci", "--tenant", "acme", "--scopes", "read,delete") == 0
    token = capsys.readouterr().out.strip()
    assert token.startswith("mem_local_")
    async with services() as found:
        principal = await found.admit(token)
    assert principal.tenant == "acme"
    assert principal.permissions == frozenset({Permission.READ, Permission.DELETE})


@pytest.mark.parametrize(
    ("arguments", "organizations"),
    [
        ([], frozenset()),
        (["--organization", "org_demo"], frozenset({"org_demo"})),
        (["--organization", "a,b", "--organization", "c d", "--organization", "a,b"], frozenset({"a,b", "c d"})),
    ],
)
async def test_a_key_is_made_for_organizations_named_one_by_one(
    services: Callable[[], AbstractAsyncContextManager[Services]],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    organizations: frozenset[str],
) -> None:
    assert cli_run("create-key", *arguments) == 0
    token = capsys.readouterr().out.strip()
    async with services() as found:
        assert (await found.admit(token)).organizations == organizations


async def test_a_revoked_key_opens_nothing(
    services: Callable[[], AbstractAsyncContextManager[Services]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert cli_run("create-key") == 0
    token = capsys.readouterr().out.strip()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))
    assert cli_run("revoke-key") == 0
    assert token not in capsys.readouterr().out
    async with services() as found:
        with pytest.raises(Unauthenticated):
            await found.admit(token)


async def test_dead_messages_are_put_back(
    services: Callable[[], AbstractAsyncContextManager[Services]], capsys: pytest.CaptureFixture[str]
) -> None:
    async with services() as found:
        queue = found.engines.embedding_queue
        assert isinstance(queue, SqliteQueue)
        await queue.dead.send([Message(json.dumps({"kind": "embed"}))])
    assert cli_run("redrive") == 0
    assert "embedding: 1 messages put back" in capsys.readouterr().out
    async with services() as found:
        queue = found.engines.embedding_queue
        assert isinstance(queue, SqliteQueue)
        assert await queue.depth() == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create-key", "--scopes", "read,everything"], "--scopes takes"),
        (["revoke-key", "mem_local_nobody"], "Key not found"),
    ],
)
@pytest.mark.usefixtures("services")
async def test_what_cannot_be_done_is_said_without_a_traceback(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli_run(*arguments) == 1
    assert said in capsys.readouterr().err


def cli_run(*arguments: str) -> int:
    """The command line runs a loop of its own, so it needs a thread of its own here."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(cli.main, list(arguments)).result()
