"""Events: their rows, and which of them were told a moment ago."""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from commonplace.model.errors import CommonplaceError, NotFound, Unavailable
from commonplace.model.event import Event, EventKind, EventState
from commonplace.ports.table import (
    MAX_TRANSACTION,
    TTL_ATTRIBUTE,
    Absent,
    Delete,
    Item,
    Key,
    Present,
    Put,
    Query,
    RevisionIs,
    Table,
    Update,
    Value,
)
from commonplace.rows import keys
from commonplace.rows.apart import apart
from commonplace.rows.codec import Reader, present, text
from commonplace.rows.commit import Staged, commit
from commonplace.rows.figures import Count, counted, tallied
from commonplace.rows.listing import Listed, Place, listed

MAX_BYTES = 3_000_000
"""Of the 4 MB that a transaction may have."""

AT_ONCE = 4
"""Transactions of one request that are under way at the same time."""

NOTE_LIFE = timedelta(hours=1)
"""How long the note of what was told stays: longer than anybody asks for it."""

BATCH_LIFE = timedelta(days=365)
"""How long it stays that a batch was closed. Whoever settles one of its events or puts it off takes the batch off it, so that
only events need it which no sweep has seen since: those of a machine that was switched off."""

SETTLED = 0
"""The revision of an event that is done: nobody may drop it or put it off any more."""


