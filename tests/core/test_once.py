import asyncio

import pytest

from commonplace.core.once import LOCKED, LONGEST_KEY, REMEMBERED, Answered
from commonplace.model.errors import Conflict, Invalid, NotFound, Unavailable
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio


class Effect:
    """Counts how often it happened; raises what it is given first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.happened = 0

    async def __call__(self) -> Answered:
        if self.errors:
            raise self.errors.pop(0)
        self.happened += 1
        return Answered(201, f'{{"number":{self.happened}}}')


FIRST, AGAIN = Answered(201, '{"number":1}'), Answered(201, '{"number":1}', repeated=True)


async def test_a_repeated_request_has_one_effect_and_the_same_answer(world: World) -> None:
    effect = Effect()
    assert await world.services.once(TENANT, "key", b"request", effect) == FIRST
    assert await world.services.once(TENANT, "key", b"request", effect) == AGAIN
    assert effect.happened == 1


async def test_a_key_belongs_to_its_tenant(world: World) -> None:
    effect = Effect()
    await world.services.once(TENANT, "key", b"request", effect)
    assert not (await world.services.once(OTHER_TENANT, "key", b"request", effect)).repeated
    assert not (await world.services.once(TENANT, "other", b"request", effect)).repeated
    assert effect.happened == 3


async def test_another_request_under_the_same_key_is_refused(world: World) -> None:
    effect = Effect()
    await world.services.once(TENANT, "key", b"request", effect)
    with pytest.raises(Invalid, match="Was used for another request"):
        await world.services.once(TENANT, "key", b"another", effect)
    assert effect.happened == 1


async def test_a_key_that_is_too_long_is_refused(world: World) -> None:
    effect = Effect()
    await world.services.once(TENANT, "k" * LONGEST_KEY, b"", effect)
    with pytest.raises(Invalid):
        await world.services.once(TENANT, "k" * (LONGEST_KEY + 1), b"", effect)
    assert effect.happened == 1


async def test_an_answer_is_kept_for_a_day(world: World) -> None:
    effect = Effect()
    await world.services.once(TENANT, "key", b"request", effect)
    world.clock.advance(REMEMBERED.total_seconds() - 1)
    assert (await world.services.once(TENANT, "key", b"request", effect)).repeated
    world.clock.advance(1)
    assert not (await world.services.once(TENANT, "key", b"another", effect)).repeated
    assert (await world.services.once(TENANT, "key", b"another", effect)).repeated
    assert effect.happened == 2


async def test_of_requests_at_the_same_time_one_has_its_effect(world: World) -> None:
    effect = Effect()
    outcomes = await asyncio.gather(
        *(world.services.once(TENANT, "key", b"request", effect) for _ in range(10)), return_exceptions=True
    )
    assert effect.happened == 1
    assert outcomes.count(FIRST) == 1
    assert all(isinstance(outcome, Conflict) or outcome in (FIRST, AGAIN) for outcome in outcomes)


async def test_while_the_first_is_in_work_the_second_has_to_wait(world: World) -> None:
    seen: list[BaseException] = []

    async def slow() -> Answered:
        try:
            await world.services.once(TENANT, "key", b"request", Effect())
        except Conflict as error:
            seen.append(error)
        return FIRST

    assert await world.services.once(TENANT, "key", b"request", slow) == FIRST
    assert len(seen) == 1


async def test_a_request_that_is_refused_can_be_mended_under_its_key(world: World) -> None:
    effect = Effect(NotFound("memory"))
    with pytest.raises(NotFound):
        await world.services.once(TENANT, "key", b"request", effect)
    assert await world.services.once(TENANT, "key", b"mended", effect) == FIRST


async def test_a_request_in_which_a_part_failed_may_have_had_its_effect_and_stays_locked(world: World) -> None:
    effect = Effect(Unavailable("down"))
    with pytest.raises(Unavailable):
        await world.services.once(TENANT, "key", b"request", effect)
    with pytest.raises(Conflict):
        await world.services.once(TENANT, "key", b"request", effect)
    world.clock.advance(LOCKED.total_seconds())
    assert await world.services.once(TENANT, "key", b"request", effect) == FIRST


async def died(world: World) -> None:
    """A process that claimed the key and never answered."""
    with pytest.raises(ZeroDivisionError):
        await world.services.once(TENANT, "key", b"request", Effect(ZeroDivisionError()))


async def test_who_died_over_a_request_is_waited_for_and_then_replaced(world: World) -> None:
    effect = Effect()
    await died(world)
    world.clock.advance(LOCKED.total_seconds() - 1)
    with pytest.raises(Conflict):
        await world.services.once(TENANT, "key", b"request", effect)
    world.clock.advance(1)
    assert await world.services.once(TENANT, "key", b"request", effect) == FIRST
    assert await world.services.once(TENANT, "key", b"request", effect) == AGAIN


async def test_of_those_who_would_replace_the_dead_one_does(world: World) -> None:
    effect = Effect()
    await died(world)
    world.clock.advance(LOCKED.total_seconds())
    outcomes = await asyncio.gather(
        *(world.services.once(TENANT, "key", b"request", effect) for _ in range(10)), return_exceptions=True
    )
    assert effect.happened == 1
    assert outcomes.count(FIRST) == 1
