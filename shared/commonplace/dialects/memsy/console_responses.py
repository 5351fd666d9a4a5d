"""The answers about what is there: memories, events and actors."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from commonplace.dialects.memsy.moments import iso, maybe_iso
from commonplace.dialects.memsy.responses import entities, payload
from commonplace.dialects.memsy.status import STATUS
from commonplace.dialects.memsy.understanding import insight
from commonplace.model.event import Event
from commonplace.model.memory import Accesses, Memory
from commonplace.model.scope import Scope

Object = dict[str, Any]


def page(items: Sequence[Object], total: int, limit: int, offset: int) -> Object:
    """A part of a list of ``total`` items: those from ``offset``, at most ``limit``."""
    return {"items": list(items), "total": total, "limit": limit, "offset": offset}


def level(scope: Scope) -> str:
    """What a memory is about, in this API's words."""
    parts = (("actor", scope.user), ("role", scope.role), ("team", scope.team))
    return next((name for name, part in parts if part is not None), "org")


def memory_item(
    memory: Memory,
    *,
    organization: str,
    sources: Sequence[str],
    accesses: Accesses,
    strength: float,
    half_life_days: float,
    now: datetime,
) -> Object:
    """A memory as it is looked at. ``organization`` is the caller's, ``sources`` are the ids of the events that the memory
    was made of."""
    understood, scope = insight(memory), memory.scope
    return {
        "memory_id": memory.id,
        "org_id": organization,
        "scope": {"level": level(scope), "actor_id": scope.user, "team_id": scope.team, "role_id": scope.role},
        "type": memory.kind,
        "kind": understood.nature.value,
        "memory_kind": understood.nature.value,
        "status": STATUS[memory.standing(now)].value,
        "text": memory.content,
        "confidence": understood.confidence,
        "strength": strength,
        "recall_count": accesses.count,
        "decay_half_life_days": half_life_days,
        "pinned": False,
        "tags": list(memory.tags),
        "entity_refs": entities(understood.entities),
        "source_event_ids": list(sources),
        "source_urls": [],
        "summary": understood.summary,
        "payload": payload(memory),
        "last_recalled_at": maybe_iso(accesses.last_at),
        "effective_from": None,
        "effective_to": maybe_iso(memory.expires_at),
        "observed_at": iso(memory.occurred_at),
        "created_at": iso(memory.created_at),
        "updated_at": iso(memory.updated_at),
    }


def stats(
    *,
    total: int,
    active: int,
    by_type: Mapping[str, int],
    by_kind: Mapping[str, int],
    by_status: Mapping[str, int],
    confidence: float,
    strength: float,
    entities: Iterable[tuple[str, int]],
    confidences: Sequence[int],
    earliest: datetime | None,
    latest: datetime | None,
) -> Object:
    """Figures of all memories. ``confidence`` and ``strength`` are averages, 0.0 of none; ``entities`` come with how many
    memories speak of them; ``confidences`` are the memories in each of so many equal parts of [0,1]."""
    edges = [number / len(confidences) for number in range(len(confidences))] + [1.0]
    buckets = zip(edges, edges[1:], confidences, strict=False)
    return {
        "total": total,
        "total_memories": total,
        "active_memories": active,
        "by_type": dict(by_type),
        "by_kind": dict(by_kind),
        "by_status": dict(by_status),
        "avg_confidence": confidence,
        "avg_strength": strength,
        "top_entities": [{"name": name, "count": count} for name, count in entities],
        "confidence_buckets": [{"bucket": f"{low:.1f}-{high:.1f}", "count": count} for low, high, count in buckets],
        "date_range": {"earliest": maybe_iso(earliest), "latest": maybe_iso(latest)},
    }


def actor(
    id: str,
    *,
    first_memory_at: datetime,
    last_memory_at: datetime,
    memories: int,
    active: int,
    levels: Iterable[str],
    roles: Iterable[str],
    teams: Iterable[str],
) -> Object:
    """An actor that has memories. ``levels`` are as ``level`` tells them; they, roles and teams come in alphabetical
    order."""
    return {
        "actor_id": id,
        "first_memory_at": iso(first_memory_at),
        "last_memory_at": iso(last_memory_at),
        "memory_count": memories,
        "active_memory_count": active,
        "scope_levels": sorted(set(levels)),
        "role_ids": sorted(set(roles)),
        "team_ids": sorted(set(teams)),
    }


def actors(items: Sequence[Object], total: int, limit: int, offset: int, *, truncated: bool) -> Object:
    """A part of a list of actors; ``truncated`` if not all memories were counted."""
    return {**page(items, total, limit, offset), "truncated": truncated}


def event(event: Event) -> Object:
    """An event as it is looked at."""
    return {
        "event_id": event.id,
        "org_id": event.organization,
        "actor_id": event.actor,
        "session_id": event.session,
        "kind": event.kind.value,
        "content": event.content,
        "ts": iso(event.at),
        "metadata": None if event.metadata is None else dict(event.details),
        "ingested_at": iso(event.ingested_at),
    }
