"""MemoryRelay: one memory, the list of them, and their upkeep."""

from commonplace.dialects.relay import memory_requests, query, responses
from commonplace.dialects.relay.fields import decoded
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.model.page import Page
from commonplace.model.scope import DEFAULT_STORE
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def listing(call: Call) -> Reply:
        paging = query.Paging(call.query, most=memory_requests.MOST_LISTED, clamp=True)
        with_vectors = query.flag_of("include_embeddings", call.query)
        agent = None
        if call.query.get("agent_id"):
            agent = await services.enlist.find(call.tenant, call.query["agent_id"])
            if agent is None:
                return Reply(responses.page(Page((), None, 0), []))
        filter = memory_requests.list_filter(call.query, None if agent is None else agent.id)
        page = await services.browse.page(
            call.tenant, filter, limit=paging.limit, offset=paging.offset, cursor=paging.cursor
        )
        vectors = await services.browse.vectors(page.items, services.embedder.space) if with_vectors else {}
        data = [responses.memory(memory, vector=vectors.get(memory.id)) for memory in page.items]
        return Reply(responses.page(page, data))

    async def get(call: Call) -> Reply:
        return Reply(responses.memory(await services.browse.get(call.tenant, call.path["id"])))

    async def status(call: Call) -> Reply:
        return Reply(responses.status(await services.browse.get(call.tenant, call.path["id"])))

    async def change(call: Call) -> Reply:
        body = decoded(memory_requests.ChangeBody, call.json())
        return Reply(responses.memory(await services.revise(call.tenant, call.path["id"], body.change())))

    async def weigh(call: Call) -> Reply:
        body = decoded(memory_requests.ImportanceBody, call.json())
        return Reply(responses.memory(await services.revise(call.tenant, call.path["id"], body.change())))

    async def remove(call: Call) -> Reply:
        await services.forget(call.tenant, call.path["id"])
        return Reply({"id": call.path["id"], "object": "memory", "deleted": True})

    async def maintain(call: Call) -> Reply:
        body = decoded(memory_requests.MaintenanceBody, call.json())
        demoted = await services.revise.demote(call.tenant, DEFAULT_STORE)
        return Reply({"action": body.action, "demoted_count": demoted})

    return [
        Operation("GET", "/v1/memories", Permission.READ, listing),
        Operation("POST", "/v1/memories/maintenance", Permission.WRITE, maintain),
        Operation("GET", "/v1/memories/{id}", Permission.READ, get),
        Operation("PUT", "/v1/memories/{id}", Permission.WRITE, change),
        Operation("PATCH", "/v1/memories/{id}", Permission.WRITE, change),
        Operation("DELETE", "/v1/memories/{id}", Permission.DELETE, remove),
        Operation("PUT", "/v1/memories/{id}/importance", Permission.WRITE, weigh),
        Operation("GET", "/v2/memories/{id}/status", Permission.READ, status),
    ]
