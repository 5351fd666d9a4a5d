"""Memsy: health of both planes, /v1/clear, and the control plane: /api/me, events, keys, usage, billing, interest, connectors."""

from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta

from account.health import checked
from commonplace import __version__
from commonplace.core.admit import KeyOrder
from commonplace.core.recount import Meant
from commonplace.core.usage import month_start
from commonplace.dialects.memsy import (
    account_requests,
    account_responses,
    console_requests,
    console_responses,
    responses,
)
from commonplace.dialects.memsy.account_requests import Granularity
from commonplace.dialects.memsy.console_requests import EventSort
from commonplace.dialects.memsy.errors import SIGNUP
from commonplace.http.credentials import ANY_KEY
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.model.errors import FeatureMissing, NotFound, SeatRequired, Unsupported
from commonplace.model.usage import Dimension, Point
from commonplace.wiring import Services

KEYS_SHOWN = 1_000
KEY_DAYS = 31
"""Days of which the use of a key is told."""


def operations(services: Services) -> list[Operation]:
    """The endpoints. Scopes are of the data plane alone, and whoever asks how the service is may hold any."""
    planes = [*_health(services), *_console(services), *_keys(services), *_usage(services), *_connectors()]
    return [*map(services.metered, planes), Operation("POST", "/api/agents/signup", None, _signup)]


async def _signup(_: Call) -> Reply:
    raise NotFound(SIGNUP)


def _health(services: Services) -> list[Operation]:
    async def health(_: Call) -> Reply:
        return Reply(responses.health(__version__))

    async def union(_: Call) -> Reply:
        """The path that MemoryRelay has as well: every key is good for both, and so are the words."""
        body, status = await checked(services)
        well = responses.health(__version__) if status == 200 else {}  # noqa: PLR2004 - HTTP's OK
        return Reply({**body, **well}, status)

    async def clear(_: Call) -> Reply:
        raise Unsupported("clear")

    return [
        Operation("GET", "/v1/health", ANY_KEY, union),
        Operation("GET", "/api/health", ANY_KEY, health),
        Operation("DELETE", "/v1/clear/{container_tag}", Permission.READ, clear),
    ]


def _console(services: Services) -> list[Operation]:
    async def me(call: Call) -> Reply:
        return Reply(account_responses.me(call.caller, call.caller.organization, services.plan))

    async def events(call: Call) -> Reply:
        if not call.caller.seated:
            raise SeatRequired
        order = console_requests.event_listing(call.query)
        found, total = await services.recount(
            call.tenant,
            call.caller.organization,
            Meant(actor=order.actor, session=order.session, kind=order.kind),
            limit=order.limit,
            offset=order.offset,
            newest_first=order.sort is EventSort.LAST,
        )
        items = [console_responses.event(event) for event in found]
        return Reply(console_responses.page(items, total, order.limit, order.offset))

    return [
        Operation("GET", "/api/me", ANY_KEY, me),
        Operation("GET", "/api/console/events", ANY_KEY, events),
    ]


def _keys(services: Services) -> list[Operation]:
    admit, most = services.admit, services.settings.most_keys

    async def listing(call: Call) -> Reply:
        found = await admit.all(call.caller, KEYS_SHOWN)
        return Reply(account_responses.keys(found, most, services.clock.now()))

    async def create(call: Call) -> Reply:
        asked = account_requests.key_request(call.json(), services.clock.now())
        order = KeyOrder(
            tenant=call.tenant,
            environment=services.settings.environment,
            permissions=asked.permissions,
            name=asked.name,
            expires_at=asked.expires_at,
            organizations=tuple(sorted(call.caller.organizations)),
            seated=False,
        )
        return Reply(account_responses.created_key(*await admit.mint(order, most)))

    async def remove(call: Call) -> Reply:
        await admit.withdraw(call.caller, call.path["id"])
        return Reply(None, 204)

    async def usage(call: Call) -> Reply:
        key = await admit.get(call.caller, call.path["id"])
        days = await services.tally.of_key(call.tenant, key.id, KEY_DAYS, services.clock.now())
        points = [Point(datetime.combine(day, time(), UTC), Dimension.API_CALLS, calls) for day, calls in days]
        return Reply(account_responses.key_usage(points))

    return [
        Operation("GET", "/api/keys", Permission.ADMIN, listing),
        Operation("POST", "/api/keys", Permission.ADMIN, create, secret=True),
        Operation("DELETE", "/api/keys/{id}", Permission.ADMIN, remove),
        Operation("GET", "/api/keys/{id}/usage", Permission.ADMIN, usage),
    ]


