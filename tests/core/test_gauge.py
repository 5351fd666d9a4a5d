"""How many lengths of vectors an organisation and a tenant may bring."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from commonplace.core.gauge import MOST_REMEMBERED, Gauge
from commonplace.core.remember import Remembered
from commonplace.model.errors import CommonplaceError, Conflict, Invalid, Unavailable
from commonplace.model.scope import Scope
from commonplace.ports.table import ConditionFailed, Item, Key, Query, Scanned, Slice, Table, Write
from commonplace.rows.lengths import VectorLengths
from commonplace.wiring import Services
from steps import draft
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

OWN, ALL = r"^too many embedding dimensions for this organization$", r"^too many embedding dimensions$"


def gauge(world: World, organization: int = 3, tenant: int = 5) -> Gauge:
    """The gauge of a process of its own."""
    return Gauge(VectorLengths(world.table), organization, tenant)


async def known(world: World, organization: str | None, tenant: str = TENANT) -> tuple[set[int], set[int]]:
    own, all = await VectorLengths(world.table).get(tenant, organization)
    assert len(own.known) == len(set(own.known))
    assert len(all.known) == len(set(all.known))
    return set(own.known), set(all.known)


async def test_as_many_lengths_as_are_allowed_come_in_and_not_one_more(world: World) -> None:
    checked = gauge(world)
    for length in (1, 4096, 1536):
        await checked(TENANT, "a", length)
    for length in (2, 3):
        with pytest.raises(Invalid, match=OWN):
            await checked(TENANT, "a", length)
    assert await known(world, "a") == ({1, 1536, 4096}, {1, 1536, 4096})


async def test_a_length_that_is_known_comes_in_again_when_no_other_does(world: World) -> None:
    for length in (1, 2, 3):
        await gauge(world)(TENANT, "a", length)
    await gauge(world)(TENANT, "a", 2)
    await gauge(world, organization=1, tenant=1)(TENANT, "a", 2)
    assert await known(world, "a") == ({1, 2, 3}, {1, 2, 3})


async def test_a_tenant_has_a_limit_over_all_its_organizations(world: World) -> None:
    checked = gauge(world)
    for organization, length in (("a", 1), ("a", 2), ("b", 3), ("b", 4), ("c", 5)):
        await checked(TENANT, organization, length)
    with pytest.raises(Invalid, match=ALL):
        await checked(TENANT, "c", 6)
    await checked(TENANT, "c", 1)  # another organisation's length costs the tenant no more
    assert await known(world, "c") == ({1, 5}, {1, 2, 3, 4, 5})


async def test_organizations_and_tenants_are_gauged_each_for_itself(world: World) -> None:
    one = gauge(world, organization=1, tenant=100)
    names = ["a", "", "%-", "a#b", "a%23b", "b#", "\x00", TENANT, "o" * 600, None]
    for number, name in enumerate(names, 1):
        if name is not None:
            await one(TENANT, name, number)
    for number, name in enumerate(names, 1):
        if name is not None:
            assert (await known(world, name))[0] == {number}
    await one(OTHER_TENANT, "a", 77)
    assert await known(world, "a", OTHER_TENANT) == ({77}, {77})
    assert await known(world, None) == await known(world, "")


async def test_a_length_that_was_seen_costs_no_read(world: World) -> None:
    checked = gauge(world)
    await checked(TENANT, "a", 1)
    world.table.down = True
    await checked(TENANT, "a", 1)
    for unseen in ((TENANT, "a", 2), (TENANT, "b", 1), (OTHER_TENANT, "a", 1)):
        with pytest.raises(Unavailable):
            await checked(*unseen)


async def test_a_refused_length_is_asked_for_again(world: World) -> None:
    tight, wide = gauge(world, organization=1), gauge(world, organization=2)
    await tight(TENANT, "a", 1)
    with pytest.raises(Invalid, match=OWN):
        await tight(TENANT, "a", 2)
    await wide(TENANT, "a", 2)
    await tight(TENANT, "a", 2)


async def outcome(checked: Gauge, organization: str, length: int) -> CommonplaceError | None:
    try:
        await checked(TENANT, organization, length)
    except (Invalid, Conflict) as error:
        return error
    return None


async def test_many_at_once_never_bring_more_than_the_limit(world: World) -> None:
    outcomes = await asyncio.gather(*(outcome(gauge(world), "a", length) for length in range(1, 21)))
    own, all = await known(world, "a")
    assert own == all == {length for length, error in enumerate(outcomes, 1) if error is None}
    assert len(own) == 3

    outcomes = await asyncio.gather(*(outcome(gauge(world), f"o{n}", n) for n in range(100, 120)))
    _, all = await known(world, "a")
    assert len(all) == 5
    assert len([error for error in outcomes if error is None]) == 2


async def test_of_two_at_once_the_second_comes_in_as_well(world: World) -> None:
    other = gauge(world)

    async def meanwhile() -> None:
        await other(TENANT, "a", 2)

    world.table.meanwhile = meanwhile
    await gauge(world)(TENANT, "a", 1)
    assert await known(world, "a") == ({1, 2}, {1, 2})


class LengthsTable(Table):
    """A table that holds the length 1 for everybody, and counts the reads."""

    def __init__(self) -> None:
        self.reads = 0

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        self.reads += 1
        return {key: Item(key, {"lengths": "[1]", "revision": 1}) for key in keys}

    async def get(self, key: Key) -> Item | None:
        raise NotImplementedError

    async def transact(self, writes: Sequence[Write]) -> None:
        raise NotImplementedError

    async def query(self, query: Query) -> Slice:
        raise NotImplementedError

    async def scan(self, after: str | None, limit: int) -> Scanned:
        raise NotImplementedError


async def test_what_is_remembered_is_bounded() -> None:
    table = LengthsTable()
    checked = Gauge(VectorLengths(table), 1, 1)
    for number in range(MOST_REMEMBERED):
        await checked(TENANT, str(number), 1)
    await checked(TENANT, "0", 1)
    assert table.reads == MOST_REMEMBERED
    await checked(TENANT, "one more", 1)
    await checked(TENANT, "0", 1)
    assert table.reads == MOST_REMEMBERED + 2


class ContestedTable(Table):
    """A table whose rows of lengths are always changed by another just before they are written."""

    def __init__(self, inner: Table) -> None:
        self.inner = inner
        self.refused = 0

    async def transact(self, writes: Sequence[Write]) -> None:
        if any(write.key.sort == "lengths" for write in writes):
            self.refused += 1
            raise ConditionFailed({0: None})
        await self.inner.transact(writes)

    async def get(self, key: Key) -> Item | None:
        return await self.inner.get(key)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        return await self.inner.batch_get(keys)

    async def query(self, query: Query) -> Slice:
        return await self.inner.query(query)

    async def scan(self, after: str | None, limit: int) -> Scanned:
        return await self.inner.scan(after, limit)


async def test_a_conflict_that_stays_is_the_error_of_its_own_memories(world: World) -> None:
    table = ContestedTable(world.table)
    engines = replace(world.services.engines, table=table)
    remember = Services(world.services.settings, engines, world.clock, world.ids).remember
    scope = Scope(organization="a")
    drafts = [draft("one", vector=(1.0,), scope=scope), draft("two"), draft("three", vector=(2.0,), scope=scope)]
    first, second, third = (await remember.now(TENANT, drafts)).outcomes
    assert isinstance(first, Conflict)
    assert isinstance(second, Remembered)
    assert isinstance(third, Conflict)
    assert table.refused == 16 + 64 + 1
    with pytest.raises(Conflict):
        await remember.later(TENANT, drafts[0])
    assert await known(world, "a") == (set(), set())


async def test_a_table_that_is_down_is_no_memorys_error(world: World) -> None:
    world.table.down = True
    with pytest.raises(Unavailable):
        await world.services.remember.now(TENANT, [draft("one", vector=(1.0,))])
