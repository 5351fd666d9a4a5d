"""Finding memories by vectors that callers bring."""

from dataclasses import dataclass

from commonplace.model.document import Arm, Probe
from commonplace.model.errors import Unavailable
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory
from commonplace.model.space import Space, direction
from commonplace.ports.index import Index
from commonplace.ports.meter import Meter, degraded_answer, search_latency
from commonplace.ports.world import Clock
from commonplace.rows.memories import Memories

SPARE = 2
"""Candidates for each memory that is wanted: some may turn out to be gone."""


@dataclass(frozen=True, slots=True)
class Near:
    """A memory, and the cosine of the vector that it came with to the one that was asked."""

    memory: Memory
    cosine: float


class Nearest:
    """The space of the length that the vector has, and no other; and the rows as the truth."""

    def __init__(self, memories: Memories, index: Index, clock: Clock, meter: Meter) -> None:
        self._memories = memories
        self._index = index
        self._clock = clock
        self._meter = meter

    async def __call__(self, tenant: str, vector: tuple[float, ...], filter: Filter, limit: int) -> list[Near]:
        """The memories of the filter that came with a vector of this length, nearest first, each with its raw cosine in
        [-1,1]; none where nobody brought such a vector. ``vector`` is not all zeros. Raises ``Unavailable``."""
        began = self._clock.now()
        probe = Probe(tenant=tenant, vector=direction(vector), text=None, k=SPARE * limit)
        try:
            arm = (await self._index.search(Space.given(len(vector)), probe, filter)).vectors
        except Unavailable as error:
            arm = Arm(failure=error.message)
        if arm.failure is not None:
            self._meter.record(degraded_answer("vectors"))
            raise Unavailable("The vectors cannot be searched now")
        cosines = {candidate.memory: candidate.score for candidate in arm.candidates}
        rows = await self._memories.many(tenant, cosines)
        near = [Near(rows[id], cosine) for id, cosine in cosines.items() if id in rows]
        self._meter.record(search_latency("total", self._clock.now() - began))
        return [each for each in near if self._confirms(each.memory, filter)][:limit]

    def _confirms(self, memory: Memory, filter: Filter) -> bool:
        return memory.given is not None and not memory.expired(self._clock.now()) and filter.matches(memory)
