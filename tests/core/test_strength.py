from datetime import timedelta

import pytest

from commonplace.core.strength import GAIN, HALF_LIFE_DAYS, MOST, START, strength
from commonplace.model.memory import Accesses, Memory, Tier
from commonplace.model.scope import Scope
from fakes import START as THEN

DAY = timedelta(days=1)
HALF_LIFE = HALF_LIFE_DAYS * DAY
MEMORY = Memory(
    id="m", tenant="t", scope=Scope(), origin="memsy", content="c", content_hash="h", kind="fact", importance=0.5,
    tier=Tier.WARM, created_at=THEN + 90 * DAY, updated_at=THEN + 90 * DAY, occurred_at=THEN,
)  # fmt: skip


def test_a_memory_of_what_has_just_happened_has_the_strength_that_all_begin_with() -> None:
    assert strength(MEMORY, Accesses(), THEN) == START == 1.0


@pytest.mark.parametrize(
    ("count", "expected"), [(0, 1.0), (1, 1.1), (5, 1.5), (39, 4.9), (40, 5.0), (41, 5.0), (10**18, 5.0)]
)
def test_each_recall_gains_a_little_up_to_a_bound(count: int, expected: float) -> None:
    assert strength(MEMORY, Accesses(count, THEN), THEN) == pytest.approx(expected)
    assert strength(MEMORY, Accesses(count, THEN), THEN) <= MOST
    assert pytest.approx(0.1) == GAIN


@pytest.mark.parametrize(("halves", "expected"), [(0.5, 0.5**0.5), (1, 0.5), (2, 0.25), (10, 0.5**10)])
def test_it_is_halved_with_each_half_life_since_what_happened(halves: float, expected: float) -> None:
    assert strength(MEMORY, Accesses(), THEN + halves * HALF_LIFE) == pytest.approx(expected)
    assert HALF_LIFE == 30 * DAY


def test_it_fades_from_the_last_recall_and_not_from_what_happened() -> None:
    recalled = THEN + 3 * HALF_LIFE
    assert strength(MEMORY, Accesses(10, recalled), recalled) == pytest.approx(2.0)
    assert strength(MEMORY, Accesses(10, recalled), recalled + HALF_LIFE) == pytest.approx(1.0)
    assert strength(MEMORY, Accesses(100, recalled), recalled + HALF_LIFE) == pytest.approx(2.5)


def test_a_recall_before_what_happened_does_not_make_it_older() -> None:
    assert strength(MEMORY, Accesses(1, THEN - 9 * HALF_LIFE), THEN) == pytest.approx(1.1)


def test_what_is_yet_to_happen_has_not_faded() -> None:
    assert strength(MEMORY, Accesses(), THEN - 400 * DAY) == 1.0


def test_a_century_later_next_to_nothing_is_left_but_never_less() -> None:
    assert 0.0 <= strength(MEMORY, Accesses(40, THEN), THEN + 36_500 * DAY) < 1e-300
    assert strength(MEMORY, Accesses(), THEN + 2_000_000 * DAY) == 0.0
