"""What the settings make of the services."""

from dataclasses import replace

import pytest

from commonplace.model.apikey import Permission, Principal
from commonplace.model.errors import Invalid
from commonplace.settings import Settings
from commonplace.wiring import OPEN_TENANT, Services
from steps import draft, written
from world import KEY, TENANT, World

pytestmark = pytest.mark.anyio


def services(world: World, settings: Settings) -> Services:
    return Services(settings, world.services.engines, world.clock, world.ids)


async def test_without_a_key_nobody_comes_in_unless_the_settings_say_so(world: World) -> None:
    assert world.services.stranger is None
    stranger = services(world, Settings(auth_mode="open")).stranger
    assert isinstance(stranger, Principal)
    assert stranger.tenant == OPEN_TENANT
    assert stranger.permissions == {Permission.READ, Permission.WRITE}
    assert stranger.within("any organization")


async def test_the_host_knows_keys_origins_and_whose_a_row_is(world: World) -> None:
    settings = replace(world.services.settings, cors_origins=("https://a.example",))
    made = services(world, settings)
    host = made.host
    assert (await host.authenticate(KEY)).tenant == TENANT
    assert host.origins == ("https://a.example",)
    assert host.ids is world.ids
    assert host.once is made.once
    assert host.shared.fallback == "relay"
    memory = await written(world, origin="edge")
    assert await host.shared.origin(TENANT, memory.id) == "edge"


async def test_the_limits_of_lengths_are_those_of_the_settings(world: World) -> None:
    remember = services(world, Settings(organization_lengths=1, tenant_lengths=1)).remember
    await remember.later(TENANT, draft("one", vector=(1.0,)))
    with pytest.raises(Invalid):
        await remember.later(TENANT, draft("two", vector=(1.0, 1.0)))
