"""What was understood of events: the part of a memory that its writer did not say."""

from dataclasses import dataclass
from enum import StrEnum


class Nature(StrEnum):
    """What sort of knowledge a memory is."""

    SEMANTIC = "semantic"
    """What is true."""
    EPISODIC = "episodic"
    """What happened."""
    PROCEDURAL = "procedural"
    """How to act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """How a memory was understood. ``confidence`` is in [0,1]; ``entities`` are names of what it speaks of."""

    nature: Nature
    title: str
    confidence: float
    summary: str | None = None
    entities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A memory that an event yields: a text that stands for itself. ``kind`` is its finer class (fact, preference, ...)."""

    text: str
    kind: str
    insight: Insight
    tags: tuple[str, ...] = ()
