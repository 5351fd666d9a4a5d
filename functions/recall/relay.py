"""MemoryRelay: the context build on its three paths."""

from commonplace.core.recall import Context
from commonplace.dialects.relay import responses, search_requests
from commonplace.dialects.relay.fields import decoded
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.wiring import Services

PATHS = ("/v2/context/build", "/v1/memories/context", "/v2/context")


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def built(tenant: str, body: search_requests.ContextBody) -> Context:
        agent = None
        if body.agent_id is not None:
            agent = await services.enlist.find(tenant, body.agent_id)
            if agent is None:
                return Context("", (), ())
        wanted = body.wanted(None if agent is None else agent.id)
        return await services.recall(tenant, wanted, body.max_tokens)

    async def build(call: Call) -> Reply:
        began = services.clock.now()
        context = await built(call.tenant, decoded(search_requests.ContextBody, call.json()))
        spent = services.clock.now() - began
        return Reply(responses.context(context, round(spent.total_seconds() * 1000)))

    return [Operation("POST", path, Permission.READ, build) for path in PATHS]
