from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from commonplace.core.converse import Opened
from commonplace.core.recall import Context
from commonplace.core.remember import Remembered
from commonplace.dialects.relay import responses
from commonplace.model.agent import Agent, AgentFigures
from commonplace.model.apikey import ApiKey, Permission
from commonplace.model.hit import Hit, Results
from commonplace.model.memory import Memory, Notify, State, Tier
from commonplace.model.page import Page
from commonplace.model.scope import Scope
from commonplace.model.session import Session
from commonplace.model.space import Space
from commonplace.model.webhook import EventType, Webhook
from fakes import START

NOW, ISO = 1767323045, "2026-01-02T03:04:05Z"
MEMORY = Memory(
    id="m",
    tenant="acme",
    scope=Scope(agent="a"),
    origin="relay",
    content="c",
    content_hash="h",
    kind="fact",
    importance=0.5,
    tier=Tier.WARM,
    created_at=START,
    updated_at=START,
    occurred_at=START,
    state=State.READY,
    ready_at=START,
)
SESSION = Session(id="s", tenant="acme", started_at=START, created_at=START, updated_at=START)


def test_a_memory_always_has_every_key() -> None:
    assert responses.memory(MEMORY) == {
        "id": "m",
        "object": "memory",
        "content": "c",
        "agent_id": "a",
        "user_id": None,
        "metadata": {},
        "entities": [],
        "memory_type": "fact",
        "extraction_model": None,
        "extraction_method": None,
        "extraction_status": "ready",
        "visibility": "private",
        "salience_score": None,
        "importance": 0.5,
        "tier": "warm",
        "is_duplicate": False,
        "session_id": None,
        "project_id": None,
        "embedding": None,
        "archived_at": None,
        "created_at": NOW,
        "updated_at": NOW,
    }


def test_what_a_memory_has_is_shown_and_what_is_ours_alone_is_not() -> None:
    memory = replace(
        MEMORY,
        scope=Scope(agent=None, user="u", session="s", project="p"),
        metadata={"k": [1]},
        confidential=True,
        archived_at=START,
        state=State.PENDING,
        notify=Notify("https://example.com", "very secret"),
    )
    shown = responses.memory(memory, duplicate=True, vector=(0.5, 1.0))
    assert (shown["agent_id"], shown["user_id"], shown["session_id"], shown["project_id"]) == ("", "u", "s", "p")
    assert (shown["visibility"], shown["archived_at"], shown["extraction_status"]) == ("confidential", NOW, "pending")
    assert (shown["is_duplicate"], shown["embedding"], shown["metadata"]) == (True, [0.5, 1.0], {"k": [1]})
    assert "very secret" not in repr(shown)


@pytest.mark.parametrize(
    ("remembered", "status", "job", "estimate"),
    [
        (Remembered(replace(MEMORY, state=State.PENDING), "job 1"), "pending", "job 1", 3),
        (Remembered(MEMORY), "ready", None, 0),
        (Remembered(replace(MEMORY, state=State.PENDING)), "pending", None, None),
    ],
)
def test_an_accepted_memory_says_how_long_it_will_take(
    remembered: Remembered, status: str, job: str | None, estimate: int | None
) -> None:
    assert responses.accepted(remembered) == {
        "id": "m",
        "status": status,
        "job_id": job,
        "estimated_completion_seconds": estimate,
    }


def test_a_status_changed_when_the_memory_became_ready() -> None:
    later = START + timedelta(seconds=3)
    assert responses.status(replace(MEMORY, ready_at=later)) == {
        "id": "m",
        "status": "ready",
        "created_at": NOW,
        "updated_at": NOW + 3,
        "error": None,
    }
    failed = replace(MEMORY, state=State.FAILED, failure="because", ready_at=None)
    assert (responses.status(failed)["status"], responses.status(failed)["error"]) == ("failed", "because")
    assert responses.status(replace(MEMORY, updated_at=later))["updated_at"] == NOW + 3


def test_a_list_says_whether_there_is_more() -> None:
    assert responses.page(Page((1, 2), "next", 7), [{"n": 1}, {"n": 2}]) == {
        "object": "list",
        "data": [{"n": 1}, {"n": 2}],
        "has_more": True,
        "next_cursor": "next",
        "total_count": 7,
    }
    end = responses.page(Page((), None, None), [])
    assert (end["has_more"], end["next_cursor"], end["total_count"]) == (False, None, None)


def test_a_hit_stands_nested_and_flat() -> None:
    found = responses.results("q", Results((Hit(MEMORY, 0.87, 0.5, 3.0),)))
    assert (found["object"], found["query"], found["total"]) == ("search_results", "q", 1)
    (hit,) = found["data"]
    assert hit == {
        "memory": responses.memory(MEMORY),
        "score": 0.87,
        "distance": 0.13,
        "id": "m",
        "content": "c",
        "agent_id": "a",
        "metadata": {},
        "created_at": NOW,
        "updated_at": NOW,
    }
    assert "degraded" not in found


@pytest.mark.parametrize(("relevance", "score"), [(1.0000001, 1.0), (-0.1, 0.0), (1 / 3, 0.333333)])
def test_a_score_is_clamped(relevance: float, score: float) -> None:
    (hit,) = responses.results("q", Results((Hit(MEMORY, relevance, None, None),)))["data"]
    assert (hit["score"], hit["distance"]) == (score, round(1 - score, 6))


def test_an_arm_that_failed_is_named() -> None:
    assert responses.results("q", Results((), ("words",)))["degraded"] == ["words"]
    assert responses.context(Context("", (), ("words",)), 1)["degraded"] == ["words"]


