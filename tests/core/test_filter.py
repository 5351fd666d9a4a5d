from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commonplace.model.filter import Among, Between, Condition, Exists, Filter, NotAmong, Period, Scalar
from commonplace.model.memory import Memory, Tier
from commonplace.model.scope import EVERYONE, Scope, audience_of, audiences, tagged
from commonplace.model.values import Json
from fakes import START

MEMORY = Memory(
    id="m",
    tenant="acme",
    scope=Scope(organization="o", user="u", agent="a", session="s", project="p", role="r"),
    origin="relay",
    content="c",
    content_hash="h",
    kind="fact",
    importance=0.5,
    tier=Tier.WARM,
    created_at=START,
    updated_at=START,
    occurred_at=START - timedelta(days=1),
    tags=("x", "y"),
    metadata={"key": 1},
)
SECOND = timedelta(seconds=1)


def test_a_filter_that_asks_nothing_means_everything_that_is_neither_confidential_nor_archived() -> None:
    assert Filter().matches(MEMORY)
    assert not Filter().matches(replace(MEMORY, confidential=True))
    assert not Filter().matches(replace(MEMORY, archived_at=START))
    assert Filter(confidential=True).matches(replace(MEMORY, confidential=True))
    assert Filter(archived=True).matches(replace(MEMORY, archived_at=START))


@pytest.mark.parametrize("part", ["store", "organization", "user", "agent", "session", "project"])
def test_each_part_of_the_scope_is_compared_to_the_letter(part: str) -> None:
    def asking(value: Any) -> Filter:
        return Filter(**{part: value})

    value = getattr(MEMORY.scope, part)
    assert asking(value).matches(MEMORY)
    assert asking(value).scope() == {part: value}
    for other in (value.upper(), "", f"{value} "):
        assert not asking(other).matches(MEMORY)


def test_an_empty_part_of_a_scope_is_not_an_absent_one() -> None:
    nobody, empty = replace(MEMORY, scope=Scope()), replace(MEMORY, scope=Scope(user=""))
    assert not Filter(user="").matches(nobody)
    assert Filter(user="").matches(empty)


@pytest.mark.parametrize(
    ("filter", "matches"),
    [
        (Filter(kinds=("event", "fact")), True),
        (Filter(kinds=("event",)), False),
        (Filter(tiers=(Tier.WARM,)), True),
        (Filter(tiers=(Tier.HOT, Tier.COLD)), False),
        (Filter(tags=("z", "y")), True),
        (Filter(tags=("z",)), False),
        (Filter(excluded=("other",)), True),
        (Filter(excluded=("m",)), False),
        (Filter(importance=Between(0.5, 0.5)), True),
        (Filter(importance=Between(low=0.6)), False),
        (Filter(importance=Between(high=0.4)), False),
        (Filter(created=Period(START, START + SECOND)), True),
        (Filter(created=Period(end=START)), False),
        (Filter(created=Period(start=START + SECOND)), False),
        (Filter(occurred=Period(end=START)), True),
        (Filter(occurred=Period(start=START)), False),
        (Filter(user="u", kinds=("fact",), tags=("x",), importance=Between(low=0.1)), True),
        (Filter(user="u", kinds=("fact",), tags=("x",), importance=Between(low=0.9)), False),
    ],
)
def test_every_part_that_is_given_must_hold(filter: Filter, matches: bool) -> None:
    assert filter.matches(MEMORY) is matches


def test_a_memory_without_tags_has_none_of_them() -> None:
    assert not Filter(tags=("x",)).matches(replace(MEMORY, tags=()))


def satisfied(value: Json, condition: Condition) -> bool:
    return Filter(metadata=(("key", condition),)).matches(replace(MEMORY, metadata={"key": value}))


EQUAL: list[tuple[Json, Scalar, bool]] = [
    ("a", "a", True),
    ("a", "A", False),
    (1, 1, True),
    (1, 1.0, True),
    (1, "1", False),
    (1, True, False),
    (True, 1, False),
    (True, True, True),
    (False, 0, False),
    (False, True, False),
    (None, None, True),
    (None, "", False),
    ("", None, False),
    ([1], 1, False),
    ({"a": 1}, "a", False),
    (float("nan"), float("nan"), False),
]


@pytest.mark.parametrize(("value", "wanted", "same"), EQUAL)
def test_values_are_equal_as_json_has_it(value: Json, wanted: Scalar, same: bool) -> None:
    assert satisfied(value, Among((wanted,))) is same
    assert satisfied(value, Among(("else", wanted))) is same
    assert satisfied(value, NotAmong((wanted,))) is not same
    assert satisfied(value, NotAmong(("else", wanted))) is not same


