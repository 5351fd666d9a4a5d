"""Stores: named parts of a tenant's memory."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from commonplace.model.values import Metadata


class StoreStatus(StrEnum):
    """Whether a store takes and finds memories. Only an active one does; reading and deleting work in any."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A store. ``key`` is its name for callers, unique in the tenant; ``id`` is what memories carry in their scope, so
    that a store which is made anew under an old key never shows what was in the old one. ``config`` and the keys of
    provider and model are the caller's words. ``revision`` counts changes."""

    id: str
    tenant: str
    key: str
    name: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    vector_provider: str = ""
    embedding_model: str = ""
    config: Metadata = field(default_factory=dict)
    status: StoreStatus = StoreStatus.ACTIVE
    created_by: str | None = None
    updated_by: str | None = None
    revision: int = 1

    @property
    def quota(self) -> int | None:
        """The most memories that it may hold, if that was set."""
        most = self.config.get("maxMemories")
        return most if isinstance(most, int) and not isinstance(most, bool) else None

    @property
    def unique(self) -> bool:
        """Whether a content is written only once in each scope."""
        return self.config.get("deduplication", True) is not False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFigures:
    """What a store holds, and when something last came or went."""

    memories: int = 0
    last_activity_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOrder:
    """A store as a caller asks for it."""

    key: str
    name: str
    description: str | None = None
    vector_provider: str = ""
    embedding_model: str = ""
    config: Metadata = field(default_factory=dict)
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreChange:
    """What an update asks for; None leaves a part as it is. ``config`` is merged into the old one, key by key."""

    name: str | None = None
    description: str | None = None
    config: Metadata | None = None
    status: StoreStatus | None = None
    by: str | None = None
