"""What is understood of a memory, whoever wrote it."""

from collections.abc import Mapping

from commonplace.model.insight import Insight, Nature
from commonplace.model.memory import Memory
from commonplace.ports.extractor import beginning

NATURES: Mapping[str, Nature] = {
    "episode": Nature.EPISODIC,
    "event": Nature.EPISODIC,
    "procedure": Nature.PROCEDURAL,
    "skill": Nature.PROCEDURAL,
}
"""What sort of knowledge other APIs' kinds of memories are; any other is what is true."""


def insight(memory: Memory) -> Insight:
    """How a memory was understood; one that somebody wrote as it is was meant so."""
    if memory.insight is not None:
        return memory.insight
    nature = NATURES.get(memory.kind, Nature.SEMANTIC)
    return Insight(nature=nature, title=beginning(memory.content), confidence=1.0)
