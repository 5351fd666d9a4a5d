"""The Lambda function ``provision``."""

import os
import time
from functools import cache
from typing import Any

import urllib3
from botocore.session import Session

from commonplace.settings import read
from provision.app import answer
from provision.cluster import SECONDS, CloudFormation, Domain, Patience

read(os.environ)  # as every function: with a setting that cannot be used nothing starts


@cache
def _http() -> urllib3.PoolManager:
    return urllib3.PoolManager()


def handler(event: dict[str, Any], _: object) -> None:
    """From CloudFormation's event to the answer at its URL."""
    until = time.monotonic() + SECONDS

    def domain(endpoint: str) -> Domain:
        session = Session()
        return Domain(
            endpoint, _http(), session.get_credentials(), session.get_config_variable("region"), Patience(until)
        )

    answer(event, domain, CloudFormation(_http()))
