import json
import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from commonplace.dialects.edge import responses
from commonplace.model.memory import Memory, State, Tier, content_hash
from commonplace.model.scope import Scope
from fakes import START

AT = datetime(2026, 5, 18, 13, 0, tzinfo=START.tzinfo)
CONTENT = "Acme prefers Slack escalation for P0 incidents."
MEMORY = Memory(
    id="7f9d0d2e-6ad1-4a3b-b608-28cbb76b3f87",
    tenant="t1",
    scope=Scope(organization="org_demo", user="customer_acme", agent="a1", project="support"),
    origin="edge",
    content=CONTENT,
    content_hash=content_hash(CONTENT),
    kind="fact",
    importance=0.5,
    tier=Tier.WARM,
    metadata={"source": "ticket-123"},
    level="user",
    label="customer_acme",
    agent_name="support-agent",
    state=State.PENDING,
    created_at=AT,
    updated_at=AT,
    occurred_at=AT,
    brought=3,
)
SHOWN = (
    '{"id":"7f9d0d2e-6ad1-4a3b-b608-28cbb76b3f87","organization_id":"org_demo","subject_id":"customer_acme",'
    '"agent_id":"support-agent","namespace":"support","content":"Acme prefers Slack escalation for P0 incidents.",'
    '"metadata":{"source":"ticket-123"},"vector_id":"mem_7f9d0d2e-6ad1-4a3b-b608-28cbb76b3f87",'
    '"created_at":"2026-05-18T13:00:00.000Z","updated_at":"2026-05-18T13:00:00.000Z"}'
)
"""The memory object of the contract, to the letter."""


def text(body: object) -> str:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def test_a_memory_looks_as_the_contract_shows_it() -> None:
    assert text(responses.memory(MEMORY)) == SHOWN


def test_one_memory_is_wrapped() -> None:
    assert text(responses.created(MEMORY)) == text(responses.shown(MEMORY)) == f'{{"memory":{SHOWN}}}'


def test_a_list_is_its_memories_and_nothing_else() -> None:
    assert text(responses.listed([])) == '{"memories":[]}'
    other = replace(MEMORY, id="b")
    listed = responses.listed([other, MEMORY])
    assert list(listed) == ["memories"]
    assert listed["memories"] == [responses.memory(other), responses.memory(MEMORY)]


def test_what_is_near_a_vector_is_told_with_its_cosine() -> None:
    assert text(responses.matched([])) == '{"mode":"vectorize","matches":[]}'
    other = responses.matched([(0.92, MEMORY), (-0.25, replace(MEMORY, id="b"))])
    assert text(responses.matched([(0.92, MEMORY)])) == (
        f'{{"mode":"vectorize","matches":[{{"score":0.92,"memory":{SHOWN}}}]}}'
    )
    assert [(match["score"], match["memory"]["id"]) for match in other["matches"]] == [(0.92, MEMORY.id), (-0.25, "b")]


@pytest.mark.parametrize(
    ("cosine", "score"), [(1.0000001, 1.0), (-1.5, -1.0), (1.0, 1.0), (-1.0, -1.0), (0.0, 0.0), (1 / 3, 1 / 3)]
)
def test_a_score_is_the_raw_cosine_and_never_beyond_its_ends(cosine: float, score: float) -> None:
    assert responses.matched([(cosine, MEMORY)])["matches"][0]["score"] == score


@pytest.mark.parametrize("cosine", [math.nan, math.inf, -math.inf])
def test_no_score_is_more_than_json_can_say(cosine: float) -> None:
    assert json.loads(text(responses.matched([(cosine, MEMORY)])))["matches"][0]["score"] in (1, -1)


def test_what_is_found_without_a_vector_has_no_score() -> None:
    assert text(responses.recent([])) == '{"mode":"d1","matches":[]}'
    assert text(responses.recent([MEMORY])) == f'{{"mode":"d1","matches":[{{"score":null,"memory":{SHOWN}}}]}}'


def test_health_says_where_it_is() -> None:
    assert text(responses.health("development")) == '{"ok":true,"service":"memo-st-api","environment":"development"}'


def test_a_memory_that_came_without_a_vector_has_no_vector_id() -> None:
    assert responses.memory(replace(MEMORY, brought=None))["vector_id"] is None


def test_a_content_that_came_later_has_no_vector_id() -> None:
    assert responses.memory(replace(MEMORY, revision=2))["vector_id"] == f"mem_{MEMORY.id}"
    assert responses.memory(replace(MEMORY, revision=2, content_revision=2))["vector_id"] is None


def test_a_memory_of_another_api_has_all_keys_too() -> None:
    foreign = replace(MEMORY, scope=Scope(), agent_name=None, brought=None, metadata={})
    body = responses.memory(foreign)
    assert list(body) == list(json.loads(SHOWN))
    absent = {name for name, value in body.items() if value is None}
    assert absent == {"organization_id", "subject_id", "agent_id", "namespace", "vector_id"}
    assert body["metadata"] == {}


METADATA: list[dict[str, Any]] = [
    {},
    {"a": {"b": [1, 2.5, None, True]}},
    {"ü😀\0": "\u2028", "": []},
    {"whole": 1.0, "long": 9_007_199_254_740_993},
]


@pytest.mark.parametrize("kept", METADATA)
def test_metadata_comes_back_as_it_was_given(kept: dict[str, Any]) -> None:
    shown = json.loads(text(responses.memory(replace(MEMORY, metadata=kept))))["metadata"]
    assert repr(shown) == repr(kept)


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (AT, "2026-05-18T13:00:00.000Z"),
        (AT.replace(microsecond=1_000), "2026-05-18T13:00:00.001Z"),
        (AT.replace(microsecond=678_999), "2026-05-18T13:00:00.678Z"),
        (AT.replace(microsecond=999), "2026-05-18T13:00:00.000Z"),
        (AT.astimezone(timezone(timedelta(hours=-7))), "2026-05-18T13:00:00.000Z"),
        (AT.replace(year=987), "0987-05-18T13:00:00.000Z"),
    ],
)
def test_times_are_utc_with_three_decimals(moment: datetime, shown: str) -> None:
    assert responses.iso(moment) == shown
    body = responses.memory(replace(MEMORY, created_at=moment, updated_at=AT))
    assert (body["created_at"], body["updated_at"]) == (shown, "2026-05-18T13:00:00.000Z")
