"""Who would like to have a larger plan."""

import asyncio
from datetime import timedelta

import pytest

from commonplace.model.errors import Unavailable
from commonplace.rows import keys
from commonplace.rows.interests import Interests
from fakes import START
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG = "org_1"
WORDS = {"email": "ada@example.com", "name": "Ada", "company": None, "notes": ""}


async def test_interest_is_of_one_organization_and_every_process_knows_it(world: World) -> None:
    interests = Interests(world.table)
    assert not await interests.expressed(TENANT, ORG)
    await interests.express(TENANT, ORG, WORDS, START)
    assert await Interests(world.table).expressed(TENANT, ORG)
    for tenant, organization in ((OTHER_TENANT, ORG), (TENANT, "org_2"), (TENANT, ""), (f"{TENANT}#{ORG}", "")):
        assert not await interests.expressed(tenant, organization)


async def test_what_was_said_last_stands_and_what_was_not_said_is_not_there(world: World) -> None:
    interests = Interests(world.table)
    await interests.express(TENANT, ORG, {**WORDS, "company": "Acme"}, START)
    await interests.express(TENANT, ORG, WORDS, START + timedelta(days=1))
    item = await world.table.get(keys.interest(TENANT, ORG))
    assert item is not None
    said = {name: item.attributes.get(name) for name in ("noun", "email", "name", "company", "notes")}
    assert said == {"noun": "interest", "email": "ada@example.com", "name": "Ada", "company": None, "notes": ""}
    assert str(item.attributes["expressed_at"]).startswith("2026-01-03T")


async def test_those_who_say_it_at_once_do_not_disturb_each_other(world: World) -> None:
    words = [{**WORDS, "name": str(number)} for number in range(8)]
    await asyncio.gather(*(Interests(world.table).express(TENANT, ORG, each, START) for each in words))
    assert await Interests(world.table).expressed(TENANT, ORG)


async def test_a_table_that_cannot_be_asked_says_so(world: World) -> None:
    world.table.down = True
    with pytest.raises(Unavailable):
        await Interests(world.table).express(TENANT, ORG, WORDS, START)
    with pytest.raises(Unavailable):
        await Interests(world.table).expressed(TENANT, ORG)
