"""What a page of a list and a search cost at 1,000 and at 100,000 rows of one tenant, without HTTP and without a model."""

import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from commonplace.adapters.embedded import index, queue, table
from commonplace.adapters.embedded.database import Database
from commonplace.core.search import Mode, Wanted
from commonplace.model.document import Document
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory, State, Tier, content_hash
from commonplace.model.scope import DEFAULT_STORE, Scope
from commonplace.rows.memory_writes import Entry
from fakes import FakeEmbedder
from world import TENANT, World

SIZES = (1_000, 100_000)
RUNS = 50
GROUP = 500
VOCABULARY = 30_000


def text(draw: random.Random, length: int = 25) -> str:
    """Words of which few are common and most are rare (Zipf)."""
    return " ".join(f"w{int(VOCABULARY ** draw.random())}" for _ in range(length))


def ready_memory(world: World, content: str, agent: str) -> Memory:
    """A memory as it is once the worker was there."""
    now = world.clock.now()
    return Memory(
        id=world.ids.new(),
        tenant=TENANT,
        scope=Scope(agent=agent),
        origin="relay",
        content=content,
        content_hash=content_hash(content),
        kind="fact",
        importance=0.5,
        tier=Tier.WARM,
        created_at=now,
        updated_at=now,
        occurred_at=now,
        state=State.READY,
        ready_at=now,
        passages=1,
    )


async def filled(world: World, embedder: FakeEmbedder, count: int) -> None:
    """Writes memories as ready rows and documents, 100 to an agent."""
    draw = random.Random(count)
    for start in tqdm(range(0, count, GROUP), desc=f"{count} rows", unit="groups"):
        memories = []
        for number in range(start, min(start + GROUP, count)):
            world.clock.advance(1)
            memories.append(ready_memory(world, text(draw), f"agent-{number // 100}"))
        await world.services.memories.add([Entry(memory) for memory in memories])
        vectors = await embedder.embed([memory.content for memory in memories])
        documents = [
            Document.of(memory, 0, memory.content, vector) for memory, vector in zip(memories, vectors, strict=True)
        ]
        await world.index.upsert(embedder.space, documents)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """The median of some runs in milliseconds."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        await work()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def probes(world: World) -> dict[str, Callable[[], Awaitable[object]]]:
    """What is timed, by name."""
    draw = random.Random(3)
    whole = Filter(store=DEFAULT_STORE, confidential=True, archived=True)
    narrow = replace(whole, agent="agent-5")

    async def searched(filter: Filter, mode: Mode) -> object:
        wanted = Wanted(query=text(draw, 6), filter=filter, limit=10, mode=mode)
        return await world.services.search(TENANT, wanted)

    return {
        "page of the list": lambda: world.services.browse.page(TENANT, whole, limit=20),
        "page of one agent's list": lambda: world.services.browse.page(TENANT, narrow, limit=20),
        "search of one agent's 100": lambda: searched(narrow, Mode.HYBRID),
        "search of all words": lambda: searched(whole, Mode.KEYWORD),
        "search of everything": lambda: searched(whole, Mode.HYBRID),
    }


async def pages() -> None:
    """Prints the figures."""
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            database = Database(Path(folder) / "scale.db", (table.prepare, index.prepare, queue.prepare))
            world = World(database)
            await filled(world, world.embedder, size)
            figures = [f"{name} {await timed(probe):.2f} ms" for name, probe in probes(world).items()]
            print(f"{size} rows: {'; '.join(figures)}")
            database.close()
