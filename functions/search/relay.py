"""MemoryRelay: POST /v1/memories/search."""

from commonplace.dialects.relay import responses, search_requests
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.model.hit import Results
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def search(call: Call) -> Reply:
        body = search_requests.search_body(call.json(), call.query)
        agent = None
        if body.agent_id is not None:
            agent = await services.enlist.find(call.tenant, body.agent_id)
            if agent is None:
                return Reply(responses.results(body.query, Results(())))
        wanted = body.wanted(None if agent is None else agent.id)
        return Reply(responses.results(body.query, await services.search(call.tenant, wanted)))

    return [Operation("POST", "/v1/memories/search", Permission.READ, search)]
