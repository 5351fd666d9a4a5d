import pytest

from commonplace.model.apikey import PREFIX_LENGTH, Permission
from commonplace.model.errors import Unauthenticated
from commonplace.rows.apikeys import Secrets
from keys import TENANT as OWN_TENANT
from keys import FirstKey, bootstrap
from world import World

pytestmark = pytest.mark.anyio

FRESH = "mem_local_first0123456789abcdefghijklmnop"
LATER = "mem_local_later0123456789abcdefghijklmnop"
GIVEN = "mem_local_given0123456789abcdefghijklmnop"


async def first(world: World, fresh: str, given: str | None = None) -> FirstKey:
    return await bootstrap(world.services.admit, Secrets(world.table), fresh, given)


async def test_the_first_start_shows_a_key_that_may_do_everything(world: World) -> None:
    assert await first(world, FRESH) == FirstKey(FRESH, FRESH[:PREFIX_LENGTH])
    principal = await world.services.admit(FRESH)
    assert principal.tenant == OWN_TENANT
    assert all(principal.may(permission) for permission in Permission)


async def test_a_later_start_shows_only_its_first_letters_and_makes_no_other(world: World) -> None:
    await first(world, FRESH)
    assert await first(world, LATER) == FirstKey(None, FRESH[:PREFIX_LENGTH])
    await world.services.admit(FRESH)
    with pytest.raises(Unauthenticated):
        await world.services.admit(LATER)


async def test_a_key_that_is_given_is_taken_at_each_start(world: World) -> None:
    for _ in range(2):
        assert await first(world, FRESH, GIVEN) == FirstKey(GIVEN, GIVEN[:PREFIX_LENGTH])
    await world.services.admit(GIVEN)
    with pytest.raises(Unauthenticated):
        await world.services.admit(FRESH)


async def test_the_first_start_without_a_given_key_shows_a_fresh_one_even_after_others(world: World) -> None:
    await first(world, FRESH, GIVEN)
    assert await first(world, LATER) == FirstKey(LATER, LATER[:PREFIX_LENGTH])
    await world.services.admit(LATER)
    await world.services.admit(GIVEN)


async def test_an_empty_given_key_counts_as_none(world: World) -> None:
    assert (await first(world, FRESH, "")).token == FRESH
