"""MemoryRelay's requests that write, change and list memories, and the core values that they ask for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from commonplace.dialects.relay.fields import (
    Body,
    Content,
    Metadata,
    Reference,
    Share,
    Text,
    TierName,
    Url,
    decoded,
    encodable,
)
from commonplace.dialects.relay.query import one_of
from commonplace.model.apikey import Principal
from commonplace.model.errors import Invalid
from commonplace.model.filter import Filter
from commonplace.model.memory import Change, Draft, Notify, Tier
from commonplace.model.scope import DEFAULT_STORE, Scope
from commonplace.model.values import Json

ORIGIN = "relay"


DEFAULT_AGENT = "default"
"""The agent of a batch's memories that name none."""


MOST_BATCH = 100


MOST_LISTED = 1000


Kind = Literal["fact", "event", "insight", "task", "preference", "entity_reference", "system"]


class MemoryFields(Body):
    """What every way of writing a memory takes."""

    content: Content
    metadata: Metadata = Field(default_factory=dict)
    memory_type: Kind = "fact"
    session_id: Reference | None = None
    project: Text | None = None
    project_id: Text | None = None
    importance: Share = 0.5
    tier: TierName | None = None
    visibility: Literal["private", "confidential"] = "private"
    user_id: Text | None = None

    def draft(self, agent: str) -> Draft:
        """The memory that is asked for."""
        return Draft(
            content=self.content,
            agent=agent,
            origin=ORIGIN,
            scope=Scope(
                user=self.user_id,
                session=self.session_id,
                project=self.project if self.project_id is None else self.project_id,
            ),
            kind=self.memory_type,
            importance=self.importance,
            tier=None if self.tier is None else Tier(self.tier),
            metadata=self.metadata,
            confidential=self.visibility == "confidential",
        )


class CreateBody(MemoryFields):
    """POST /v1/memories."""

    agent_id: Reference
    deduplicate: bool = False
    dedup_threshold: Annotated[float, Field(ge=0.5, le=1.0)] = 0.95

    def draft(self, agent: str | None = None) -> Draft:
        """The memory that is asked for."""
        plain = super().draft(self.agent_id if agent is None else agent)
        return replace(plain, duplicate_threshold=self.dedup_threshold if self.deduplicate else None)


class CreateLaterBody(CreateBody):
    """POST /v2/memories."""

    webhook_url: Url | None = None

    def order(self, caller: Principal) -> Draft:
        """The memory that is asked for; its URL is told with the caller's own secret."""
        notify = None if self.webhook_url is None else Notify(self.webhook_url, caller.secret)
        return replace(self.draft(), notify=notify)


class BatchItem(MemoryFields):
    """One of the memories of a batch."""

    agent_id: Reference | None = None


class BatchBody(Body):
    """POST /v1/memories/batch. The memories are looked at one by one, since each fails alone."""

    memories: Annotated[list[Any], Field(min_length=1, max_length=MOST_BATCH)]
    agent_id: Reference | None = None

    def drafts(self) -> list[Draft | Invalid]:
        """For each memory what is asked for, or what is wrong with it."""
        return [self._draft(item) for item in self.memories]

    def _draft(self, item: Json) -> Draft | Invalid:
        try:
            body = decoded(BatchItem, item)
        except Invalid as error:
            return error
        return body.draft(body.agent_id or self.agent_id or DEFAULT_AGENT)


def client_id(item: Json) -> str | None:
    """The name that a client gave to a memory of its batch, where it can be said again."""
    value = item.get("client_id") if isinstance(item, dict) else None
    return value if isinstance(value, str) and encodable(value) else None


class ChangeBody(Body):
    """PUT or PATCH /v1/memories/{id}."""

    content: Content | None = None
    metadata: Metadata | None = None

    def change(self) -> Change:
        """The change that is asked for."""
        return Change(content=self.content, metadata=self.metadata)


class ImportanceBody(Body):
    """PUT /v1/memories/{id}/importance."""

    importance: Share
    tier: TierName | None = None

    def change(self) -> Change:
        """The change that is asked for."""
        return Change(importance=self.importance, tier=None if self.tier is None else Tier(self.tier))


class MaintenanceBody(Body):
    """POST /v1/memories/maintenance."""

    action: Literal["demote_cold"]


def list_filter(query: Mapping[str, str], agent: str | None) -> Filter:
    """Which memories a list asks for; ``agent`` is the id that ``agent_id`` stands for."""
    tier, kind = query.get("tier"), query.get("memory_type")
    return Filter(
        store=DEFAULT_STORE,
        agent=agent,
        user=query.get("user_id") or None,
        session=query.get("session_id") or None,
        project=query.get("project") or None,
        tiers=() if not tier else (Tier(one_of("tier", tier, tuple(Tier))),),
        kinds=() if not kind else (kind,),
        confidential=True,
        archived=True,
    )
