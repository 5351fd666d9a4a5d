"""Delivering webhooks: at least once, on a schedule, with a record of every attempt."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from commonplace.core.notify import Notify
from commonplace.core.signature import standard_headers
from commonplace.model.errors import Conflict, NotFound
from commonplace.model.webhook import Answer, Attempt, Delivery, DeliveryState, Webhook
from commonplace.ports.meter import Meter, Outcome
from commonplace.ports.meter import delivery as measured
from commonplace.ports.world import Clock, Ids, Refused, Sender, Unreachable
from commonplace.rows.webhooks import Deliveries, Webhooks

Headers = Callable[[Delivery, bytes, str], Mapping[str, str]]
"""From a delivery, its body and the secret to the headers of a public API's own."""

SCHEDULE = (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
"""Seconds between one attempt and the next (Svix's schedule)."""

JITTER = 0.2
FLOOR_WHEN_BUSY = 60
"""Seconds that are waited at least after no answer, or 429."""

OK = range(200, 300)
GONE = 410
TOO_MANY = 429

OUTCOMES: dict[DeliveryState, Outcome] = {
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.PENDING: "retried",
    DeliveryState.FAILED: "failed",
}
"""What an attempt came to, by the state that it leaves the delivery in."""


class Deliver:
    """Makes the attempts."""

    def __init__(
        self,
        deliveries: Deliveries,
        webhooks: Webhooks,
        notify: Notify,
        sender: Sender,
        headers: Headers,
        clock: Clock,
        ids: Ids,
        meter: Meter,
    ) -> None:
        self._deliveries = deliveries
        self._webhooks = webhooks
        self._notify = notify
        self._sender = sender
        self._headers = headers
        self._clock = clock
        self._ids = ids
        self._meter = meter

    async def __call__(self, tenant: str, id: str, attempt: int) -> None:
        """Makes attempt number ``attempt`` (from 0) of a delivery, records it, and asks for the next one if need be.

        A message for an attempt that was made already, or for a delivery that is over, does nothing. Whatever the
        endpoint does is recorded and is no error; raises ``Unavailable`` if the record cannot be written.
        """
        delivery = await self._deliveries.get(tenant, id)
        if delivery is None or delivery.state is not DeliveryState.PENDING or len(delivery.attempts) != attempt:
            return
        webhook = None if delivery.webhook is None else await self._webhooks.get(tenant, delivery.webhook)
        if delivery.webhook is not None and (webhook is None or not webhook.enabled):
            await self._record(replace(delivery, state=DeliveryState.FAILED, due_at=None))
            return
        answer, error = await self._tried(delivery, webhook)
        now = self._clock.now()
        tried = replace(
            delivery,
            attempts=(
                *delivery.attempts,
                Attempt(now, None if answer is None else answer.status, _reason(answer, error)),
            ),
        )
        if answer is not None and answer.status in OK:
            await self._record(replace(tried, state=DeliveryState.DELIVERED, due_at=None))
            return
        if answer is not None and answer.status == GONE and webhook is not None:
            await self._disable(webhook)
        await self._again(tried, answer, error, now)

    async def _tried(self, delivery: Delivery, webhook: Webhook | None) -> tuple[Answer | None, Exception | None]:
        secret = webhook.secret if webhook is not None else delivery.secret or ""
        body = delivery.body.encode()
        headers = {
            "content-type": "application/json",
            **self._headers(delivery, body, secret),
            **standard_headers(delivery.id, int(self._clock.now().timestamp()), body, secret),
        }
        try:
            return await self._sender.post(delivery.url if webhook is None else webhook.url, headers, body), None
        except (Refused, Unreachable) as error:
            return None, error

    async def _again(self, delivery: Delivery, answer: Answer | None, error: Exception | None, now: datetime) -> None:
        made = len(delivery.attempts)
        final = isinstance(error, Refused) or (answer is not None and answer.status == GONE)
        if final or made > len(SCHEDULE):
            await self._record(replace(delivery, state=DeliveryState.FAILED, due_at=None))
            return
        delay = next_delay(made, answer, self._ids.jitter())
        recorded = await self._record(replace(delivery, due_at=now + timedelta(seconds=delay)))
        if recorded is not None and delay <= SOON:
            await self._notify.send([recorded], delay)

    async def _record(self, delivery: Delivery) -> Delivery | None:
        """Writes the record; None if another attempt at the same time wrote its own first."""
        try:
            recorded = await self._deliveries.replace(delivery)
        except (Conflict, NotFound):
            return None
        self._meter.record(measured(OUTCOMES[recorded.state]))
        return recorded

    async def _disable(self, webhook: Webhook) -> None:
        try:
            await self._webhooks.replace(replace(webhook, enabled=False))
        except (Conflict, NotFound):
            return


SOON = 900
"""Seconds up to which the queue can hold a message back (SQS); the sweeper takes what is due later."""


def next_delay(made: int, answer: Answer | None, jitter: float) -> int:
    """Seconds until the next attempt after ``made`` of them, spread by ``jitter`` in [0,1) to ±20 %.

    A Retry-After is honoured between the scheduled delay and twice that.
    """
    base = SCHEDULE[made - 1]
    delay = base * (1 - JITTER + 2 * JITTER * jitter)
    if answer is None or answer.status == TOO_MANY:
        delay = max(delay, FLOOR_WHEN_BUSY)
    if answer is not None and answer.retry_after is not None:
        delay = max(delay, min(answer.retry_after, 2 * base))
    return round(delay)


def _reason(answer: Answer | None, error: Exception | None) -> str | None:
    if answer is None:
        return str(error)
    return None if answer.status in OK else f"The endpoint answered {answer.status}"
