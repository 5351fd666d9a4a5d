"""The command line, on the data of a service that is not running."""

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from commonplace import cli
from commonplace.adapters.system import SystemClock
from commonplace.model.apikey import Permission
from commonplace.model.errors import Unauthenticated
from commonplace.ports.queue import Message
from commonplace.settings import Settings
from commonplace.wiring import EmbeddedEngines, Services, embedded
from fakes import FakeClock, FakeIds

pytestmark = pytest.mark.anyio


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], EmbeddedEngines]:
    monkeypatch.setenv("COMMONPLACE_DATA", str(tmp_path))
    return lambda: embedded(Settings(data=tmp_path), SystemClock())


def opened(engines: EmbeddedEngines) -> Services:
    return Services(Settings(), engines.engines, FakeClock(), FakeIds())


async def test_a_key_is_made_and_shown_and_opens_what_it_says(
    engines: Callable[[], EmbeddedEngines], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli_run("create-key", "--name", "ci", "--tenant", "acme", "--scopes", "read,delete") == 0
    token = capsys.readouterr().out.strip()
    assert token.startswith("mem_local_")
    opened_engines = engines()
    principal = await opened(opened_engines).admit(token)
    assert principal.tenant == "acme"
    assert principal.permissions == frozenset({Permission.READ, Permission.DELETE})
    opened_engines.database.close()


async def test_a_revoked_key_opens_nothing(
    engines: Callable[[], EmbeddedEngines], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli_run("create-key") == 0
    token = capsys.readouterr().out.strip()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{token}\n"))
    assert cli_run("revoke-key") == 0
    assert token not in capsys.readouterr().out
    opened_engines = engines()
    with pytest.raises(Unauthenticated):
        await opened(opened_engines).admit(token)
    opened_engines.database.close()


async def test_dead_messages_are_put_back(
    engines: Callable[[], EmbeddedEngines], capsys: pytest.CaptureFixture[str]
) -> None:
    opened_engines = engines()
    await opened_engines.dead_letters["EmbeddingQueue"].send([Message(json.dumps({"kind": "embed"}))])
    opened_engines.database.close()
    assert cli_run("redrive") == 0
    assert "EmbeddingQueue: 1 messages put back" in capsys.readouterr().out
    opened_engines = engines()
    assert await opened_engines.queues["EmbeddingQueue"].depth() == 1
    opened_engines.database.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create-key", "--scopes", "read,everything"], "--scopes takes"),
        (["revoke-key", "mem_local_nobody"], "Key not found"),
    ],
)
@pytest.mark.usefixtures("engines")
async def test_what_cannot_be_done_is_said_without_a_traceback(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli_run(*arguments) == 1
    assert said in capsys.readouterr().err


def cli_run(*arguments: str) -> int:
    """The command line runs a loop of its own, so it needs a thread of its own here."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(cli.main, list(arguments)).result()
