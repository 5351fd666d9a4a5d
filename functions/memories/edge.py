"""Edge: GET /v1/memories and /v1/memories/{id}."""

from commonplace.dialects.edge import query, responses
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.model.errors import NotFound
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory
from commonplace.model.scope import DEFAULT_STORE
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def listing(call: Call) -> Reply:
        order = query.listing(call.query_lists)
        call.demand(order.organization)
        if not order.possible:
            return Reply(responses.listed([]))
        filter = Filter(store=DEFAULT_STORE, organization=order.organization, project=order.namespace)
        return Reply(responses.listed(await services.browse.newest(call.tenant, filter, order.limit)))

    async def get(call: Call) -> Reply:
        memory = await services.browse.get(call.tenant, call.path["id"])
        if memory.scope.store != DEFAULT_STORE or not visible(call, memory):
            raise NotFound("memory")
        return Reply(responses.shown(memory))

    def visible(call: Call, memory: Memory) -> bool:
        """Whether the caller may see it: as one of the organization that is named, if one is. To a stranger every name is as
        good as another, but what was written through an API without organizations is of none of them."""
        organization = memory.scope.organization
        if not call.caller.within(organization):
            return False
        if "organizationId" not in call.query or call.query_lists["organizationId"][0] == organization:
            return True
        return call.caller is services.stranger and organization not in (None, call.tenant)

    return [
        Operation("GET", "/v1/memories", Permission.READ, listing),
        Operation("GET", "/v1/memories/{id}", Permission.READ, get),
    ]