def test_nothing_is_among_no_values() -> None:
    assert not satisfied(1, Among(()))
    assert satisfied(1, NotAmong(()))


@pytest.mark.parametrize(
    ("value", "bounds", "matches"),
    [
        (5, Between(5, 5), True),
        (5.5, Between(5, 6), True),
        (4, Between(low=5), False),
        (6, Between(high=5), False),
        (0, Between(), True),
        ("5", Between(0, 9), False),
        (True, Between(0, 9), False),
        (None, Between(), False),
        ([5], Between(), False),
    ],
)
def test_only_numbers_lie_in_a_range(value: Json, bounds: Between, matches: bool) -> None:
    assert satisfied(value, bounds) is matches


def test_a_key_that_is_there_exists_even_if_it_is_null() -> None:
    assert satisfied(None, Exists())
    assert not satisfied(None, Exists(present=False))


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        (Exists(), False),
        (Exists(present=False), True),
        (Among((None,)), False),
        (NotAmong((None,)), True),
        (Between(), False),
    ],
)
def test_a_key_that_is_not_there_is_neither_null_nor_a_value(condition: Condition, matches: bool) -> None:
    assert Filter(metadata=(("missing", condition),)).matches(MEMORY) is matches


def test_every_condition_on_metadata_must_hold() -> None:
    both = (("key", Among((1,))), ("key", Between(low=2)))
    assert not Filter(metadata=both).matches(MEMORY)
    assert Filter(metadata=both[:1]).matches(MEMORY)


@pytest.mark.parametrize(
    ("period", "held"),
    [
        (Period(), (True, True, True)),
        (Period(start=START), (False, True, True)),
        (Period(end=START), (True, False, False)),
        (Period(START, START + SECOND), (False, True, False)),
    ],
)
def test_a_period_has_its_start_and_not_its_end(period: Period, held: tuple[bool, ...]) -> None:
    moments = (START - SECOND, START, START + SECOND)
    assert tuple(period.holds(moment) for moment in moments) == held


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(), (EVERYONE,)),
        (Scope(organization="o", agent="a", session="s", project="p"), (EVERYONE,)),
        (Scope(user="u"), ("user:u",)),
        (Scope(user=""), ("user:",)),
        (Scope(role="r"), ("role:r", "tagged-role:r")),
        (Scope(team="t"), ("team:t", "tagged-team:t")),
        (Scope(role="r", team="t"), ("role:r", "team:t", "tagged-role:r", "tagged-team:t")),
        (Scope(user="u", role="r", team=""), ("user:u", "tagged-role:r", "tagged-team:")),
    ],
)
def test_a_memory_is_about_its_user_or_else_its_groups_or_else_everyone(scope: Scope, expected: Sequence[str]) -> None:
    assert audiences(scope) == expected


def test_no_name_makes_one_audience_look_like_another() -> None:
    names = ["", "a", "everyone", "user:a", "role:a", ":", "tagged-role:a", "-role:a"]
    every = [make(part, name) for make in (audience_of, tagged) for part in ("user", "role", "team") for name in names]
    assert len({*every, EVERYONE}) == len(every) + 1


def test_any_of_the_audiences_is_enough_in_rows_too() -> None:
    about = replace(MEMORY, scope=Scope(user="u", role="r"))
    assert Filter(audience=("user:u",)).matches(about)
    assert Filter(audience=("none", "tagged-role:r")).matches(about)
    for other in (("role:r",), (EVERYONE,), ("user:U",), ("tagged-team:r",)):
        assert not Filter(audience=other).matches(about)


def test_a_conversation_is_its_session_and_what_has_none() -> None:
    inside, outside = (replace(MEMORY, scope=Scope(session=session)) for session in ("s", "t"))
    none, empty = (replace(MEMORY, scope=Scope(session=session)) for session in (None, ""))
    assert [Filter(conversation="s").matches(each) for each in (inside, outside, none, empty)] == [
        True,
        False,
        True,
        False,
    ]
    assert [Filter(elsewhere="s").matches(each) for each in (inside, outside, none, empty)] == [
        False,
        True,
        True,
        True,
    ]
    assert [Filter(conversation="", elsewhere="").matches(each) for each in (inside, none, empty)] == [
        False,
        True,
        False,
    ]
