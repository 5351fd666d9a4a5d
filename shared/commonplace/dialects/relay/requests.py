"""MemoryRelay's request bodies and query strings, and the core values that they ask for."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from commonplace.core.admit import KeyOrder
from commonplace.core.converse import SessionOrder
from commonplace.core.enlist import AgentChange, AgentOrder
from commonplace.core.search import Mode, Wanted
from commonplace.core.subscribe import WebhookChange, WebhookOrder
from commonplace.dialects.relay.fields import (
    Body,
    Content,
    Metadata,
    Name,
    Query,
    Reference,
    Share,
    Text,
    Url,
    decoded,
    encodable,
)
from commonplace.model.apikey import Permission, Principal
from commonplace.model.errors import Invalid
from commonplace.model.filter import Among, Between, Condition, Filter, Scalar
from commonplace.model.memory import Change, Draft, Notify, Tier
from commonplace.model.scope import DEFAULT_STORE, Scope
from commonplace.model.values import Json
from commonplace.model.webhook import EventType
from commonplace.rows.sessions import SessionFilter

ORIGIN = "relay"
DEFAULT_AGENT = "default"
"""The agent of a batch's memories that name none."""

MOST_BATCH = 100
MOST_LISTED = 1000
MOST_OFFSET = 10**9

TierName = Literal["hot", "warm", "cold"]
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


class SearchBody(Body):
    """POST /v1/memories/search."""

    query: Query
    agent_id: Reference | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    min_score: Share = 0.0
    threshold: Share = 0.0
    metadata_filter: dict[str, Any] = Field(default_factory=dict)
    include_confidential: bool = False
    include_archived: bool = False
    tier: TierName | None = None
    min_importance: Share | None = None
    search_mode: Literal["hybrid", "semantic", "keyword"] = "hybrid"
    project: Text | None = None
    user_id: Text | None = None
    session_id: Reference | None = None

    @field_validator("metadata_filter")
    @classmethod
    def _scalars(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _only_scalars(value)

    def wanted(self, agent: str | None) -> Wanted:
        """The search that is asked for; ``agent`` is the id that ``agent_id`` stands for."""
        filter = Filter(
            store=DEFAULT_STORE,
            agent=agent,
            user=self.user_id,
            session=self.session_id,
            project=self.project,
            tiers=() if self.tier is None else (Tier(self.tier),),
            importance=Between(low=self.min_importance),
            metadata=tuple((key, _equal(value)) for key, value in self.metadata_filter.items()),
            confidential=self.include_confidential,
            archived=self.include_archived,
        )
        floor = max(self.min_score, self.threshold)
        return Wanted(query=self.query, filter=filter, limit=self.limit, floor=floor, mode=Mode(self.search_mode))


def _only_scalars(value: dict[str, Any]) -> dict[str, Any]:
    for key, wanted in value.items():
        if not encodable(key) or (isinstance(wanted, str) and not encodable(wanted)):
            raise PydanticCustomError("filter_text", "The metadata filter must be valid Unicode")
        if isinstance(wanted, dict | list):
            raise PydanticCustomError("filter_value", f"'{key}' must be a string, a number, a boolean or null")
    return value


def _equal(value: Scalar) -> Condition:
    return Among((value,))


SEARCH_ALIASES = {"q": "query", "threshold": "threshold", "session_id": "session_id"}
"""What old clients repeat in the query string of a search, and the fields of the body that it stands for."""


def search_body(body: Json, query: Mapping[str, str]) -> SearchBody:
    """The search of a body and a query string; the body wins."""
    repeated: dict[str, Json] = {}
    for name, field in SEARCH_ALIASES.items():
        if name in query:
            repeated[field] = number_of(name, query[name]) if field == "threshold" else query[name]
    if "limit" in query:
        repeated["limit"] = whole_of("limit", query["limit"])
    return decoded(SearchBody, {**repeated, **_present(body)} if isinstance(body, dict) else body)


def _present(body: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in body.items() if value is not None}


class ContextBody(Body):
    """POST /v2/context/build and its aliases. A caller's own language model is never called."""

    query: Query
    agent_id: Reference | None = None
    limit: Annotated[int, Field(ge=1, le=50)] | None = None
    max_memories: Annotated[int, Field(ge=1, le=100)] | None = None
    threshold: Share = 0.5
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    exclude_memory_ids: Annotated[list[str], Field(max_length=1000)] = Field(default_factory=list)
    project: Text | None = None
    search_mode: Literal["hybrid", "semantic", "keyword"] = "hybrid"

    def wanted(self, agent: str | None) -> Wanted:
        """The search behind the context."""
        filter = Filter(store=DEFAULT_STORE, agent=agent, project=self.project, excluded=tuple(self.exclude_memory_ids))
        limit = self.limit or self.max_memories or 10
        return Wanted(query=self.query, filter=filter, limit=limit, floor=self.threshold, mode=Mode(self.search_mode))


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


class AgentBody(Body):
    """POST /v1/agents. A client that names its own id need not name the agent."""

    name: Name
    id: Reference | None = None
    description: Annotated[str, StringConstraints(max_length=1000)] | None = None
    metadata: Metadata = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, body: Any) -> Any:
        if isinstance(body, dict) and body.get("name") is None and isinstance(body.get("id"), str):
            return {**body, "name": body["id"]}
        return body

    def order(self) -> AgentOrder:
        """The agent that is asked for."""
        return AgentOrder(name=self.name, id=self.id, description=self.description, metadata=self.metadata)


