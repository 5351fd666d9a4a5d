import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from world import Client, World
from world import world as made

pytest_plugins = ["artifacts", "real_engines"]

MEMORY = Path("/dev/shm")  # noqa: S108 - only the root: pytest makes a folder of its own there that is nobody else's
ROOM = 4 * 2**30
"""Bytes that the tests may need for their files."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Puts the tests' files into memory where there is enough, unless told otherwise: each commit of SQLite waits for the
    disk, and the tests have some hundred thousand."""
    if config.option.basetemp is None and "PYTEST_DEBUG_TEMPROOT" not in os.environ and _usable(MEMORY):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)


def _usable(folder: Path) -> bool:
    return (
        folder.is_dir()
        and os.access(folder, os.W_OK)
        and not os.statvfs(folder).f_flag & os.ST_NOEXEC
        and shutil.disk_usage(folder).free > ROOM
    )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with made(tmp_path) as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with world.client() as client:
        yield client
