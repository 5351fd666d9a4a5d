"""Recognizing what is there already."""

from collections.abc import Sequence
from datetime import datetime

from commonplace.core.passages import passages
from commonplace.model.document import Candidate, Probe
from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory
from commonplace.ports.embedder import Embedder
from commonplace.ports.index import Index
from commonplace.ports.world import Clock
from commonplace.rows.memories import Memories

NEAREST = 10
"""Candidates that are asked for at first: more than one where some turn out to be gone."""

MOST_CANDIDATES = 1_000
"""Candidates that are asked for at most."""


class Recognize:
    """Finds what a new memory would repeat."""

    def __init__(self, memories: Memories, index: Index, embedder: Embedder, clock: Clock) -> None:
        self._memories = memories
        self._index = index
        self._embedder = embedder
        self._clock = clock

    async def __call__(self, memory: Memory, threshold: float) -> Memory | None:
        """A searchable memory of the same scope whose cosine to this one is at least ``threshold``, the nearest first, among
        the ``MOST_CANDIDATES`` nearest passages of that scope and narrower ones.

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
            probe = Probe(tenant=memory.tenant, vector=vector, text=None, k=NEAREST)
            known: set[str] = set()
            while True:
                found = (await self._index.search(self._embedder.space, probe, filter)).vectors.candidates
                near = [candidate for candidate in found if candidate.score >= threshold]
                new = [candidate for candidate in near if candidate.memory not in known]
                repeated = await self._repeated(memory, new, long=len(texts) > 1)
                if repeated is not None or len(near) < probe.k or probe.k >= MOST_CANDIDATES:
                    return repeated
                known |= {candidate.memory for candidate in new}
                # A filter cannot say that a memory is of no user, so those of all users may stand before it.
                probe = probe.wider(MOST_CANDIDATES)
        except (Unavailable, Invalid):
            return None

    async def _repeated(self, memory: Memory, near: Sequence[Candidate], *, long: bool) -> Memory | None:
        """The first of these that the memory repeats."""
        rows = await self._memories.many(memory.tenant, [candidate.memory for candidate in near])
        found = (rows.get(candidate.memory) for candidate in near)
        now = self._clock.now()
        return next((row for row in found if row and self._repeats(memory, row, long, now)), None)

    def _repeats(self, memory: Memory, row: Memory, long: bool, now: datetime) -> bool:
        alike = row.content_hash == memory.content_hash or not (long or row.passages > 1)
        return alike and row.ready and row.scope == memory.scope and not row.expired(now)
