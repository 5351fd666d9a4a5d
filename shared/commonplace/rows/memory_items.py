"""How a memory, and what is left of a deleted one, stands in an item."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from commonplace.model.insight import Insight, Nature
from commonplace.model.memory import Memory, Notify, State, Tier, Tombstone
from commonplace.model.scope import SCOPE_PARTS, Scope
from commonplace.ports.table import (
    INDEXES,
    TTL_ATTRIBUTE,
    Item,
    Value,
)
from commonplace.rows import keys
from commonplace.rows.codec import Reader, present, text

TOMBSTONE_LIFE = timedelta(days=30)
"""How long a tombstone stays: longer than any message can be late (SQS keeps one for at most 14 days)."""


WHOLE_STORE = "listing"
LISTS: Mapping[str, tuple[str, ...]] = {
    "by_session": ("session",),
    "by_user": ("user",),
    "by_agent": ("agent",),
    "by_namespace": ("organization", "project"),
    "by_project": ("project",),
    "by_organization": ("organization",),
    WHOLE_STORE: (),
}
"""The indexes that list the memories of a store, each with the parts of the scope that tell its lists apart, the narrowest
first."""


def list_key(tenant: str, scope: Mapping[str, str | None], index: str) -> str | None:
    """The partition of an index in which a scope is listed, or the memories of a filter stand; None if it lacks a part."""
    parts = LISTS[index]
    if any(scope.get(part) is None for part in parts):
        return None
    named = [word for part in parts for word in (part, scope[part])]
    return keys.members("memories", tenant, scope["store"], *named)


def encoded(memory: Memory) -> dict[str, Value]:
    """A memory as the attributes of its item, with its places in the lists and in the sweeper's indexes."""
    scope = {part: getattr(memory.scope, part) for part in SCOPE_PARTS}
    listing = {INDEXES[index][0]: list_key(memory.tenant, scope, index) for index in LISTS}
    return present(
        {
            "noun": "memory",
            "id": memory.id,
            "tenant": memory.tenant,
            **{f"scope_{part}": value for part, value in scope.items()},
            "origin": memory.origin,
            "content": memory.content,
            "content_hash": memory.content_hash,
            "kind": memory.kind,
            "importance": memory.importance,
            "tier": memory.tier.value,
            "created_at": memory.created_at,
            "updated_at": memory.updated_at,
            "occurred_at": memory.occurred_at,
            "tags": text(memory.tags),
            "metadata": text(memory.metadata),
            "confidential": memory.confidential,
            "state": memory.state.value,
            "failure": memory.failure,
            "revision": memory.revision,
            "content_revision": memory.content_revision,
            "model": memory.model,
            "passages": memory.passages,
            "ready_at": memory.ready_at,
            "marked_at": memory.marked_at,
            "expires_at": memory.expires_at,
            "archived_at": memory.archived_at,
            **told(memory.notify),
            "claim": memory.claim,
            "level": memory.level,
            "label": memory.label,
            "agent_name": memory.agent_name,
            "source": memory.source,
            "lapsed": memory.lapsed or None,
            "brought": memory.brought,
            "insight": None if memory.insight is None else text(asdict(memory.insight)),
            "listing_at": keys.timed(memory.created_at, memory.id),
            **listing,
            **marked(memory.marked_at, memory.id),
            "expiring_key": None if memory.expires_at is None else keys.expiring(memory.id),
            "expiring_at": None if memory.expires_at is None else keys.timed(memory.expires_at, memory.id),
        }
    )


def buried(tombstone: Tombstone) -> dict[str, Value]:
    """A tombstone as the attributes of its item, which the table drops after ``TOMBSTONE_LIFE``."""
    return present(
        {
            "noun": "tombstone",
            "id": tombstone.id,
            "tenant": tombstone.tenant,
            "revision": tombstone.revision,
            "passages": tombstone.passages,
            "spaces": text(tombstone.spaces),
            "deleted_at": tombstone.deleted_at,
            "marked_at": tombstone.marked_at,
            **marked(tombstone.marked_at, tombstone.id),
            TTL_ATTRIBUTE: int((tombstone.deleted_at + TOMBSTONE_LIFE).timestamp()),
        }
    )


def living(item: Item | None) -> Memory | None:
    """The memory of an item; None for a tombstone or for no item."""
    found = None if item is None else decoded(item)
    return found if isinstance(found, Memory) else None


def decoded(item: Item) -> Memory | Tombstone:
    """What ``encoded`` or ``buried`` wrote."""
    row = Reader(item.attributes)
    if row.string("noun") == "tombstone":
        return Tombstone(
            id=row.string("id"),
            tenant=row.string("tenant"),
            revision=row.whole("revision"),
            passages=row.whole("passages"),
            spaces=tuple(row.json("spaces")),
            deleted_at=row.moment("deleted_at"),
            marked_at=row.maybe_moment("marked_at"),
        )
    return Memory(
        id=row.string("id"),
        tenant=row.string("tenant"),
        scope=Scope(store=row.string("scope_store"), **{p: row.maybe(f"scope_{p}") for p in SCOPE_PARTS[1:]}),
        origin=row.string("origin"),
        content=row.string("content"),
        content_hash=row.string("content_hash"),
        kind=row.string("kind"),
        importance=row.number("importance") or 0.0,
        tier=Tier(row.string("tier")),
        created_at=row.moment("created_at"),
        updated_at=row.moment("updated_at"),
        occurred_at=row.moment("occurred_at"),
        tags=tuple(row.json("tags")),
        metadata=row.json("metadata"),
        confidential=row.flag("confidential"),
        state=State(row.string("state")),
        failure=row.maybe("failure"),
        revision=row.whole("revision"),
        content_revision=row.whole("content_revision"),
        model=row.maybe("model"),
        passages=row.whole("passages"),
        ready_at=row.maybe_moment("ready_at"),
        marked_at=row.maybe_moment("marked_at"),
        expires_at=row.maybe_moment("expires_at"),
        archived_at=row.maybe_moment("archived_at"),
        notify=_notify(row),
        claim=row.maybe("claim"),
        level=row.maybe("level") or "",
        label=row.maybe("label"),
        agent_name=row.maybe("agent_name"),
        source=row.maybe("source"),
        lapsed=row.flag("lapsed"),
        brought=row.maybe_whole("brought"),
        insight=_insight(row),
    )


def marked(moment: datetime | None, id: str) -> dict[str, str | None]:
    """The place in the ``work`` index of what the index has not caught up with since ``moment``."""
    if moment is None:
        return {"work_key": None, "work_at": None}
    return {"work_key": keys.pending(id), "work_at": keys.timed(moment, id)}


def told(notify: Notify | None) -> dict[str, str | None]:
    """Whom a request asked to be told, as attributes."""
    if notify is None:
        return {"notify_url": None, "notify_secret": None}
    return {"notify_url": notify.url, "notify_secret": notify.secret}


def _notify(row: Reader) -> Notify | None:
    url = row.maybe("notify_url")
    return None if url is None else Notify(url, row.string("notify_secret"))


def _insight(row: Reader) -> Insight | None:
    if row.maybe("insight") is None:
        return None
    known = row.json("insight")
    return Insight(**{**known, "nature": Nature(known["nature"]), "entities": tuple(known["entities"])})
