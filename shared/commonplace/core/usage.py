"""What an organisation and a key have used: counted as it happens, told by month, day and hour."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from commonplace.model.errors import Invalid
from commonplace.model.usage import Dimension, Point, Usage
from commonplace.rows.usage import Usages

MOST_DAYS = 366
"""Days that a daily series spans at most: each is a row to read."""

MOST_DAYS_OF_HOURS = 31
"""Days that an hourly series spans at most: each may be 120 points to tell."""


def month_start(now: datetime) -> datetime:
    """The first moment of the month that ``now`` is in."""
    return datetime.combine(now.astimezone(UTC).date().replace(day=1), time(), UTC)


class Tally:
    """Counts use and tells it. Everything is in UTC. Whoever writes something anyway counts it in the same transaction, by
    ``commonplace.rows.usage.staged``."""

    def __init__(self, usages: Usages) -> None:
        self._usages = usages

    async def count(
        self, tenant: str, organization: str, amounts: Mapping[Dimension, int], now: datetime, key: str | None = None
    ) -> None:
        """Counts what was used at a time, by this API key if one is named."""
        await self._usages.count(tenant, organization, amounts, now, key)

    async def month(self, tenant: str, organization: str, now: datetime, limits: Mapping[Dimension, int]) -> Usage:
        """What the organisation has used in the month that ``now`` is in, up to now."""
        start = month_start(now)
        end = (start + timedelta(days=31)).replace(day=1)
        return Usage(start, end, await self._usages.month(tenant, organization, start.date()), limits)

    async def series(
        self,
        tenant: str,
        organization: str,
        start: datetime,
        end: datetime,
        dimension: Dimension | None = None,
        *,
        hourly: bool = False,
    ) -> list[Point]:
        """What the organisation used in each hour or day from the one that ``start`` is in to the one that ``end`` is in,
        both included, in order; where nothing was used, there is no point.

        Raises ``Invalid`` if the end is before the start, or more is asked for than ``MOST_DAYS`` or, by the hour,
        ``MOST_DAYS_OF_HOURS``.
        """
        first, last = _rounded(start, hourly), _rounded(end, hourly)
        if end < start:
            raise Invalid.field("period_end", "must not be before period_start")
        most = MOST_DAYS_OF_HOURS if hourly else MOST_DAYS
        if (last - first).days >= most:
            raise Invalid.field("period_start", f"must be less than {most} days before period_end")
        found = await self._usages.hours(tenant, organization, _days(first.date(), last.date()))
        sums: dict[tuple[datetime, Dimension], int] = {}
        for point in found:
            place = (_rounded(point.start, hourly), point.dimension)
            if first <= point.start and place[0] <= last and dimension in (None, point.dimension):
                sums[place] = sums.get(place, 0) + point.quantity
        every = list(Dimension)
        ordered = sorted(sums.items(), key=lambda each: (each[0][0], every.index(each[0][1])))
        return [Point(*place, quantity) for place, quantity in ordered]

    async def of_key(self, tenant: str, key: str, days: int, now: datetime) -> list[tuple[date, int]]:
        """How often an API key was used on each of the last ``days`` days, today included, oldest first; a day without use
        is left out."""
        today = now.astimezone(UTC).date()
        return await self._usages.calls(tenant, key, _days(today - timedelta(days=days - 1), today))


def _rounded(moment: datetime, hourly: bool) -> datetime:
    moment = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return moment if hourly else moment.replace(hour=0)


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
