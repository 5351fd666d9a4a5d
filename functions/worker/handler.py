"""The Lambda function ``worker``: takes batches from the queues."""

import asyncio
from typing import Any

from commonplace.wiring import services
from worker.app import consume

_services = services()
_loop = asyncio.new_event_loop()
"""One loop for the life of the environment, so that the clients made on it stay good."""


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """From an SQS event to its partial batch response."""
    return _loop.run_until_complete(consume(_services, event))
