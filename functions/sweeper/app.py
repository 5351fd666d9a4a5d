"""One sweep."""

import logging
from dataclasses import asdict

from commonplace.wiring import Services

log = logging.getLogger("commonplace.sweeper")


async def sweep(services: Services) -> dict[str, int]:
    """Sweeps over all tenants, and returns what was done: how many pending, expired and due things were taken on."""
    swept = asdict(await services.sweep())
    if any(swept.values()):
        log.info("swept", extra=swept)
    return swept
