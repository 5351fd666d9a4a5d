"""Which memories and actors a list shows, and in what order."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from commonplace.core.survey import Actor
from commonplace.dialects.memsy.console_order import ordered, ordered_actors, wanted
from commonplace.dialects.memsy.console_requests import ActorSort, MemorySort, actor_listing, memory_listing
from commonplace.model.insight import Insight, Nature
from commonplace.model.memory import Memory, Tier
from commonplace.model.scope import Scope
from fakes import START

DAY = timedelta(days=1)
MEMORY = Memory(
    id="b",
    tenant="acme",
    scope=Scope(organization="org_1", user="ada"),
    origin="memsy",
    content="She prefers STRASSE to road",
    content_hash="h",
    kind="preference",
    importance=0.5,
    tier=Tier.WARM,
    created_at=START,
    updated_at=START,
    occurred_at=START,
    insight=Insight(nature=Nature.SEMANTIC, title="t", confidence=0.9),
)
PLAIN = replace(MEMORY, id="plain", kind="event", insight=None)
"""A memory of another API: what happened, and sure."""


def memory(id: str, **fields: Any) -> Memory:
    return replace(MEMORY, id=id, **fields)


@pytest.mark.parametrize(
    ("query", "of_memory", "of_plain"),
    [
        ({}, True, True),
        ({"kind": "semantic"}, True, False),
        ({"kind": "episodic"}, False, True),
        ({"kind": "preference"}, True, False),
        ({"kind": "event"}, False, True),
        ({"kind": "Semantic"}, False, False),
        ({"type": "preference"}, True, False),
        ({"type": "semantic"}, False, False),
        ({"kind": "semantic", "type": "event"}, False, False),
        ({"search": "PREFERS straße"}, True, True),
        ({"search": "avenue"}, False, False),
        ({"search": "road", "kind": "episodic"}, False, True),
        ({"status": "archived"}, False, False),
        ({"status": "superseded"}, False, False),
        ({"status": "decayed"}, False, False),
    ],
)
def test_all_that_a_list_asks_for_has_to_be_so(query: dict[str, str], of_memory: bool, of_plain: bool) -> None:
    meant = wanted(memory_listing(query), START)
    assert (meant(MEMORY), meant(PLAIN)) == (of_memory, of_plain)


@pytest.mark.parametrize(
    ("status", "shown"),
    [("active", {"active"}), ("archived", {"archived"}), ("superseded", set())],
)
def test_a_list_shows_memories_of_the_status_that_is_asked_for(status: str, shown: set[str]) -> None:
    meant = wanted(memory_listing({"status": status}), START)
    memories = [memory("active"), memory("archived", archived_at=START), memory("over", expires_at=START)]
    assert {each.id for each in memories if meant(each)} == shown


@pytest.mark.parametrize(
    ("sort", "fields"),
    [
        (MemorySort.OBSERVED_LAST, [{"occurred_at": START + DAY}, {"occurred_at": START}]),
        (MemorySort.OBSERVED_FIRST, [{"occurred_at": START}, {"occurred_at": START + DAY}]),
        (MemorySort.CREATED_LAST, [{"created_at": START + DAY}, {"created_at": START}]),
        (MemorySort.SUREST, [{"insight": None}, {}]),
    ],
)
def test_a_list_is_in_the_order_that_is_asked_for_and_then_by_id(
    sort: MemorySort, fields: list[dict[str, Any]]
) -> None:
    first, second = fields
    expected = [memory("b", **first), memory("d", **first), memory("a", **second), memory("c", **second)]
    for given in itertools.permutations(expected):
        assert ordered(memory_listing({"sort": sort}), given, {}) == expected


def test_the_strongest_come_first_and_equally_strong_ones_by_id() -> None:
    memories = [memory(id) for id in "dcba"]
    strengths = {"a": 0.5, "b": 5.0, "c": 0.0, "d": 0.5}
    found = ordered(memory_listing({"sort": "strength_desc"}), memories, strengths)
    assert [each.id for each in found] == ["b", "a", "d", "c"]


def test_times_of_different_zones_are_compared_as_the_moments_that_they_are() -> None:
    early = memory("early", occurred_at=datetime(2026, 1, 2, 3, 30, tzinfo=timezone(timedelta(hours=2))))
    late = memory("late", occurred_at=datetime(2026, 1, 2, 3, 0, tzinfo=timezone(timedelta(hours=-2))))
    assert ordered(memory_listing({}), [early, late], {}) == [late, early]
    assert ordered(memory_listing({"sort": "observed_at_asc"}), [late, early], {}) == [early, late]


def actor(id: str, first: int, last: int) -> Actor:
    """An actor whose first and last memory were written so many days after the start."""
    return Actor(id, (memory("l", created_at=START + last * DAY), memory("f", created_at=START + first * DAY)))


ACTORS = [actor("Zoë", 3, 3), actor("ada", 1, 9), actor("bob", 1, 2), actor("cid", 2, 9)]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (None, ["Zoë", "cid", "ada", "bob"]),
        (ActorSort.BEGAN_LAST, ["Zoë", "cid", "ada", "bob"]),
        (ActorSort.BEGAN_FIRST, ["ada", "bob", "cid", "Zoë"]),
        (ActorSort.LAST, ["ada", "cid", "Zoë", "bob"]),
        (ActorSort.NAME, ["Zoë", "ada", "bob", "cid"]),
    ],
)
def test_actors_are_in_the_order_that_is_asked_for_and_then_by_id(sort: ActorSort | None, expected: list[str]) -> None:
    listing = actor_listing({} if sort is None else {"sort": sort}, "org_1")
    for given in itertools.permutations(ACTORS):
        assert [each.id for each in ordered_actors(listing, given)] == expected


@pytest.mark.parametrize(
    ("text", "found"), [("", 4), ("B", 1), ("ZOË", 1), ("d", 2), ("nobody", 0), ("ada ", 0), ("*", 0)]
)
def test_actors_are_looked_for_by_a_part_of_their_id_in_any_case(text: str, found: int) -> None:
    assert len(ordered_actors(actor_listing({"q": text}, "org_1"), ACTORS)) == found
