"""The keys of a tenant: listed, limited in number, revoked by their id; and what a key says of its holder."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commonplace.core.admit import Admit, KeyOrder
from commonplace.model.apikey import ApiKey, Permission, Principal, hashed
from commonplace.model.errors import Conflict, Forbidden, LimitReached, NotFound, Unauthenticated
from commonplace.ports.table import Delete, Item, Key, Update, Write
from commonplace.rows import keys
from commonplace.rows.apikeys import MOST_LIVE, ApiKeys, Slot
from fakes import START
from world import World

pytestmark = pytest.mark.anyio

TENANT = "a-tenant-without-keys"
ADMIN = Principal(TENANT, "key_admin", frozenset({Permission.ADMIN}), "secret")


def order(**fields: Any) -> KeyOrder:
    return replace(KeyOrder(tenant=TENANT, environment="test"), **fields)


def limited(*organizations: str) -> Principal:
    """An admin who is limited to these organisations."""
    return replace(ADMIN, organizations=frozenset(organizations))


def elsewhere(world: World) -> Admit:
    """Another process."""
    return Admit(ApiKeys(world.table), world.clock, world.ids)


async def minted(world: World, most: int | None = None, **fields: Any) -> ApiKey:
    return (await world.services.admit.mint(order(**fields), most))[1]


async def test_keys_are_listed_newest_first_good_or_not(world: World) -> None:
    admit = world.services.admit
    assert await admit.all(ADMIN, 10) == []
    expires_at = world.clock.now() + timedelta(seconds=1)
    made = [
        await minted(world),
        await minted(world, name="b", seated=False),
        await minted(world, expires_at=expires_at),
    ]
    made.append(await admit.accept("given", order()))
    revoked = await admit.withdraw(ADMIN, made[0].id)
    world.clock.advance(1)
    listed = await elsewhere(world).all(ADMIN, 10)
    assert listed == [made[3], made[2], made[1], revoked]
    assert [key.good(world.clock.now()) for key in listed] == [True, False, True, False]
    assert await admit.all(ADMIN, 2) == listed[:2]
    assert await admit.all(replace(ADMIN, tenant="umbrella-2"), 10) == []


async def test_a_limited_admin_governs_the_keys_of_its_organizations_alone(world: World) -> None:
    admit = world.services.admit
    whole, a, b, both = [
        await minted(world, organizations=organizations) for organizations in ((), ("a",), ("b",), ("a", "b"))
    ]
    assert await admit.all(limited("a"), 10) == [a]
    assert await admit.all(limited("a", "b"), 10) == [both, b, a]
    assert await admit.all(limited("a", "b"), 2) == [both, b]
    assert await admit.all(ADMIN, 10) == [both, b, a, whole]
    for key in (whole, b, both):
        for attempt in (admit.get(limited("a"), key.id), admit.withdraw(limited("a"), key.id)):
            with pytest.raises(NotFound):
                await attempt
    assert await admit.active(TENANT) == 4
    assert await admit.get(limited("a"), a.id) == a
    assert (await admit.withdraw(limited("a"), a.id)).revoked_at is not None


async def test_a_key_of_another_tenant_or_none_is_not_found(world: World) -> None:
    admit = world.services.admit
    key = await minted(world)
    stranger = replace(ADMIN, tenant="umbrella-2")
    assert not stranger.governs(key)
    for caller, id in ((stranger, key.id), (ADMIN, "key_unknown"), (ADMIN, ""), (ADMIN, key.hash)):
        for attempt in (admit.get(caller, id), admit.withdraw(caller, id)):
            with pytest.raises(NotFound) as caught:
                await attempt
            assert caught.value.noun == "key"
    assert await admit.get(ADMIN, key.id) == key


async def test_a_key_revoked_by_its_id_opens_nothing_at_once_here_and_after_a_minute_elsewhere(world: World) -> None:
    admit, other = world.services.admit, elsewhere(world)
    token, key = await admit.mint(order())
    await admit(token)
    await other(token)

    revoked = await admit.withdraw(ADMIN, key.id)

    assert revoked == replace(key, revoked_at=world.clock.now())
    with pytest.raises(Unauthenticated):
        await admit(token)
    assert (await other(token)).key == key.id
    world.clock.advance(60)
    with pytest.raises(Unauthenticated):
        await other(token)
    assert await admit.withdraw(ADMIN, key.id) == revoked
    assert await other.revoke(token) == revoked


async def test_a_key_that_is_revoked_while_it_is_looked_up_opens_nothing(world: World) -> None:
    token, key = await world.services.admit.mint(order())

    class SlowKeys(ApiKeys):
        """Finds a key, and tells it only after it was revoked."""

        async def find(self, hash: str) -> ApiKey | None:
            found = await super().find(hash)
            if not revoking:
                revoking.append(True)
                await admit.withdraw(ADMIN, key.id)
            return found

    revoking: list[bool] = []
    admit = Admit(SlowKeys(world.table), world.clock, world.ids)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await admit(token)


async def test_there_are_as_many_good_keys_as_the_limit(world: World) -> None:
    admit = world.services.admit
    first, _ = await minted(world, 3), await minted(world)
    expires_at = world.clock.now() + timedelta(seconds=30)
    await minted(world, 3, expires_at=expires_at)
    with pytest.raises(LimitReached) as caught:
        await minted(world, 3)
    assert (caught.value.noun, caught.value.limit, caught.value.current) == ("key", 3, 3)
    assert await admit.active(TENANT) == len(await admit.all(ADMIN, 10)) == 3

    await admit.withdraw(ADMIN, first.id)
    assert await admit.active(TENANT) == 2
    await minted(world, 3)
    with pytest.raises(LimitReached):
        await minted(world, 3)

    world.clock.advance(30)
    assert await admit.active(TENANT) == 2
    await minted(world, 3)
    with pytest.raises(LimitReached):
        await minted(world, 3)
    assert await admit.active(TENANT) == 3


async def test_keys_without_a_limit_count_but_are_never_refused(world: World) -> None:
    for _ in range(4):
        await minted(world)
    await world.services.admit.accept("given", order())
    with pytest.raises(LimitReached) as caught:
        await minted(world, 2)
    assert (caught.value.limit, caught.value.current) == (2, 5)
    assert await world.services.admit.active("umbrella-2") == 0


@pytest.mark.parametrize("unlimited", [0, 2])
async def test_many_who_mint_at_once_get_no_more_than_the_limit_and_no_less(world: World, unlimited: int) -> None:
    for _ in range(unlimited):
        await minted(world)
    minting = (elsewhere(world).mint(order(), 7) for _ in range(20))
    outcomes = await asyncio.gather(*minting, return_exceptions=True)
    assert sum(isinstance(outcome, tuple) for outcome in outcomes) == 7 - unlimited
    assert sum(isinstance(outcome, LimitReached) for outcome in outcomes) == 13 + unlimited
    assert await world.services.admit.active(TENANT) == 7


async def test_a_limit_beyond_what_is_counted_is_what_is_counted(world: World) -> None:
    await minted(world, MOST_LIVE + 1)
    assert await world.services.admit.active(TENANT) == 1


async def test_who_revokes_an_expired_key_takes_no_place_from_the_key_after_it(world: World) -> None:
    old = await minted(world, 1, expires_at=world.clock.now() + timedelta(seconds=1))
    world.clock.advance(1)
    await minted(world, 1)
    await world.services.admit.withdraw(ADMIN, old.id)
    assert await world.services.admit.active(TENANT) == 1
    with pytest.raises(LimitReached):
        await minted(world, 1)


async def test_two_keys_never_have_one_slot(world: World) -> None:
    rows = ApiKeys(world.table)
    key = await minted(world, 1, expires_at=world.clock.now() + timedelta(seconds=1))
    (seen,) = await rows.slots(TENANT)
    await rows.add(replace(key, id="key_b", hash="b"), seen)
    for stale in (seen, Slot(seen.name)):
        with pytest.raises(Conflict):
            await rows.add(replace(key, id="key_c", hash="c"), stale)
    assert await rows.find("c") is None


async def test_a_key_whose_place_changes_hands_while_it_is_revoked_is_revoked(world: World) -> None:
    rows = ApiKeys(world.table)
    key = await minted(world, 1, expires_at=world.clock.now() + timedelta(seconds=1))
    (seen,) = await rows.slots(TENANT)

    async def meanwhile() -> None:
        await rows.add(replace(key, id="key_b", hash="b", expires_at=None), seen)

    world.table.meanwhile = meanwhile
    assert (await world.services.admit.withdraw(ADMIN, key.id)).revoked_at is not None
    assert await world.services.admit.active(TENANT) == 1


async def test_a_key_from_before_keys_had_ids_to_be_found_by_can_still_be_used_and_revoked(world: World) -> None:
    token, key = await world.services.admit.mint(order())
    (slot,) = await ApiKeys(world.table).slots(TENANT)
    bare: list[Write] = [
        Delete(keys.known_key(TENANT, key.id)),
        Delete(keys.live_key(TENANT, slot.name)),
        Update(keys.api_key(key.hash), remove=("seated",)),
    ]
    await world.table.transact(bare)
    assert (await elsewhere(world)(token)).seated
    assert (await world.services.admit.revoke(token)).revoked_at == world.clock.now()
    with pytest.raises(Unauthenticated):
        await world.services.admit(token)


async def test_the_place_of_a_key_that_expires_is_dropped_by_the_table_in_time(world: World) -> None:
    expires_at = world.clock.now() + timedelta(days=1)
    await minted(world, expires_at=expires_at)
    (slot,) = await ApiKeys(world.table).slots(TENANT)
    found = await world.table.get(keys.live_key(TENANT, slot.name))
    assert isinstance(found, Item)
    assert found.attributes["ttl"] == int(expires_at.timestamp())


async def test_a_seat_is_what_the_key_was_ordered_with(world: World) -> None:
    admit = world.services.admit
    for seated in (True, False):
        token, key = await admit.mint(order(seated=seated))
        assert key.seated is (await ApiKeys(world.table).find(hashed(token)) or key).seated is seated
        for process in (admit, elsewhere(world)):
            assert (await process(token)).seated is seated
    plain, _ = await admit.mint(order())
    assert (await admit(plain)).seated


def test_a_request_that_names_no_organization_is_about_the_keys_own() -> None:
    assert ADMIN.organization == TENANT
    assert limited("org#1").organization == "org#1"
    assert limited("").organization == ""
    with pytest.raises(Forbidden, match="several"):
        _ = limited("a", "b").organization


async def test_keys_of_tenants_with_like_names_are_kept_apart() -> None:
    names = ["a", "a#b", "a%23b", "", "#", "%-"]
    partitions = {keys.known_key(name, "").partition for name in names} | {
        keys.live_key(name, "").partition for name in names
    }
    assert len(partitions) == 2 * len(names)
    assert keys.known_key("a", "x") == Key("known-keys#a", "key#x")


def test_a_place_is_free_before_the_first_key_and_once_the_last_one_has_expired() -> None:
    assert Slot("0000").free(START)
    assert not Slot("0000", 1).free(START)
    assert Slot("0000", 1, START).free(START)
    assert not Slot("0000", 1, START + timedelta(microseconds=1)).free(START)
