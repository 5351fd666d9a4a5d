"""What every index does with the vectors that callers bring: a space for each length, and no text."""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from commonplace.model.document import Candidate, Probe, Removal
from commonplace.model.filter import Filter
from commonplace.model.scope import Scope
from commonplace.model.space import Space, direction
from contract.index_writer import INDEXES, Writer, ids, opened, unit, written

pytestmark = pytest.mark.anyio

LENGTHS = [1, 2, 3, 1536, 4096]
ORG = Scope(organization="org", project="support")
MINE = Filter(store="default", organization="org")


@pytest.fixture(params=INDEXES)
async def writer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Writer]:
    async with opened(request.param, tmp_path, request) as index:
        yield written(index)


async def put(writer: Writer, vectors: Mapping[str, Sequence[float]], **parts: Any) -> None:
    """Writes a memory for each vector, as the core does: with its direction, and without a text."""
    spaces: dict[Space, list[str]] = {}
    for memory, vector in vectors.items():
        spaces.setdefault(Space.given(len(vector)), []).append(memory)
    for space, memories in spaces.items():
        documents = [
            writer.document(memory, **{"text": "", "scope": ORG, "vector": direction(vectors[memory]), **parts})
            for memory in memories
        ]
        assert await writer.index.upsert(space, documents) == [None] * len(documents)


async def near(writer: Writer, vector: Sequence[float], filter: Filter = MINE, k: int = 10) -> tuple[Candidate, ...]:
    probe = Probe(tenant=writer.tenant, vector=direction(vector), text=None, k=k)
    found = await writer.index.search(Space.given(len(vector)), probe, filter)
    assert found.vectors.failure is None
    return found.vectors.candidates


def scores(candidates: Sequence[Candidate]) -> dict[str, float]:
    assert all(-1 <= candidate.score <= 1 for candidate in candidates)
    return {candidate.memory: candidate.score for candidate in candidates}


async def test_vectors_of_all_lengths_live_side_by_side(writer: Writer) -> None:
    await put(writer, {f"m{length}": [1.0] * length for length in LENGTHS})
    for length in LENGTHS:
        assert scores(await near(writer, [3.0] * length)) == {f"m{length}": pytest.approx(1, abs=1e-3)}
    assert {Space.given(length) for length in LENGTHS} <= set(await writer.index.spaces())


async def test_of_vectors_of_one_number_there_are_two_kinds(writer: Writer) -> None:
    await put(writer, {"plus": [0.001], "also plus": [1e6], "minus": [-7.0]})
    expected = {"plus": 1, "also plus": 1, "minus": -1}
    assert scores(await near(writer, [2.0])) == pytest.approx(expected, abs=1e-3)
    assert ids(await near(writer, [-2.0]))[0] == "minus"


@pytest.mark.parametrize("length", LENGTHS[1:])
async def test_the_score_is_the_raw_cosine_also_where_it_is_negative(writer: Writer, length: int) -> None:
    angles = {"same": 0.0, "near": 0.4, "square": math.pi / 2, "away": 2.2, "opposite": math.pi}
    await put(writer, {memory: unit(angle, length) for memory, angle in angles.items()})
    found = await near(writer, unit(0, length))
    assert ids(found) == list(angles)
    assert scores(found) == pytest.approx({memory: math.cos(angle) for memory, angle in angles.items()}, abs=1e-3)


@pytest.mark.parametrize("length", [3, 1536])
async def test_numbers_of_every_size_have_their_cosine(writer: Writer, length: int) -> None:
    rest = [0.0] * (length - 2)
    await put(writer, {"huge": [1e308, 1e308, *rest], "tiny": [5e-324, 5e-324, *rest], "mixed": [1e308, 5e-324, *rest]})
    half = math.sqrt(0.5)
    expected = {"mixed": 1, "huge": half, "tiny": half}
    assert scores(await near(writer, [1e300, 0.0, *rest])) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("length", [1, 3, 1536])
async def test_organization_and_project_are_asked_before_the_cut(writer: Writer, length: int) -> None:
    def towards(angle: float) -> tuple[float, ...]:
        return unit(angle, length) if length > 1 else (1.0,)

    def far() -> tuple[float, ...]:
        return unit(3.0, length) if length > 1 else (-1.0,)

    nearer = {f"{kind}{n}": towards(n / 1000) for kind in "op" for n in range(60)}
    await put(writer, {m: v for m, v in nearer.items() if m[0] == "o"}, scope=Scope(organization="other", project="p"))
    await put(writer, {m: v for m, v in nearer.items() if m[0] == "p"}, scope=Scope(organization="org", project="q"))
    await put(writer, {"mine": far()}, scope=Scope(organization="org", project="p"))
    await put(writer, {"nobody's": towards(0)}, scope=Scope())
    both = Filter(store="default", organization="org", project="p")
    assert ids(await near(writer, towards(0), both, k=1)) == ["mine"]
    assert all(memory[0] == "p" for memory in ids(await near(writer, towards(0), MINE, k=5)))
    assert len(await near(writer, towards(0), MINE, k=200)) == 61
    assert await near(writer, towards(0), Filter(store="default", organization="none")) == ()


