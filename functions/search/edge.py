"""Edge: POST /v1/memories/search."""

from commonplace.dialects.edge import requests, responses
from commonplace.dialects.edge.errors import NO_VECTORS
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.model.errors import Unavailable
from commonplace.model.filter import Filter
from commonplace.model.scope import DEFAULT_STORE
from commonplace.wiring import Services

DEGRADED = {"x-memory-degraded": "vector-unavailable"}


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def search(call: Call) -> Reply:
        order = requests.search(call.body, services.settings.max_dimensions)
        call.demand(order.organization)
        if not order.possible:
            return Reply(responses.recent([]) if order.vector is None else responses.matched([]))
        filter = Filter(store=DEFAULT_STORE, organization=order.organization, project=order.namespace)
        headers = {}
        if order.vector is not None:
            try:
                near = await services.nearest(call.tenant, order.vector, filter, order.limit)
                return Reply(responses.matched((each.cosine, each.memory) for each in near))
            except Unavailable as error:
                if services.settings.strict_vectors:
                    raise Unavailable(NO_VECTORS, error.retry_after) from error
                headers = DEGRADED
        newest = await services.browse.newest(call.tenant, filter, order.limit)
        return Reply(responses.recent(newest), headers=headers)

    return [Operation("POST", "/v1/memories/search", Permission.READ, search)]
