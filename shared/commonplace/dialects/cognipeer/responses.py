"""Cognipeer's objects, made of core values. What is not set has no key."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from commonplace.core.shelve import Added, Shelved
from commonplace.dialects.cognipeer.config import shown
from commonplace.dialects.cognipeer.context import context
from commonplace.dialects.cognipeer.memory_requests import DEFAULT_SOURCE
from commonplace.model.hit import Hit, Results
from commonplace.model.memory import Memory
from commonplace.model.store import Store, StoreFigures

Object = dict[str, Any]

PROJECT = "default"
"""The project of everything: a tenant has one."""


def iso(moment: datetime | None) -> str | None:
    """A time as ISO 8601 in UTC with milliseconds, of which the rest is cut off."""
    return (
        None if moment is None else f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    )


def _set(object: Object) -> Object:
    return {name: value for name, value in object.items() if value is not None}


def store(store: Store, figures: StoreFigures) -> Object:
    """The store object."""
    return _set(
        {
            "_id": store.id,
            "id": store.id,
            "tenantId": store.tenant,
            "projectId": PROJECT,
            "key": store.key,
            "name": store.name,
            "description": store.description,
            "vectorProviderKey": store.vector_provider,
            "vectorIndexKey": f"memory-{store.key}",
            "embeddingModelKey": store.embedding_model,
            "config": shown(store),
            "status": store.status.value,
            "memoryCount": figures.memories,
            "lastActivityAt": iso(figures.last_activity_at),
            "createdBy": store.created_by,
            "updatedBy": store.updated_by,
            "createdAt": iso(store.created_at),
            "updatedAt": iso(store.updated_at),
        }
    )


def one_store(shown: Store, figures: StoreFigures) -> Object:
    """A store, as it is made, read and changed."""
    return {"store": store(shown, figures)}


def stores(shown: Iterable[tuple[Store, StoreFigures]]) -> Object:
    """A list of stores."""
    return {"stores": [store(each, figures) for each, figures in shown]}


def item(shelved: Shelved, now: datetime) -> Object:
    """The item object, bare, as it is read and changed."""
    memory = shelved.memory
    return _set(
        {
            "_id": memory.id,
            "id": memory.id,
            "tenantId": memory.tenant,
            "projectId": PROJECT,
            "storeKey": shelved.store.key,
            "content": memory.content,
            "contentHash": memory.content_hash,
            **_told(memory),
            "accessCount": shelved.accesses.count,
            "lastAccessedAt": iso(shelved.accesses.last_at),
            "embeddingVersion": shelved.store.embedding_model,
            "vectorId": vector_id(memory.id),
            "status": memory.standing(now).value,
            "expiresAt": iso(memory.expires_at),
            "createdAt": iso(memory.created_at),
            "updatedAt": iso(memory.updated_at),
        }
    )


def _told(memory: Memory) -> Object:
    """What the writer said of a memory."""
    return {
        "scope": memory.level,
        "scopeId": memory.label,
        "metadata": memory.metadata,
        "tags": list(memory.tags),
        "source": memory.source or DEFAULT_SOURCE,
        "importance": memory.importance,
    }


def vector_id(memory: str) -> str:
    """The id of a memory's vector: ``mem-`` and a version 4 UUID that is always the same for the memory."""
    return f"mem-{UUID(bytes=hashlib.sha256(memory.encode()).digest()[:16], version=4)}"


def added(shelved: Shelved, now: datetime) -> Object:
    """An item that was added, or that was there already."""
    return {"memory": item(shelved, now)}


def items(page: Sequence[Shelved], total: int, now: datetime) -> Object:
    """A list of items, and how many there are in all."""
    return {"items": [item(shelved, now) for shelved in page], "total": total}


def batch(added: Added) -> Object:
    """What became of a batch. ``failed`` stands only where something failed."""
    body: Object = {"added": added.added, "duplicates": added.duplicates}
    return {**body, "failed": added.failed} if added.failed else body


def deleted(count: int) -> Object:
    """How many items are gone."""
    return {"deleted": count}


def done() -> Object:
    """What was asked for was done."""
    return {"success": True}


def match(hit: Hit) -> Object:
    """What a search found."""
    return _set(
        {
            "id": hit.memory.id,
            "content": hit.memory.content,
            "score": min(1.0, max(0.0, hit.relevance)),  # not rounded: it may come back as the least score
            **_told(hit.memory),
            "createdAt": iso(hit.memory.created_at),
        }
    )


def found(query: str, store: Store, results: Results) -> Object:
    """The answer to a search."""
    matches = [match(hit) for hit in results.hits]
    return {"memories": matches, "query": query, "storeKey": store.key, **_degraded(results)}


def recalled(store: Store, results: Results, max_tokens: int) -> Object:
    """The answer to a recall: all matches, and a context of as many as fit."""
    return {
        "context": context((hit.memory.content for hit in results.hits), max_tokens),
        "memories": [match(hit) for hit in results.hits],
        "storeKey": store.key,
        **_degraded(results),
    }


def _degraded(results: Results) -> Object:
    """Which arms of the search could not be asked; the API itself has no word for it."""
    return {"degraded": list(results.degraded)} if results.degraded else {}
