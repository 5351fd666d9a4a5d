"""What an index holds of a memory: one document for each passage."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from commonplace.model.memory import Memory, Tier
from commonplace.model.scope import Scope
from commonplace.model.values import Metadata

MORE = 4
"""How many times as many candidates are asked for where those of a probe were not enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One passage with its vector, and everything that a filter can ask for. ``version`` is the memory's revision."""

    tenant: str
    memory: str
    passage: int
    version: int
    text: str
    vector: tuple[float, ...]
    scope: Scope
    kind: str
    tier: Tier
    tags: tuple[str, ...]
    metadata: Metadata
    importance: float
    confidential: bool
    archived: bool
    created_at: datetime
    occurred_at: datetime
    level: str = "global"
    label: str | None = None

    @property
    def id(self) -> str:
        """The document's id: the memory and the number of the passage."""
        return document_id(self.memory, self.passage)

    @classmethod
    def of(cls, memory: Memory, passage: int, text: str, vector: tuple[float, ...]) -> "Document":
        """The document of one passage of a memory."""
        return cls(
            tenant=memory.tenant,
            memory=memory.id,
            passage=passage,
            version=memory.revision,
            text=text,
            vector=vector,
            scope=memory.scope,
            kind=memory.kind,
            tier=memory.tier,
            tags=memory.tags,
            metadata=memory.metadata,
            importance=memory.importance,
            confidential=memory.confidential,
            archived=memory.archived_at is not None,
            created_at=memory.created_at,
            occurred_at=memory.occurred_at,
            level=memory.level,
            label=memory.label,
        )


def document_id(memory: str, passage: int) -> str:
    """The id of the document of one passage."""
    return f"{memory}.{passage}"


@dataclass(frozen=True, slots=True)
class Removal:
    """A document that is to go, with the version of the removal."""

    tenant: str
    memory: str
    passage: int
    version: int

    @property
    def id(self) -> str:
        """The document's id."""
        return document_id(self.memory, self.passage)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that an arm found, with that arm's raw score: cosine in [-1,1], or BM25 (more is better)."""

    memory: str
    passage: int
    version: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One question to an index: a vector, words, or both; ``k`` candidates of each arm.

    ``text`` is the words to look for; the core has taken out those that only carry grammar.
    """

    tenant: str
    vector: tuple[float, ...] | None
    text: str | None
    k: int

    def wider(self, most: int) -> "Probe":
        """The same question for ``MORE`` times as many candidates, and no more than ``most``."""
        return replace(self, k=min(MORE * self.k, most))


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm found, best first; or, with ``failure``, why it could not answer.

    ``milliseconds`` is what the engine took, as it says itself; None if it says nothing, or was not asked.
    """

    candidates: tuple[Candidate, ...] = ()
    failure: str | None = None
    milliseconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Findings:
    """What both arms found. An arm that was not asked is empty."""

    vectors: Arm
    words: Arm
