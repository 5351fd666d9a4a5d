"""Cognipeer's requests that write, change, list and delete memories, and the core values that they ask for."""

from dataclasses import dataclass, field

from commonplace.core.shelve import Part
from commonplace.dialects.cognipeer.config import default_scope
from commonplace.dialects.cognipeer.fields import MOST_CONTENT, Fields, blank, refused
from commonplace.dialects.cognipeer.query import Parameters, Query
from commonplace.model.errors import Invalid
from commonplace.model.filter import Period
from commonplace.model.memory import Change, Draft, Standing
from commonplace.model.scope import LEVELS, Scope
from commonplace.model.store import Store
from commonplace.model.values import Json, Metadata

ORIGIN = "cognipeer"

SOURCES = ("chat", "api", "agent", "manual")
DEFAULT_SOURCE = "api"
DEFAULT_IMPORTANCE = 0.5

MOST_BATCH = 100

LISTED = 50
"""Items of a list that does not say how many it wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOrder:
    """A memory as a caller asks for it, before it is known what its store adds."""

    content: str
    scope: str | None = None
    scope_id: str | None = None
    tags: tuple[str, ...] = ()
    source: str = DEFAULT_SOURCE
    importance: float = DEFAULT_IMPORTANCE
    metadata: Metadata = field(default_factory=dict)

    def draft(self, store: Store) -> Draft:
        """The memory that is asked for; where the caller left its scope open, it is the one that the store says."""
        level = self.scope or default_scope(store)
        return Draft(
            content=self.content,
            agent=self._id(level, "agent"),
            origin=ORIGIN,
            scope=Scope(store=store.id, user=self._id(level, "user"), session=self._id(level, "session")),
            importance=self.importance,
            tags=self.tags,
            metadata=self.metadata,
            level=level,
            label=self._id(level, "global"),
            source=self.source,
            unique=store.unique,
        )

    def _id(self, level: str, wanted: str) -> str | None:
        return self.scope_id if level == wanted else None


def memory_order(body: Json) -> MemoryOrder:
    """POST /stores/{key}/memories."""
    return _order(Fields(body))


def memory_orders(body: Json) -> list[MemoryOrder]:
    """POST /stores/{key}/memories/batch. What is wrong with the whole comes first, then what is wrong with each."""
    memories = Fields(body).array("memories")
    if not memories:
        raise refused("memories", "array is required")
    if len(memories) > MOST_BATCH:
        raise Invalid(f"Maximum batch size is {MOST_BATCH}")
    if not all(_has_content(item) for item in memories):
        raise Invalid("Each memory must have a content field")
    return [_order(Fields(item, f"memories.{number}.")) for number, item in enumerate(memories)]


def _has_content(item: Json) -> bool:
    content = item.get("content") if isinstance(item, dict) else None
    return isinstance(content, str) and not blank(content)


def _order(fields: Fields) -> MemoryOrder:
    content = fields.required("content", MOST_CONTENT)
    importance = fields.share("importance")
    return MemoryOrder(
        content=content,
        scope=fields.choice("scope", LEVELS),
        scope_id=fields.text("scopeId") or None,
        tags=fields.texts("tags") or (),
        source=fields.choice("source", SOURCES) or DEFAULT_SOURCE,
        importance=DEFAULT_IMPORTANCE if importance is None else importance,
        metadata=fields.object("metadata") or {},
    )


CHANGEABLE = ("content", "importance", "metadata", "tags", "status")


def memory_change(body: Json) -> Change:
    """PATCH /stores/{key}/memories/{id}."""
    fields = Fields(body)
    if not any(fields.has(name) for name in CHANGEABLE):
        raise Invalid("No valid fields to update")
    content = fields.told("content", MOST_CONTENT)
    importance = fields.share("importance")
    merged, tags = fields.object("metadata"), fields.texts("tags")
    status = fields.choice("status", tuple(Standing))
    standing = None if status is None else Standing(status)
    return Change(content=content, importance=importance, merged=merged, tags=tags, standing=standing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which memories of a store a list asks for; a ``part`` that is None means none."""

    part: Part | None
    limit: int
    skip: int


def listing(query: Query) -> Listing:
    """The query string of GET /stores/{key}/memories. A status that does not exist is that of no memory."""
    parameters = Parameters(query)
    level, name, tags = parameters.text("scope"), parameters.text("scopeId"), parameters.tags()
    status, text = parameters.text("status"), parameters.text("search")
    part = None
    if status in (None, *Standing):
        standing = None if status is None else Standing(status)
        part = Part(level=level, name=name, tags=tags, standing=standing, text=text)
    return Listing(part=part, limit=parameters.count("limit", LISTED), skip=parameters.count("skip", 0))


def clearance(query: Query) -> Part:
    """The query string of DELETE /stores/{key}/memories: which memories are to go, all of them if nothing is said.

    Raises ``Invalid`` for a filter that is there and is empty: it would delete everything.
    """
    parameters = Parameters(query)
    for name in ("scope", "scopeId", "before"):
        if parameters.has(name) and parameters.text(name) is None:
            raise refused(name, "must not be empty")
    tags = parameters.tags()
    if parameters.has("tags") and not tags:
        raise refused("tags", "must not be empty")
    created = Period(end=parameters.moment("before"))
    return Part(level=parameters.text("scope"), name=parameters.text("scopeId"), tags=tags, created=created)
