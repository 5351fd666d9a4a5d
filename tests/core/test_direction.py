"""The direction of a vector: what is left of it when its length is taken away."""

import math
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from commonplace.model.space import GIVEN, Space, direction

bounded = settings(derandomize=True, max_examples=300, database=None, deadline=None)

FINITE = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)
VECTORS = st.lists(FINITE, min_size=1, max_size=40).filter(any)
MODEST = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40).filter(lambda vector: max(map(abs, vector)) > 1e-3)


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    dot = math.fsum(a * b for a, b in zip(one, other, strict=True))
    return dot / math.hypot(*one) / math.hypot(*other)


@bounded
@given(VECTORS)
def test_it_has_length_one_whatever_the_vector_has(vector: list[float]) -> None:
    assert math.hypot(*direction(vector)) == pytest.approx(1, abs=1e-12)
    assert len(direction(vector)) == len(vector)


@bounded
@given(MODEST)
def test_it_points_where_the_vector_points(vector: list[float]) -> None:
    assert cosine(direction(vector), vector) == pytest.approx(1, abs=1e-12)


@bounded
@given(VECTORS)
def test_no_number_changes_its_sign_or_overtakes_another(vector: list[float]) -> None:
    found = direction(vector)
    for one, other in zip(vector, found, strict=True):
        assert other == 0 or math.copysign(1, one) == math.copysign(1, other)
    largest = max(range(len(vector)), key=lambda n: abs(vector[n]))
    assert abs(found[largest]) == max(map(abs, found))
    assert abs(found[largest]) >= 1 / math.sqrt(len(vector)) - 1e-12


@bounded
@given(MODEST, st.floats(1e-290, 1e290))
def test_it_is_the_same_for_every_scale_and_the_opposite_for_the_opposite(vector: list[float], scale: float) -> None:
    scaled = [number * scale for number in vector]
    assert direction(scaled) == pytest.approx(direction(vector), abs=1e-9)
    assert direction([-number for number in vector]) == tuple(-number for number in direction(vector))


@bounded
@given(MODEST, MODEST)
def test_single_precision_keeps_the_cosine(one: list[float], other: list[float]) -> None:
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    assume(max(map(abs, one)) > 1e-3 and max(map(abs, other)) > 1e-3)
    stored = [array("f", direction(vector)).tolist() for vector in (one, other)]
    assert cosine(*stored) == pytest.approx(cosine(one, other), abs=1e-6)


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ([1e308, 1e308], [math.sqrt(0.5)] * 2),
        ([1.7976931348623157e308] * 4096, [1 / 64] * 4096),
        ([5e-324], [1.0]),
        ([-5e-324, 5e-324], [-math.sqrt(0.5), math.sqrt(0.5)]),
        ([5e-324, 1.5e-323], [1 / math.sqrt(10), 3 / math.sqrt(10)]),
        ([1e308, 5e-324], [1.0, 0.0]),
        ([3, -4], [0.6, -0.8]),
        ([0.0, -0.0, -7.0], [0.0, 0.0, -1.0]),
    ],
)
def test_the_largest_and_the_smallest_numbers_neither_overflow_nor_vanish(
    vector: list[float], expected: list[float]
) -> None:
    assert direction(vector) == pytest.approx(tuple(expected), abs=1e-15)


def test_a_space_of_callers_vectors_says_so_by_its_name() -> None:
    space = Space.given(1536)
    assert (space.name, space.model, space.is_given) == ("given-1536", GIVEN, True)
    assert Space.named(space.name) == space
    assert not Space("all-minilm", 384).is_given
