"""Doing it again when someone else was quicker."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from commonplace.model.errors import Conflict

T = TypeVar("T")

TRIES = 20
"""As many as write to one thing at the same moment, each of whom is the quickest once."""


async def until_settled(attempt: Callable[[], Awaitable[T]], tries: int = TRIES) -> T:
    """What ``attempt`` returns; it reads afresh each time, and is made again while others change the same thing.

    Raises its ``Conflict`` after so many attempts.
    """
    for _ in range(tries - 1):
        try:
            return await attempt()
        except Conflict:
            continue
    return await attempt()
