"""Edge: GET /health."""

from commonplace.dialects.edge import responses
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def health(_: Call) -> Reply:
        return Reply(responses.health(services.settings.environment))

    return [Operation("GET", "/health", None, health)]
