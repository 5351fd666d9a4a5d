"""The Lambda function ``sweeper``: runs each minute."""

from typing import Any

from commonplace.loading import loading

with loading():
    from commonplace.wiring import event_loop, services
    from sweeper.app import sweep

    _services = services()


def handler(_event: dict[str, Any], _: object) -> dict[str, int]:
    """One sweep, and what it did."""
    return event_loop().run_until_complete(sweep(_services))
