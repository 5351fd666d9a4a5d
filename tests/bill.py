"""What requests cost, in calls to the engines and in rows: counted, not timed."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from commonplace.model.document import Document, Findings, Probe, Removal
from commonplace.model.filter import Filter
from commonplace.model.space import Space
from commonplace.ports.embedder import Calibration, Embedder
from commonplace.ports.index import Index, Outcome
from commonplace.ports.queue import Message, Queue
from commonplace.ports.table import Item, Key, Query, Scanned, Slice, Table, Write
from commonplace.wiring import Services
from gateway import Gateway, applications
from world import KEY, TEMPLATE, Client, World


class Bill:
    """Calls by the method that was called, and how many things each kind of call was about."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.things: Counter[str] = Counter()

    def note(self, call: str, things: int) -> None:
        self.calls[call] += 1
        self.things[call] += things

    def take(self) -> "Bill":
        """What was noted until now; from here on it starts anew."""
        taken = Bill()
        taken.calls, self.calls = self.calls, taken.calls
        taken.things, self.things = self.things, taken.things
        return taken


class CountedTable(Table):
    def __init__(self, inner: Table, bill: Bill) -> None:
        self.inner, self.bill = inner, bill

    async def get(self, key: Key) -> Item | None:
        self.bill.note("get", 1)
        return await self.inner.get(key)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        self.bill.note("batch_get", len(set(keys)))
        return await self.inner.batch_get(keys)

    async def transact(self, writes: Sequence[Write]) -> None:
        self.bill.note("transact", len(writes))
        await self.inner.transact(writes)

    async def query(self, query: Query) -> Slice:
        found = await self.inner.query(query)
        self.bill.note("query", len(found.keys))
        return found

    async def scan(self, after: str | None, limit: int) -> Scanned:
        raise AssertionError(f"no function may scan ({limit} rows after {after})")


class CountedIndex(Index):
    def __init__(self, inner: Index, bill: Bill) -> None:
        self.inner, self.bill = inner, bill

    async def upsert(self, space: Space, documents: Sequence[Document]) -> list[Outcome]:
        self.bill.note("upsert", len(documents))
        return await self.inner.upsert(space, documents)

    async def delete(self, space: Space, removals: Sequence[Removal]) -> list[Outcome]:
        self.bill.note("delete", len(removals))
        return await self.inner.delete(space, removals)

    async def search(self, space: Space, probe: Probe, filter: Filter) -> Findings:
        self.bill.note("search", probe.k)
        return await self.inner.search(space, probe, filter)

    async def spaces(self) -> list[Space]:
        return await self.inner.spaces()

    async def renew(self, space: Space) -> None:
        await self.inner.renew(space)

    async def retire(self, space: Space) -> None:
        await self.inner.retire(space)


class CountedEmbedder(Embedder):
    def __init__(self, inner: Embedder, bill: Bill) -> None:
        self.inner, self.bill = inner, bill

    @property
    def space(self) -> Space:
        return self.inner.space

    @property
    def window(self) -> int:
        return self.inner.window

    @property
    def calibration(self) -> Calibration:
        return self.inner.calibration

    def tokens(self, text: str) -> list[tuple[int, int]]:
        return self.inner.tokens(text)

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        self.bill.note("embed", len(texts))
        return await self.inner.embed(texts)


class CountedQueue(Queue):
    def __init__(self, inner: Queue, bill: Bill) -> None:
        self.inner, self.bill = inner, bill

    async def send(self, messages: Sequence[Message]) -> list[str | None]:
        self.bill.note("send", len(messages))
        return await self.inner.send(messages)

    async def redrive(self) -> int:
        return await self.inner.redrive()


class Till:
    """A client whose every call is on the bill."""

    def __init__(self, client: Client, bill: Bill) -> None:
        self.client = client
        self.bill = bill

    async def __call__(self, method: str, path: str, body: object = None, *, expect: int = 200) -> dict[str, Any]:
        self.bill.take()
        self.answer = await self.client(method, path, body, expect=expect)
        return self.answer

    async def cost(self, method: str, path: str, body: object = None, *, expect: int = 200) -> Bill:
        """What one request costs, once the caller's key is known."""
        await self(method, path, body, expect=expect)
        return self.bill.take()


@asynccontextmanager
async def counted(world: World, key: str | None = KEY) -> AsyncIterator[Till]:
    """A client of a world whose every call to an engine is on a bill."""
    bill = Bill()
    embedder = CountedEmbedder(world.embedder, bill)
    engines = replace(
        world.services.engines,
        table=CountedTable(world.table, bill),
        index=CountedIndex(world.index, bill),
        embedding_queue=CountedQueue(world.embedding_queue, bill),
        embedder=lambda: embedder,
    )
    services = Services(world.services.settings, engines, world.clock, world.ids)
    transport = httpx.ASGITransport(Gateway(TEMPLATE, applications(TEMPLATE, services)))
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as http:
        yield Till(Client(http), bill)
