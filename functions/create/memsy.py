"""Memsy: POST /v1/ingest."""

from collections.abc import Sequence
from datetime import datetime

from commonplace.dialects.memsy import event_requests, responses
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.model.usage import Dimension
from commonplace.rows.figures import Count
from commonplace.rows.usage import counts
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def ingest(call: Call) -> Reply:
        organization = call.caller.organization
        orders = event_requests.event_orders(call.json(), organization)

        async def room(count: int) -> None:
            # Each event may become a memory, and how many is not known yet: where there is room for one more, all may come.
            await services.metered.room(call, {Dimension.EVENTS_INGESTED: count, Dimension.MEMORIES_STORED: 1})

        def counting(count: int, now: datetime) -> Sequence[Count]:
            return counts(call.tenant, organization, {Dimension.EVENTS_INGESTED: count}, now)

        return Reply(responses.ingested(await services.ingest(call.tenant, organization, orders, counting, room)))

    return [services.metered(Operation("POST", "/v1/ingest", Permission.WRITE, ingest))]
