"""Cognipeer's requests that search and recall."""

from dataclasses import dataclass, field

from commonplace.core.shelve import Part
from commonplace.dialects.cognipeer.config import default_floor, default_limit
from commonplace.dialects.cognipeer.fields import MOST_QUERY, Fields
from commonplace.model.store import Store
from commonplace.model.values import Json

SEARCHED = 10
"""Hits of a search that says nothing of it, in a store that says nothing of it."""

RECALLED = 5
"""Memories of a recall that does not say how many it wants."""

RECALL_TOKENS = 2000
"""Tokens of a recall that does not say how many it has room for."""

RECALL_FLOOR = 0.3
"""The relevance that a memory must have to be recalled."""

MOST_FOUND = 10_000
"""Hits of any search; no index gives more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOrder:
    """A search as a caller asks for it, before it is known what its store adds. A level or a name that does not exist is
    that of no memory."""

    query: str
    part: Part = field(default_factory=Part)
    top_k: int | None = None
    min_score: int | float | None = None

    def limit(self, store: Store) -> int:
        """The most hits, at least one."""
        limit = default_limit(store) if self.top_k is None else self.top_k
        return SEARCHED if limit is None else _limit(limit)

    def floor(self, store: Store) -> float:
        """The relevance that a hit must have, or a number that is as good: all are between -1 and 2."""
        floor = default_floor(store) if self.min_score is None else self.min_score
        return 0.0 if floor is None else float(min(max(floor, -1), 2))  # not every whole number is a float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallOrder:
    """A recall as a caller asks for it."""

    query: str
    part: Part = field(default_factory=Part)
    limit: int = RECALLED
    max_tokens: int = RECALL_TOKENS
    floor: float = RECALL_FLOOR


def search_order(body: Json) -> SearchOrder:
    """POST /stores/{key}/search."""
    fields = Fields(body)
    query = fields.required("query", MOST_QUERY)
    top_k, min_score = fields.whole("topK", "top_k"), fields.number("minScore", "min_score")
    scope, scope_id = fields.text("scope"), fields.text("scopeId", "scope_id")
    part = Part(level=scope, name=scope_id, tags=fields.texts("tags") or ())
    return SearchOrder(query=query, part=part, top_k=top_k, min_score=min_score)


def recall_order(body: Json) -> RecallOrder:
    """POST /stores/{key}/recall. Tags and a least score are not looked at."""
    fields = Fields(body)
    query = fields.required("query", MOST_QUERY)
    top_k, tokens = fields.whole("topK", "top_k"), fields.whole("maxTokens", "max_tokens")
    return RecallOrder(
        query=query,
        part=Part(level=fields.text("scope"), name=fields.text("scopeId", "scope_id")),
        limit=RECALLED if top_k is None else _limit(top_k),
        max_tokens=RECALL_TOKENS if tokens is None else tokens,
    )


def _limit(top_k: int) -> int:
    return min(max(top_k, 1), MOST_FOUND)
