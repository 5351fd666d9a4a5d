"""Counting use, and telling it by month, day and hour."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from commonplace.core.usage import MOST_DAYS, MOST_DAYS_OF_HOURS, Tally
from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.usage import Dimension, Point, Usage
from commonplace.rows.usage import Usages
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG = "org_1"
NOW = datetime(2026, 4, 15, 13, 59, 59, 999999, tzinfo=UTC)
CALLS, EVENTS, STORED, TOKENS, SEARCHES = Dimension


def tally(world: World) -> Tally:
    """The counting, as a process of its own does it."""
    return Tally(Usages(world.table))


async def test_what_is_counted_is_told_for_the_month_with_its_limits(world: World) -> None:
    await tally(world).count(TENANT, ORG, {CALLS: 1, EVENTS: 40}, NOW)
    await tally(world).count(TENANT, ORG, {CALLS: 1, TOKENS: 2_500_000_000}, NOW + timedelta(days=15))
    limits = {CALLS: 10_000}
    usage = await tally(world).month(TENANT, ORG, NOW, limits)
    assert usage == Usage(
        datetime(2026, 4, 1, tzinfo=UTC),
        datetime(2026, 5, 1, tzinfo=UTC),
        {CALLS: 2, EVENTS: 40, TOKENS: 2_500_000_000},
        limits,
    )


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), date(2026, 12, 1), date(2027, 1, 1)),
        (datetime(2027, 1, 1, tzinfo=UTC), date(2027, 1, 1), date(2027, 2, 1)),
        (datetime(2028, 2, 29, tzinfo=UTC), date(2028, 2, 1), date(2028, 3, 1)),
        (datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=2))), date(2026, 2, 1), date(2026, 3, 1)),
    ],
)
async def test_a_month_is_a_calendar_month_in_utc(world: World, now: datetime, start: date, end: date) -> None:
    await tally(world).count(TENANT, ORG, {CALLS: 1}, now)
    usage = await tally(world).month(TENANT, ORG, now, {})
    assert (usage.start.date(), usage.end.date(), usage.used) == (start, end, {CALLS: 1})
    assert (await tally(world).month(TENANT, ORG, usage.end, {})).used == {}
    assert (await tally(world).month(TENANT, ORG, usage.start - timedelta(microseconds=1), {})).used == {}


async def test_twenty_counts_at_once_are_exact(world: World) -> None:
    amounts = {CALLS: 1, EVENTS: 7}
    await asyncio.gather(*(tally(world).count(TENANT, ORG, amounts, NOW, "key_1") for _ in range(20)))
    assert (await tally(world).month(TENANT, ORG, NOW, {})).used == {CALLS: 20, EVENTS: 140}
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    found = await tally(world).series(TENANT, ORG, NOW, NOW, hourly=True)
    assert found == [Point(hour, CALLS, 20), Point(hour, EVENTS, 140)]
    assert await tally(world).of_key(TENANT, "key_1", 1, NOW) == [(NOW.date(), 20)]


async def test_use_is_of_one_tenant_one_organization_and_one_key(world: World) -> None:
    await tally(world).count(TENANT, ORG, {CALLS: 1}, NOW, "key_1")
    for tenant, organization in ((TENANT, "org_2"), (OTHER_TENANT, ORG), (f"{TENANT}#{ORG}", ""), (TENANT, "")):
        assert (await tally(world).month(tenant, organization, NOW, {})).used == {}
        assert await tally(world).series(tenant, organization, NOW, NOW) == []
    for tenant, key in ((TENANT, "key_2"), (OTHER_TENANT, "key_1")):
        assert await tally(world).of_key(tenant, key, 30, NOW) == []


async def test_nothing_used_counts_nothing(world: World) -> None:
    before = (await world.table.scan(None, 100)).items
    for amounts in ({}, {CALLS: 0}):
        await tally(world).count(TENANT, ORG, amounts, NOW, "key_1")
    assert (await world.table.scan(None, 100)).items == before
    await tally(world).count(TENANT, ORG, {CALLS: 1}, NOW, "key_1")
    assert len((await world.table.scan(None, 100)).items) == len(before) + 3


async def test_a_table_that_is_down_is_said(world: World) -> None:
    world.table.down = True
    with pytest.raises(Unavailable):
        await tally(world).count(TENANT, ORG, {CALLS: 1}, NOW)


async def several(world: World) -> list[tuple[datetime, Dimension, int]]:
    """Use on several days, around midnights."""
    midnight = datetime(2026, 4, 1, tzinfo=UTC)
    used = [
        (midnight - timedelta(microseconds=1), CALLS, 1),
        (midnight, CALLS, 2),
        (midnight + timedelta(hours=23, minutes=59), CALLS, 4),
        (midnight + timedelta(hours=23), SEARCHES, 8),
        (midnight + timedelta(days=1), CALLS, 16),
        (midnight + timedelta(days=30), CALLS, 32),
    ]
    for at, dimension, amount in used:
        await tally(world).count(TENANT, ORG, {dimension: amount}, at)
    return used


async def test_days_are_the_sums_of_their_hours(world: World) -> None:
    await several(world)
    first = datetime(2026, 4, 1, tzinfo=UTC)
    days = [first + timedelta(days=number) for number in range(31)]
    found = await tally(world).series(TENANT, ORG, first + timedelta(hours=5), days[29])
    assert found == [Point(days[0], CALLS, 6), Point(days[0], SEARCHES, 8), Point(days[1], CALLS, 16)]
    found = await tally(world).series(TENANT, ORG, first - timedelta(hours=1), days[30], CALLS)
    assert [point.quantity for point in found] == [1, 6, 16, 32]
    assert {point.dimension for point in found} == {CALLS}
    assert found[0].start == datetime(2026, 3, 31, tzinfo=UTC)


async def test_hours_are_told_from_that_of_the_start_to_that_of_the_end(world: World) -> None:
    await several(world)
    first = datetime(2026, 4, 1, tzinfo=UTC)
    last = first + timedelta(hours=23)

    async def between(start: datetime, end: datetime, dimension: Dimension | None = None) -> list[Point]:
        return await tally(world).series(TENANT, ORG, start, end, dimension, hourly=True)

    whole = [Point(first, CALLS, 2), Point(last, CALLS, 4), Point(last, SEARCHES, 8)]
    assert await between(first + timedelta(minutes=59), last) == whole
    assert await between(first + timedelta(hours=1), last) == whole[1:]
    assert await between(first, last - timedelta(microseconds=1)) == whole[:1]
    assert await between(last, last + timedelta(hours=1), CALLS) == [
        whole[1],
        Point(last + timedelta(hours=1), CALLS, 16),
    ]
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    assert await between(first.astimezone(elsewhere), last.astimezone(elsewhere)) == whole


@pytest.mark.parametrize(("hourly", "most"), [(False, MOST_DAYS), (True, MOST_DAYS_OF_HOURS)])
async def test_a_series_has_an_order_and_an_end(world: World, hourly: bool, most: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = start + timedelta(days=most) - timedelta(microseconds=1)
    for at in (start, end):
        await tally(world).count(TENANT, ORG, {STORED: 1}, at)
    assert len(await tally(world).series(TENANT, ORG, start, end, hourly=hourly)) == 2
    with pytest.raises(Invalid, match=str(most)):
        await tally(world).series(TENANT, ORG, start, start + timedelta(days=most), hourly=hourly)
    with pytest.raises(Invalid, match="period_end"):
        await tally(world).series(TENANT, ORG, start, start - timedelta(microseconds=1), hourly=hourly)


async def test_a_key_has_its_calls_on_each_of_the_last_days(world: World) -> None:
    today = datetime(2026, 3, 2, 12, tzinfo=UTC)
    for days, calls in ((0, 1), (1, 2), (2, 4), (29, 8), (30, 16)):
        await tally(world).count(TENANT, ORG, {CALLS: calls, EVENTS: 100}, today - timedelta(days=days), "key_1")
    await tally(world).count(TENANT, "org_2", {CALLS: 32}, today, "key_1")
    await tally(world).count(TENANT, ORG, {SEARCHES: 1}, today - timedelta(days=5), "key_1")
    await tally(world).count(TENANT, ORG, {CALLS: 64}, today)
    assert await tally(world).of_key(TENANT, "key_1", 30, today) == [
        (date(2026, 2, 1), 8),
        (date(2026, 2, 28), 4),
        (date(2026, 3, 1), 2),
        (date(2026, 3, 2), 33),
    ]
    assert await tally(world).of_key(TENANT, "key_1", 1, today) == [(date(2026, 3, 2), 33)]
