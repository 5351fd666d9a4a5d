"""Memories that are made of events, by whatever way: whose words they are in, what they count for, where they come from."""

from collections.abc import Sequence
from datetime import datetime

from commonplace.core.retry import until_settled
from commonplace.model.memory import Memory
from commonplace.model.usage import Dimension
from commonplace.rows.figures import Count
from commonplace.rows.memories import Memories
from commonplace.rows.usage import counts

ORIGIN = "memsy"
"""The API in which events are told."""


def stored(memory: Memory, now: datetime) -> list[Count]:
    """What a new one counts for, besides its store and its scope: its organization uses room for a memory more."""
    organization = memory.scope.organization or memory.tenant
    return counts(memory.tenant, organization, {Dimension.MEMORIES_STORED: 1}, now)


async def gained(memories: Memories, tenant: str, id: str, events: Sequence[str]) -> None:
    """Writes down that a memory was made of these events too, each of them once. Raises ``Conflict`` if others keep writing
    such of the same memory."""

    async def attempt() -> None:
        await memories.gained(tenant, id, events)

    await until_settled(attempt)
