from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from world import Client, World
from world import world as made

pytest_plugins = ["artifacts", "real_engines"]


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
