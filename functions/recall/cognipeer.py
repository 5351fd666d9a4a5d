"""Cognipeer: POST /stores/{key}/recall."""

from commonplace.dialects.cognipeer import responses, search_requests
from commonplace.http.endpoint import Call, Operation, Reply, parsed
from commonplace.model.apikey import Permission
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def recall(call: Call) -> Reply:
        order = search_requests.recall_order(parsed(call.body))
        store = await services.furnish.active(call.tenant, call.path["key"])
        results = await services.shelve.find(call.tenant, store, order.query, order.part, order.limit, order.floor)
        return Reply(responses.recalled(store, results, order.max_tokens))

    return [Operation("POST", "/stores/{key}/recall", Permission.WRITE, recall)]
