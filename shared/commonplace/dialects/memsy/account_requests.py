"""Memsy's requests about keys, usage and the larger plan."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from commonplace.dialects.memsy.fields import Fields, mapping
from commonplace.dialects.memsy.moments import moment
from commonplace.dialects.memsy.query import Parameters, Query
from commonplace.dialects.memsy.refusal import refused
from commonplace.model.apikey import Permission
from commonplace.model.filter import Period
from commonplace.model.usage import Dimension
from commonplace.model.values import Json

SCOPES = (Permission.READ, Permission.WRITE)
"""What a key may be allowed to do."""

MOST_EMAIL = 320
"""Characters of an address: 64 before the @ and 255 after it (RFC 3696, section 3)."""

MOST_NOTES = 4000
"""Characters of a free text. The API knows no limit."""


class Granularity(StrEnum):
    """How finely usage is told."""

    DAILY = "daily"
    HOURLY = "hourly"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """A key as a caller asks for it; with ``expires_at`` None it is good for ever."""

    name: str
    permissions: tuple[Permission, ...]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """Which usage is asked for. ``dimension`` None is all. ``period`` consists of whole days, or hours; an end that is None
    was not said."""

    granularity: Granularity
    dimension: Dimension | None
    period: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """Who would like to have the larger plan."""

    email: str
    name: str
    company: str | None
    use_case: str | None
    notes: str | None


def key_request(body: Json, now: datetime) -> KeyRequest:
    """POST /keys. What would be over already is refused."""
    fields = Fields(mapping(body))
    name = fields.required("name")
    scopes = fields.choices("scopes", SCOPES)
    expires_at = fields.moment("expires_at")
    if expires_at is not None and expires_at <= now:
        raise refused("expires_at", "must be in the future")
    permissions = tuple(scope for scope in SCOPES if scopes is None or scope in scopes)
    return KeyRequest(name=name, permissions=permissions, expires_at=expires_at)


def interest(body: Json) -> Interest:
    """POST /interest/pro."""
    fields = Fields(mapping(body))
    return Interest(
        email=fields.required("email", MOST_EMAIL),
        name=fields.required("name"),
        company=fields.named("company"),
        use_case=fields.named("use_case", MOST_NOTES),
        notes=fields.named("notes", MOST_NOTES),
    )


def usage_query(query: Query) -> UsageQuery:
    """GET /usage/timeseries. Both ends are included: a date as the whole day, a time as the hour or day that it is in."""
    parameters = Parameters(query)
    granularity = parameters.choice("granularity", Granularity.DAILY)
    start, _ = _span(parameters, "period_start", granularity)
    _, end = _span(parameters, "period_end", granularity)
    if start is not None and end is not None and start >= end:
        raise refused("period_end", "must not be before period_start")
    dimension = None if parameters.text("dimension") is None else parameters.choice("dimension", Dimension.API_CALLS)
    return UsageQuery(granularity=granularity, dimension=dimension, period=Period(start, end))


def _span(parameters: Parameters, name: str, granularity: Granularity) -> tuple[datetime, datetime] | tuple[None, None]:
    """Where the hour or the day begins that a parameter is in, and where the next one does."""
    text = parameters.text(name)
    if text is None:
        return None, None
    try:
        found = moment(text).replace(minute=0, second=0, microsecond=0)
        if granularity is Granularity.HOURLY and not _is_date(text):
            return found, found + timedelta(hours=1)
        found = found.replace(hour=0)
        return found, found + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise refused(name, "must be a date or a time in ISO 8601") from error


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
