"""What every index promises: the Index port, once for each adapter. Its filters are in test_index_filters.py."""

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from commonplace.model.document import Probe, Removal
from commonplace.model.errors import Invalid
from commonplace.model.filter import Among, Exists, Filter
from commonplace.model.scope import Scope
from commonplace.model.space import Space
from contract.index_writer import DIMENSION, EAST, INDEXES, SPACE, Writer, ids, opened, unit, written

pytestmark = pytest.mark.anyio


@pytest.fixture(params=INDEXES)
async def writer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Writer]:
    async with opened(request.param, tmp_path, request) as index:
        yield written(index)


async def test_the_nearest_come_first_with_their_cosine(writer: Writer) -> None:
    angles = {"a": 0.1, "b": 0.7, "c": 1.5, "d": 3.0}
    for memory, angle in angles.items():
        await writer.put(memory, vector=unit(angle))
    found = await writer.near()
    assert ids(found) == ["a", "b", "c", "d"]
    for candidate in found:
        assert candidate.score == pytest.approx(math.cos(angles[candidate.memory]), abs=1e-3)
        assert -1 <= candidate.score <= 1


async def test_cosines_of_vectors_that_are_not_of_length_one_are_the_same(writer: Writer) -> None:
    await writer.put("a", vector=tuple(7 * part for part in unit(0.4)))
    assert (await writer.near(tuple(3 * part for part in EAST)))[0].score == pytest.approx(math.cos(0.4), abs=1e-3)


async def test_a_candidate_says_its_memory_its_passage_and_its_version(writer: Writer) -> None:
    await writer.put("a", passage=3, version=7, text="a herring")
    for found in (await writer.near(), await writer.saying("herring")):
        assert [(one.memory, one.passage, one.version) for one in found] == [("a", 3, 7)]


async def test_both_arms_answer_one_probe(writer: Writer) -> None:
    await writer.put("a", vector=unit(0.1), text="a kettle of tea")
    await writer.put("b", vector=unit(0.2), text="a herring")
    probe = Probe(tenant=writer.tenant, vector=EAST, text="herring", k=1)
    found = await writer.index.search(SPACE, probe, Filter())
    assert ids(found.vectors.candidates) == ["a"]
    assert ids(found.words.candidates) == ["b"]


async def test_neither_arm_gives_more_than_k(writer: Writer) -> None:
    await writer.index.upsert(SPACE, [writer.document(f"m{n}", vector=unit(n / 10)) for n in range(20)])
    assert ids(await writer.near(k=3)) == ["m0", "m1", "m2"]
    assert len(await writer.saying("nothing", k=3)) == 3


async def test_words_are_scored_above_zero_and_the_better_match_comes_first(writer: Writer) -> None:
    await writer.put("both", text="the red kettle stands on the stove")
    await writer.put("one", text="the blue kettle stands on the shelf")
    await writer.put("none", text="a herring swims in the sea")
    found = await writer.saying("red kettle")
    assert ids(found) == ["both", "one"]
    assert found[0].score > found[1].score > 0


async def test_a_rare_word_counts_for_more_than_a_common_one(writer: Writer) -> None:
    await writer.index.upsert(SPACE, [writer.document(f"m{n}", text="the kettle boils") for n in range(20)])
    await writer.put("rare", text="the herring boils")
    assert ids(await writer.saying("kettle herring"))[0] == "rare"


async def test_english_words_are_found_by_their_stem_and_without_accents(writer: Writer) -> None:
    await writer.put("run", text="She was running in the mountains of Perú")
    assert ids(await writer.saying("runs")) == ["run"]
    assert ids(await writer.saying("mountain")) == ["run"]
    assert ids(await writer.saying("RUNNING")) == ["run"]


