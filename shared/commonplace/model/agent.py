"""Agents: who writes memories."""

from dataclasses import dataclass, field
from datetime import datetime

from commonplace.model.values import Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A registered agent. Its name is unique in the tenant."""

    id: str
    tenant: str
    name: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    metadata: Metadata = field(default_factory=dict)
    revision: int = 1


@dataclass(frozen=True, slots=True)
class AgentFigures:
    """What an agent has: counted in the same transactions that write it. ``last_active_at`` is of its last memory."""

    memories: int = 0
    sessions: int = 0
    last_active_at: datetime | None = None
