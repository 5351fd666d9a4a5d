"""Telling what happened: events as they were taken in."""

from dataclasses import dataclass

from commonplace.core.browse import MOST_READ, SLICE
from commonplace.model.event import Event, EventKind
from commonplace.rows.events import Events


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """Which events are meant; parts that are None are any."""

    actor: str | None = None
    session: str | None = None
    kind: EventKind | None = None


class Recount:
    """The rows of events, as they are."""

    def __init__(self, events: Events) -> None:
        self._events = events

    async def __call__(
        self, tenant: str, organization: str, meant: Meant, *, limit: int, offset: int, newest_first: bool
    ) -> tuple[list[Event], int]:
        """Events by when they happened, and how many are meant. Beyond ``MOST_READ`` of those that are meant none is shown, and
        none is counted where no counter knows the number."""
        every = meant == Meant()
        most = min(MOST_READ, offset + limit) if every else MOST_READ
        found: list[Event] = []
        place = None
        while True:
            listed = await self._events.page(
                tenant,
                organization,
                actor=meant.actor,
                session=meant.session,
                kind=meant.kind,
                limit=min(SLICE, most - len(found)),
                newest_first=newest_first,
                start=place,
            )
            found += listed.items
            if listed.next is None or len(found) >= most:
                total = await self._events.total(tenant, organization) if every else len(found)
                return found[offset : offset + limit], total
            place = listed.next
