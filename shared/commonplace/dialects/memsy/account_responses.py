"""The answers about the caller, keys, usage, billing and connectors."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from commonplace.dialects.memsy.account_requests import SCOPES, Granularity
from commonplace.dialects.memsy.moments import iso, maybe_iso
from commonplace.model.apikey import ApiKey, Permission, Principal
from commonplace.model.usage import Dimension, Point, Usage

Object = dict[str, Any]

ADMIN, MEMBER = "org:admin", "org:member"
"""What a caller is in its organization."""


def me(caller: Principal, organization: str, tier: str, email: str = "") -> Object:
    """Who the caller is. There are keys here and no people: a key is its own user."""
    admin = caller.may(Permission.ADMIN)
    return {
        "customer_id": caller.tenant,
        "email": email,
        "tier": tier,
        "is_superadmin": False,
        "org_id": organization,
        "is_billing_admin": admin,
        "user_id": caller.key,
        "org_role": ADMIN if admin else MEMBER,
    }


def key(key: ApiKey, now: datetime) -> Object:
    """A key, without what opens anything. When it was last used is not kept."""
    return {
        "key_id": key.id,
        "prefix": key.prefix,
        "name": key.name or "",
        "is_active": key.good(now),
        "created_at": iso(key.created_at),
        "scopes": _scopes(key),
        "last_used_at": None,
        "expires_at": maybe_iso(key.expires_at),
    }


def keys(keys: Sequence[ApiKey], max_keys: int, now: datetime) -> Object:
    """A list of keys, and how many of them there may be."""
    shown = [key(each, now) for each in keys]
    return {"keys": shown, "max_keys": max_keys, "active_count": sum(each["is_active"] for each in shown)}


def created_key(token: str, key: ApiKey) -> Object:
    """A new key: the only time that it is shown."""
    return {
        "key_id": key.id,
        "raw_key": token,
        "prefix": key.prefix,
        "name": key.name or "",
        "scopes": _scopes(key),
    }


def _scopes(key: ApiKey) -> list[str]:
    return [each.value for each in SCOPES if each in key.permissions or Permission.ADMIN in key.permissions]


def key_usage(points: Iterable[Point]) -> Object:
    """What a key has used, a record for each day in the order in which they come."""
    records: dict[str, Object] = {}
    for point in points:
        date = _date(point.start, Granularity.DAILY)
        records.setdefault(date, {"date": date})[point.dimension.value] = point.quantity
    return {"usage": list(records.values())}


def usage_summary(organization: str, tier: str, usage: Usage) -> Object:
    """What was used in this month."""
    return {
        "org_id": organization,
        "tier": tier,
        "period_start": iso(usage.start),
        "period_end": iso(usage.end),
        "dimensions": [
            {
                "dimension": dimension.value,
                "used": usage.used.get(dimension, 0),
                "limit": usage.limits.get(dimension),
                "overage_rate": None,
            }
            for dimension in Dimension
        ],
    }


def usage_timeseries(organization: str, granularity: Granularity, points: Iterable[Point]) -> Object:
    """What was used, hour by hour or day by day."""
    return {
        "org_id": organization,
        "granularity": granularity.value,
        "data": [
            {
                "date": _date(point.start, granularity),
                "dimension": point.dimension.value,
                "quantity": point.quantity,
            }
            for point in points
        ],
    }


def _date(start: datetime, granularity: Granularity) -> str:
    return iso(start) if granularity is Granularity.HOURLY else iso(start)[: len("2026-04-01")]


def billing_summary(tier: str) -> Object:
    """Nobody is billed."""
    return {
        "tier": tier,
        "purchased_seats": 0,
        "assigned_seats": 0,
        "available_seats": 0,
        "stripe_customer_id": None,
        "payment_method": None,
        "upcoming_invoice": None,
        "subscription_status": None,
        "billing_contact": None,
        "stripe_subscription_id": None,
    }


def invoices() -> list[Object]:
    """There are none."""
    return []


def interest_recorded() -> Object:
    """The answer to who would like to have the larger plan."""
    return {"message": "Interest recorded"}


def interest_status(*, expressed: bool) -> Object:
    """Whether the organization would like to have the larger plan."""
    return {"expressed": expressed}


def providers() -> Object:
    """The sources that could be connected: none, since this service is registered with nobody."""
    return {"providers": []}


def connectors() -> list[Object]:
    """The sources that are connected: none."""
    return []


def connector_status() -> Object:
    """Whether a source is connected."""
    return {"connected": False, "display_name": None}