@dataclass(frozen=True, slots=True)
class Told:
    """Which event was told last in some words, and when. ``revision`` counts how often."""

    id: str
    at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new event, with the fingerprint of its words and what was known of that; ``over`` is what a request that died has
    left in its place."""

    event: Event
    fingerprint: str
    before: Told | None
    over: Event | None = None


def fingerprint(event: Event) -> str:
    """What tells equal events: actor, session, kind and content."""
    words = keys.joined(
        event.actor, event.session, event.kind.value, hashlib.sha256(event.content.encode()).hexdigest()
    )
    return hashlib.sha256(words.encode()).hexdigest()


class Events:
    """The events of all tenants and organizations."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def many(self, tenant: str, organization: str, ids: Iterable[str]) -> dict[str, Event]:
        """Those of the events that there are, by id."""
        items = await self._table.batch_get([keys.event(tenant, organization, id) for id in dict.fromkeys(ids)])
        return {event.id: event for event in await self.closed([_decoded(item) for item in items.values()])}

    async def abandoned(self, tenant: str, organization: str, ids: Iterable[str], before: datetime) -> dict[str, Event]:
        """Those of the events, by id, that do not count and were told before a time: what is left of requests that died."""
        items = await self._table.batch_get([keys.event(tenant, organization, id) for id in dict.fromkeys(ids)])
        old = [event for event in map(_decoded, items.values()) if event.ingested_at <= before]
        closed = {event.id for event in await self.closed(old)}
        return {event.id: event for event in old if event.id not in closed}

    async def told(self, tenant: str, organization: str, fingerprints: Iterable[str]) -> dict[str, Told]:
        """What is known of the fingerprints."""
        wanted = {keys.told(tenant, organization, each): each for each in fingerprints}
        items = await self._table.batch_get(list(wanted))
        return {wanted[key]: _told(item) for key, item in items.items()}

    async def add(self, arrivals: Sequence[Arrival], batch: str, counts: Sequence[Count]) -> None:
        """Writes new events of one organization with what they count for, all or none of them.

        Raises ``Conflict`` if one of them was told at the same time; many at once are not compared with others that come
        at the very same moment. ``batch`` is a new id.
        """
        if len(arrivals) * 2 + len(counts) <= MAX_TRANSACTION and sum(map(_bytes, arrivals)) <= MAX_BYTES:
            writes = [_put(each) for each in arrivals] + [_noted(each) for each in arrivals]
            await commit(self._table, [*writes, *tallied(counts)])
            return
        staged = [replace(each, event=replace(each.event, batch=batch)) for each in arrivals]
        try:
            await self._together([_put(each) for each in staged])
            await commit(self._table, [_closing(staged[0].event, batch), *tallied(counts)])
        except CommonplaceError:
            await self._withdraw([each.event for each in staged])
            raise
        try:
            # Without conditions: whoever told the same at the same moment has its own event, and the later note stands.
            await self._together([Staged(Put(*_note(each))) for each in arrivals])
        except Unavailable:
            return  # The events are kept and counted. Without a note they are only not known again if they are told again.

    async def settle(self, event: Event, state: EventState, failure: str | None = None) -> None:
        """Writes how the making of an event's memories ended; repeating it changes nothing. It leaves the sweeper's index."""
        update = Update(
            keys.event(event.tenant, event.organization, event.id),
            set=present({"state": state.value, "failure": failure, "revision": SETTLED}),
            remove=("marked_at", "work_key", "work_at", "batch", *(() if failure else ("failure",))),
            condition=Present(),
        )
        await commit(self._table, [Staged(update, _gone)])

    async def page(
        self,
        tenant: str,
        organization: str,
        *,
        actor: str | None = None,
        session: str | None = None,
        kind: EventKind | None = None,
        limit: int,
        offset: int = 0,
        newest_first: bool = True,
        before: str | None = None,
        start: Place | None = None,
    ) -> Listed[Event]:
        """A page of the events, by when they happened; only of those before a ``place``, if one is named."""
        index, parts = _list(actor, session)

        async def load(wanted: Sequence[Key]) -> list[Event | None]:
            items = await self._table.batch_get(wanted)
            events = [_decoded(items[key]) if key in items else None for key in wanted]
            closed = {event.id for event in await self.closed([event for event in events if event is not None])}
            return [
                event
                if event is not None
                and event.id in closed
                and (actor is None or event.actor == actor)
                and (session is None or event.session == session)
                and (kind is None or event.kind is kind)
                and (before is None or place(event) < before)
                else None
                for event in events
            ]

        partition = keys.members("events", tenant, organization, *parts)
        query = Query(partition=partition, index=index, descending=newest_first, high=before)
        return await listed(self._table, query, load, limit=limit, offset=offset, start=start)

    async def total(self, tenant: str, organization: str) -> int:
        """How many events the organization has."""
        return await counted(self._table, keys.figures(tenant, "events", organization), "events")

    async def marked(self, shard: str, before: datetime, limit: int) -> list[Event]:
        """Events of a shard whose memories were still to be made before a time, oldest first; also such whose batch was not
        closed, which do not count."""
        query = Query(partition=shard, index="work", high=keys.stamp(before), limit=limit)
        wanted = (await self._table.query(query)).keys
        items = await self._table.batch_get(wanted)
        return [_decoded(items[key]) for key in wanted if key in items]

    async def mark(self, events: Sequence[Event], at: datetime) -> None:
        """Puts events off, whose memories are still to be made, until a time. One that was settled since it was read stays
        so. All of them must count: what batch they came in is not known any more."""
        writes = [
            Update(
                keys.event(each.tenant, each.organization, each.id),
                set=present({"marked_at": at, "work_at": keys.timed(at, each.id)}),
                remove=("batch",),
                condition=RevisionIs(_revision(each)),
            )
            for each in events
        ]
        await apart(self._table, writes)

    async def drop(self, events: Sequence[Event]) -> None:
        """Deletes what is left of requests that died before they closed their batch. What somebody else has put in the place
        of one of them, or settled, since it was read, stays."""
        writes = [
            Delete(keys.event(each.tenant, each.organization, each.id), RevisionIs(_revision(each))) for each in events
        ]
        await apart(self._table, writes)

    async def closed(self, events: Sequence[Event]) -> list[Event]:
        """Those of the events that count."""
        batches = {keys.batch(event.tenant, event.batch) for event in events if event.batch is not None}
        if not batches:
            return list(events)
        there = await self._table.batch_get(list(batches))
        return [event for event in events if event.batch is None or keys.batch(event.tenant, event.batch) in there]

    async def _withdraw(self, events: Sequence[Event]) -> None:
        """Deletes what was written of a batch that cannot be closed, so that it is in nobody's way. What cannot be deleted
        now is dropped by the sweeper."""
        try:
            items = await self._table.batch_get(
                [keys.event(each.tenant, each.organization, each.id) for each in events]
            )
            written = [_decoded(item) for item in items.values()]
            await self.drop([each for each in written if each.batch == events[0].batch])
        except Unavailable:
            return

    async def _together(self, writes: Sequence[Staged]) -> None:
        """Writes in as many transactions as it takes, a few at a time. Raises the first error, when no other of them is
        under way any more."""
        groups = _grouped(writes)
        for start in range(0, len(groups), AT_ONCE):
            some = groups[start : start + AT_ONCE]
            outcomes = await asyncio.gather(*(commit(self._table, group) for group in some), return_exceptions=True)
            failure = next((outcome for outcome in outcomes if outcome is not None), None)
            if failure is not None:
                raise failure


def arrived(tenant: str, organization: str, count: int) -> Count:
    """What so many new events count for in the number of events."""
    return Count(keys.figures(tenant, "events", organization), "events", count)