@pytest.mark.parametrize(
    "name", ["a" * 256, "a" * 255 + "b", "ü" * 128, "a#b:%", "\x00", "O'Neil\"; --", " org", "ORG"]
)
async def test_every_name_of_an_organization_is_compared_to_the_letter(writer: Writer, name: str) -> None:
    await put(writer, {"mine": [1.0, 0.0]}, scope=Scope(organization=name))
    await put(writer, {"longer": [1.0, 0.0]}, scope=Scope(organization=f"{name}a"))
    await put(writer, {"org": [1.0, 0.0]}, scope=Scope(organization="org"))
    assert ids(await near(writer, [1.0, 0.0], Filter(organization=name))) == ["mine"]


async def test_tenants_with_the_same_numbers_never_meet(writer: Writer) -> None:
    other = written(writer.index)
    await put(writer, {"mine": [1.0, 2.0, 3.0]})
    await put(other, {f"theirs{n}": [1.0, 2.0, 3.0] for n in range(30)})
    assert ids(await near(writer, [1.0, 2.0, 3.0], k=1)) == ["mine"]
    assert "mine" not in ids(await near(other, [1.0, 2.0, 3.0], k=100))


async def test_a_document_without_a_text_is_found_by_no_word(writer: Writer) -> None:
    await put(writer, {"a": [1.0, 2.0, 3.0]})
    probe = Probe(tenant=writer.tenant, vector=direction([1.0, 2.0, 3.0]), text="support", k=5)
    found = await writer.index.search(Space.given(3), probe, MINE)
    assert ids(found.vectors.candidates) == ["a"]
    assert (found.words.candidates, found.words.failure) == ((), None)


async def test_a_length_that_nobody_brought_is_empty(writer: Writer) -> None:
    assert await near(writer, [1.0] * 11) == ()
    assert await writer.index.delete(Space.given(11), [Removal(writer.tenant, "a", 0, 1)]) == [None]
    assert Space.given(11) not in await writer.index.spaces()


@pytest.mark.parametrize("length", LENGTHS)
async def test_what_was_deleted_is_gone_and_a_late_write_does_not_bring_it_back(writer: Writer, length: int) -> None:
    space, vector = Space.given(length), [1.0] * length
    await put(writer, {"a": vector, "b": vector}, version=2)
    assert await writer.index.delete(space, [Removal(writer.tenant, "a", 0, 1)]) == [None]
    assert sorted(ids(await near(writer, vector))) == ["a", "b"]
    assert await writer.index.delete(space, [Removal(writer.tenant, "a", 0, 4)]) == [None]
    await put(writer, {"a": vector}, version=3)
    assert ids(await near(writer, vector)) == ["b"]
    await put(writer, {"a": vector}, version=5)
    assert sorted(ids(await near(writer, vector))) == ["a", "b"]


async def test_a_late_version_changes_nothing_and_a_repeated_one_makes_no_second(writer: Writer) -> None:
    await put(writer, {"a": [1.0, 0.0, 0.0]}, version=3, tags=("new",))
    await put(writer, {"a": [0.0, 1.0, 0.0]}, version=2, tags=("old",))
    await put(writer, {"a": [1.0, 0.0, 0.0]}, version=3, tags=("new",))
    (found,) = await near(writer, [1.0, 0.0, 0.0])
    assert (found.memory, found.passage, found.version) == ("a", 0, 3)
    assert found.score == pytest.approx(1, abs=1e-3)
    assert await near(writer, [1.0, 0.0, 0.0], Filter(organization="org", tags=("old",))) == ()


async def test_a_space_that_is_made_anew_loses_nothing_that_is_written_again(writer: Writer) -> None:
    space, vector = Space.given(7), [1.0] * 7
    await put(writer, {"a": vector, "b": vector})
    await writer.index.renew(space)
    assert sorted(ids(await near(writer, vector))) == ["a", "b"]
    await put(writer, {"a": vector, "b": vector})
    assert sorted(ids(await near(writer, vector))) == ["a", "b"]
    await writer.index.retire(space)
    assert sorted(ids(await near(writer, vector))) == ["a", "b"]
