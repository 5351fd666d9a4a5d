"""Webhook endpoints: registered, changed, removed."""

from dataclasses import dataclass, replace

from commonplace.core.retry import until_settled
from commonplace.model.errors import Conflict, Invalid, NotFound
from commonplace.model.webhook import EventType, Webhook
from commonplace.ports.world import Clock, Ids, Refused, Sender
from commonplace.rows.webhooks import MOST, Webhooks


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOrder:
    """An endpoint as a caller asks for it; ``secret`` signs what it is sent."""

    url: str
    secret: str
    event_types: tuple[EventType, ...] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """What an update of an endpoint asks for; None leaves a part as it is."""

    url: str | None = None
    secret: str | None = None
    event_types: tuple[EventType, ...] | None = None
    description: str | None = None
    enabled: bool | None = None


class Subscribe:
    """The endpoints of a tenant."""

    def __init__(self, webhooks: Webhooks, sender: Sender, clock: Clock, ids: Ids) -> None:
        self._webhooks = webhooks
        self._sender = sender
        self._clock = clock
        self._ids = ids

    async def allow(self, field: str, url: str) -> None:
        """Raises ``Invalid``, naming the field, for a URL that may not be called."""
        try:
            await self._sender.check(url)
        except Refused as refused:
            raise Invalid.field(field, refused.message) from refused

    async def add(self, tenant: str, order: WebhookOrder) -> Webhook:
        """A new endpoint. Raises ``Invalid`` for its URL, ``Conflict`` if the tenant has too many."""
        await self.allow("url", order.url)
        if len(await self._webhooks.all(tenant)) >= MOST:
            raise Conflict(f"At most {MOST} webhooks can be registered")
        webhook = Webhook(
            id=f"wh_{self._ids.new()}",
            tenant=tenant,
            url=order.url,
            secret=order.secret,
            event_types=order.event_types,
            description=order.description,
            created_at=self._clock.now(),
        )
        await self._webhooks.add(webhook)
        return webhook

    async def all(self, tenant: str) -> list[Webhook]:
        """The endpoints, newest first."""
        return await self._webhooks.all(tenant)

    async def get(self, tenant: str, id: str) -> Webhook:
        """The endpoint. Raises ``NotFound``."""
        webhook = await self._webhooks.get(tenant, id)
        if webhook is None:
            raise NotFound("webhook")
        return webhook

    async def change(self, tenant: str, id: str, change: WebhookChange) -> Webhook:
        """The endpoint after the change. Raises ``NotFound``, or ``Invalid`` for its URL."""
        if change.url is not None:
            await self.allow("url", change.url)

        async def attempt() -> Webhook:
            old = await self.get(tenant, id)
            new = replace(
                old,
                url=old.url if change.url is None else change.url,
                secret=old.secret if change.secret is None else change.secret,
                event_types=old.event_types if change.event_types is None else change.event_types,
                description=old.description if change.description is None else change.description,
                enabled=old.enabled if change.enabled is None else change.enabled,
            )
            return old if new == old else await self._webhooks.replace(new)

        return await until_settled(attempt)

    async def remove(self, tenant: str, id: str) -> None:
        """Removes an endpoint; what is still to be delivered to it is not delivered. Raises ``NotFound``."""
        await self._webhooks.remove(tenant, id)
