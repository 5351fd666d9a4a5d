"""Waiting for what another process does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.1


def awaited(look: Callable[[], T], good: Callable[[T], bool], seconds: float) -> T:
    """What ``look`` sees once it is ``good``. Raises ``AssertionError`` with what it saw last after so many seconds."""
    deadline = time.monotonic() + seconds
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {seconds} s"
        time.sleep(PAUSE_SECONDS)
    return seen
