"""Cognipeer: GET and DELETE /stores/{key}/memories, GET, PATCH and DELETE /stores/{key}/memories/{id}."""

from commonplace.dialects.cognipeer import memory_requests, responses
from commonplace.http.endpoint import Call, Operation, Reply, parsed
from commonplace.model.apikey import Permission
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""
    shelve = services.shelve

    async def page(call: Call) -> Reply:
        wanted = memory_requests.listing(call.query_lists)
        if wanted.part is None:
            await services.furnish.find(call.tenant, call.path["key"])
            return Reply(responses.items([], 0, services.clock.now()))
        found, total = await shelve.page(call.tenant, call.path["key"], wanted.part, wanted.limit, wanted.skip)
        return Reply(responses.items(found, total, services.clock.now()))

    async def remove_all(call: Call) -> Reply:
        part = memory_requests.clearance(call.query_lists)
        return Reply(responses.deleted(await shelve.remove_all(call.tenant, call.path["key"], part)))

    async def read(call: Call) -> Reply:
        shelved = await shelve.read(call.tenant, call.path["key"], call.path["id"])
        return Reply(responses.item(shelved, services.clock.now()))

    async def change(call: Call) -> Reply:
        wanted = memory_requests.memory_change(parsed(call.body))
        shelved = await shelve.change(call.tenant, call.path["key"], call.path["id"], wanted)
        return Reply(responses.item(shelved, services.clock.now()))

    async def remove(call: Call) -> Reply:
        await shelve.remove(call.tenant, call.path["key"], call.path["id"])
        return Reply(responses.done())

    return [
        Operation("GET", "/stores/{key}/memories", Permission.READ, page),
        Operation("DELETE", "/stores/{key}/memories", Permission.WRITE, remove_all),
        Operation("GET", "/stores/{key}/memories/{id}", Permission.READ, read),
        Operation("PATCH", "/stores/{key}/memories/{id}", Permission.WRITE, change),
        Operation("DELETE", "/stores/{key}/memories/{id}", Permission.WRITE, remove),
    ]