@pytest.mark.parametrize(
    "text",
    [
        '"', "'", "AND", 'NEAR("kettle" herring, 3)', "text:kettle", "kettle*", "^kettle", "-kettle", "kettle AND NOT x",
        "(((", "{kettle}", "a\x00kettle", "\x00", "", "   ", "?!...", "🫖🫖", "\u202ekettle\u202c", "شاي", "茶壶", "e\u0301\u0301\u0301",
        "\ufeff", "%_\\", "kettle;DROP TABLE", "kettle " * 800, "".join(chr(33 + n % 90) for n in range(5000)),
    ],
)  # fmt: skip
async def test_any_text_can_be_asked_for(writer: Writer, text: str) -> None:
    await writer.put("a", text="the kettle")
    found = ids(await writer.saying(text))
    assert found == ["a"] if "kettle" in text else found in ([], ["a"])


async def test_any_text_can_be_written(writer: Writer) -> None:
    texts = ["a\x00b kettle", "🫖 kettle", "غلاية kettle", "\u202ekettle", '"kettle', "kettle " * 2000, "", "\x00"]
    await writer.index.upsert(SPACE, [writer.document(f"m{n}", text=text) for n, text in enumerate(texts)])
    assert set(ids(await writer.saying("kettle", k=20))) == {f"m{n}" for n in range(6)}
    assert len(await writer.near(k=20)) == len(texts)


async def test_tenants_never_meet(writer: Writer) -> None:
    here, there = writer, written(writer.index)
    await here.put("m", text="the red kettle")
    await here.put("n", text="the green herring swims")
    alone = await here.saying("red kettle")
    await there.index.upsert(SPACE, [there.document(f"m{n}", text="kettle") for n in range(50)])
    await there.put("m", text="a blue kettle", vector=unit(2))
    assert ids(await here.saying("red kettle")) == ids(alone)
    assert sorted(ids(await here.near())) == ["m", "n"]
    assert "n" not in ids(await there.near(k=100))
    await there.remove("m", 9)
    assert sorted(ids(await here.near())) == ["m", "n"]


async def test_a_late_version_changes_nothing_and_is_no_error(writer: Writer) -> None:
    await writer.put("a", version=5, text="kettle", vector=unit(0.5))
    await writer.put("a", version=4, text="herring", vector=unit(1.0), scope=Scope(user="u"))
    assert (await writer.near())[0].score == pytest.approx(math.cos(0.5), abs=1e-3)
    assert [one.version for one in await writer.saying("kettle")] == [5]
    assert await writer.saying("herring") == ()


@pytest.mark.parametrize("version", [5, 6])
async def test_an_equal_or_newer_version_takes_the_place_of_the_old_one(writer: Writer, version: int) -> None:
    await writer.put("a", version=5, text="kettle", tags=("old",), metadata={"x": 1}, scope=Scope(user="u"))
    await writer.put("a", version=version, text="herring", vector=unit(1.0), tags=("new",), metadata={"x": 2})
    found = await writer.near()
    assert [(one.memory, one.version) for one in found] == [("a", version)]
    assert found[0].score == pytest.approx(math.cos(1.0), abs=1e-3)
    assert await writer.saying("kettle") == ()
    assert ids(await writer.saying("herring")) == ["a"]
    old = (Filter(tags=("old",)), Filter(user="u"), Filter(metadata=(("x", Among((1,))),)))
    for filter in old:
        assert await writer.both(filter, "herring") == set()
    assert await writer.both(Filter(tags=("new",), metadata=(("x", Among((2,))),)), "herring") == {"a"}


async def test_a_repeated_upsert_gives_one_candidate(writer: Writer) -> None:
    document = writer.document("a", text="kettle", tags=("t", "t"))
    assert await writer.index.upsert(SPACE, [document, document]) == [None, None]
    assert await writer.index.upsert(SPACE, [document]) == [None]
    assert ids(await writer.near()) == ids(await writer.saying("kettle")) == ["a"]


async def test_what_was_deleted_is_not_found_nor_brought_back_by_a_late_upsert(writer: Writer) -> None:
    await writer.put("a", version=1)
    await writer.put("b", version=1)
    await writer.remove("a", 3)
    await writer.put("a", version=2)
    assert await writer.both(Filter()) == {"b"}
    await writer.put("a", version=4)
    assert await writer.both(Filter()) == {"a", "b"}