def _usage(services: Services) -> list[Operation]:
    tally, limits = services.tally, dict(services.settings.quotas)

    async def summary(call: Call) -> Reply:
        organization = call.caller.organization
        usage = await tally.month(call.tenant, organization, services.clock.now(), limits)
        return Reply(account_responses.usage_summary(organization, services.plan, usage))

    async def timeseries(call: Call) -> Reply:
        query = account_requests.usage_query(call.query)
        organization, now = call.caller.organization, services.clock.now()
        hourly = query.granularity is Granularity.HOURLY
        # The period ends where the next hour or day begins.
        end = now if query.period.end is None else query.period.end - timedelta(microseconds=1)
        start = query.period.start or min(month_start(now), end)
        points = await tally.series(call.tenant, organization, start, end, query.dimension, hourly=hourly)
        return Reply(account_responses.usage_timeseries(organization, query.granularity, points))

    async def billing(_: Call) -> Reply:
        return Reply(account_responses.billing_summary(services.plan))

    async def invoices(_: Call) -> Reply:
        return Reply(account_responses.invoices())

    async def interest(call: Call) -> Reply:
        words = asdict(account_requests.interest(call.json()))
        await services.interests.express(call.tenant, call.caller.organization, words, services.clock.now())
        return Reply(account_responses.interest_recorded())

    async def interested(call: Call) -> Reply:
        expressed = await services.interests.expressed(call.tenant, call.caller.organization)
        return Reply(account_responses.interest_status(expressed=expressed))

    return [
        Operation("GET", "/api/usage/summary", Permission.ADMIN, summary),
        Operation("GET", "/api/usage/timeseries", Permission.ADMIN, timeseries),
        Operation("GET", "/api/billing/summary", Permission.ADMIN, billing),
        Operation("GET", "/api/billing/invoices", Permission.ADMIN, invoices),
        Operation("POST", "/api/interest/pro", ANY_KEY, interest),
        Operation("GET", "/api/interest/pro/status", ANY_KEY, interested),
    ]


def _connectors() -> list[Operation]:
    """There are no connectors, and so none by any id."""

    async def providers(_: Call) -> Reply:
        return Reply(account_responses.providers())

    async def listing(_: Call) -> Reply:
        return Reply(account_responses.connectors())

    async def status(_: Call) -> Reply:
        return Reply(account_responses.connector_status())

    async def refused(_: Call) -> Reply:
        raise FeatureMissing("connectors")

    async def unknown(_: Call) -> Reply:
        raise NotFound("connector")

    root = "/api/connectors"
    return [
        Operation("GET", root, ANY_KEY, listing),
        Operation("GET", f"{root}/providers", ANY_KEY, providers),
        Operation("POST", f"{root}/s3/configure", ANY_KEY, refused),
        Operation("GET", f"{root}/{{provider}}/status", ANY_KEY, status),
        Operation("POST", f"{root}/{{provider}}/connect", ANY_KEY, refused),
        Operation("GET", f"{root}/{{id}}/resources", ANY_KEY, unknown),
        Operation("PUT", f"{root}/{{id}}/resources", ANY_KEY, unknown),
        Operation("GET", f"{root}/{{id}}/branches", ANY_KEY, unknown),
        Operation("GET", f"{root}/{{id}}/picker-token", ANY_KEY, unknown),
        Operation("POST", f"{root}/{{id}}/sync", ANY_KEY, unknown),
        Operation("GET", f"{root}/{{id}}", ANY_KEY, unknown),
        Operation("DELETE", f"{root}/{{id}}", ANY_KEY, unknown),
    ]
