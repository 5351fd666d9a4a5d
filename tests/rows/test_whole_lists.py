"""Lists that no caller goes on with have all that there is, though a page of them reads only so many rows."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from commonplace.model.directory import Group, GroupKind, PromptSource
from commonplace.model.store import Store
from commonplace.rows.groups import Groups
from commonplace.rows.listing import BUDGET
from commonplace.rows.stores import Stores
from fakes import START
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

MANY = BUDGET + 7
NAMES = [f"{number:05d}" for number in range(MANY)]


async def test_all_stores_of_a_tenant_are_listed_newest_first(world: World) -> None:
    stores = Stores(world.table)
    store = Store(
        id="",
        tenant=TENANT,
        key="",
        name="n",
        vector_provider="p",
        embedding_model="m",
        created_at=START,
        updated_at=START,
    )
    many = [
        replace(store, id=name, key=f"mem-{name}", created_at=START + timedelta(seconds=number))
        for number, name in enumerate(NAMES)
    ]
    await asyncio.gather(*(stores.add(each) for each in many), stores.add(replace(store, tenant=OTHER_TENANT)))
    assert [each.id for each in await stores.all(TENANT)] == NAMES[::-1]
    assert len(await stores.all(OTHER_TENANT)) == 1


async def test_all_groups_of_an_organization_are_listed_newest_first(world: World) -> None:
    groups = Groups(world.table)
    group = Group(
        id="",
        kind=GroupKind.TEAM,
        tenant=TENANT,
        organization="o",
        name="n",
        focus="f",
        prompt="p",
        prompt_source=PromptSource.GENERATED,
        prompted_at=START,
        created_at=START,
        updated_at=START,
    )
    await asyncio.gather(*(groups.add(replace(group, id=name), slot) for slot, name in enumerate(NAMES)))

    async def page(limit: int, offset: int) -> list[str]:
        return [each.id for each in await groups.page(TENANT, "o", GroupKind.TEAM, limit=limit, offset=offset)]

    assert await page(10_000, 0) == NAMES[::-1]
    assert await page(BUDGET + 2, 3) == NAMES[::-1][3 : BUDGET + 5]
    assert await page(3, BUDGET + 2) == NAMES[::-1][BUDGET + 2 : BUDGET + 5]
    assert await groups.page(TENANT, "o", GroupKind.ROLE, limit=10_000, offset=0) == []
