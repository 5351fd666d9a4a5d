"""The Lambda function ``sweeper``: runs each minute."""

import asyncio
from typing import Any

from commonplace.wiring import services
from sweeper.app import sweep

_services = services()
_loop = asyncio.new_event_loop()
"""One loop for the life of the environment, so that the clients made on it stay good."""


def handler(_event: dict[str, Any], _: object) -> dict[str, int]:
    """One sweep, and what it did."""
    return _loop.run_until_complete(sweep(_services))
