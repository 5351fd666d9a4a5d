"""Cognipeer: POST /stores/{key}/search."""

from commonplace.dialects.cognipeer import responses, search_requests
from commonplace.http.endpoint import Call, Operation, Reply, parsed
from commonplace.model.apikey import Permission
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def search(call: Call) -> Reply:
        order = search_requests.search_order(parsed(call.body))
        store = await services.furnish.active(call.tenant, call.path["key"])
        limit, floor = order.limit(store), order.floor(store)
        results = await services.shelve.find(call.tenant, store, order.query, order.part, limit, floor)
        return Reply(responses.found(order.query, store, results))

    return [Operation("POST", "/stores/{key}/search", Permission.WRITE, search)]
