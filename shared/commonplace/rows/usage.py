"""What organisations and API keys used: a few counters for each month and each day."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time

from commonplace.model.usage import Dimension, Point
from commonplace.ports.table import Item, Table
from commonplace.rows import keys
from commonplace.rows.codec import Reader
from commonplace.rows.commit import Staged, commit
from commonplace.rows.figures import Count, tallied

HOURS = 24

_CODES: Mapping[Dimension, str] = {
    Dimension.API_CALLS: "c",
    Dimension.EVENTS_INGESTED: "e",
    Dimension.MEMORIES_STORED: "m",
    Dimension.LLM_TOKENS: "t",
    Dimension.SEARCH_QUERIES: "s",
}
"""The first letter of an hour's counter. A day has 120 of them, which so stay within 1 KB: one write unit (DynamoDB)."""


def counts(
    tenant: str, organization: str, amounts: Mapping[Dimension, int], now: datetime, key: str | None = None
) -> list[Count]:
    """What was used at a time counts for in at most three counter items: the organisation's month, the hours of its day,
    and the days of the API key, of which only the calls are counted."""
    now = now.astimezone(UTC)
    month, day = _month(now.date()), now.date().isoformat()
    wanted: list[Count] = []
    for dimension, amount in amounts.items():
        if amount == 0:
            continue
        wanted += [
            Count(keys.month_usage(tenant, organization, month), dimension.value, amount),
            Count(keys.day_usage(tenant, organization, day), _hour(dimension, now.hour), amount),
        ]
        if key is not None and dimension is Dimension.API_CALLS:
            wanted.append(Count(keys.key_usage(tenant, key, month), f"{now.day:02d}", amount))
    return wanted


def staged(
    tenant: str, organization: str, amounts: Mapping[Dimension, int], now: datetime, key: str | None = None
) -> list[Staged]:
    """The writes that count what was used, to be made together with what used it: at most three, none for nothing."""
    return tallied(counts(tenant, organization, amounts, now, key))


class Usages:
    """What all organisations and keys of all tenants used."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def count(
        self, tenant: str, organization: str, amounts: Mapping[Dimension, int], now: datetime, key: str | None = None
    ) -> None:
        """Counts what was used, in one transaction."""
        await commit(self._table, staged(tenant, organization, amounts, now, key))

    async def month(self, tenant: str, organization: str, month: date) -> dict[Dimension, int]:
        """What an organisation used in the month of a day (UTC); what it did not use is left out."""
        item = await self._table.get(keys.month_usage(tenant, organization, _month(month)))
        if item is None:
            return {}
        row = Reader(item.attributes)
        used = {dimension: row.whole(dimension.value) for dimension in Dimension}
        return {dimension: amount for dimension, amount in used.items() if amount}

    async def hours(self, tenant: str, organization: str, days: Sequence[date]) -> list[Point]:
        """What an organisation used in each hour of the days (UTC), in order; an hour without use is left out."""
        wanted = {day: keys.day_usage(tenant, organization, day.isoformat()) for day in days}
        items = await self._table.batch_get(list(wanted.values()))
        return [point for day, key in wanted.items() if key in items for point in _points(day, items[key])]

    async def calls(self, tenant: str, key: str, days: Sequence[date]) -> list[tuple[date, int]]:
        """How often an API key was used on each of the days (UTC), in order; a day without use is left out."""
        wanted = {day: keys.key_usage(tenant, key, _month(day)) for day in days}
        items = await self._table.batch_get(list(wanted.values()))
        rows = {own: Reader(item.attributes) for own, item in items.items()}
        found = [(day, rows[own].whole(f"{day.day:02d}")) for day, own in wanted.items() if own in rows]
        return [(day, calls) for day, calls in found if calls]


def _month(day: date) -> str:
    return day.isoformat()[: len("2026-04")]


def _hour(dimension: Dimension, hour: int) -> str:
    return f"{_CODES[dimension]}{hour:02d}"


def _points(day: date, item: Item) -> list[Point]:
    row = Reader(item.attributes)
    every = [
        Point(datetime.combine(day, time(hour), UTC), dimension, row.whole(_hour(dimension, hour)))
        for hour in range(HOURS)
        for dimension in Dimension
    ]
    return [point for point in every if point.quantity]
