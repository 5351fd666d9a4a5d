"""Building the index anew from the rows, while the service runs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from commonplace.core.embed import Embed, Refused
from commonplace.model.errors import CommonplaceError
from commonplace.model.memory import Memory, State, Tombstone
from commonplace.model.space import Space
from commonplace.ports.index import Index
from commonplace.rows.memories import Memories

SLICE = 500
"""Items that are read at once."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: the memories that were put into the index, those that could not be, and where to go on from."""

    indexed: int
    failed: int
    position: str | None


class Rebuild:
    """Puts every memory that was not given up into a fresh collection of the embedder's space, and every vector that came
    with a memory into a fresh collection of its own space: what is pending too, for whoever makes it ready just now may
    have written it into the old collection. A memory that was given up and came with a vector is tried again: the index
    may well have the vector.

    Vectors that are stored in the rows are used as they are; what has none in this space, because the model is another
    one than it was, is embedded. What is written meanwhile goes into the fresh collection by itself.
    """

    def __init__(self, memories: Memories, index: Index, embed: Embed, space: Space) -> None:
        self._memories = memories
        self._index = index
        self._embed = embed
        self._space = space

    async def __call__(self, position: str | None = None) -> AsyncIterator[Progress]:
        """Goes through all rows, from the ``position`` of an earlier run that was broken off; tells after each slice how
        far it is. At the end the old collection goes, unless a memory could not be put into the new one.

        Raises ``Unavailable`` when rows or index do not answer.
        """
        spaces = {self._space, *(space for space in await self._index.spaces() if space.is_given)}
        for space in spaces:
            await self._index.renew(space)
        indexed = failed = 0
        while True:
            memories, position = await self._memories.everything(position, SLICE)
            wanted = [memory for memory in memories if memory.state is not State.FAILED or memory.given is not None]
            outcomes = await self._embed(wanted)
            errors = [outcome for memory, outcome in zip(wanted, outcomes, strict=True) if _failed(memory, outcome)]
            await self._forget_those_gone(memories)
            indexed += len(outcomes) - len(errors)
            failed += len(errors)
            yield Progress(indexed, failed, position)
            if position is None:
                break
        if not failed:
            for space in spaces:
                await self._index.retire(space)

    async def _forget_those_gone(self, memories: Sequence[Memory]) -> None:
        """Takes out again what was deleted between its reading and its writing."""
        seen = await self._memories.last_seen_all([(memory.tenant, memory.id) for memory in memories])
        gone = [each for each in seen if isinstance(each, Tombstone)]
        await asyncio.gather(*(self._embed.clear(tombstone) for tombstone in gone))


def _failed(memory: Memory, outcome: Memory | CommonplaceError) -> bool:
    """Whether a memory is missing in the index that may have been there before."""
    refused_again = memory.state is State.FAILED and isinstance(outcome, Refused)
    return isinstance(outcome, CommonplaceError) and not refused_again
