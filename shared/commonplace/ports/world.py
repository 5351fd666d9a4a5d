"""The small ports: time, ids, and the one HTTP request that a stranger's URL gets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from commonplace.model.errors import CommonplaceError
from commonplace.model.webhook import Answer


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""


class Ids(Protocol):
    """New names."""

    def new(self) -> str:
        """A UUIDv7 in its usual spelling: later ids of one process sort after earlier ones."""

    def unordered(self) -> str:
        """A UUIDv4 in its usual spelling, for those who may not learn from an id when it was made."""

    def token(self) -> str:
        """At least 32 unguessable URL-safe characters."""

    def jitter(self) -> float:
        """A number in [0,1), for spreading retries."""


class Refused(CommonplaceError):
    """The URL may not be called: not HTTPS, or an address inside a network. Final for that URL."""


class Unreachable(CommonplaceError):
    """No answer came: a time-out, a broken connection, a bad certificate. The text tells a stranger nothing of why."""


class Sender(Protocol):
    """Calls URLs that strangers chose, and cannot be aimed at the inside of a network."""

    async def check(self, url: str) -> None:
        """Raises ``Refused`` if the URL may not be called as far as can be said now; it is checked again at each post."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One POST, without following redirects, within a deadline. Raises ``Refused`` or ``Unreachable``."""
