"""MemoryRelay's requests that search, and that build a context of what was found."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from commonplace.core.search import Mode, Wanted
from commonplace.dialects.relay.fields import (
    Body,
    Query,
    Reference,
    Share,
    Text,
    TierName,
    decoded,
    encodable,
)
from commonplace.dialects.relay.query import number_of, whole_of
from commonplace.model.filter import Among, Between, Condition, Filter, Scalar
from commonplace.model.memory import Tier
from commonplace.model.scope import DEFAULT_STORE
from commonplace.model.values import Json


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
