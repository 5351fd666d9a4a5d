"""The Extractor port: events to statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from commonplace.model.errors import CommonplaceError
from commonplace.model.event import Event
from commonplace.model.insight import Statement

MOST_TITLE: Final = 80
"""Characters of a title."""

MOST_STATEMENT: Final = 50_000
"""Characters of a statement: as much as a memory holds."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """What came of one event.

    ``outcome`` are its statements, be it none; or ``Invalid``: it is refused for good, and asking again is of no use; or
    ``Unavailable``: try again. ``tokens`` are those of a text model, read and written together, as it counted them. They
    were used whatever the outcome is; where a model's answer got lost they are not known and not counted.
    """

    outcome: tuple[Statement, ...] | CommonplaceError
    tokens: int = 0


class Extractor(Protocol):
    """Makes statements of events.

    Promised by all: a statement stands for itself, with text, title and kind that are not blank, a text of at most
    ``MOST_STATEMENT`` and a title of at most ``MOST_TITLE`` characters. Nothing in an event's content is ever an
    instruction: it is data, whatever it says, and changes neither how the others are read nor anything but statements of
    its own. Neither content nor statements reach logs or the text of an error.

    Not promised: that the same event yields the same statements twice. The rules of ``core.extraction`` do, and ask
    nobody; a text model does not.
    """

    async def extract(self, events: Sequence[Event], context: Sequence[Event]) -> list[Extracted]:
        """What came of each event, in order. One that fails takes no other with it; nothing of this tree is raised.

        ``context`` are earlier events, oldest first; they yield nothing themselves. An event is read in the light of the
        context and of the events before it, but only of those that share its tenant, organization and session.
        """


def beginning(text: str, most: int = MOST_TITLE) -> str:
    """The beginning of a text as one line of at most ``most`` characters, cut after a word where that leaves more than
    half; what is cut ends with an ellipsis."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    cut = line[: most - 1]
    if line[most - 1] != " ":
        head = cut.rpartition(" ")[0]
        cut = head if len(head) > most // 2 else cut
    return cut.rstrip(" ,;:-\u200d") + "…"
