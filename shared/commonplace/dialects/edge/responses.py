"""The objects of this API, made of core values, with their keys in its order."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from commonplace.model.memory import Memory

Object = dict[str, Any]

SERVICE = "memo-st-api"


def iso(moment: datetime) -> str:
    """A time as ISO 8601 in UTC with milliseconds, of which the rest is cut off."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def memory(memory: Memory) -> Object:
    """The memory object: always all keys, with null for what a memory of another API does not have."""
    return {
        "id": memory.id,
        "organization_id": memory.scope.organization,
        "subject_id": memory.scope.user,
        "agent_id": memory.agent_name,
        "namespace": memory.scope.project,
        "content": memory.content,
        "metadata": memory.metadata,
        "vector_id": None if memory.given is None else f"mem_{memory.id}",
        "created_at": iso(memory.created_at),
        "updated_at": iso(memory.updated_at),
    }


def created(written: Memory) -> Object:
    """The answer to a write."""
    return shown(written)


def shown(one: Memory) -> Object:
    """One memory, as it is read."""
    return {"memory": memory(one)}


def listed(memories: Iterable[Memory]) -> Object:
    """A list of memories, in their order."""
    return {"memories": [memory(each) for each in memories]}


def matched(found: Iterable[tuple[float, Memory]]) -> Object:
    """What is near to a vector, each with its cosine, in their order."""
    matches = [{"score": min(1.0, max(-1.0, cosine)), "memory": memory(each)} for cosine, each in found]
    return {"mode": "vectorize", "matches": matches}


def recent(memories: Iterable[Memory]) -> Object:
    """What a search finds without a vector: the memories in their order, with no score."""
    return {"mode": "d1", "matches": [{"score": None, "memory": memory(each)} for each in memories]}


def health(environment: str) -> Object:
    """The health body."""
    return {"ok": True, "service": SERVICE, "environment": environment}
