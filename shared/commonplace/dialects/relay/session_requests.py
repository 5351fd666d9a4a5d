"""MemoryRelay's requests about sessions."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from commonplace.core.converse import SessionOrder
from commonplace.dialects.relay.fields import (
    Body,
    Metadata,
    Reference,
    Text,
)
from commonplace.dialects.relay.query import one_of
from commonplace.rows.sessions import SessionFilter


class SessionBody(Body):
    """POST /v1/sessions."""

    agent_id: Reference | None = None
    external_id: Reference | None = None
    project: Text | None = None
    title: Annotated[str, StringConstraints(max_length=500)] | None = None
    metadata: Metadata = Field(default_factory=dict)

    def order(self) -> SessionOrder:
        """The session that is asked for."""
        return SessionOrder(
            agent=self.agent_id,
            external_id=self.external_id,
            project=self.project,
            title=self.title,
            metadata=self.metadata,
        )


class SharedSessionBody(SessionBody):
    """POST /v1/sessions/get-or-create."""

    external_id: Reference


class EndBody(Body):
    """POST or PUT /v1/sessions/{id}/end."""

    summary: Annotated[str, StringConstraints(max_length=50_000)] | None = None
    metadata: Metadata | None = None


def session_filter(query: Mapping[str, str]) -> SessionFilter:
    """Which sessions a list asks for."""
    status = query.get("status")
    return SessionFilter(
        agent=query.get("agent_id") or None,
        project=query.get("project") or None,
        active=None if not status else one_of("status", status, ("active", "ended")) == "active",
    )
