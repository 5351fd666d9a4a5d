"""The Queue port: at-least-once messages to the worker, in no promised order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_DELAY = 900
"""The longest delay in seconds (SQS's limit)."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: JSON text of at most 256 KiB, to be seen no sooner than ``delay`` seconds from now."""

    body: str
    delay: int = 0


class Queue(Protocol):
    """One queue."""

    async def send(self, messages: Sequence[Message]) -> list[str | None]:
        """Sends any number of messages; for each the id under which it was accepted, or None if it was refused.

        A queue that is down refuses all of them; it does not raise.
        """

    async def redrive(self) -> int:
        """Puts the messages that were given up back to be tried again, as if they had never been received; how many.

        One that is interrupted may leave a message in both places: it then comes twice. Raises ``Unavailable``.
        """
