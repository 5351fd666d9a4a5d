from collections.abc import Sequence
from datetime import timedelta

import pytest

from commonplace.core.admit import MOST_CACHED, Admit, KeyOrder
from commonplace.model.apikey import Permission, hashed
from commonplace.model.errors import Conflict, Expired, NotFound, Unauthenticated, Unavailable
from commonplace.ports.table import Item, Key, Query, Scanned, Slice, Table, Write
from commonplace.rows.apikeys import ApiKeys
from fakes import FakeClock, FakeIds
from world import TENANT, World

pytestmark = pytest.mark.anyio

ORDER = KeyOrder(tenant=TENANT, environment="test")


def elsewhere(world: World) -> Admit:
    """Another process."""
    return Admit(ApiKeys(world.table), world.clock, world.ids)


async def test_a_minted_key_opens_its_tenant_and_is_kept_as_its_hash_alone(world: World) -> None:
    token, key = await world.services.admit.mint(ORDER)
    principal = await world.services.admit(token)
    assert token.startswith("mem_test_")
    assert len(token) >= len("mem_test_") + 32
    assert (principal.tenant, principal.key) == (TENANT, key.id)
    assert principal.permissions == {Permission.READ, Permission.WRITE}
    assert (principal.secret, key.hash, key.prefix) == (hashed(token), hashed(token), token[:16])
    assert token not in repr(await ApiKeys(world.table).find(hashed(token)))
    assert principal.secret not in repr(principal)


async def test_everything_ordered_stands_in_the_key(world: World) -> None:
    order = KeyOrder(
        tenant=TENANT,
        environment="prod",
        permissions=(Permission.ADMIN,),
        name="ci",
        expires_at=world.clock.now() + timedelta(days=1),
        daily_limit_usd=1.5,
        monthly_limit_usd=0.0,
    )
    token, key = await world.services.admit.mint(order)
    assert token.startswith("mem_prod_")
    assert await ApiKeys(world.table).find(hashed(token)) == key
    assert (key.name, key.daily_limit_usd, key.monthly_limit_usd) == ("ci", 1.5, 0.0)


