"""Edge: POST /v1/memories."""

from dataclasses import replace

from commonplace.dialects.edge import requests, responses
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def create(call: Call) -> Reply:
        creation = requests.creation(call.body, services.settings.max_dimensions)
        call.demand(creation.organization)
        draft = replace(creation.draft, id=services.ids.unordered())
        written = await services.remember.later(call.tenant, draft)
        return Reply(responses.created(written.memory), 201)

    return [Operation("POST", "/v1/memories", Permission.WRITE, create)]
