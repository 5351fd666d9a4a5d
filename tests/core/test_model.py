from dataclasses import replace
from datetime import timedelta

import pytest

from commonplace.model.apikey import ApiKey, Permission, hashed
from commonplace.model.document import Document, Removal, document_id
from commonplace.model.errors import Invalid, NotFound, Problem, RateLimited, Unavailable
from commonplace.model.memory import Memory, State, Tier, content_hash
from commonplace.model.scope import Scope
from commonplace.model.space import Space
from fakes import START

MEMORY = Memory(
    id="m",
    tenant="acme",
    scope=Scope(user="u"),
    origin="relay",
    content="c",
    content_hash="h",
    kind="fact",
    importance=0.5,
    tier=Tier.WARM,
    created_at=START,
    updated_at=START + timedelta(seconds=1),
    occurred_at=START - timedelta(days=1),
    tags=("x",),
    metadata={"key": 1},
    revision=3,
)


@pytest.mark.parametrize(
    ("importance", "tier"),
    [(1.0, Tier.HOT), (0.8, Tier.HOT), (0.79, Tier.WARM), (0.4, Tier.WARM), (0.39, Tier.COLD), (0.0, Tier.COLD)],
)
def test_a_tier_follows_from_the_importance(importance: float, tier: Tier) -> None:
    assert Tier.of(importance) is tier


def test_hashes_are_of_the_bytes_exactly_as_received() -> None:
    assert content_hash("abc") == hashed("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_hash("\u00e9") != content_hash("e\u0301")


def test_a_memory_is_over_at_the_moment_it_expires_and_not_before() -> None:
    expiring = replace(MEMORY, expires_at=START)
    assert not expiring.expired(START - timedelta(microseconds=1))
    assert expiring.expired(START)
    assert not MEMORY.expired(START)


@pytest.mark.parametrize("state", State)
def test_only_a_ready_memory_is_ready(state: State) -> None:
    assert replace(MEMORY, state=state).ready is (state is State.READY)


def test_a_document_carries_what_a_filter_can_ask_of_its_memory() -> None:
    memory = replace(MEMORY, archived_at=START, confidential=True)
    document = Document.of(memory, 2, "text", (1.0,))
    assert document.id == document_id("m", 2) == Removal("acme", "m", 2, 9).id
    assert (document.tenant, document.memory, document.passage, document.version) == ("acme", "m", 2, 3)
    assert (document.text, document.vector, document.scope) == ("text", (1.0,), memory.scope)
    assert (document.kind, document.tier, document.tags, document.metadata) == ("fact", Tier.WARM, ("x",), {"key": 1})
    assert (document.importance, document.confidential, document.archived) == (0.5, True, True)
    assert (document.created_at, document.occurred_at) == (memory.created_at, memory.occurred_at)
    assert not Document.of(MEMORY, 0, "", ()).archived


def test_two_passages_never_share_an_id() -> None:
    ids = {document_id(memory, passage) for memory in ("a", "a.1", "b") for passage in (0, 1, 10, 11)}
    assert len(ids) == 12


def test_a_space_is_named_by_its_model_and_dimension() -> None:
    assert Space("mini", 384).name == "mini-384"


def test_a_key_is_good_until_it_is_revoked_or_expires() -> None:
    key = ApiKey(id="k", tenant="acme", hash="h", prefix="p", permissions=(Permission.READ,), created_at=START)
    assert key.good(START)
    assert not replace(key, revoked_at=START).good(START)
    assert replace(key, expires_at=START + timedelta(seconds=1)).good(START)
    assert not replace(key, expires_at=START).good(START)


def test_errors_carry_what_a_caller_can_use() -> None:
    invalid = Invalid.field("content", "Field required")
    assert (invalid.message, invalid.problems) == ("content: Field required", (Problem("content", "Field required"),))
    assert (NotFound("memory").message, NotFound("memory").noun) == ("Memory not found", "memory")
    assert (RateLimited("slow down", 7).message, RateLimited("slow down", 7).retry_after) == ("slow down", 7)
    assert Unavailable("down").retry_after == 5
