"""Context for a prompt: what is worth knowing before an answer, as text."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from commonplace.core.search import Search, Wanted
from commonplace.model.hit import Hit
from commonplace.model.values import CHARACTERS_PER_TOKEN
from commonplace.ports.world import Clock

HEADING = "## Relevant Memories\n"


@dataclass(frozen=True, slots=True)
class Context:
    """The text, the hits that stand in it, and the arms that failed."""

    text: str
    hits: tuple[Hit, ...]
    degraded: tuple[str, ...]


class Recall:
    """Searches, and writes down what it found."""

    def __init__(self, search: Search, clock: Clock) -> None:
        self._search = search
        self._clock = clock

    async def __call__(self, tenant: str, wanted: Wanted, max_tokens: int | None) -> Context:
        """A numbered list of the hits, best first, of at most ``max_tokens`` tokens (of 4 characters).

        The first memory that does not fit whole is cut, and is the last. No hits, or no room: an empty text.
        """
        results = await self._search(tenant, wanted)
        room = None if max_tokens is None else max_tokens * CHARACTERS_PER_TOKEN
        text, used = HEADING, 0
        for number, hit in enumerate(results.hits, start=1):
            line = f"\n{number}. {_line(hit, self._clock.now())}"
            if room is not None and len(text) + len(line) > room:
                cut = line[: max(0, room - len(text))]
                if len(cut) > len(f"\n{number}. "):
                    text, used = text + cut, used + 1
                break
            text, used = text + line, used + 1
        if not used:
            return Context("", (), results.degraded)
        return Context(text, results.hits[:used], results.degraded)


def _line(hit: Hit, now: datetime) -> str:
    memory = hit.memory
    return f"{memory.content} (importance: {memory.importance:g}, stored {_age(now - memory.created_at)})"


def _age(age: timedelta) -> str:
    """How long ago, in words."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = int(age.total_seconds() // length)
        if count > 0:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
