from dataclasses import replace
from datetime import timedelta

import pytest

from commonplace.core.search import Mode, Wanted
from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.hit import Results
from commonplace.model.memory import Change
from commonplace.model.scope import Scope
from commonplace.ports.table import Delete
from commonplace.rows import keys
from steps import CONTENT, EVERYTHING, documents, found, sentences, written
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio


async def searched(
    world: World,
    query: str = CONTENT,
    mode: Mode = Mode.HYBRID,
    *,
    filter: Filter = EVERYTHING,
    limit: int = 10,
    floor: float = 0.0,
) -> Results:
    wanted = Wanted(query=query, filter=filter, limit=limit, floor=floor, mode=mode)
    return await world.services.search(TENANT, wanted)


async def test_a_hit_says_what_each_arm_said(world: World) -> None:
    memory = await written(world)
    (hit,) = (await searched(world)).hits
    assert hit.memory == memory
    assert hit.relevance == 1.0
    assert hit.cosine == pytest.approx(1.0)
    assert hit.words is not None


async def test_each_arm_can_be_asked_alone(world: World) -> None:
    memory = await written(world)
    (by_meaning,) = (await searched(world, mode=Mode.SEMANTIC)).hits
    (by_words,) = (await searched(world, mode=Mode.KEYWORD)).hits
    assert (by_meaning.memory, by_meaning.words) == (memory, None)
    assert (by_words.memory, by_words.cosine) == (memory, None)
    assert world.embedder.texts == [CONTENT, CONTENT]


async def test_words_alone_find_nothing_that_shares_none(world: World) -> None:
    await written(world)
    assert (await searched(world, "unrelated", Mode.KEYWORD)).hits == ()


async def test_the_best_comes_first_and_relevance_never_rises(world: World) -> None:
    for content in ("dark mode", "dark mode please", "the mode of the user", "rain in berlin", "dark chocolate"):
        await written(world, content)
    hits = (await searched(world, "dark mode")).hits
    relevances = [hit.relevance for hit in hits]
    assert hits[0].memory.content == "dark mode"
    assert relevances == sorted(relevances, reverse=True)
    assert all(0.0 <= relevance <= 1.0 for relevance in relevances)


async def test_what_lies_below_the_floor_is_no_hit(world: World) -> None:
    await written(world, "dark mode")
    await written(world, "rain in berlin")
    assert [hit.memory.content for hit in (await searched(world, "dark mode", floor=0.5)).hits] == ["dark mode"]


async def test_no_more_hits_than_wanted_however_many_there_are(world: World) -> None:
    for number in range(5):
        await written(world, f"dark mode {number}")
    assert len((await searched(world, "dark mode", limit=3)).hits) == 3


async def test_nothing_stored_is_an_empty_result_and_no_failure(world: World) -> None:
    assert await searched(world) == Results(())


@pytest.mark.parametrize(("broken", "other"), [("vectors", "words"), ("words", "vectors")])
async def test_if_an_arm_fails_the_other_answers_and_the_failure_is_said(world: World, broken: str, other: str) -> None:
    memory = await written(world)
    world.index.broken_arms = (broken,)
    results = await searched(world)
    assert [hit.memory for hit in results.hits] == [memory]
    assert results.degraded == (broken,)
    assert other not in results.degraded


async def test_without_the_embedder_the_words_answer(world: World) -> None:
    memory = await written(world)
    world.embedder.down = True
    results = await searched(world)
    assert [(hit.memory, hit.cosine) for hit in results.hits] == [(memory, None)]
    assert results.degraded == ("vectors",)


@pytest.mark.parametrize(
    ("mode", "query", "broken"),
    [
        (Mode.HYBRID, CONTENT, ("vectors", "words")),
        (Mode.SEMANTIC, CONTENT, ("vectors",)),
        (Mode.KEYWORD, CONTENT, ("words",)),
        (Mode.HYBRID, "?!", ("vectors",)),
    ],
)
async def test_if_no_arm_that_was_asked_can_answer_that_is_an_error(
    world: World, mode: Mode, query: str, broken: tuple[str, ...]
) -> None:
    await written(world)
    world.index.broken_arms = broken
    with pytest.raises(Unavailable) as failure:
        await searched(world, query, mode)
    assert failure.value.retry_after > 0


async def test_an_index_that_is_down_is_an_error(world: World) -> None:
    world.index.down = True
    with pytest.raises(Unavailable):
        await searched(world)