class AgentChangeBody(Body):
    """PUT /v1/agents/{id}."""

    name: Name | None = None
    description: Annotated[str, StringConstraints(max_length=1000)] | None = None
    metadata: Metadata | None = None

    def change(self) -> AgentChange:
        """The change that is asked for."""
        return AgentChange(name=self.name, description=self.description, metadata=self.metadata)


class WebhookBody(Body):
    """POST /v1/webhooks. Without a secret of its own the endpoint is signed for with the caller's."""

    url: Url
    event_types: list[Literal["memory.created", "memory.updated", "memory.deleted", "embedding.completed"]] = Field(
        default_factory=list
    )
    secret: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    description: Text | None = None

    def order(self, caller: Principal) -> WebhookOrder:
        """The endpoint that is asked for."""
        return WebhookOrder(
            url=self.url,
            secret=caller.secret if self.secret is None else self.secret,
            event_types=tuple(dict.fromkeys(EventType(name) for name in self.event_types)),
            description=self.description,
        )


class WebhookChangeBody(Body):
    """PUT or PATCH /v1/webhooks/{id}."""

    url: Url | None = None
    event_types: list[Literal["memory.created", "memory.updated", "memory.deleted", "embedding.completed"]] | None = (
        None
    )
    secret: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    description: Text | None = None
    enabled: bool | None = None

    def change(self) -> WebhookChange:
        """The change that is asked for."""
        types = None if self.event_types is None else tuple(EventType(name) for name in self.event_types)
        return WebhookChange(
            url=self.url,
            secret=self.secret,
            event_types=types,
            description=self.description,
            enabled=self.enabled,
        )


class KeyBody(Body):
    """POST /v1/keys."""

    name: Text | None = None
    scopes: Annotated[list[Literal["read", "write", "delete", "admin"]], Field(min_length=1)] | None = None
    expires_days: Annotated[int, Field(ge=1, le=365)] | None = None
    daily_spend_limit_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    monthly_spend_limit_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    def order(self, caller: Principal, environment: str, now: datetime) -> KeyOrder:
        """The key that is asked for, of the caller's tenant."""
        return KeyOrder(
            tenant=caller.tenant,
            environment=environment,
            permissions=tuple(dict.fromkeys(Permission(name) for name in self.scopes or ("read", "write"))),
            name=self.name,
            expires_at=None if self.expires_days is None else now + timedelta(days=self.expires_days),
            daily_limit_usd=self.daily_spend_limit_usd,
            monthly_limit_usd=self.monthly_spend_limit_usd,
        )


class Paging:
    """``limit``, ``offset`` and ``cursor`` of a list."""

    def __init__(self, query: Mapping[str, str], *, most: int = 100, clamp: bool = False) -> None:
        limit = whole_of("limit", query["limit"]) if query.get("limit") else 20
        if not 1 <= limit <= most:
            if not clamp:
                raise Invalid.field("limit", f"Must be between 1 and {most}")
            limit = min(max(limit, 1), most)
        offset = whole_of("offset", query["offset"]) if query.get("offset") else 0
        if not 0 <= offset <= MOST_OFFSET:
            raise Invalid.field("offset", f"Must be between 0 and {MOST_OFFSET}")
        self.limit = limit
        self.offset = offset
        self.cursor = query.get("cursor") or None


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


def session_filter(query: Mapping[str, str]) -> SessionFilter:
    """Which sessions a list asks for."""
    status = query.get("status")
    return SessionFilter(
        agent=query.get("agent_id") or None,
        project=query.get("project") or None,
        active=None if not status else one_of("status", status, ("active", "ended")) == "active",
    )


def one_of(field: str, value: str, choices: tuple[str, ...]) -> str:
    """The value, if it is one of the choices. Raises ``Invalid``."""
    if value not in choices:
        raise Invalid.field(field, f"Must be one of {', '.join(choices)}")
    return value


def flag_of(field: str, query: Mapping[str, str]) -> bool:
    """A truth value of a query string; absent is false. Raises ``Invalid``."""
    value = query.get(field, "").lower()
    if value in ("true", "1", "yes", "on"):
        return True
    if value in ("", "false", "0", "no", "off"):
        return False
    raise Invalid.field(field, "Must be true or false")


def whole_of(field: str, value: str) -> int:
    """A whole number of a query string. Raises ``Invalid``."""
    try:
        return int(value[:20])
    except ValueError as error:
        raise Invalid.field(field, "Must be a whole number") from error


def number_of(field: str, value: str) -> float:
    """A number of a query string. Raises ``Invalid``."""
    try:
        return float(value)
    except ValueError as error:
        raise Invalid.field(field, "Must be a number") from error
