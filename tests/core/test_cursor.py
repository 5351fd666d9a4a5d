import base64
import hashlib
import hmac

import pytest

from commonplace.core.cursor import SIGNATURE_BYTES, Cursors
from commonplace.model.errors import Invalid
from commonplace.model.filter import Filter
from commonplace.ports.table import Put
from commonplace.rows import keys
from commonplace.rows.apikeys import Secrets
from commonplace.rows.listing import Place
from steps import EVERYTHING, ids, written
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

PLACE = Place('["2026-01-02","memory#acme#ü","mem ory"]', 30)


def process(world: World) -> Cursors:
    return Cursors(Secrets(world.table), world.ids)


async def made(world: World) -> str:
    cursor = await process(world).write(PLACE, TENANT, EVERYTHING)
    assert cursor is not None
    return cursor


async def test_a_cursor_means_its_place_in_every_process(world: World) -> None:
    cursor = await made(world)
    assert await process(world).read(cursor, TENANT, Filter(store="default", confidential=True, archived=True)) == PLACE


@pytest.mark.parametrize("place", [Place(""), Place(" ", 1), Place("7 8\n9"), Place("x", 10**9)])
async def test_a_cursor_keeps_all_of_its_place(world: World, place: Place) -> None:
    cursors = process(world)
    assert await cursors.read(await cursors.write(place, TENANT), TENANT) == place


async def test_a_cursor_of_an_earlier_version_is_refused(world: World) -> None:
    secret = await Secrets(world.table).get("cursor", world.ids.token())
    payload = PLACE.after.encode()
    signature = hmac.digest(secret.encode(), payload + b"\n" + repr((TENANT,)).encode(), hashlib.sha256)
    cursor = base64.urlsafe_b64encode(signature[:SIGNATURE_BYTES] + payload).decode()
    with pytest.raises(Invalid, match="cursor: Not a cursor of this list"):
        await process(world).read(cursor, TENANT)


async def test_the_end_of_a_list_has_no_cursor_and_no_cursor_is_the_beginning(world: World) -> None:
    cursors = process(world)
    assert await cursors.write(None, TENANT) is None
    assert await cursors.read(None, TENANT) is None


async def test_a_cursor_can_stand_in_a_url(world: World) -> None:
    assert set(await made(world)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


async def test_a_cursor_of_another_tenant_or_another_filter_is_refused(world: World) -> None:
    cursor, cursors = await made(world), process(world)
    for bound in ((OTHER_TENANT, EVERYTHING), (TENANT, Filter(store="default")), (TENANT,), ()):
        with pytest.raises(Invalid, match="cursor: Not a cursor of this list"):
            await cursors.read(cursor, *bound)


async def test_a_cursor_of_another_service_is_refused(world: World) -> None:
    cursor = await made(world)
    await world.table.transact([Put(keys.secret("cursor"), {"noun": "secret", "value": "another"})])
    with pytest.raises(Invalid):
        await process(world).read(cursor, TENANT, EVERYTHING)


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "AAAA", "ü", "\udc80", "a" * 5000, "=", "AAA=AAA="])
async def test_what_never_was_a_cursor_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(Invalid):
        await process(world).read(cursor, TENANT, EVERYTHING)


async def test_a_cursor_of_which_any_bit_was_changed_is_refused(world: World) -> None:
    cursor, cursors = await made(world), process(world)
    data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Invalid):
            await cursors.read(base64.urlsafe_b64encode(changed).decode(), TENANT, EVERYTHING)


async def test_a_page_refuses_the_cursor_of_another_list(world: World) -> None:
    for _ in range(3):
        await written(world)
    browse = world.services.browse
    page = await browse.page(TENANT, EVERYTHING, limit=2)
    assert page.cursor is not None
    with pytest.raises(Invalid):
        await browse.page(OTHER_TENANT, EVERYTHING, limit=2, cursor=page.cursor)
    with pytest.raises(Invalid):
        await browse.page(TENANT, Filter(store="default"), limit=2, cursor=page.cursor)
    with pytest.raises(Invalid):
        await browse.page(TENANT, EVERYTHING, limit=2, cursor=page.cursor + "A")
    assert len(ids((await browse.page(TENANT, EVERYTHING, limit=2, cursor=page.cursor)).items)) == 1
