import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonplace.model.space import Embedding, Space
from commonplace.model.values import Json
from commonplace.rows.codec import CHUNK_BYTES, Reader, absent, chunks, packed, per_chunk, present, text, unpacked

bounded = settings(derandomize=True, max_examples=100, database=None, deadline=None)

JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@bounded
@given(JSON)
def test_json_comes_back_as_it_was(value: Json) -> None:
    assert Reader({"value": text(value)}).json("value") == value


@bounded
@given(
    st.integers(1, 7).flatmap(lambda size: st.lists(st.tuples(*[FLOATS] * size), max_size=9).map(lambda v: (size, v)))
)
def test_vectors_come_back_to_the_bit(case: tuple[int, list[tuple[float, ...]]]) -> None:
    size, vectors = case
    data = packed(tuple(vectors))
    assert len(data) == 4 * size * len(vectors)
    assert unpacked(data, size) == vectors


@pytest.mark.parametrize("dimension", [1, 64, 384, 1024, 1536, 100_000])
def test_chunks_hold_all_vectors_in_order_and_stay_small(dimension: int) -> None:
    space = Space("m", dimension)
    count = 2 * per_chunk(space) + 1 if dimension > 1 else 5
    vectors = tuple((float(number),) * dimension for number in range(count))
    pieces = chunks(Embedding(space, vectors))
    assert [vector for piece in pieces for vector in unpacked(piece, dimension)] == list(vectors)
    assert all(len(piece) <= max(CHUNK_BYTES, 4 * dimension) for piece in pieces)
    assert len(pieces) == math.ceil(count / per_chunk(space))


def test_no_vectors_are_no_chunks() -> None:
    assert chunks(Embedding(Space("m", 2), ())) == []


MOMENT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_what_is_none_is_not_there_and_is_named_for_removal() -> None:
    attributes = {"a": None, "b": 0, "c": "", "d": False, "e": MOMENT}
    assert present(attributes) == {"b": 0, "c": "", "d": False, "e": "2026-01-02T03:04:05.000006Z"}
    assert absent(attributes) == ("a",)


def test_every_sort_of_attribute_comes_back() -> None:
    row = Reader(present({"s": "x", "i": 7, "f": 1.5, "b": True, "t": MOMENT, "d": b"\x00"}))
    assert (row.string("s"), row.maybe("s"), row.whole("i"), row.number("f")) == ("x", "x", 7, 1.5)
    assert (row.flag("b"), row.moment("t"), row.maybe_moment("t"), row.data("d")) == (True, MOMENT, MOMENT, b"\x00")


def test_what_is_not_there_is_none_zero_or_false() -> None:
    row = Reader({})
    assert (row.maybe("x"), row.number("x"), row.maybe_moment("x"), row.whole("x")) == (None, None, None, 0)
    assert (row.flag("x"), row.flag("x", default=True)) == (False, True)
    for read in (row.string, row.moment, row.json, row.data):
        with pytest.raises(KeyError):
            read("x")
