"""Recognizing what is there already."""

from datetime import datetime

from commonplace.core.passages import passages
from commonplace.model.document import Probe
from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory
from commonplace.ports.embedder import Embedder
from commonplace.ports.index import Index
from commonplace.ports.world import Clock
from commonplace.rows.memories import Memories


class Recognize:
    """Finds what a new memory would repeat."""

    def __init__(self, memories: Memories, index: Index, embedder: Embedder, clock: Clock) -> None:
        self._memories = memories
        self._index = index
        self._embedder = embedder
        self._clock = clock

    async def __call__(self, memory: Memory, threshold: float) -> Memory | None:
        """A searchable memory of the same scope whose cosine to this one is at least ``threshold``, the nearest first.

        Texts of more than one passage repeat each other only to the letter: one equal passage is no proof.
        None also when the vectors cannot be asked: a repeated memory is a smaller harm than a lost one.
        """
        scope = memory.scope
        filter = Filter(
            store=scope.store,
            user=scope.user,
            agent=scope.agent,
            session=scope.session,
            project=scope.project,
            confidential=True,
        )
        try:
            texts = passages(memory, self._embedder.tokens, self._embedder.window)
            (vector,) = await self._embedder.embed(texts[:1])
            probe = Probe(tenant=memory.tenant, vector=vector, text=None, k=10)
            arm = (await self._index.search(self._embedder.space, probe, filter)).vectors
        except (Unavailable, Invalid):
            return None
        near = [candidate for candidate in arm.candidates if candidate.score >= threshold]
        rows = await self._memories.many(memory.tenant, [candidate.memory for candidate in near])
        found = (rows.get(candidate.memory) for candidate in near)
        now = self._clock.now()
        return next((row for row in found if row and self._repeats(memory, row, len(texts) > 1, now)), None)

    def _repeats(self, memory: Memory, row: Memory, long: bool, now: datetime) -> bool:
        alike = row.content_hash == memory.content_hash or not (long or row.passages > 1)
        return alike and row.ready and row.scope == memory.scope and not row.expired(now)
