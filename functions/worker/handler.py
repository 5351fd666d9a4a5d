"""The Lambda function ``worker``: takes batches from the queues."""

from typing import Any

from commonplace.loading import loading

with loading():
    from commonplace.wiring import event_loop, services
    from worker.app import consume

    _services = services(eager=True)


def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """From an SQS event to its partial batch response."""
    return event_loop().run_until_complete(consume(_services, event))
