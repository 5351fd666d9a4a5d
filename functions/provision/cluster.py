"""HTTP to the two that this function speaks with: the domain, signed and patiently, and CloudFormation."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from provision.app import Failed, encoded

API: Final = "/_plugins/_security/api/"

TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=15.0)

SECONDS: Final = 180.0
"""For how long a domain that was just made is asked again. The function has 300, also for the answer."""

PAUSE: Final = 5.0
"""Seconds between two attempts."""

REPLY_TRIES: Final = 3

_PASSING: Final = {401, 403, 408, 429}
"""Answers that may be others soon: IAM and the domain learn of new roles and policies with delay. And all of 5xx."""

_MOST_SAID: Final = 300


@dataclass(frozen=True, slots=True)
class Patience:
    """Until when (of ``time.monotonic``) to try again, and the pause between attempts; both in seconds."""

    until: float
    pause: float = PAUSE


class Domain:
    """The security API of an Amazon OpenSearch Service domain, as ``app.Cluster``."""

    def __init__(
        self, endpoint: str, http: urllib3.PoolManager, credentials: Credentials, region: str, patience: Patience
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._http = http
        self._signer = SigV4Auth(credentials, "es", region)
        self._patience = patience

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        """As the protocol says. What may pass is tried again until the patience ends."""
        while True:
            problem, passing = self._attempt(path, encoded(body))
            if problem is None:
                return
            if not passing or time.monotonic() + self._patience.pause > self._patience.until:
                raise Failed(f"OpenSearch did not take {path}: {problem}")
            time.sleep(self._patience.pause)

    def _attempt(self, path: str, body: bytes) -> tuple[str | None, bool]:
        """What went wrong, if anything, and whether it may pass."""
        request = AWSRequest("PUT", f"{self._endpoint}{API}{path}", {"Content-Type": "application/json"}, body)
        self._signer.add_auth(request)
        prepared = request.prepare()
        try:
            response = self._http.request(
                "PUT", prepared.url, body=body, headers=dict(prepared.headers.items()), timeout=TIMEOUT, retries=False
            )
        except urllib3.exceptions.HTTPError as error:
            return type(error).__name__, True
        if response.status in {200, 201}:
            return None, False
        said = response.data.decode(errors="replace")[:_MOST_SAID]
        return f"{response.status} {said}", response.status in _PASSING or response.status >= 500  # noqa: PLR2004 - 5xx


class CloudFormation:
    """Who waits for an answer, as ``app.Reply``."""

    def __init__(self, http: urllib3.PoolManager, pause: float = 1.0) -> None:
        self._http = http
        self._pause = pause

    def __call__(self, url: str, body: Mapping[str, Any]) -> None:
        """As the protocol says, in up to three tries."""
        problem = ""
        for attempt in range(REPLY_TRIES):
            if attempt:
                time.sleep(self._pause)
            try:
                # The URL is signed for an empty content type.
                response = self._http.request(
                    "PUT", url, body=encoded(body), headers={"Content-Type": ""}, timeout=TIMEOUT, retries=False
                )
            except urllib3.exceptions.HTTPError as error:
                problem = type(error).__name__  # its text has the URL
            else:
                if response.status == 200:  # noqa: PLR2004 - what S3 says to a PUT
                    return
                problem = str(response.status)
        raise Failed(f"CloudFormation could not be answered: {problem}")
