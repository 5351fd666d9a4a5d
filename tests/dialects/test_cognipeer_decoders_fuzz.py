"""Anything at all, to every decoder: a core value or a refusal, and nothing that cannot be stored or sent."""

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commonplace.dialects.cognipeer import memory_requests, search_requests, store_requests
from commonplace.dialects.cognipeer.slug import store_key
from commonplace.model.errors import Invalid
from commonplace.model.store import Store
from fakes import START

FUZZ = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
NAMES = (
    *("name", "vectorProviderKey", "embeddingModelKey", "description", "config", "status", "content", "scope"),
    *("scopeId", "scope_id", "tags", "source", "importance", "metadata", "memories", "query", "topK", "top_k"),
    *("minScore", "min_score", "maxTokens", "max_tokens", "defaultScope", "deduplication", "maxMemories"),
    *("defaultTopK", "defaultMinScore", "ttlDays"),
)
WORDS = ("user", "global", "active", "archived", "inactive", "chat", "2026-01-02", "7", "0001-01-01T00:00+23:00", "")
ANY_TEXT = st.text(st.characters(), max_size=40)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**399), 10**399),
    st.integers(-2, 12),
    st.floats(allow_nan=False, allow_infinity=False),
    ANY_TEXT,
    st.sampled_from(WORDS),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
GOOD: dict[str, Any] = {
    "name": "n",
    "vectorProviderKey": "v",
    "embeddingModelKey": "e",
    "content": "c",
    "query": "q",
    "memories": [{"content": "c"}],
}
BODIES = VALUES | st.dictionaries(st.sampled_from(NAMES) | ANY_TEXT, VALUES, max_size=5).map(lambda b: {**GOOD, **b})
QUERIES = st.dictionaries(
    st.sampled_from(["scope", "scopeId", "tags", "status", "search", "limit", "skip", "before"]),
    st.lists(st.text(st.characters(), max_size=12) | st.sampled_from(WORDS) | st.integers().map(str), min_size=1),
    max_size=4,
)


def stored(config: Any) -> Store:
    return Store(id="s", tenant="t", key="k", name="n", created_at=START, updated_at=START, config=config)


def order(body: Any) -> object:
    ordered = store_requests.store_order(body, by="k", epoch_milliseconds=1)
    store = stored(ordered.config)
    search = search_requests.SearchOrder(query="q")
    assert search.limit(store) >= 1
    assert -1 <= search.floor(store) <= 2
    return ordered, memory_requests.MemoryOrder(content="c").draft(store)


def change(body: Any) -> object:
    return store_requests.store_change(body, by="k")


def memory(body: Any) -> object:
    return memory_requests.memory_order(body).draft(stored({}))


def memories(body: Any) -> object:
    return [each.draft(stored({})) for each in memory_requests.memory_orders(body)]


def search(body: Any) -> object:
    ordered = search_requests.search_order(body)
    return ordered, ordered.limit(stored({})), ordered.floor(stored({}))


def said(value: object) -> str:
    """A core value as the text that would be stored."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def _plain(value: Any) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


@pytest.mark.parametrize(
    "decode", [order, change, memory, memories, memory_requests.memory_change, search, search_requests.recall_order]
)
def test_any_body_is_decoded_or_refused(decode: Callable[[Any], object]) -> None:
    @FUZZ
    @given(BODIES)
    def decoded(body: Any) -> None:
        try:
            value = decode(body)
        except Invalid:
            return
        assert said(value).encode()

    decoded()


@pytest.mark.parametrize("decode", [store_requests.store_query, memory_requests.listing, memory_requests.clearance])
def test_any_query_string_is_decoded_or_refused(decode: Callable[[Any], object]) -> None:
    @FUZZ
    @given(QUERIES)
    def decoded(query: dict[str, list[str]]) -> None:
        try:
            value = decode(query)
        except Invalid:
            return
        assert said(value).encode()

    decoded()


@FUZZ
@given(st.text(st.characters(), max_size=30))
def test_any_name_makes_a_key_that_can_stand_in_a_path(name: str) -> None:
    key = store_key(name, 1767323045678)
    assert key.startswith("mem-")
    assert len(key) > len("mem-")
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert "--" not in key
    assert not key.endswith("-")
