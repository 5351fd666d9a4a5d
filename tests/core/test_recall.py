import pytest

from commonplace.core.recall import Context
from commonplace.core.search import Wanted
from commonplace.model.errors import Unavailable
from commonplace.model.values import CHARACTERS_PER_TOKEN
from steps import EVERYTHING, written
from world import TENANT, World

pytestmark = pytest.mark.anyio


async def recalled(world: World, max_tokens: int | None = None, limit: int = 10) -> Context:
    return await world.services.recall(TENANT, Wanted(query="dark mode", filter=EVERYTHING, limit=limit), max_tokens)


async def test_a_context_is_a_numbered_list_of_the_hits_best_first(world: World) -> None:
    best = await written(world, "dark mode", importance=0.7)
    world.clock.advance(2 * 86_400)
    other = await written(world, "dark chocolate")
    context = await recalled(world)
    assert context.text == (
        "## Relevant Memories\n"
        "\n1. dark mode (importance: 0.7, stored 2 days ago)"
        "\n2. dark chocolate (importance: 0.5, stored just now)"
    )
    assert [hit.memory.id for hit in context.hits] == [best.id, other.id]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3_599, "59 minutes ago"),
        (3_600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (400 * 86_400, "400 days ago"),
    ],
)
async def test_the_age_of_a_memory_is_told_in_words(world: World, seconds: int, words: str) -> None:
    await written(world, "dark mode")
    world.clock.advance(seconds)
    assert f"stored {words})" in (await recalled(world)).text


async def test_a_memory_of_another_machines_future_was_stored_just_now(world: World) -> None:
    world.clock.advance(5)
    await written(world, "dark mode")
    world.clock.advance(-5)
    assert "stored just now)" in (await recalled(world)).text


async def test_no_hits_are_an_empty_text(world: World) -> None:
    assert await recalled(world) == Context("", (), ())


async def test_a_context_that_fits_is_not_cut(world: World) -> None:
    await written(world, "dark mode")
    whole = await recalled(world)
    assert await recalled(world, -(-len(whole.text) // CHARACTERS_PER_TOKEN)) == whole


async def test_a_context_never_has_more_than_the_tokens_that_it_may(world: World) -> None:
    await written(world, "dark mode in the kitchen at night")
    await written(world, "dark mode in the garden at noon")
    whole = await recalled(world)
    for max_tokens in range(1, 45):
        context = await recalled(world, max_tokens)
        assert len(context.text) <= max_tokens * CHARACTERS_PER_TOKEN
        assert whole.text.startswith(context.text)
        assert len(context.hits) == sum(f"\n{number}. " in context.text for number in (1, 2))
        assert bool(context.hits) == bool(context.text)


async def test_the_memory_that_does_not_fit_whole_is_cut_and_is_the_last(world: World) -> None:
    for number in range(3):
        await written(world, f"dark mode {number} " + "x" * 50)
    context = await recalled(world, 40)
    assert len(context.text) == 160
    assert len(context.hits) == 2


async def test_an_arm_that_failed_is_named_with_hits_and_without(world: World) -> None:
    world.index.broken_arms = ("words",)
    assert (await recalled(world)).degraded == ("words",)
    await written(world, "dark mode")
    assert (await recalled(world)).degraded == ("words",)


async def test_a_search_that_fails_is_no_empty_context(world: World) -> None:
    world.index.down = True
    with pytest.raises(Unavailable):
        await recalled(world)
