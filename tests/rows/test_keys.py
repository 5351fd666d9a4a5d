from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonplace.model.scope import SCOPE_PARTS, Scope
from commonplace.ports.table import Key
from commonplace.rows import keys

# Few letters and the separators, so that what could be mistaken for another is drawn often.
WORD = st.text(alphabet="a#%-25\U0001f600", max_size=5)
PARTS = st.lists(st.none() | WORD, min_size=1, max_size=5)
MOMENT = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001 - made aware at once

bounded = settings(derandomize=True, max_examples=400, database=None, deadline=None)

ONE_WORD: list[Callable[[str], Key]] = [keys.api_key, keys.secret]
TWO_WORDS: list[Callable[[str, str], Key]] = [
    keys.memory,
    keys.claimed,
    keys.agent,
    keys.agent_name,
    keys.session,
    keys.session_external,
    keys.cleared,
    keys.cleared_session,
    keys.webhook,
    keys.delivery,
    keys.figures,
    keys.lengths,
]
THREE_WORDS: list[Callable[[str, str, str], Key]] = [keys.contributor, keys.figures]


@bounded
@given(PARTS, PARTS)
def test_different_parts_never_give_the_same_string(one: list[str | None], other: list[str | None]) -> None:
    assert (keys.joined(*one) == keys.joined(*other)) is (one == other)


@bounded
@given(st.tuples(WORD, WORD, WORD), st.tuples(WORD, WORD, WORD))
def test_different_things_never_have_the_same_key(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    every: list[tuple[object, Key]] = []
    for parts in dict.fromkeys((one, other)):
        every += [((build, parts[:1]), build(parts[0])) for build in ONE_WORD]
        every += [((build, parts[:2]), build(parts[0], parts[1])) for build in TWO_WORDS]
        every += [((build, parts), build(*parts)) for build in THREE_WORDS]
        every += [(("vectors", parts, chunk), keys.vectors(*parts, chunk)) for chunk in (0, 1)]
    named = dict(every)
    assert len(set(named.values())) == len(named)


@bounded
@given(st.tuples(WORD, WORD), st.tuples(WORD, WORD))
def test_no_words_of_a_caller_reach_into_another_tenant(one: tuple[str, str], other: tuple[str, str]) -> None:
    for build in TWO_WORDS:
        if one[0] != other[0]:
            assert build(*one).partition != build(*other).partition
        assert build(*one).partition.split("#")[1] == keys.joined(one[0])


SCOPE = st.builds(Scope, store=WORD, **{part: st.none() | WORD for part in SCOPE_PARTS[1:]})


@bounded
@given(SCOPE, SCOPE, WORD, WORD)
def test_two_scopes_never_make_the_same_claim(one: Scope, other: Scope, content: str, another: str) -> None:
    same = (one, content) == (other, another)
    assert (keys.claim(one, content) == keys.claim(other, another)) is same


@pytest.mark.parametrize("part", SCOPE_PARTS[1:])
def test_an_absent_part_is_neither_an_empty_one_nor_its_own_mark(part: str) -> None:
    scopes = [Scope(), *(Scope(**{part: value}) for value in ("", keys.ABSENT, "None"))]
    assert len({keys.claim(scope, "h") for scope in scopes}) == 4


@bounded
@given(MOMENT, MOMENT)
def test_times_sort_as_text(one: datetime, other: datetime) -> None:
    assert (keys.stamp(one) < keys.stamp(other)) is (one < other)
    assert datetime.fromisoformat(keys.stamp(one)) == one


def test_a_time_of_another_zone_is_the_same_time() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert keys.stamp(moment) == "2026-01-02T01:04:05.000000Z"


@bounded
@given(st.text(max_size=20))
def test_a_name_falls_into_one_of_the_shards_that_are_swept(name: str) -> None:
    assert keys.pending(name) in keys.every_shard("pending")
    assert keys.due(name) in keys.every_shard("due")
    assert keys.expiring(name) in keys.every_shard("expiring")


def test_work_is_spread_over_all_shards() -> None:
    assert {keys.pending(f"019b7c00-{number}") for number in range(200)} == set(keys.every_shard("pending"))
    assert len(set(keys.every_shard("due"))) == keys.SHARDS
