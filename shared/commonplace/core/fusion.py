"""One ranking out of two arms. Pure functions, the same on every engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commonplace.model.document import Arm, Candidate


@dataclass(frozen=True, slots=True)
class Fused:
    """A memory that an arm found: its place in the ranking, what each arm said, and the oldest version they know of it.

    ``cosine`` is None if the vector arm was not asked or failed. Where it was asked but did not find the memory,
    ``cosine`` is the lowest that it did find, which the memory's cannot exceed.
    """

    memory: str
    score: float
    cosine: float | None
    words: float | None
    version: int


def fused(vectors: Arm, words: Arm, weight: float) -> list[Fused]:
    """The memories of both arms, best first, by ``weight`` x vectors + (1 - ``weight``) x words, each min-max scaled.

    Passages fold to memories by their best one. What an arm did not find counts 0 in it. If one arm is empty, the
    other ranks alone. A convex combination beats reciprocal ranks where the scores mean something (Bruch et al., "An
    Analysis of Fusion Functions for Hybrid Retrieval", 2022).
    """
    by_vector, by_words = _folded(vectors.candidates), _folded(words.candidates)
    dense, sparse = _scaled(by_vector), _scaled(by_words)
    lowest = min((candidate.score for candidate in by_vector.values()), default=None)
    found = [
        Fused(
            memory=memory,
            score=weight * dense.get(memory, 0.0) + (1 - weight) * sparse.get(memory, 0.0),
            cosine=by_vector[memory].score if memory in by_vector else lowest,
            words=by_words[memory].score if memory in by_words else None,
            version=min(arm[memory].version for arm in (by_vector, by_words) if memory in arm),
        )
        for memory in {**by_vector, **by_words}
    ]
    return sorted(found, key=lambda each: (-each.score, -(each.cosine or 0.0), each.memory))


def never_rising(scores: Sequence[float]) -> list[float]:
    """Each score raised to the highest that follows it, so that a ranking and its scores agree."""
    highest = 0.0
    raised: list[float] = []
    for score in reversed(scores):
        highest = max(highest, score)
        raised.append(highest)
    return raised[::-1]


def _folded(candidates: Sequence[Candidate]) -> dict[str, Candidate]:
    best: dict[str, Candidate] = {}
    for candidate in candidates:
        known = best.get(candidate.memory)
        if known is None or candidate.score > known.score:
            best[candidate.memory] = candidate
    return best


def _scaled(candidates: Mapping[str, Candidate]) -> dict[str, float]:
    scores = [candidate.score for candidate in candidates.values()]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    span = high - low
    return {id: (candidate.score - low) / span if span > 0 else 1.0 for id, candidate in candidates.items()}
