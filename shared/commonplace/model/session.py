"""Sessions: a stretch of work that memories belong to."""

from dataclasses import dataclass, field
from datetime import datetime

from commonplace.model.values import Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session. It is active until ``ended_at`` is set. ``external_id`` is the caller's and unique in the tenant."""

    id: str
    tenant: str
    started_at: datetime
    created_at: datetime
    updated_at: datetime
    agent: str | None = None
    external_id: str | None = None
    project: str | None = None
    title: str | None = None
    summary: str | None = None
    metadata: Metadata = field(default_factory=dict)
    ended_at: datetime | None = None
    memory_count: int = 0
    revision: int = 1

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.ended_at is None
