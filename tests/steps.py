"""What tests of the core do again and again in a world."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from commonplace.core.search import Wanted
from commonplace.model.document import Probe
from commonplace.model.errors import CommonplaceError
from commonplace.model.filter import Filter
from commonplace.model.memory import Draft, Memory
from worker.app import consume
from world import TENANT, World

CONTENT = "The user prefers dark mode"
EVERYTHING = Filter(store="default", confidential=True, archived=True)
UNKNOWN = "019b7c00-0000-7000-8000-ffffffffffff"


def draft(content: str = CONTENT, **fields: Any) -> Draft:
    """A memory as a caller asks for it."""
    return replace(Draft(content=content, agent="my-assistant", origin="relay"), **fields)


async def written(world: World, content: str = CONTENT, *, tenant: str = TENANT, **fields: Any) -> Memory:
    """A memory that was written and made searchable in one call, as far as the world let it."""
    (outcome,) = (await world.services.remember.now(tenant, [draft(content, **fields)])).outcomes
    assert not isinstance(outcome, CommonplaceError)
    assert not outcome.duplicate
    return outcome.memory


async def row(world: World, id: str, tenant: str = TENANT) -> Memory:
    """The row of a memory, which must be there."""
    memory = await world.services.memories.get(tenant, id)
    assert memory is not None
    return memory


async def found(world: World, query: str = CONTENT, *, tenant: str = TENANT, filter: Filter = EVERYTHING) -> list[str]:
    """The ids that a search finds, best first."""
    results = await world.services.search(tenant, Wanted(query=query, filter=filter, limit=10))
    assert results.degraded == ()
    return [hit.memory.id for hit in results.hits]


async def documents(world: World, tenant: str = TENANT) -> dict[tuple[str, int], int]:
    """Everything that the index holds of a tenant: memory and passage to version."""
    space = world.embedder.space
    probe = Probe(tenant=tenant, vector=(1.0, *[0.0] * (space.dimension - 1)), text=None, k=1000)
    arm = (await world.index.inner.search(space, probe, Filter(confidential=True, archived=True))).vectors
    return {(each.memory, each.passage): each.version for each in arm.candidates}


async def handed(world: World, *bodies: Mapping[str, object] | str, receives: int = 1) -> list[str]:
    """Hands messages to the worker, numbered from 0, as SQS would; the numbers of those that failed."""
    event = {
        "Records": [
            {
                "messageId": str(number),
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(receives)},
            }
            for number, body in enumerate(bodies)
        ]
    }
    failures = (await consume(world.services, event))["batchItemFailures"]
    return sorted(failure["itemIdentifier"] for failure in failures)


def embed_message(memory: Memory) -> dict[str, object]:
    """The message that asks the worker for a memory."""
    return {"kind": "embed", "tenant": memory.tenant, "id": memory.id}


def sentences(count: int, word: str = "sentence") -> str:
    """A long text: every sentence is of its own, and fills about a third of the fake embedder's window."""
    return " ".join(f"This is {word} number {number} of a long text about thing{number}." for number in range(count))


def ids(memories: Sequence[Memory]) -> list[str]:
    """The ids of memories."""
    return [memory.id for memory in memories]
