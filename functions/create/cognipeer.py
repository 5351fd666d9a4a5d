"""Cognipeer: POST /stores/{key}/memories and /stores/{key}/memories/batch."""

from commonplace.dialects.cognipeer import memory_requests, responses
from commonplace.http.endpoint import Call, Operation, Reply, parsed
from commonplace.model.apikey import Permission
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def add(call: Call) -> Reply:
        order = memory_requests.memory_order(parsed(call.body))
        store = await services.furnish.active(call.tenant, call.path["key"])
        shelved = await services.shelve.add(call.tenant, store, order.draft(store))
        return Reply(responses.added(shelved, services.clock.now()), 201)

    async def add_all(call: Call) -> Reply:
        orders = memory_requests.memory_orders(parsed(call.body))
        store = await services.furnish.active(call.tenant, call.path["key"])
        added = await services.shelve.add_all(call.tenant, store, [order.draft(store) for order in orders])
        return Reply(responses.batch(added), 201)

    return [
        Operation("POST", "/stores/{key}/memories", Permission.WRITE, add),
        Operation("POST", "/stores/{key}/memories/batch", Permission.WRITE, add_all),
    ]