def place(event: Event) -> str:
    """Where an event stands in its lists."""
    return keys.timed(event.at, event.id)


def _grouped(writes: Sequence[Staged]) -> list[list[Staged]]:
    groups: list[list[Staged]] = []
    size = 0
    for staged in writes:
        write = staged.write
        own = (
            4 * sum(len(value) for value in write.attributes.values() if isinstance(value, str))
            if isinstance(write, Put)
            else 0
        )
        if not groups or len(groups[-1]) == MAX_TRANSACTION or size + own > MAX_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(staged)
        size += own
    return groups


def _bytes(arrival: Arrival) -> int:
    return 4 * (len(arrival.event.content) + 4096)


def _list(actor: str | None, session: str | None) -> tuple[str, tuple[str, ...]]:
    """The narrowest index, and what tells its lists apart."""
    if session is not None:
        return "by_session", ("session", session)
    return ("listing", ()) if actor is None else ("by_user", ("user", actor))


def _closing(event: Event, batch: str) -> Staged:
    """The write that closes the batch that an event came in."""
    expires = int((event.ingested_at + BATCH_LIFE).timestamp())
    return Staged(Put(keys.batch(event.tenant, batch), {"noun": "batch", TTL_ATTRIBUTE: expires}, Absent()))


def _put(arrival: Arrival) -> Staged:
    event, over = arrival.event, arrival.over
    condition = Absent() if over is None else RevisionIs(_revision(over))
    return Staged(Put(keys.event(event.tenant, event.organization, event.id), _encoded(event), condition))


def _revision(event: Event) -> int:
    """What tells an event from what a request that died had left in its place."""
    return (event.ingested_at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _noted(arrival: Arrival) -> Staged:
    key, attributes = _note(arrival)
    condition = Absent() if arrival.before is None else RevisionIs(arrival.before.revision)
    return Staged(Put(key, attributes, condition))


def _note(arrival: Arrival) -> tuple[Key, dict[str, Value]]:
    event, before = arrival.event, arrival.before
    attributes: dict[str, str | int | datetime] = {
        "noun": "told",
        "event": event.id,
        "told_at": event.ingested_at,
        "revision": 1 + (0 if before is None else before.revision),
    }
    expires = {TTL_ATTRIBUTE: int((event.ingested_at + NOTE_LIFE).timestamp())}
    return keys.told(event.tenant, event.organization, arrival.fingerprint), {**present(attributes), **expires}


def _told(item: Item) -> Told:
    row = Reader(item.attributes)
    return Told(row.string("event"), row.moment("told_at"), row.whole("revision"))


def _encoded(event: Event) -> dict[str, Value]:
    listing = keys.members("events", event.tenant, event.organization)
    marked = event.marked_at
    return present(
        {
            "noun": "event",
            "id": event.id,
            "tenant": event.tenant,
            "organization": event.organization,
            "actor": event.actor,
            "session": event.session,
            "kind": event.kind.value,
            "content": event.content,
            "at": event.at,
            "ingested_at": event.ingested_at,
            "revision": _revision(event),
            "role": event.role,
            "team": event.team,
            "metadata": None if event.metadata is None else text(event.metadata),
            "state": event.state.value,
            "failure": event.failure,
            "batch": event.batch,
            "marked_at": marked,
            "work_key": None if marked is None else keys.extracting(event.id),
            "work_at": None if marked is None else keys.timed(marked, event.id),
            "listing_key": listing,
            "user_key": keys.members("events", event.tenant, event.organization, "user", event.actor),
            "session_key": keys.members("events", event.tenant, event.organization, "session", event.session),
            "listing_at": place(event),
        }
    )


def _decoded(item: Item) -> Event:
    row = Reader(item.attributes)
    return Event(
        id=row.string("id"),
        tenant=row.string("tenant"),
        organization=row.string("organization"),
        actor=row.string("actor"),
        session=row.string("session"),
        kind=EventKind(row.string("kind")),
        content=row.string("content"),
        at=row.moment("at"),
        ingested_at=row.moment("ingested_at"),
        role=row.maybe("role"),
        team=row.maybe("team"),
        metadata=None if row.maybe("metadata") is None else row.json("metadata"),
        state=EventState(row.string("state")),
        failure=row.maybe("failure"),
        batch=row.maybe("batch"),
        marked_at=row.maybe_moment("marked_at"),
    )


def _gone(_: Item | None) -> CommonplaceError:
    return NotFound("event")
