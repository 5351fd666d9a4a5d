"""MemoryRelay's objects, made of core values."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from commonplace.core.remember import Remembered
from commonplace.model.agent import Agent, AgentFigures
from commonplace.model.apikey import ApiKey
from commonplace.model.hit import Hit, Results
from commonplace.model.memory import Memory
from commonplace.model.page import Page
from commonplace.model.session import Session
from commonplace.model.space import Space
from commonplace.model.values import CHARACTERS_PER_TOKEN
from commonplace.model.webhook import Webhook

if TYPE_CHECKING:  # a function that answers with neither need not load how they are made
    from commonplace.core.converse import Opened
    from commonplace.core.recall import Context

Object = dict[str, Any]

ESTIMATE_SECONDS = 3
"""What is promised of a queued embedding: an upper guess, since it is usually done within one."""

PREVIEW = 100


def iso(moment: datetime | None) -> str | None:
    """A time as ISO 8601 in UTC with whole seconds."""
    return None if moment is None else f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def epoch(moment: datetime | None) -> int | None:
    """A time as whole epoch seconds."""
    return None if moment is None else int(moment.timestamp())


def memory(memory: Memory, *, duplicate: bool = False, vector: Sequence[float] | None = None) -> Object:
    """The memory object, whole."""
    return {
        "id": memory.id,
        "object": "memory",
        "content": memory.content,
        "agent_id": memory.scope.agent or "",
        "user_id": memory.scope.user,
        "metadata": memory.metadata,
        "entities": [],
        "memory_type": memory.kind,
        "extraction_model": None,
        "extraction_method": None,
        "extraction_status": memory.state.value,
        "visibility": "confidential" if memory.confidential else "private",
        "salience_score": None,
        "importance": memory.importance,
        "tier": memory.tier.value,
        "is_duplicate": duplicate,
        "session_id": memory.scope.session,
        "project_id": memory.scope.project,
        "embedding": None if vector is None else list(vector),
        "archived_at": epoch(memory.archived_at),
        "created_at": epoch(memory.created_at),
        "updated_at": epoch(memory.updated_at),
    }


def accepted(remembered: Remembered) -> Object:
    """The answer to a write whose embedding comes later."""
    memory = remembered.memory
    waiting = remembered.job is not None
    return {
        "id": memory.id,
        "status": memory.state.value,
        "job_id": remembered.job,
        "estimated_completion_seconds": ESTIMATE_SECONDS if waiting else 0 if memory.ready else None,
    }


def status(memory: Memory) -> Object:
    """How far a memory is."""
    changed = memory.updated_at if memory.ready_at is None else max(memory.updated_at, memory.ready_at)
    return {
        "id": memory.id,
        "status": memory.state.value,
        "created_at": epoch(memory.created_at),
        "updated_at": epoch(changed),
        "error": memory.failure,
    }


def page(page: Page[Any], data: list[Object]) -> Object:
    """A list. ``total_count`` is null where counting would mean reading everything."""
    return {
        "object": "list",
        "data": data,
        "has_more": page.cursor is not None,
        "next_cursor": page.cursor,
        "total_count": page.total,
    }


def results(query: str, found: Results) -> Object:
    """The hits of a search. ``degraded`` stands only where an arm failed."""
    body: Object = {
        "object": "search_results",
        "query": query,
        "total": len(found.hits),
        "data": [_hit(hit) for hit in found.hits],
    }
    return {**body, "degraded": list(found.degraded)} if found.degraded else body


def _hit(hit: Hit) -> Object:
    whole = memory(hit.memory)
    flat = ("id", "content", "agent_id", "metadata", "created_at", "updated_at")
    score = _score(hit)
    return {
        "memory": whole,
        "score": score,
        "distance": round(1.0 - score, 6),
        **{name: whole[name] for name in flat},
    }


def _score(hit: Hit) -> float:
    return round(min(1.0, max(0.0, hit.relevance)), 6)


def context(context: "Context", milliseconds: int) -> Object:
    """A built context."""
    body: Object = {
        "context": context.text,
        "memories_used": len(context.hits),
        "total_chars": len(context.text),
        "memories": [
            {
                "memory_id": hit.memory.id,
                "content": hit.memory.content,
                "score": _score(hit),
                "memory_type": hit.memory.kind,
            }
            for hit in context.hits
        ],
        "token_count": -(-len(context.text) // CHARACTERS_PER_TOKEN),
        "ranking_version": "v1",
        "ai_enhanced": False,
        "latency_ms": milliseconds,
        "summary": None,
    }
    return {**body, "degraded": list(context.degraded)} if context.degraded else body


def batch_item(
    index: int,
    content: str,
    client: str | None,
    id: str | None,
    failure: tuple[str, str] | None,
) -> Object:
    """What became of one memory of a batch; ``failure`` is its message and its code."""
    return {
        "index": index,
        "status": "success" if failure is None else "failed",
        "success": failure is None,
        "id": id,
        "memory_id": id,
        "error": None if failure is None else failure[0],
        "error_code": None if failure is None else failure[1],
        "content_preview": content[:PREVIEW],
        "client_id": client,
    }


def batch(items: list[Object], total: float, embedding: float, database: float) -> Object:
    """What became of a batch, with what it took in milliseconds."""
    succeeded = sum(1 for item in items if item["success"])
    each = round(total / len(items), 3)
    return {
        "success": succeeded == len(items),
        "total": len(items),
        "succeeded": succeeded,
        "failed": len(items) - succeeded,
        "skipped": 0,
        "results": items,
        "timing": {
            "total_ms": round(total, 3),
            "embedding_ms": round(embedding, 3),
            "database_ms": round(database, 3),
            "per_memory_avg_ms": each,
            "avg_per_item_ms": each,
        },
    }


def session(session: Session) -> Object:
    """The session object."""
    return {
        "id": session.id,
        "agent_id": session.agent,
        "external_id": session.external_id,
        "project": session.project,
        "status": "active" if session.active else "ended",
        "title": session.title,
        "summary": session.summary,
        "metadata": session.metadata,
        "memory_count": session.memory_count,
        "started_at": iso(session.started_at),
        "ended_at": iso(session.ended_at),
        "created_at": iso(session.created_at),
        "updated_at": iso(session.updated_at),
    }


def opened(opened: "Opened") -> Object:
    """A session that is shared by its external id."""
    return {**session(opened.session), "created": opened.created, "contributors": list(opened.contributors)}


def summarized(session: str, summary: str, count: int, at: datetime) -> Object:
    """A summary of a session."""
    return {"session_id": session, "summary": summary, "memory_count": count, "generated_at": iso(at)}


def agent(agent: Agent, figures: AgentFigures) -> Object:
    """The agent object."""
    return {
        "object": "agent",
        "id": agent.id,
        "name": agent.name,
        "description": agent.description,
        "config": {},
        "metadata": agent.metadata,
        "memory_count": figures.memories,
        "session_count": figures.sessions,
        "project_count": 0,
        "last_active_at": iso(figures.last_active_at),
        "created_at": iso(agent.created_at),
        "updated_at": iso(agent.updated_at),
    }


def stats(figures: AgentFigures) -> Object:
    """What an agent has."""
    return {
        "memory_count": figures.memories,
        "entity_count": 0,
        "data": {"total_memories": figures.memories, "last_updated": iso(figures.last_active_at)},
    }


def webhook(webhook: Webhook) -> Object:
    """The endpoint object; never with its secret."""
    return {
        "id": webhook.id,
        "url": webhook.url,
        "event_types": [event.value for event in webhook.event_types],
        "enabled": webhook.enabled,
        "description": webhook.description,
        "created_at": iso(webhook.created_at),
    }


def key(token: str, key: ApiKey, now: datetime) -> Object:
    """A new API key: the only answer that shows one."""
    return {
        "key": token,
        "key_info": {
            "id": key.id,
            "name": key.name,
            "key_prefix": key.prefix,
            "scopes": [permission.value for permission in key.permissions],
            "created_at": iso(key.created_at),
            "last_used_at": None,
            "expires_at": iso(key.expires_at),
            "revoked_at": iso(key.revoked_at),
            "deprecated_at": None,
            "auto_revoke_at": None,
            "is_active": key.good(now),
            "daily_spend_limit_usd": key.daily_limit_usd,
            "monthly_spend_limit_usd": key.monthly_limit_usd,
            "spend_info": None,
        },
    }


def health(
    *, version: str, environment: str, now: datetime, uptime: int, services: Mapping[str, bool], embedder: Space
) -> Object:
    """The health body; ``services`` says of each part that was asked whether it answered."""
    return {
        "status": "healthy" if all(services.values()) else "unhealthy",
        "version": version,
        "api_version": "v1",
        "environment": environment,
        "timestamp": epoch(now),
        "uptime_seconds": uptime,
        "services": {
            **dict.fromkeys(("redis", "cache"), "not used"),
            **dict.fromkeys(("embeddings", "task_queue"), "not checked"),
            **{name: "up" if up else "down" for name, up in services.items()},
        },
        "embedding_info": {"provider": embedder.model, "dimension": embedder.dimension},
    }
