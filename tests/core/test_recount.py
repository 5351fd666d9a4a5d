"""Telling events as they were taken in."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from commonplace.core.browse import MOST_READ, SLICE
from commonplace.core.recount import Meant, Recount
from commonplace.model.event import Event, EventKind, EventOrder
from commonplace.rows.events import Events
from commonplace.rows.listing import BUDGET, Listed, Place
from fakes import START
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG = "org_1"
EVERY = Meant()


def order(number: int, **fields: Any) -> EventOrder:
    given = {"actor": "ada", "session": "s", "kind": EventKind.USER, **fields}
    return EventOrder(content=f"number {number}", at=START + timedelta(seconds=number), **given)


async def told(world: World, *orders: EventOrder, organization: str = ORG, tenant: str = TENANT) -> list[str]:
    return await world.services.ingest(tenant, organization, orders, lambda _, __: [])


async def recounted(
    world: World, meant: Meant = EVERY, *, limit: int = 50, offset: int = 0, newest_first: bool = True
) -> tuple[list[str], int]:
    """The ids of events, and how many are meant."""
    events, total = await world.services.recount(
        TENANT, ORG, meant, limit=limit, offset=offset, newest_first=newest_first
    )
    return [event.id for event in events], total


async def test_events_come_by_when_they_happened_and_are_counted(world: World) -> None:
    assert await recounted(world) == ([], 0)
    late, early, middle = await told(world, order(9), order(1), order(5))
    assert await recounted(world) == ([late, middle, early], 3)
    assert await recounted(world, newest_first=False) == ([early, middle, late], 3)
    assert await recounted(world, limit=1, offset=1) == ([middle], 3)
    assert await recounted(world, limit=2, offset=2, newest_first=False) == ([late], 3)
    assert await recounted(world, offset=3) == ([], 3)


async def test_events_of_others_are_neither_shown_nor_counted(world: World) -> None:
    await told(world, order(1), organization="org_2")
    await told(world, order(1), tenant=OTHER_TENANT)
    for meant in (EVERY, Meant(actor="ada"), Meant(session="s"), Meant(kind=EventKind.USER)):
        assert await recounted(world, meant) == ([], 0)


@pytest.mark.parametrize(
    ("meant", "numbers"),
    [
        (EVERY, [0, 1, 2, 3, 4]),
        (Meant(actor="ada"), [0, 2, 3]),
        (Meant(session="t"), [1, 2]),
        (Meant(kind=EventKind.TOOL), [3, 4]),
        (Meant(actor="ada", session="s"), [0, 3]),
        (Meant(actor="bob", kind=EventKind.TOOL), [4]),
        (Meant(actor="ada", session="t", kind=EventKind.TOOL), []),
        (Meant(actor="Ada"), []),
    ],
)
async def test_what_is_asked_for_has_all_to_be_so(world: World, meant: Meant, numbers: Sequence[int]) -> None:
    ids = await told(
        world,
        order(0),
        order(1, actor="bob", session="t"),
        order(2, session="t"),
        order(3, kind=EventKind.TOOL),
        order(4, actor="bob", kind=EventKind.TOOL),
    )
    wanted = [ids[number] for number in numbers]
    assert await recounted(world, meant, newest_first=False) == (wanted, len(wanted))
    for offset in range(len(wanted) + 1):
        page = wanted[::-1][offset : offset + 2]
        assert await recounted(world, meant, limit=2, offset=offset) == (page, len(wanted))


async def test_what_is_further_back_than_one_reading_goes_is_shown_too(world: World) -> None:
    count = BUDGET + SLICE + 5
    ids = await told(world, *(order(number) for number in range(count)))
    for meant in (EVERY, Meant(actor="ada")):
        found = await recounted(world, meant, limit=SLICE, offset=count - 10, newest_first=False)
        assert found == (ids[-10:], count)
        assert await recounted(world, meant, limit=3, offset=SLICE - 1) == (ids[::-1][SLICE - 1 : SLICE + 2], count)
        assert await recounted(world, meant, limit=3, offset=count) == ([], count)


class Endless(Events):
    """Has the same event again and again, as one row of ``apart``. Counts the rows that it read."""

    def __init__(self, event: Event, apart: int = 1) -> None:
        self.event = event
        self.apart = apart
        self.read = 0

    async def page(
        self, tenant: str, organization: str, *, limit: int, offset: int = 0, start: Place | None = None, **_: Any
    ) -> Listed[Event]:
        assert (tenant, organization) == (TENANT, ORG)
        offset = offset if start is None else start.offset
        rows = min((limit + offset) * self.apart, BUDGET)
        self.read += rows
        found = rows // self.apart
        return Listed((self.event,) * max(0, found - offset), Place("x", max(0, offset - found)), rows)

    async def total(self, tenant: str, organization: str) -> int:
        assert (tenant, organization) == (TENANT, ORG)
        return 10**6


@pytest.mark.parametrize(
    ("meant", "offset", "shown", "total", "read"),
    [
        (EVERY, 0, 50, 10**6, 50),
        (EVERY, 300, 50, 10**6, 350),
        (EVERY, MOST_READ - 10, 10, 10**6, MOST_READ),
        (EVERY, 2 * MOST_READ, 0, 10**6, MOST_READ),
        (EVERY, 10**6, 0, 10**6, 0),
        (Meant(actor="ada"), 0, 50, MOST_READ, MOST_READ),
        (Meant(actor="ada"), MOST_READ, 0, MOST_READ, MOST_READ),
    ],
)
async def test_of_very_many_only_so_many_are_read(
    world: World, meant: Meant, offset: int, shown: int, total: int, read: int
) -> None:
    (id,) = await told(world, order(1))
    endless = Endless((await world.services.events.many(TENANT, ORG, [id]))[id])
    found, counted = await Recount(endless)(TENANT, ORG, meant, limit=50, offset=offset, newest_first=True)
    assert (len(found), counted, endless.read) == (shown, total, read)


@pytest.mark.parametrize(("apart", "meant"), [(1_000, MOST_READ // 1_000), (10**9, 0)])
async def test_where_little_is_meant_no_more_is_read(world: World, apart: int, meant: int) -> None:
    (id,) = await told(world, order(1))
    endless = Endless((await world.services.events.many(TENANT, ORG, [id]))[id], apart)
    asked = Meant(session="s")
    found, counted = await Recount(endless)(TENANT, ORG, asked, limit=3, offset=1, newest_first=False)
    assert (len(found), counted, endless.read) == (min(3, meant), meant, MOST_READ)