@pytest.mark.parametrize("token", ["", "nonsense", "mem_test_" + "x" * 40, "ü\udc80"])
async def test_an_unknown_key_opens_nothing(world: World, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await world.services.admit(token)


async def test_a_key_that_was_unknown_a_moment_ago_opens_at_once(world: World) -> None:
    with pytest.raises(Unauthenticated):
        await world.services.admit("mem_test_given")
    await world.services.admit.accept("mem_test_given", ORDER)
    assert (await world.services.admit("mem_test_given")).tenant == TENANT


async def test_a_key_cannot_be_accepted_twice(world: World) -> None:
    await world.services.admit.accept("mem_test_given", ORDER)
    with pytest.raises(Conflict):
        await world.services.admit.accept("mem_test_given", ORDER)


async def test_a_key_is_believed_for_a_minute_without_looking(world: World) -> None:
    await world.services.admit.accept("given", ORDER)
    await world.services.admit("given")
    world.table.down = True
    world.clock.advance(59)
    assert (await world.services.admit("given")).tenant == TENANT
    world.clock.advance(1)
    with pytest.raises(Unavailable):
        await world.services.admit("given")


async def test_a_revoked_key_opens_nothing_at_once_here_and_after_a_minute_elsewhere(world: World) -> None:
    other = elsewhere(world)
    await world.services.admit.accept("given", ORDER)
    await world.services.admit("given")
    await other("given")

    revoked = await world.services.admit.revoke("given")

    assert revoked.revoked_at == world.clock.now()
    with pytest.raises(Unauthenticated):
        await world.services.admit("given")
    assert (await other("given")).tenant == TENANT
    world.clock.advance(60)
    with pytest.raises(Unauthenticated):
        await other("given")


async def test_a_key_that_is_not_there_cannot_be_revoked(world: World) -> None:
    with pytest.raises(NotFound):
        await world.services.admit.revoke("nothing")


async def test_a_key_opens_until_it_expires_even_from_memory(world: World) -> None:
    expires_at = world.clock.now() + timedelta(seconds=30)
    await world.services.admit.accept("given", KeyOrder(tenant=TENANT, environment="test", expires_at=expires_at))
    world.clock.advance(29)
    await world.services.admit("given")
    world.clock.advance(1)
    for admit in (world.services.admit, elsewhere(world)):
        with pytest.raises(Expired):
            await admit("given")


async def test_only_a_key_that_was_not_revoked_is_called_expired(world: World) -> None:
    expires_at = world.clock.now() + timedelta(seconds=30)
    await world.services.admit.accept("given", KeyOrder(tenant=TENANT, environment="test", expires_at=expires_at))
    await world.services.admit.revoke("given")
    world.clock.advance(30)
    for token in ("given", "unknown"):
        with pytest.raises(Unauthenticated) as caught:
            await world.services.admit(token)
        assert caught.type is Unauthenticated


async def test_admin_may_everything_and_others_what_they_were_given(world: World) -> None:
    await world.services.admit.accept(
        "admin", KeyOrder(tenant=TENANT, environment="test", permissions=(Permission.ADMIN,))
    )
    await world.services.admit.accept("plain", ORDER)
    admin, plain = await world.services.admit("admin"), await world.services.admit("plain")
    assert [admin.may(permission) for permission in Permission] == [True] * 4
    assert [plain.may(permission) for permission in Permission] == [True, True, False, False]


async def test_a_key_is_good_for_the_organizations_that_it_was_ordered_for(world: World) -> None:
    order = KeyOrder(tenant=TENANT, environment="test", organizations=("org_a", "org#b"))
    token, key = await world.services.admit.mint(order)
    assert key.organizations == ("org_a", "org#b")
    for admit in (world.services.admit, elsewhere(world), world.services.admit):
        principal = await admit(token)
        assert principal.organizations == {"org_a", "org#b"}
        good = {name: principal.within(name) for name in ("org_a", "org#b", "org", "org_a ", "ORG_A", "", TENANT, None)}
        assert [name for name, within in good.items() if within] == ["org_a", "org#b"]


async def test_a_key_without_organizations_is_good_for_all_of_its_tenant(world: World) -> None:
    await world.services.admit.accept("given", ORDER)
    for admit in (world.services.admit, elsewhere(world)):
        principal = await admit("given")
        assert principal.organizations == frozenset()
        assert all(principal.within(name) for name in ("any", "", TENANT, None))


async def test_admin_is_no_way_into_another_organization(world: World) -> None:
    permissions = (Permission.ADMIN,)
    order = KeyOrder(tenant=TENANT, environment="test", permissions=permissions, organizations=("org",))
    await world.services.admit.accept("given", order)
    principal = await world.services.admit("given")
    assert (principal.within("org"), principal.within("other"), principal.within(None)) == (True, False, False)


class EveryKey(Table):
    """A table in which every key is known, and that counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def get(self, key: Key) -> Item | None:
        self.asked += 1
        attributes = {
            "id": "k",
            "tenant": TENANT,
            "hash": "h",
            "prefix": "p",
            "permissions": "[]",
            "created_at": "2026-01-01T00:00:00.000000Z",
        }
        return Item(key, attributes)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        raise NotImplementedError

    async def transact(self, writes: Sequence[Write]) -> None:
        raise NotImplementedError

    async def scan(self, after: str | None, limit: int) -> Scanned:
        raise NotImplementedError

    async def query(self, query: Query) -> Slice:
        raise NotImplementedError


async def test_what_is_remembered_is_bounded() -> None:
    table = EveryKey()
    admit = Admit(ApiKeys(table), FakeClock(), FakeIds())
    for number in range(MOST_CACHED):
        await admit(str(number))
    await admit("0")
    assert table.asked == MOST_CACHED
    await admit("one more")
    await admit("0")
    assert table.asked == MOST_CACHED + 2
