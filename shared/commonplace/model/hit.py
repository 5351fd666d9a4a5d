"""What a search finds."""

from dataclasses import dataclass

from commonplace.model.memory import Memory


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory with its relevance in [0,1] and what each arm said: cosine in [-1,1], BM25, None where an arm was silent."""

    memory: Memory
    relevance: float
    cosine: float | None
    words: float | None


@dataclass(frozen=True, slots=True)
class Results:
    """Hits, best first. ``degraded`` names the arms that failed, so that a failure never looks like an empty result."""

    hits: tuple[Hit, ...]
    degraded: tuple[str, ...] = ()
