"""A whole Commonplace on one machine, with time, ids, embedder and sender in the hands of the test."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

import template
from commonplace.adapters.embedded import index, queue, table
from commonplace.adapters.embedded.database import Database
from commonplace.adapters.embedded.index import SqliteIndex
from commonplace.adapters.embedded.queue import SqliteQueue
from commonplace.adapters.embedded.table import SqliteTable
from commonplace.core.admit import KeyOrder
from commonplace.engines import Engines
from commonplace.model.apikey import Permission
from commonplace.model.document import Arm, Document, Findings, Probe, Removal
from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.space import Space
from commonplace.ports.extractor import Extractor
from commonplace.ports.index import Index, Outcome
from commonplace.ports.queue import Message, Queue
from commonplace.ports.table import ConditionFailed, Item, Key, Query, Scanned, Slice, Table, Write
from commonplace.settings import Settings
from commonplace.wiring import Services
from fakes import FakeClock, FakeEmbedder, FakeIds, FakeMeter, FakeSender
from gateway import Gateway, applications
from pollers import sqs_event
from worker.app import consume

TEMPLATE = template.load(Path(__file__).parents[1] / "template.yaml")
TENANT = "acme"
KEY = "mem_test_0123456789abcdefghijklmnop"
OTHER_TENANT = "umbrella"
OTHER_KEY = "mem_test_umbrella0123456789abcdefgh"


class SwitchedQueue(Queue):
    """A queue that can be taken down."""

    def __init__(self, inner: SqliteQueue) -> None:
        self.inner = inner
        self.down = False

    async def send(self, messages: Sequence[Message]) -> list[str | None]:
        return [None] * len(messages) if self.down else await self.inner.send(messages)

    async def redrive(self) -> int:
        return await self.inner.redrive()


class SwitchedTable(Table):
    """A table that can be taken down. ``meanwhile`` happens once, just before the next write, and ``refused`` once, just
    after a write whose condition failed. Its indexes do not show what is ``late``."""

    def __init__(self, inner: SqliteTable) -> None:
        self.inner = inner
        self.down = False
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self.refused: Callable[[], Awaitable[object]] | None = None
        self.late: Sequence[Key] = ()

    async def get(self, key: Key) -> Item | None:
        self._demand()
        return await self.inner.get(key)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        self._demand()
        return await self.inner.batch_get(keys)

    async def transact(self, writes: Sequence[Write]) -> None:
        self._demand()
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        # CPython 3.11 does not trace what follows an error that is thrown into a coroutine, so coverage would not see it.
        (failure,) = await asyncio.gather(self.inner.transact(writes), return_exceptions=True)
        if failure is None:
            return
        if self.refused is not None and isinstance(failure, ConditionFailed):
            refused, self.refused = self.refused, None
            await refused()
        raise failure

    async def query(self, query: Query) -> Slice:
        self._demand()
        found = await self.inner.query(query)
        return (
            found
            if query.index is None
            else Slice(tuple(key for key in found.keys if key not in self.late), found.next)
        )

    async def scan(self, after: str | None, limit: int) -> Scanned:
        self._demand()
        return await self.inner.scan(after, limit)

    def _demand(self) -> None:
        if self.down:
            raise Unavailable("The table cannot be used now")


class SwitchedIndex(Index):
    """An index that can be taken down, as a whole or an arm at a time, and that can refuse documents. ``meanwhile``
    happens once, just before the next upsert."""

    def __init__(self, inner: Index) -> None:
        self.inner = inner
        self.down = False
        self.broken_arms: tuple[str, ...] = ()
        self.refuses: tuple[str, ...] = ()
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def upsert(self, space: Space, documents: Sequence[Document]) -> list[Outcome]:
        self._demand()
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        good = [document for document in documents if not any(word in document.text for word in self.refuses)]
        written = iter(await self.inner.upsert(space, good))
        return [next(written) if document in good else Invalid("refused") for document in documents]

    async def delete(self, space: Space, removals: Sequence[Removal]) -> list[Outcome]:
        self._demand()
        if "delete" in self.broken_arms:
            return [Unavailable("refused") for _ in removals]
        return await self.inner.delete(space, removals)

    async def search(self, space: Space, probe: Probe, filter: Filter) -> Findings:
        self._demand()
        found = await self.inner.search(space, probe, filter)
        broken = Arm(failure="broken")
        return Findings(
            broken if "vectors" in self.broken_arms and probe.vector else found.vectors,
            broken if "words" in self.broken_arms and probe.text else found.words,
        )

    async def spaces(self) -> list[Space]:
        self._demand()
        return await self.inner.spaces()

    async def renew(self, space: Space) -> None:
        self._demand()
        await self.inner.renew(space)

    async def retire(self, space: Space) -> None:
        self._demand()
        await self.inner.retire(space)

    def _demand(self) -> None:
        if self.down:
            raise Unavailable("The index cannot be used now")


class World:
    """The services of a test, with a hand on everything that is outside of them."""

    def __init__(self, database: Database) -> None:
        self.clock = FakeClock()
        self.ids = FakeIds()
        self.embedder = FakeEmbedder()
        self.extractor: Extractor | None = None
        self.sender = FakeSender()
        self.meter = FakeMeter()
        self.table = SwitchedTable(SqliteTable(database))
        self.index = SwitchedIndex(SqliteIndex(database))
        self.embedding_queue = SwitchedQueue(SqliteQueue(database, "EmbeddingQueue", self.clock))
        self.delivery_queue = SwitchedQueue(SqliteQueue(database, "DeliveryQueue", self.clock))
        self.engines = Engines(
            self.table,
            self.index,
            self.embedding_queue,
            self.delivery_queue,
            lambda: self.embedder,
            lambda: self.extractor,
            lambda: self.sender,
            self.meter,
        )
        self.configure()

    def configure(self, **settings: Any) -> None:
        """Starts the services anew with these settings, on all that was written; clients that are there keep working."""
        self.services = Services(Settings(environment="test", **settings), self.engines, self.clock, self.ids)
        self.gateway = Gateway(TEMPLATE, applications(TEMPLATE, self.services))

    async def accept(
        self,
        key: str,
        tenant: str,
        permissions: Sequence[Permission] = tuple(Permission),
        organizations: Sequence[str] = (),
    ) -> None:
        """Makes a key good."""
        order = KeyOrder(
            tenant=tenant,
            environment="test",
            permissions=tuple(permissions),
            organizations=tuple(organizations),
        )
        await self.services.admit.accept(key, order)

    async def work(self) -> list[dict[str, Any]]:
        """Hands what is in the queues to the worker, as SQS would, until nothing is visible; the worker's answers."""
        answers: list[dict[str, Any]] = []
        for source in (self.embedding_queue.inner, self.delivery_queue.inner):
            while batch := await source.receive(10, 360):
                answer = await consume(self.services, sqs_event(source.name, batch))
                failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
                await source.delete([message.receipt for message in batch if message.id not in failed])
                answers.append(answer)
        return answers

    @asynccontextmanager
    async def client(self, key: str | None = KEY) -> AsyncIterator["Client"]:
        """A client of the whole HTTP API."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        transport = httpx.ASGITransport(self._serve, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as http:
            yield Client(http)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.gateway(scope, receive, send)


class Client:
    """Speaks JSON, and says what came back."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def __call__(
        self, method: str, path: str, body: object = None, *, expect: int = 200, **options: Any
    ) -> dict[str, Any]:
        """The JSON body of an answer that has to have the status ``expect``."""
        content = None if body is None else json.dumps(body).encode()
        response = await self.http.request(method, path, content=content, **options)
        assert response.status_code == expect, response.text
        assert response.headers["content-type"] == "application/json"
        found: dict[str, Any] = response.json()
        return found


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """A new world in a folder, with one key of each of two tenants."""
    database = Database(folder / "commonplace.db", (table.prepare, index.prepare, queue.prepare))
    made = World(database)
    await made.accept(KEY, TENANT)
    await made.accept(OTHER_KEY, OTHER_TENANT)
    yield made
    database.close()


def memory_body(content: str = "The user prefers dark mode", **fields: object) -> Mapping[str, object]:
    """The smallest body of a memory."""
    return {"agent_id": "my-assistant", "content": content, **fields}
