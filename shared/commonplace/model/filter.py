"""The filter: one frozen value, understood by rows and index alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from commonplace.model.memory import Memory, Tier
from commonplace.model.scope import audiences
from commonplace.model.values import Json

Scalar: TypeAlias = str | int | float | bool | None
"""What a metadata condition can compare with."""


@dataclass(frozen=True, slots=True)
class Among:
    """The value is one of these. Equality is the case of one."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class NotAmong:
    """The value is none of these; an absent key counts as none of them."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """A number in [low, high]; either end may be open. What is not a number never matches."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """The key is there (or, with ``present=False``, is not). A null value counts as there."""

    present: bool = True


Condition: TypeAlias = Among | NotAmong | Between | Exists
"""What a filter can ask of one metadata key."""


@dataclass(frozen=True, slots=True)
class Period:
    """Times in [start, end); either end may be open."""

    start: datetime | None = None
    end: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether ``moment`` lies in the period."""
        return (self.start is None or moment >= self.start) and (self.end is None or moment < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which memories of a tenant are meant. Every part that is given must hold.

    Scope parts are compared to the letter. ``tags`` matches a memory that has any of them. ``metadata`` holds pairs of
    a top-level key and a condition. Confidential and archived memories match only when asked for. ``audience``
    is some of ``scope.audiences``, of which any will do. ``conversation`` matches what is of this session or of none,
    ``elsewhere`` what is not of this session. ``excluded`` names ids that never match.
    """

    store: str | None = None
    organization: str | None = None
    user: str | None = None
    agent: str | None = None
    session: str | None = None
    project: str | None = None
    kinds: tuple[str, ...] = ()
    tiers: tuple[Tier, ...] = ()
    tags: tuple[str, ...] = ()
    importance: Between = Between()
    created: Period = Period()
    occurred: Period = Period()
    metadata: tuple[tuple[str, Condition], ...] = ()
    confidential: bool = False
    archived: bool = False
    level: str | None = None
    label: str | None = None
    audience: tuple[str, ...] = ()
    conversation: str | None = None
    elsewhere: str | None = None
    excluded: tuple[str, ...] = ()

    def scope(self) -> dict[str, str]:
        """The scope parts that are asked for, by name."""
        parts = {name: getattr(self, name) for name in ("store", "organization", "user", "agent", "session", "project")}
        return {name: value for name, value in parts.items() if value is not None}

    def matches(self, memory: Memory) -> bool:
        """Whether a memory of the right tenant is meant. The same answer as every index gives."""
        return (
            all(getattr(memory.scope, name) == value for name, value in self.scope().items())
            and (not self.kinds or memory.kind in self.kinds)
            and (not self.tiers or memory.tier in self.tiers)
            and (not self.tags or not set(self.tags).isdisjoint(memory.tags))
            and _in_range(memory.importance, self.importance)
            and self.created.holds(memory.created_at)
            and self.occurred.holds(memory.occurred_at)
            and (self.confidential or not memory.confidential)
            and (self.archived or memory.archived_at is None)
            and (self.level is None or memory.level == self.level)
            and (self.label is None or memory.label == self.label)
            and (not self.audience or not set(self.audience).isdisjoint(audiences(memory.scope)))
            and (self.conversation is None or memory.scope.session in (None, self.conversation))
            and (self.elsewhere is None or memory.scope.session != self.elsewhere)
            and memory.id not in self.excluded
            and all(_satisfies(memory.metadata, key, condition) for key, condition in self.metadata)
        )


def _in_range(value: float, bounds: Between) -> bool:
    return (bounds.low is None or value >= bounds.low) and (bounds.high is None or value <= bounds.high)


def _satisfies(metadata: Mapping[str, Json], key: str, condition: Condition) -> bool:
    match condition:
        case Exists(present):
            return (key in metadata) is present
        case Among(values):
            return key in metadata and any(_same(metadata[key], value) for value in values)
        case NotAmong(values):
            return key not in metadata or not any(_same(metadata[key], value) for value in values)
    value = metadata.get(key)
    return isinstance(value, int | float) and not isinstance(value, bool) and _in_range(value, condition)


def _same(value: Json, wanted: Scalar) -> bool:
    """JSON equality: true is not 1, but 1 is 1.0."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return value == wanted
    return type(value) is type(wanted) and value == wanted
