"""A writer of documents for the suites of the Index port, and every adapter that they run against."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aioboto3
import pytest

from commonplace.adapters.aws.opensearch import Layout, OpenSearchIndex
from commonplace.adapters.aws.opensearch_client import connected
from commonplace.adapters.embedded.database import Database
from commonplace.adapters.embedded.index import SqliteIndex, prepare
from commonplace.model.document import Candidate, Document, Probe, Removal
from commonplace.model.filter import Filter
from commonplace.model.memory import Tier
from commonplace.model.scope import Scope
from commonplace.model.space import Space
from commonplace.ports.index import Index
from contract.consumers import kept
from real_engines import OPENSEARCH, url_or_skip

INDEXES = ["sqlite", *(f"opensearch-{version}" for version in OPENSEARCH)]
PREFIX = f"test-{uuid4()}"
DIMENSION = 8
SPACE = Space("letters", DIMENSION)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@asynccontextmanager
async def opened(adapter: str, folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[Index]:
    engine, _, version = adapter.partition("-")
    if engine == "sqlite":
        database = Database(folder / "index.db", (prepare,))
        yield SqliteIndex(database)
        database.close()
        return
    url = url_or_skip(request.getfixturevalue("real_engines"), OPENSEARCH[version])
    session = aioboto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    async with connected(url, session) as client:
        yield OpenSearchIndex(kept(client), Layout(refresh="20ms", prefix=PREFIX))


def unit(angle: float, dimension: int = DIMENSION) -> tuple[float, ...]:
    """A vector whose cosine with the first axis is that of the angle."""
    return (math.cos(angle), math.sin(angle), *([0.0] * (dimension - 2)))


EAST = unit(0)
EVERYTHING = Filter()


@dataclass(frozen=True)
class Writer:
    """Writes documents of one tenant, with defaults for whatever a test does not speak of."""

    index: Index
    tenant: str

    def document(self, memory: str, **parts: Any) -> Document:
        defaults: dict[str, Any] = {
            "tenant": self.tenant,
            "memory": memory,
            "passage": 0,
            "version": 1,
            "text": "nothing much",
            "vector": EAST,
            "scope": Scope(),
            "kind": "fact",
            "tier": Tier.WARM,
            "tags": (),
            "metadata": {},
            "importance": 0.5,
            "confidential": False,
            "archived": False,
            "created_at": NOON,
            "occurred_at": NOON,
        }
        return Document(**{**defaults, **parts})

    async def put(self, memory: str, **parts: Any) -> None:
        assert await self.index.upsert(SPACE, [self.document(memory, **parts)]) == [None]

    async def remove(self, memory: str, version: int, passage: int = 0) -> None:
        assert await self.index.delete(SPACE, [Removal(self.tenant, memory, passage, version)]) == [None]

    async def near(
        self, vector: tuple[float, ...] = EAST, filter: Filter = EVERYTHING, k: int = 10
    ) -> tuple[Candidate, ...]:
        probe = Probe(tenant=self.tenant, vector=vector, text=None, k=k)
        found = await self.index.search(SPACE, probe, filter)
        assert found.vectors.failure is None
        assert found.words.candidates == ()
        return found.vectors.candidates

    async def saying(self, text: str, filter: Filter = EVERYTHING, k: int = 10) -> tuple[Candidate, ...]:
        probe = Probe(tenant=self.tenant, vector=None, text=text, k=k)
        found = await self.index.search(SPACE, probe, filter)
        assert found.words.failure is None
        assert found.vectors.candidates == ()
        return found.words.candidates

    async def both(self, filter: Filter, text: str = "nothing", k: int = 10) -> set[str]:
        """What both arms find, which has to be the same when every document has the word."""
        near, saying = ids(await self.near(filter=filter, k=k)), ids(await self.saying(text, filter, k))
        assert sorted(near) == sorted(saying)
        return set(near)


def ids(candidates: tuple[Candidate, ...]) -> list[str]:
    return [candidate.memory for candidate in candidates]


def written(index: Index) -> Writer:
    """A writer for a tenant that no other test writes to, so that an adapter may keep its engine between tests."""
    return Writer(index, f"tenant-{uuid4()}")