async def test_a_late_delete_changes_nothing(writer: Writer) -> None:
    await writer.put("a", version=3)
    await writer.remove("a", 2)
    assert await writer.both(Filter()) == {"a"}
    await writer.remove("a", 3)
    assert await writer.both(Filter()) == set()


async def test_deleting_what_is_not_there_is_no_error(writer: Writer) -> None:
    await writer.remove("a", 2)
    await writer.put("a", version=1)
    assert await writer.both(Filter()) == set()


async def test_the_passages_of_a_memory_are_documents_of_their_own(writer: Writer) -> None:
    for n, word in enumerate(("kettle", "herring", "lantern")):
        await writer.put("a", passage=n, text=word, vector=unit(n))
    assert [(one.memory, one.passage) for one in await writer.near()] == [("a", 0), ("a", 1), ("a", 2)]
    assert [one.passage for one in await writer.saying("herring")] == [1]
    await writer.remove("a", 2, passage=1)
    assert [one.passage for one in await writer.near()] == [0, 2]
    assert await writer.near(filter=Filter(excluded=("a",))) == ()


async def test_spaces_of_different_dimensions_live_side_by_side(writer: Writer) -> None:
    wide, other = Space("letters", 16), Space("figures", DIMENSION)
    index = writer.index
    await writer.put("narrow")
    assert await index.upsert(wide, [writer.document("wide", vector=unit(0, 16))]) == [None]
    assert await index.upsert(other, [writer.document("other")]) == [None]
    for space, memory in ((SPACE, "narrow"), (wide, "wide"), (other, "other")):
        probe = Probe(tenant=writer.tenant, vector=unit(0, space.dimension), text="nothing", k=5)
        found = await index.search(space, probe, Filter())
        assert ids(found.vectors.candidates) == ids(found.words.candidates) == [memory]
    assert {SPACE, wide, other} <= set(await index.spaces())


async def test_a_space_that_was_never_written_to_is_empty(writer: Writer) -> None:
    unknown = Space("never-written", 5)
    probe = Probe(tenant=writer.tenant, vector=(1.0, 0, 0, 0, 0), text="kettle", k=5)
    found = await writer.index.search(unknown, probe, Filter(user="u", metadata=(("x", Exists()),)))
    assert found.vectors.candidates == found.words.candidates == ()
    assert found.vectors.failure is None
    assert found.words.failure is None
    assert unknown not in await writer.index.spaces()
    assert await writer.index.delete(unknown, [Removal(writer.tenant, "a", 0, 1)]) == [None]
    assert unknown not in await writer.index.spaces()


async def test_a_query_of_another_dimension_is_refused(writer: Writer) -> None:
    await writer.put("a")
    with pytest.raises(Invalid):
        await writer.near((1.0, 0.0))


async def test_a_document_of_another_dimension_is_not_written_and_its_neighbours_are(writer: Writer) -> None:
    good, bad = writer.document("good"), writer.document("bad", vector=(1.0, 0.0))
    outcomes = await writer.index.upsert(SPACE, [bad, good])
    assert outcomes[0] is not None
    assert outcomes[1] is None
    assert await writer.both(Filter()) == {"good"}


async def test_nothing_to_write_is_no_error(writer: Writer) -> None:
    assert await writer.index.upsert(SPACE, []) == []
    assert await writer.index.delete(SPACE, []) == []


async def test_a_word_that_nearly_everyone_has_is_found_in_a_small_scope(writer: Writer) -> None:
    crowd = [writer.document(f"m{n}", text=f"kettle number {n}", scope=Scope(user="crowd")) for n in range(3500)]
    await writer.index.upsert(SPACE, [replace(crowd[0], memory="mine", scope=Scope(user="me")), *crowd])
    assert ids(await writer.saying("kettle rarest", Filter(user="me"))) == ["mine"]
    assert len(await writer.saying("kettle", k=50)) == 50
    assert ids(await writer.saying("kettle 3210"))[0] == "m3210"