def test_a_context_counts_its_characters_and_tokens() -> None:
    shown = responses.context(Context("x" * 9, (Hit(MEMORY, 0.71, None, None),), ()), 12)
    assert shown == {
        "context": "x" * 9,
        "memories_used": 1,
        "total_chars": 9,
        "memories": [{"memory_id": "m", "content": "c", "score": 0.71, "memory_type": "fact"}],
        "token_count": 3,
        "ranking_version": "v1",
        "ai_enhanced": False,
        "latency_ms": 12,
        "summary": None,
    }


def test_a_batch_tells_what_became_of_each() -> None:
    good = responses.batch_item(0, "x" * 200, "mine", "m", None)
    bad = responses.batch_item(1, "", None, None, ("content: no", "validation_error"))
    shown = responses.batch([good, bad], 10.0, 6.0, 3.0)
    assert (shown["success"], shown["total"], shown["succeeded"], shown["failed"], shown["skipped"]) == (
        False,
        2,
        1,
        1,
        0,
    )
    assert good == {
        "index": 0,
        "status": "success",
        "success": True,
        "id": "m",
        "memory_id": "m",
        "error": None,
        "error_code": None,
        "content_preview": "x" * 100,
        "client_id": "mine",
    }
    assert (bad["status"], bad["error"], bad["error_code"]) == ("failed", "content: no", "validation_error")
    assert shown["timing"] == {
        "total_ms": 10.0,
        "embedding_ms": 6.0,
        "database_ms": 3.0,
        "per_memory_avg_ms": 5.0,
        "avg_per_item_ms": 5.0,
    }
    assert responses.batch([good], 1.0, 1.0, 1.0)["success"]


def test_a_session_always_has_every_key() -> None:
    assert responses.session(SESSION) == {
        "id": "s",
        "agent_id": None,
        "external_id": None,
        "project": None,
        "status": "active",
        "title": None,
        "summary": None,
        "metadata": {},
        "memory_count": 0,
        "started_at": ISO,
        "ended_at": None,
        "created_at": ISO,
        "updated_at": ISO,
    }
    ended = responses.session(replace(SESSION, ended_at=START, memory_count=3, agent="a"))
    assert (ended["status"], ended["ended_at"], ended["memory_count"], ended["agent_id"]) == ("ended", ISO, 3, "a")


def test_a_shared_session_names_its_contributors() -> None:
    shown = responses.opened(Opened(SESSION, False, ("a", "b")))
    assert shown == {**responses.session(SESSION), "created": False, "contributors": ["a", "b"]}
    assert responses.summarized("s", "short", 5, START) == {
        "session_id": "s",
        "summary": "short",
        "memory_count": 5,
        "generated_at": ISO,
    }


def test_an_agent_is_shown_with_its_figures() -> None:
    agent = Agent(id="a", tenant="acme", name="n", created_at=START, updated_at=START)
    assert responses.agent(agent, AgentFigures(3, 2, START)) == {
        "object": "agent",
        "id": "a",
        "name": "n",
        "description": None,
        "config": {},
        "metadata": {},
        "memory_count": 3,
        "session_count": 2,
        "project_count": 0,
        "last_active_at": ISO,
        "created_at": ISO,
        "updated_at": ISO,
    }
    assert responses.stats(AgentFigures()) == {
        "memory_count": 0,
        "entity_count": 0,
        "data": {"total_memories": 0, "last_updated": None},
    }


def test_an_endpoint_never_shows_its_secret() -> None:
    webhook = Webhook(
        id="w", tenant="acme", url="u", created_at=START, secret="very secret", event_types=(EventType.MEMORY_CREATED,)
    )
    assert responses.webhook(webhook) == {
        "id": "w",
        "url": "u",
        "event_types": ["memory.created"],
        "enabled": True,
        "description": None,
        "created_at": ISO,
    }


def test_a_key_is_shown_once_and_without_its_hash() -> None:
    key = ApiKey(
        id="k",
        tenant="acme",
        hash="the hash",
        prefix="mem_",
        permissions=(Permission.READ,),
        created_at=START,
        expires_at=START,
    )
    shown = responses.key("mem_token", key, START)
    assert shown["key"] == "mem_token"
    assert shown["key_info"] == {
        "id": "k",
        "name": None,
        "key_prefix": "mem_",
        "scopes": ["read"],
        "created_at": ISO,
        "last_used_at": None,
        "expires_at": ISO,
        "revoked_at": None,
        "deprecated_at": None,
        "auto_revoke_at": None,
        "is_active": False,
        "daily_spend_limit_usd": None,
        "monthly_spend_limit_usd": None,
        "spend_info": None,
    }


@pytest.mark.parametrize("up", [True, False])
def test_health_is_good_if_all_that_was_asked_answered(up: bool) -> None:
    shown = responses.health(
        version="1",
        environment="local",
        now=START,
        uptime=42,
        services={"database": True, "vector_store": up},
        embedder=Space("mini", 384),
    )
    assert shown["status"] == ("healthy" if up else "unhealthy")
    assert shown["services"]["vector_store"] == ("up" if up else "down")
    assert set(shown["services"]) == {"database", "redis", "embeddings", "vector_store", "cache", "task_queue"}
    assert (shown["timestamp"], shown["uptime_seconds"], shown["version"]) == (NOW, 42, "1")
    assert shown["embedding_info"] == {"provider": "mini", "dimension": 384}


@pytest.mark.parametrize("year", [1, 999, 2026, 9999])
def test_a_time_has_four_digits_of_year_and_whole_seconds(year: int) -> None:
    moment = datetime(year, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
    assert responses.iso(moment) == f"{year:04d}-01-02T03:04:05Z"
    assert responses.iso(None) is None
    assert responses.epoch(None) is None
