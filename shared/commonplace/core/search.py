"""Finding memories by meaning and by words."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial

from commonplace.core.fusion import Fused, fused, never_rising
from commonplace.core.passages import who
from commonplace.core.relevance import Question, telling
from commonplace.model.document import Arm, Findings, Probe
from commonplace.model.errors import Unavailable
from commonplace.model.filter import Filter
from commonplace.model.hit import Hit, Results
from commonplace.model.memory import Memory
from commonplace.ports.embedder import Embedder
from commonplace.ports.index import Index
from commonplace.ports.meter import ArmName, Measure, Meter, degraded_answer, search_latency
from commonplace.ports.world import Clock
from commonplace.rows.memories import Memories

MOST_CANDIDATES = 10_000
"""Hits that OpenSearch returns at most (``index.max_result_window``)."""

LONG = 20_000
"""Characters that can be judged without keeping others waiting: more than a few milliseconds' worth go to a thread."""


class Mode(StrEnum):
    """Which arms to ask."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    KEYWORD = "keyword"


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a search weighs: the share of the vectors against the words, and the candidates that each arm gives."""

    vector_weight: float = 0.4
    candidates: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A search as a caller asks for it: hits of relevance ``floor`` and more, at most ``limit`` of them."""

    query: str
    filter: Filter
    limit: int
    floor: float = 0.0
    mode: Mode = Mode.HYBRID


class Search:
    """Both arms, one ranking, and the rows as the truth."""

    def __init__(
        self, memories: Memories, index: Index, embedder: Embedder, clock: Clock, tuning: Tuning, meter: Meter
    ) -> None:
        self._memories = memories
        self._index = index
        self._embedder = embedder
        self._clock = clock
        self._tuning = tuning
        self._meter = meter

    async def __call__(self, tenant: str, wanted: Wanted) -> Results:
        """The hits, best first. If an arm fails the other answers, and ``degraded`` says so.

        Raises ``Unavailable`` if no arm could answer: a failure is never an empty result.
        """
        began = self._clock.now()
        findings = await self._found(tenant, wanted)
        arms: dict[ArmName, Arm] = {"vectors": findings.vectors, "words": findings.words}
        degraded = tuple(name for name, arm in arms.items() if arm.failure is not None)
        asked = (wanted.mode is not Mode.KEYWORD) + bool(_text(wanted))
        if degraded and len(degraded) == asked:
            raise Unavailable("The search cannot be used now")
        ranking = fused(findings.vectors, findings.words, self._tuning.vector_weight)
        hits = await self._hits(tenant, wanted, ranking)
        total = search_latency("total", self._clock.now() - began)
        self._meter.record(total, *(measure for name, arm in arms.items() for measure in _measures(name, arm)))
        return Results(tuple(hit for hit in hits if hit.relevance >= wanted.floor), degraded)

    async def _found(self, tenant: str, wanted: Wanted) -> Findings:
        vector: tuple[float, ...] | None = None
        failure: str | None = None
        if wanted.mode is not Mode.KEYWORD:
            try:
                vector = (await self._embedder.embed([wanted.query]))[0]
            except Unavailable as error:
                failure = error.message
        text = _text(wanted)
        if vector is None and not text:
            return Findings(Arm(failure=failure), Arm())
        probe = Probe(tenant=tenant, vector=vector, text=text or None, k=max(self._tuning.candidates, 2 * wanted.limit))
        findings = await self._index.search(self._embedder.space, probe, wanted.filter)
        # A few memories of many passages may have taken all places.
        while _crowded(findings, probe.k, wanted.limit):
            probe = probe.wider(MOST_CANDIDATES)
            findings = await self._index.search(self._embedder.space, probe, wanted.filter)
        return findings if failure is None else Findings(Arm(failure=failure), findings.words)

    async def _hits(self, tenant: str, wanted: Wanted, ranking: Sequence[Fused]) -> list[Hit]:
        """The best of the ranking that the rows confirm, read a page at a time until there are enough."""
        question = Question(wanted.query, self._embedder.calibration)
        confirmed: list[tuple[Fused, Memory]] = []
        for start in range(0, len(ranking), wanted.limit):
            batch = ranking[start : start + wanted.limit]
            rows = await self._memories.many(tenant, [each.memory for each in batch])
            confirmed += [
                (each, rows[each.memory])
                for each in batch
                if each.memory in rows and self._confirms(rows[each.memory], each, wanted.filter)
            ]
            if len(confirmed) >= wanted.limit:
                break
        confirmed = confirmed[: wanted.limit]
        texts = [(_spoken(memory), each.cosine) for each, memory in confirmed]
        judged = partial(_judged, question, texts)
        relevances = judged() if sum(len(text) for text, _ in texts) < LONG else await asyncio.to_thread(judged)
        return [
            Hit(memory, relevance, each.cosine, each.words)
            for (each, memory), relevance in zip(confirmed, relevances, strict=True)
        ]

    def _confirms(self, memory: Memory, found: Fused, filter: Filter) -> bool:
        return (
            memory.ready
            and found.version >= memory.content_revision
            and not memory.expired(self._clock.now())
            and filter.matches(memory)
        )


def _judged(question: Question, texts: Sequence[tuple[str, float | None]]) -> list[float]:
    return never_rising([question.relevance(text, cosine) for text, cosine in texts])


def _crowded(findings: Findings, k: int, limit: int) -> bool:
    """Whether an arm has more to give than the ``k`` candidates that it was asked for, and they are of too few memories."""
    arms = (findings.vectors, findings.words)
    memories = {candidate.memory for arm in arms for candidate in arm.candidates}
    return len(memories) < limit and k < MOST_CANDIDATES and any(len(arm.candidates) >= k for arm in arms)


def _measures(name: ArmName, arm: Arm) -> list[Measure]:
    """What an arm of a search that was answered has to say."""
    if arm.failure is not None:
        return [degraded_answer(name)]
    return [] if arm.milliseconds is None else [search_latency(name, timedelta(milliseconds=arm.milliseconds))]


def _text(wanted: Wanted) -> str:
    """What the words arm is asked; empty if it is not."""
    return "" if wanted.mode is Mode.SEMANTIC else " ".join(telling(wanted.query))


def _spoken(memory: Memory) -> str:
    name = who(memory)
    return memory.content if name is None else f"{name}: {memory.content}"
