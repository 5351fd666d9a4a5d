"""MemoryRelay's requests about agents, webhooks and API keys."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from commonplace.core.admit import KeyOrder
from commonplace.core.enlist import AgentChange, AgentOrder
from commonplace.core.subscribe import WebhookChange, WebhookOrder
from commonplace.dialects.relay.fields import (
    Body,
    Metadata,
    Name,
    Reference,
    Text,
    Url,
)
from commonplace.model.apikey import Permission, Principal
from commonplace.model.webhook import EventType


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
