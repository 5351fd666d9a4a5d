"""The machine's clock and its randomness, and what stands for a meter where nobody reads one."""

import random
import secrets
import time
import uuid
from datetime import UTC, datetime

from commonplace.ports.meter import Measure


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return datetime.now(UTC)


class RandomIds:
    """Ids and tokens from the machine's randomness, drawn in the request: nothing repeats after a snapshot."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        """A UUIDv7 (RFC 9562): milliseconds, then a counter in the 12 bits that follow, so that ids of one process sort."""
        moment = max(self._last + 1, (time.time_ns() // 1_000_000 << 12) | secrets.randbits(8))
        self._last = moment
        value = (moment >> 12 << 80) | (7 << 76) | ((moment & 0xFFF) << 64) | (2 << 62) | secrets.randbits(62)
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def unordered(self) -> str:
        """A UUIDv4."""
        return str(uuid.uuid4())

    def token(self) -> str:
        """43 URL-safe characters."""
        return secrets.token_urlsafe(32)

    def jitter(self) -> float:
        """A number in [0,1)."""
        return random.random()  # noqa: S311 - spreads retries, guards nothing


class NoMeter:
    """Keeps nothing."""

    def record(self, *measures: Measure) -> None:
        """Forgets them."""
