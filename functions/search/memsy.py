"""Memsy: POST /v1/search."""

from commonplace.core.search import Wanted
from commonplace.dialects.memsy import responses, search_requests
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.model.filter import Filter
from commonplace.model.scope import DEFAULT_STORE
from commonplace.model.usage import Dimension
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def search(call: Call) -> Reply:
        order = search_requests.search_order(call.json())
        organization = call.caller.organization
        filter = Filter(
            store=DEFAULT_STORE,
            organization=organization,
            audience=order.audience,
            conversation=order.session,
            elsewhere=order.excluded_session,
        )
        wanted = Wanted(query=order.query, filter=filter, limit=order.limit, floor=order.threshold)
        found = await services.recollect(call.tenant, wanted)
        described = None if order.include_source_events else responses.MOST_SOURCE_METADATA
        events = await services.recollect.events(call.tenant, organization, found, described)
        results = [
            responses.search_result(
                each.memory,
                each.relevance,
                strength=each.strength,
                sources=each.sources,
                events=known,
                with_events=order.include_source_events,
            )
            for each, known in zip(found, events, strict=True)
        ]
        return Reply(responses.found(results))

    return [services.metered(Operation("POST", "/v1/search", Permission.READ, search), Dimension.SEARCH_QUERIES)]
