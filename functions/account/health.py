"""How the service is, asked of its engines."""

from commonplace import __version__
from commonplace.dialects.relay import responses
from commonplace.wiring import Services


async def checked(services: Services) -> tuple[responses.Object, int]:
    """MemoryRelay's health body, and its status: 503 if an engine does not answer."""
    now = services.clock.now()
    parts = await services.check()
    body = responses.health(
        version=__version__,
        environment=services.settings.environment,
        now=now,
        uptime=int((now - services.started).total_seconds()),
        services=parts,
        embedder=services.embedder.space,
    )
    return body, 200 if all(parts.values()) else 503
