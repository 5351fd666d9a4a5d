"""Finding memories together with what is known of how they came to be."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commonplace.core.search import Search, Wanted
from commonplace.core.survey import Survey
from commonplace.model.event import Event
from commonplace.model.memory import Memory
from commonplace.ports.queue import Message, Queue
from commonplace.rows.events import Events

MOST_EVENTS = 20
"""Of a memory's events that are read: it may have 250, of 32,000 characters each."""


@dataclass(frozen=True, slots=True)
class Recollected:
    """A memory that was found, how well it answers in [0,1], how strong it was before, and the ids of the events that it
    was made of."""

    memory: Memory
    relevance: float
    strength: float
    sources: tuple[str, ...]


class Recollect:
    """A search whose hits gain strength: not in its own time, but by the worker."""

    def __init__(self, search: Search, survey: Survey, events: Events, queue: Queue) -> None:
        self._search = search
        self._survey = survey
        self._events = events
        self._queue = queue

    async def __call__(self, tenant: str, wanted: Wanted) -> list[Recollected]:
        """What is found, best first. Raises ``Unavailable``."""
        hits = (await self._search(tenant, wanted)).hits
        if not hits:
            return []
        memories = [hit.memory for hit in hits]
        recalled = {"kind": "recalled", "tenant": tenant, "ids": [memory.id for memory in memories]}
        known, _ = await asyncio.gather(
            self._survey.known(tenant, memories),
            # A recall that the queue does not take is lost: a little strength.
            self._queue.send([Message(json.dumps(recalled))]),
        )
        return [
            Recollected(each.memory, hit.relevance, each.strength, each.sources)
            for hit, each in zip(hits, known, strict=True)
        ]

    async def events(
        self, tenant: str, organization: str, found: Sequence[Recollected], described: int | None = None
    ) -> list[Mapping[str, Event]]:
        """For each of the memories the events that it was made of, by id: those among its first ``MOST_EVENTS``, or, if that
        is given, so many as it takes for ``described`` of them to have metadata."""
        known: dict[str, Event] = {}
        asked: set[str] = set()
        for most in (MOST_EVENTS,) if described is None else (described, MOST_EVENTS):
            lacking = [each for each in found if described is None or _described(each, known) < described]
            ids = {id for each in lacking for id in each.sources[:most]} - asked
            known |= await self._events.many(tenant, organization, ids) if ids else {}
            asked |= ids
        return [{id: known[id] for id in each.sources[:MOST_EVENTS] if id in known} for each in found]


def _described(memory: Recollected, known: Mapping[str, Event]) -> int:
    """How many of a memory's events are known to have metadata."""
    return sum(id in known and known[id].metadata is not None for id in memory.sources[:MOST_EVENTS])