@pytest.mark.parametrize(("mode", "query"), [(Mode.SEMANTIC, CONTENT), (Mode.HYBRID, "?!")])
async def test_without_the_embedder_and_without_words_that_is_an_error(world: World, mode: Mode, query: str) -> None:
    await written(world)
    world.embedder.down = True
    with pytest.raises(Unavailable):
        await searched(world, query, mode)


async def test_a_query_without_words_is_asked_by_its_vector_alone(world: World) -> None:
    memory = await written(world, "?!")
    assert [hit.memory for hit in (await searched(world, "?!")).hits] == [memory]
    assert await searched(world, "?!", Mode.KEYWORD) == Results(())


async def test_a_query_that_the_embedder_refuses_is_the_callers_mistake(world: World) -> None:
    with pytest.raises(Invalid):
        await searched(world, "REFUSED")


async def test_a_filter_leaves_out_what_it_does_not_mean(world: World) -> None:
    mine = await written(world, scope=Scope(user="ada"))
    await written(world, scope=Scope(user="bob"))
    secret = await written(world, scope=Scope(user="ada"), confidential=True)
    ada = replace(EVERYTHING, user="ada")
    assert await found(world, filter=replace(ada, confidential=False)) == [mine.id]
    assert sorted(await found(world, filter=ada)) == [mine.id, secret.id]
    assert await found(world, filter=replace(ada, excluded=(mine.id,))) == [secret.id]


async def test_what_the_row_no_longer_says_is_dropped_though_the_index_still_says_it(world: World) -> None:
    memory = await written(world, "Berlin is rainy", metadata={"n": 1})
    world.index.down = True
    await world.services.revise(TENANT, memory.id, Change(content="Cairo is sunny"))
    world.index.down = False
    assert await documents(world) == {(memory.id, 0): 1}
    assert await found(world, "berlin") == []


async def test_a_row_that_is_gone_is_no_hit_whatever_the_index_says(world: World) -> None:
    memory, other = await written(world), await written(world, "The user prefers light mode")
    await world.table.transact([Delete(keys.memory(TENANT, memory.id))])
    assert await found(world) == [other.id]


async def test_dropped_candidates_make_room_for_those_behind_them(world: World) -> None:
    gone = [await written(world, f"dark mode {number}") for number in range(4)]
    last = await written(world, "dark chocolate")
    await world.table.transact([Delete(keys.memory(TENANT, memory.id)) for memory in gone])
    assert [hit.memory.id for hit in (await searched(world, "dark mode", limit=1)).hits] == [last.id]


async def test_what_has_expired_is_not_found_before_it_is_swept(world: World) -> None:
    memory = await written(world)
    expiring = replace(memory, expires_at=world.clock.now() + timedelta(seconds=10), revision=2)
    await world.services.memories.replace(memory, expiring)
    assert await found(world) == [memory.id]
    world.clock.advance(10)
    assert await found(world) == []
    assert await documents(world) == {(memory.id, 0): 1}


async def test_a_long_memory_is_found_by_any_of_its_parts_and_is_one_hit(world: World) -> None:
    memory = await written(world, sentences(20))
    for number in (0, 10, 19):
        assert await found(world, f"thing{number}") == [memory.id]


async def test_a_memory_of_many_passages_leaves_room_for_others(world: World) -> None:
    giant = await written(world, " ".join(f"The kettle number {number} is red." for number in range(1_500)))
    assert giant.passages > 110
    others = {(await written(world, f"The kettle of {name} is red")).id for name in ("Ada", "Bob", "Cleo")}
    assert {hit.memory.id for hit in (await searched(world, "the kettle is red")).hits} == {giant.id, *others}
    assert len((await searched(world, "the kettle is red", limit=2)).hits) == 2


async def test_a_memory_is_found_by_the_name_of_who_said_it(world: World) -> None:
    await written(world, "Rain again", scope=Scope(user="Bob"))
    ada = await written(world, "Rain again", scope=Scope(user="Ada"))
    results = await searched(world, "Ada rain")
    assert results.hits[0].memory == ada
    assert results.hits[0].relevance > results.hits[1].relevance


async def test_what_another_tenant_wrote_is_found_by_no_query_and_no_filter(world: World) -> None:
    await written(world, tenant=OTHER_TENANT)
    for mode in Mode:
        assert (await searched(world, mode=mode)).hits == ()
