"""What one operation consumes of DynamoDB: the service's own verbs over DynamoDB Local.

    PYTHONPATH=shared:functions:infra/local:tests python tests/benchmarks/capacity.py http://127.0.0.1:8000

The client asks for what each call consumed (``ReturnConsumedCapacity``), and reads every item that a write touches before and
after it, so that the units are also computed by AWS's rules. The two are printed side by side, for the emulator is no
invoice: DynamoDB Local 2.6.1 says about twice too much for transactions on a table with indexes (12 and 3 x 4 units for a
row of 2 KB with two counters and three new entries, where DynamoDB takes 8 and 3 x 1), and nothing for what is not found.
On single writes and on reads that find something the two agree. The rules:

- a write costs one unit for each KB begun of the larger of the item before and after it, and twice that in a transaction;
- an index costs one unit for each KB begun of an entry that comes or goes, and two if its key changes, in a transaction
  too, without doubling (aws/agent-toolkit-for-aws, calculate_costs.py of the DynamoDB skill: "verified against live
  DynamoDB"; nubo-db/dynoxide#188 found the same);
- a consistent read costs one unit for each 4 KB begun of an item, also if there is none; a query of an index half a unit for
  each 4 KB begun of all entries that it reads, and at least once.

``make costs`` calculates with formulas (``infra/local/costs/operations.py``) that must give the same; a test compares.
"""

import argparse
import asyncio
import hashlib
import os
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aioboto3

from commonplace.adapters.aws import bedrock, dynamodb
from commonplace.adapters.aws.dynamodb import DynamoTable, table_definition
from commonplace.adapters.aws.dynamodb_items import PARTITION, SORT
from commonplace.adapters.embedded import index, queue
from commonplace.adapters.embedded.database import Database
from commonplace.adapters.embedded.index import SqliteIndex
from commonplace.adapters.embedded.queue import SqliteQueue
from commonplace.adapters.system import RandomIds, SystemClock
from commonplace.core.converse import SessionOrder
from commonplace.core.search import Wanted
from commonplace.engines import Engines
from commonplace.model.event import EventKind, EventOrder
from commonplace.model.filter import Filter
from commonplace.model.memory import Draft
from commonplace.model.scope import DEFAULT_STORE, Scope
from commonplace.model.space import Space
from commonplace.model.usage import Dimension
from commonplace.ports.table import INDEXES
from commonplace.rows import keys
from commonplace.rows.figures import Count
from commonplace.rows.usage import counts
from commonplace.settings import Settings
from commonplace.wiring import Services
from costs.operations import ENTRY_BYTES, ROW_BYTES, VECTORS_BYTES, Units, kilobytes, operations
from costs.operations import Memory as Typical
from fakes import FakeEmbedder, FakeMeter, FakeSender
from pollers import sqs_event
from worker.app import consume

CHARACTERS = 300
DIMENSION = 1024
TENANT = "default"
HITS = 10
PAGE = 20
BATCH = 10
READ_BYTES = 4096
NUMBER_BYTES = 21
"""The most that a number takes; else a byte for each two digits, and one more (AWS, "DynamoDB item sizes")."""

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Consumed:
    """What an operation consumed: as the emulator says, and by the rules."""

    said: Units
    ruled: Units


NOTHING = Consumed(Units(), Units())


def _sum(one: Units, other: Units) -> Units:
    return Units(one.writes + other.writes, one.reads + other.reads)


def item_bytes(item: Raw) -> int:
    """The size of an item, as AWS counts it: names and values in UTF-8."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Raw) -> int:
    match value:
        case {"S": str(text)}:
            return len(text.encode())
        case {"B": bytes(data)}:
            return len(data)
        case {"BOOL": _}:
            return 1
        case {"N": str(number)}:
            return min(NUMBER_BYTES, (len(number.strip("-0")) + 1) // 2 + 1)
        case {"SS": list(texts)}:
            return sum(len(text.encode()) for text in texts)
    raise TypeError(value)


def entries(item: Raw | None) -> dict[str, Raw]:
    """Where an item stands in the indexes: by the index's name, what stands there."""
    if item is None:
        return {}
    return {
        name: {part: item[part] for part in (PARTITION, SORT, *parts)}
        for name, parts in INDEXES.items()
        if all(part in item for part in parts)
    }


def ruled_write(before: Raw | None, after: Raw | None, *, transacted: bool) -> float:
    """The units of a write by the rules."""
    largest = max(item_bytes(item) if item is not None else 1 for item in (before, after))
    units = kilobytes(largest) * (2.0 if transacted else 1.0)
    old, new = entries(before), entries(after)
    for name in old.keys() | new.keys():
        if old.get(name) != new.get(name):
            units += sum(kilobytes(item_bytes(side[name])) for side in (old, new) if name in side)
    return units


