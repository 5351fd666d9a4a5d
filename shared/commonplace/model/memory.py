"""The memory: what the service exists to keep."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from commonplace.model.insight import Insight
from commonplace.model.scope import Scope, level
from commonplace.model.values import Metadata


class State(StrEnum):
    """How far a memory is. READY promises that a search finds it, not merely that it has a vector."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class Standing(StrEnum):
    """Whether a memory is in use. Only an active one is found."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    EXPIRED = "expired"


HOT_FROM = 0.8
WARM_FROM = 0.4


class Tier(StrEnum):
    """How much a memory matters, in three steps."""

    HOT = "hot"
    WARM = "warm"
    COLD = "cold"

    @classmethod
    def of(cls, importance: float) -> "Tier":
        """The tier that an importance in [0,1] falls into: hot from 0.8, warm from 0.4, cold below."""
        if importance >= HOT_FROM:
            return cls.HOT
        return cls.WARM if importance >= WARM_FROM else cls.COLD


def content_hash(content: str) -> str:
    """The lower-case hex SHA-256 of the content's UTF-8 bytes, exactly as received."""
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Notify:
    """A URL that one request asked to be told at, and the secret that signs for it."""

    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One memory. Every change makes a new value with a higher ``revision``.

    ``content_revision`` is the revision that brought the present content: what an index says of an older revision than
    that is stale, what it says of a newer one still finds the right text. ``marked_at`` is set while the index has not
    yet caught up with the row, and is the time at which that began; the sweeper looks for it. ``passages`` is the
    number of passages that the index holds or may hold, so that surplus ones can be removed. ``origin`` is the dialect
    that created the memory; ``level`` is what the scope is about, as its writer said or ``scope.level`` tells, and ``label``
    is the name of that; ``agent_name`` is what the agent was called, by a writer for whom every name is as good as another,
    or by the registry at the time; ``source`` is
    where the writer had it from. ``lapsed`` says that it is archived because its time is over. ``brought`` is how many numbers the vector had
    that its writer gave with the first content; a later content has none. ``insight`` is how it was understood, where it was made of events. ``ready_at`` is when a search could first find its present content. ``claim`` is the key under which this content was claimed against duplicates.
    """

    id: str
    tenant: str
    scope: Scope
    origin: str
    content: str
    content_hash: str
    kind: str
    importance: float
    tier: Tier
    created_at: datetime
    updated_at: datetime
    occurred_at: datetime
    tags: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)
    confidential: bool = False
    state: State = State.PENDING
    failure: str | None = None
    revision: int = 1
    content_revision: int = 1
    model: str | None = None
    passages: int = 0
    ready_at: datetime | None = None
    marked_at: datetime | None = None
    expires_at: datetime | None = None
    archived_at: datetime | None = None
    notify: Notify | None = None
    claim: str | None = None
    level: str = ""
    label: str | None = None
    agent_name: str | None = None
    source: str | None = None
    lapsed: bool = False
    brought: int | None = None
    insight: Insight | None = None

    def __post_init__(self) -> None:
        """Tells the level, where it was not said."""
        if not self.level:
            object.__setattr__(self, "level", level(self.scope))

    @property
    def given(self) -> int | None:
        """How many numbers the vector has that its writer gave with the present content; None if there is none."""
        return self.brought if self.content_revision == 1 else None

    @property
    def ready(self) -> bool:
        """Whether a search finds it."""
        return self.state is State.READY

    def standing(self, now: datetime) -> Standing:
        """Whether it is in use at ``now``."""
        if self.lapsed or self.expired(now):
            return Standing.EXPIRED
        return Standing.ACTIVE if self.archived_at is None else Standing.ARCHIVED

    def expired(self, now: datetime) -> bool:
        """Whether its time is over at ``now``."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Accesses:
    """How often a memory was read or found, and when last."""

    count: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What stays of a deleted memory for a while: enough to turn away late messages, and nothing of its content.

    ``marked_at`` is set until the index has let go of it.
    """

    id: str
    tenant: str
    revision: int
    passages: int
    spaces: tuple[str, ...]
    deleted_at: datetime
    marked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A memory as a caller asks for it.

    ``agent`` is an id or a name; None is for dialects without agents. ``level``, ``label`` and ``source`` are as in
    ``Memory``. ``id`` is for
    dialects that say how an id has to look. Of ``unique`` drafts, which say their level, with one content, level, label and
    scope only the first is written. ``quota`` is how many memories the store may hold. ``vector`` is the caller's own, not all
    zeros. With a ``duplicate_threshold`` (a cosine) a memory
    of the same scope that says the same is taken instead of a new one.
    """

    content: str
    agent: str | None
    origin: str
    scope: Scope = field(default_factory=Scope)
    kind: str = "fact"
    importance: float = 0.5
    tier: Tier | None = None
    tags: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)
    confidential: bool = False
    occurred_at: datetime | None = None
    notify: Notify | None = None
    duplicate_threshold: float | None = None
    level: str | None = None
    label: str | None = None
    source: str | None = None
    unique: bool = False
    quota: int | None = None
    id: str | None = None
    vector: tuple[float, ...] | None = None
    insight: Insight | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an update asks for; ``None`` leaves a part as it is. ``metadata`` replaces the old metadata, ``merged`` is put
    over it key by key. With ``unique`` the memory counts, from now on, as the one of its content, level, label and scope, if
    no other does."""

    content: str | None = None
    metadata: Metadata | None = None
    merged: Metadata | None = None
    tags: tuple[str, ...] | None = None
    standing: Standing | None = None
    importance: float | None = None
    tier: Tier | None = None
    unique: bool = False
