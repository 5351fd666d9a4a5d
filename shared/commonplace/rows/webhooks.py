"""Webhooks and their deliveries."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from commonplace.model.errors import CommonplaceError, Conflict, NotFound
from commonplace.model.values import Json
from commonplace.model.webhook import Attempt, Delivery, DeliveryState, EventType, Webhook
from commonplace.ports.table import (
    TTL_ATTRIBUTE,
    Absent,
    Delete,
    Item,
    Present,
    Put,
    Query,
    RevisionIs,
    Table,
    Update,
    Value,
)
from commonplace.rows import keys
from commonplace.rows.apart import apart
from commonplace.rows.codec import Reader, present, text
from commonplace.rows.commit import Staged, commit

RECORD_LIFE = timedelta(days=30)
"""How long the record of a delivery is kept after the delivery was made."""

MOST = 20
"""Endpoints of one tenant at most: each event of the tenant becomes a delivery to each of them in one transaction."""


class Webhooks:
    """The endpoints of all tenants."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def all(self, tenant: str) -> list[Webhook]:
        """The endpoints of a tenant, newest first."""
        partition = keys.webhook(tenant, "").partition
        found = await self._table.query(Query(partition=partition, descending=True, limit=MOST + 1))
        items = await self._table.batch_get(found.keys) if found.keys else {}
        return [_decoded(items[key]) for key in found.keys if key in items]

    async def get(self, tenant: str, id: str) -> Webhook | None:
        """The endpoint, or None."""
        item = await self._table.get(keys.webhook(tenant, id))
        return None if item is None else _decoded(item)

    async def add(self, webhook: Webhook) -> None:
        """Writes a new endpoint."""
        put = Put(keys.webhook(webhook.tenant, webhook.id), _encoded(webhook), Absent())
        await commit(self._table, [Staged(put)])

    async def replace(self, webhook: Webhook) -> Webhook:
        """Writes an endpoint over its revision, raising it. Raises ``NotFound`` or ``Conflict``."""
        new = replace(webhook, revision=webhook.revision + 1)
        put = Put(keys.webhook(webhook.tenant, webhook.id), _encoded(new), RevisionIs(webhook.revision))
        await commit(self._table, [Staged(put, _changed)])
        return new

    async def remove(self, tenant: str, id: str) -> None:
        """Removes an endpoint. Raises ``NotFound``."""
        await commit(self._table, [Staged(Delete(keys.webhook(tenant, id), Present()), _changed)])


class Deliveries:
    """The deliveries of all tenants."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: str, id: str) -> Delivery | None:
        """The delivery with its record, or None."""
        item = await self._table.get(keys.delivery(tenant, id))
        return None if item is None else _delivery(item)

    async def replace(self, delivery: Delivery) -> Delivery:
        """Writes a delivery over its revision, raising it. Raises ``NotFound`` or ``Conflict``."""
        new = replace(delivery, revision=delivery.revision + 1)
        put = Put(keys.delivery(delivery.tenant, delivery.id), _delivery_row(new), RevisionIs(delivery.revision))
        await commit(self._table, [Staged(put, _delivery_changed)])
        return new

    async def put_off(self, deliveries: Sequence[Delivery], until: datetime) -> None:
        """Moves when deliveries are due. One of which an attempt was recorded since it was read stays as it is; the revision
        stays too, so that an attempt that is being made just now can be recorded."""
        writes = [
            Update(
                keys.delivery(each.tenant, each.id),
                set=present({"due_at": until, "work_at": keys.timed(until, each.id)}),
                condition=RevisionIs(each.revision),
            )
            for each in deliveries
        ]
        await apart(self._table, writes)

    async def due(self, shard: str, before: datetime, limit: int) -> list[Delivery]:
        """Deliveries of a shard that were due before a time, longest due first."""
        query = Query(partition=shard, index="work", high=keys.stamp(before), limit=limit)
        wanted = (await self._table.query(query)).keys
        items = await self._table.batch_get(wanted)
        return [_delivery(items[key]) for key in wanted if key in items]


def staged(deliveries: Sequence[Delivery]) -> tuple[Staged, ...]:
    """The writes of new deliveries, to be made together with what they tell of."""
    return tuple(
        Staged(Put(keys.delivery(delivery.tenant, delivery.id), _delivery_row(delivery), Absent()))
        for delivery in deliveries
    )


def _changed(item: Item | None) -> CommonplaceError:
    return NotFound("webhook") if item is None else Conflict("The webhook was changed at the same time")


def _delivery_changed(item: Item | None) -> CommonplaceError:
    return NotFound("delivery") if item is None else Conflict("The delivery was changed at the same time")


def _encoded(webhook: Webhook) -> dict[str, Value]:
    return present(
        {
            "noun": "webhook",
            "id": webhook.id,
            "tenant": webhook.tenant,
            "url": webhook.url,
            "secret": webhook.secret,
            "event_types": text(webhook.event_types),
            "description": webhook.description,
            "enabled": webhook.enabled,
            "created_at": webhook.created_at,
            "revision": webhook.revision,
        }
    )


def _decoded(item: Item) -> Webhook:
    row = Reader(item.attributes)
    return Webhook(
        id=row.string("id"),
        tenant=row.string("tenant"),
        url=row.string("url"),
        secret=row.string("secret"),
        event_types=tuple(EventType(name) for name in row.json("event_types")),
        description=row.maybe("description"),
        enabled=row.flag("enabled"),
        created_at=row.moment("created_at"),
        revision=row.whole("revision"),
    )


def _delivery_row(delivery: Delivery) -> dict[str, Value]:
    attempts: list[Json] = [
        {"at": keys.stamp(each.at), "status": each.status, "error": each.error} for each in delivery.attempts
    ]
    due = delivery.due_at
    return present(
        {
            "noun": "delivery",
            "id": delivery.id,
            "tenant": delivery.tenant,
            "webhook": delivery.webhook,
            "url": delivery.url,
            "secret": delivery.secret,
            "event": delivery.event.value,
            "body": delivery.body,
            "created_at": delivery.created_at,
            "due_at": due,
            "state": delivery.state.value,
            "attempts": text(attempts),
            "revision": delivery.revision,
            "work_key": None if due is None else keys.due(delivery.id),
            "work_at": None if due is None else keys.timed(due, delivery.id),
            TTL_ATTRIBUTE: int((delivery.created_at + RECORD_LIFE).timestamp()),
        }
    )


def _delivery(item: Item) -> Delivery:
    row = Reader(item.attributes)
    return Delivery(
        id=row.string("id"),
        tenant=row.string("tenant"),
        webhook=row.maybe("webhook"),
        url=row.string("url"),
        secret=row.maybe("secret"),
        event=EventType(row.string("event")),
        body=row.string("body"),
        created_at=row.moment("created_at"),
        due_at=row.maybe_moment("due_at"),
        state=DeliveryState(row.string("state")),
        attempts=tuple(
            Attempt(datetime.fromisoformat(each["at"]), each["status"], each["error"]) for each in row.json("attempts")
        ),
        revision=row.whole("revision"),
    )