def reads_of(size: int, *, consistent: bool) -> float:
    """The units of reading that many bytes at once."""
    return max(1, -(-size // READ_BYTES)) * (1.0 if consistent else 0.5)


class Watched:
    """A DynamoDB client that adds up what its calls consume. One call at a time."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._turn = asyncio.Lock()
        self.consumed = NOTHING

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Raw]]:
        async def call(**request: Any) -> Raw:
            async with self._turn:
                return await self._watched(name, request)

        return call

    async def _watched(self, name: str, request: dict[str, Any]) -> Raw:
        written = _written(name, request)
        before = [await self._stored(table, key) for table, key in written]
        answer: Raw = await getattr(self._client, name)(**request, ReturnConsumedCapacity="INDEXES")
        after = [await self._stored(table, key) for table, key in written]
        parts = answer["ConsumedCapacity"]
        said = sum(float(part["CapacityUnits"]) for part in (parts if isinstance(parts, list) else [parts]))
        if written:
            transacted = name == "transact_write_items"
            writes = sum(ruled_write(*pair, transacted=transacted) for pair in zip(before, after, strict=True))
            added = Consumed(Units(writes=said), Units(writes=writes))
        else:
            added = Consumed(Units(reads=said), Units(reads=await self._ruled_reads(name, request, answer)))
        self.consumed = Consumed(_sum(self.consumed.said, added.said), _sum(self.consumed.ruled, added.ruled))
        return answer

    async def _stored(self, table: str, key: Raw) -> Raw | None:
        found: Raw | None = (await self._client.get_item(TableName=table, Key=key, ConsistentRead=True)).get("Item")
        return found

    async def _ruled_reads(self, name: str, request: Raw, answer: Raw) -> float:
        match name:
            case "get_item":
                return reads_of(item_bytes(answer.get("Item", {})), consistent=True)
            case "batch_get_item":
                ((table, wanted),) = request["RequestItems"].items()
                found = answer["Responses"].get(table, [])
                missing = len(wanted["Keys"]) - len(found)
                return sum(reads_of(item_bytes(item), consistent=True) for item in found) + missing
            case "query":
                # The projection of the request makes an answer smaller, but not cheaper.
                whole = [await self._stored(request["TableName"], _key(row)) for row in answer["Items"]]
                index_name = request.get("IndexName")
                sizes = [item_bytes(entries(item)[index_name] if index_name else item) for item in whole if item]
                return reads_of(sum(sizes), consistent=index_name is None)
        raise ValueError(name)


def _key(item: Raw) -> Raw:
    return {part: item[part] for part in (PARTITION, SORT)}


def _written(name: str, request: Raw) -> list[tuple[str, Raw]]:
    """The items that a call writes or checks: the name of the table, and the key."""
    if name == "transact_write_items":
        writes = [write for each in request["TransactItems"] for write in each.values()]
    elif name in {"put_item", "update_item", "delete_item"}:
        writes = [request]
    else:
        return []
    return [(write["TableName"], write["Key"] if "Key" in write else _key(write["Item"])) for write in writes]


class Embedder(FakeEmbedder):
    """Vectors of the default model's length, without the model. The words of a text decide nothing here."""

    @property
    def space(self) -> Space:
        return Space(bedrock.MODEL, DIMENSION)

    @property
    def window(self) -> int:
        return 512

    def _vector(self, text: str) -> tuple[float, ...]:
        draw = random.Random(hashlib.sha256(text.encode()).digest())
        return tuple(draw.uniform(-0.05, 0.05) for _ in range(DIMENSION))


@dataclass(frozen=True, slots=True)
class Bench:
    """A service on DynamoDB."""

    services: Services
    watched: Watched
    messages: SqliteQueue
    client: Any
    table: str

    async def measured(self, operation: Callable[[], Awaitable[object]]) -> Consumed:
        """What an operation consumes."""
        self.watched.consumed = NOTHING
        await operation()
        return self.watched.consumed

    async def work(self) -> None:
        """The worker's turn."""
        batch = await self.messages.receive(BATCH, 360)
        answer = await consume(self.services, sqs_event(self.messages.name, batch))
        if answer["batchItemFailures"]:
            raise RuntimeError(answer)
        await self.messages.delete([message.receipt for message in batch])

    async def items(self) -> list[Raw]:
        """Everything in the table."""
        found: list[Raw] = []
        async for page in self.client.get_paginator("scan").paginate(TableName=self.table):
            found += page["Items"]
        return found


@asynccontextmanager
async def bench(url: str) -> AsyncIterator[Bench]:
    """A service over a table of its own in the DynamoDB at that address; the table goes again."""
    name = f"capacity-{uuid4()}"
    session = aioboto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name="us-east-1")
    async with session.client("dynamodb", endpoint_url=url, config=dynamodb.client_config()) as client:
        await client.create_table(**table_definition(name))
        with tempfile.TemporaryDirectory() as folder:
            database = Database(Path(folder) / "capacity.db", (index.prepare, queue.prepare))
            clock = SystemClock()
            watched, messages = Watched(client), SqliteQueue(database, "EmbeddingQueue", clock)
            engines = Engines(
                DynamoTable(watched, name),
                SqliteIndex(database),
                messages,
                SqliteQueue(database, "DeliveryQueue", clock),
                Embedder,
                lambda: None,
                FakeSender,
                FakeMeter(),
            )
            services = Services(Settings(environment="test"), engines, clock, RandomIds())
            try:
                yield Bench(services, watched, messages, client, name)
            finally:
                database.close()
                await client.delete_table(TableName=name)


def content(number: int, characters: int = CHARACTERS) -> str:
    """A text of that many characters."""
    return (f"Note {number}: the user said that " + "the meeting moves to another week and " * 40)[:characters]


def _counted(count: int, now: datetime) -> list[Count]:
    """What so many events count for, besides their number."""
    return counts(TENANT, TENANT, {Dimension.EVENTS_INGESTED: count}, now)


async def measure(url: str, characters: int = CHARACTERS) -> dict[str, Consumed]:
    """What each operation consumes with memories of that many characters: an agent's, without webhooks."""
    async with bench(url) as made:
        services = made.services
        filter = Filter(store=DEFAULT_STORE, confidential=True, archived=True)
        draft = Draft(content=content(0, characters), agent="my-assistant", origin="relay")
        session = await services.converse.open(TENANT, SessionOrder(agent="my-assistant", external_id="t-1"))
        for number in range(2 * PAGE):
            await services.remember.later(TENANT, replace(draft, content=content(number, characters)))
        for _ in range(2 * PAGE // BATCH):
            await made.work()
        await services.browse.page(TENANT, filter, limit=PAGE)  # makes the secret of cursors

        found: dict[str, Consumed] = {}
        ids: list[str] = []

        async def create(given: Draft) -> None:
            ids.append((await services.remember.later(TENANT, given)).memory.id)

        async def tell(number: int) -> None:
            text = content(number, characters)
            order = EventOrder(actor="ada", session="s", kind=EventKind.USER, content=text)
            await services.ingest(TENANT, TENANT, [order], _counted)

        await tell(100)  # makes the counters
        await made.work()
        found["tell an event"] = await made.measured(lambda: tell(101))
        found["make its memory"] = await made.measured(made.work)
        found["create"] = await made.measured(lambda: create(draft))
        found["index"] = await made.measured(made.work)
        in_session = replace(draft, scope=Scope(session=session.id))
        await create(in_session)
        await made.work()
        found["create in a session"] = await made.measured(lambda: create(in_session))
        await made.work()
        wanted = Wanted(query="when is the meeting?", filter=filter, limit=HITS)
        hits = (await services.search(TENANT, wanted)).hits
        if len(hits) != HITS:
            raise RuntimeError("The search did not find enough")
        found["search"] = await made.measured(lambda: services.search(TENANT, wanted))
        found["get"] = await made.measured(lambda: services.browse.get(TENANT, ids[0]))
        found["list"] = await made.measured(lambda: services.browse.page(TENANT, filter, limit=PAGE))
        found["delete"] = await made.measured(lambda: services.forget(TENANT, ids[0]))
        found["sweep"] = await made.measured(services.sweep)
        return found


async def sizes(url: str) -> dict[str, int]:
    """Bytes of the items of one memory without its text and its vector, and of its entries in the two lists."""
    async with bench(url) as made:
        draft = Draft(content=content(0), agent="my-assistant", origin="relay")
        memory = (await made.services.remember.later(TENANT, draft)).memory
        await made.work()
        mine = [each for each in await made.items() if each[PARTITION]["S"] == keys.memory(TENANT, memory.id).partition]
        items = {each["noun"]["S"]: each for each in mine}
        row = items["memory"]
        return {
            "row": item_bytes(row) - len(memory.content.encode()),
            "vectors": item_bytes(items["vectors"]) - 4 * DIMENSION,
            "entries": sum(map(item_bytes, entries(row).values())),
        }


def lines(found: Mapping[str, Consumed], measured_sizes: Mapping[str, int], characters: int) -> Sequence[str]:
    """The report."""
    expected = operations(Typical(characters, DIMENSION))
    head = f"{'':22}{'DynamoDB Local says':>24}{'by the rules':>24}{'make costs':>24}"
    rows = [head, f"{'':22}" + 3 * f"{'writes':>14}{'reads':>10}"]
    for name, consumed in found.items():
        columns = (consumed.said, consumed.ruled, expected[name])
        rows.append(f"{name:22}" + "".join(f"{units.writes:14.1f}{units.reads:10.1f}" for units in columns))
    kept = {"row": ROW_BYTES, "vectors": VECTORS_BYTES, "entries": ENTRY_BYTES}
    return [*rows, *(f"bytes of {name}: {size} (make costs: {kept[name]})" for name, size in measured_sizes.items())]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="What one operation consumes of DynamoDB, measured on DynamoDB Local.")
    address = os.environ.get("COMMONPLACE_TEST_DYNAMODB")
    parser.add_argument("url", nargs="?", default=address, help="where it is; else COMMONPLACE_TEST_DYNAMODB")
    parser.add_argument("--characters", type=int, default=CHARACTERS, help="of a memory")
    given = parser.parse_args()
    if given.url is None:
        parser.error("where is DynamoDB Local? make engines starts one")
    found = asyncio.run(measure(given.url, given.characters))
    print("\n".join(lines(found, asyncio.run(sizes(given.url)), given.characters)))


if __name__ == "__main__":
    main()
