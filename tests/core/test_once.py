import pytest

from commonplace.core.once import LOCKED, Answered, Once
from commonplace.model.errors import Conflict
from commonplace.rows.requests import NamedRequests
from world import TENANT, World

pytestmark = pytest.mark.anyio


async def never() -> Answered:
    raise AssertionError


async def died() -> Answered:
    raise KeyboardInterrupt


async def done() -> Answered:
    return Answered(200, "{}")


async def test_a_request_that_died_in_work_is_believed_for_a_minute_and_then_made_again(world: World) -> None:
    once = Once(NamedRequests(world.table), world.clock)
    with pytest.raises(KeyboardInterrupt):
        await once(TENANT, "key", b"request", died)
    with pytest.raises(Conflict):
        await once(TENANT, "key", b"request", never)
    world.clock.advance(LOCKED.total_seconds())
    assert await once(TENANT, "key", b"request", done) == Answered(200, "{}")
    assert await once(TENANT, "key", b"request", never) == Answered(200, "{}", repeated=True)


async def test_only_one_takes_the_place_of_a_request_that_died(world: World) -> None:
    requests = NamedRequests(world.table)
    once = Once(requests, world.clock)
    with pytest.raises(KeyboardInterrupt):
        await once(TENANT, "key", b"request", died)
    world.clock.advance(LOCKED.total_seconds())

    async def overtaken() -> Answered:
        with pytest.raises(Conflict):
            await once(TENANT, "key", b"request", never)
        return Answered(201, "{}")

    assert (await once(TENANT, "key", b"request", overtaken)).status == 201
