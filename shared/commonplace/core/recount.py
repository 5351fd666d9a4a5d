"""Telling what happened: events as they were taken in."""

from dataclasses import dataclass
from functools import partial

from commonplace.core.browse import MOST_READ, everything
from commonplace.model.event import Event, EventKind
from commonplace.rows.events import Events
from commonplace.rows.listing import some, window


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
        """Events by when they happened, and how many are meant. Beyond the first ``MOST_READ`` rows none is shown, and none is
        counted where no counter knows the number."""
        pages = partial(
            self._events.page,
            tenant,
            organization,
            actor=meant.actor,
            session=meant.session,
            kind=meant.kind,
            newest_first=newest_first,
        )
        if meant != Meant():
            return await window(pages, MOST_READ, everything, limit=limit, offset=offset)
        total = await self._events.total(tenant, organization)
        return await some(pages, MOST_READ, limit=limit, offset=offset) if offset < total else [], total
