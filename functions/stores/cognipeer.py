"""Cognipeer: /stores and /stores/{key}."""

from commonplace.dialects.cognipeer import responses, store_requests
from commonplace.http.endpoint import Call, Operation, Reply, parsed
from commonplace.model.apikey import Permission
from commonplace.model.store import Store
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""
    furnish = services.furnish

    async def shown(store: Store) -> responses.Object:
        (figures,) = await furnish.figures([store])
        return responses.one_store(store, figures)

    async def every(call: Call) -> Reply:
        query = store_requests.store_query(call.query_lists)
        stores = [store for store in await furnish.all(call.tenant) if query.means(store)]
        return Reply(responses.stores(zip(stores, await furnish.figures(stores), strict=True)))

    async def create(call: Call) -> Reply:
        milliseconds = int(services.clock.now().timestamp() * 1000)
        order = store_requests.store_order(parsed(call.body), by=call.caller.key, epoch_milliseconds=milliseconds)
        return Reply(await shown(await furnish.create(call.tenant, order)), 201)

    async def get(call: Call) -> Reply:
        return Reply(await shown(await furnish.get(call.tenant, call.path["key"])))

    async def change(call: Call) -> Reply:
        wanted = store_requests.store_change(parsed(call.body), by=call.caller.key)
        return Reply(await shown(await furnish.change(call.tenant, call.path["key"], wanted)))

    async def remove(call: Call) -> Reply:
        await furnish.remove(call.tenant, call.path["key"])
        return Reply(responses.done())

    return [
        Operation("GET", "/stores", Permission.READ, every),
        Operation("POST", "/stores", Permission.WRITE, create),
        Operation("GET", "/stores/{key}", Permission.READ, get),
        Operation("PATCH", "/stores/{key}", Permission.WRITE, change),
        Operation("DELETE", "/stores/{key}", Permission.WRITE, remove),
    ]
