"""Sessions: their rows, their callers' ids, who contributed to them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from commonplace.model.errors import CommonplaceError, Conflict, NotFound
from commonplace.model.scope import DEFAULT_STORE
from commonplace.model.session import Session
from commonplace.ports.table import TTL_ATTRIBUTE, Absent, Delete, Item, Key, Put, Query, RevisionIs, Table, Value
from commonplace.rows import keys
from commonplace.rows.clearings import Clearing, begun
from commonplace.rows.codec import Reader, present, text
from commonplace.rows.commit import Staged, commit
from commonplace.rows.figures import Count, counted, tallied
from commonplace.rows.listing import Listed, Place, listed

REMAINS = timedelta(days=365)
"""How long the row of a deleted session is kept aside after its deletion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions of a tenant are meant; None means any."""

    agent: str | None = None
    project: str | None = None
    active: bool | None = None

    def matches(self, session: Session) -> bool:
        """Whether a session is meant."""
        return (
            (self.agent is None or session.agent == self.agent)
            and (self.project is None or session.project == self.project)
            and (self.active is None or session.active is self.active)
        )


class Sessions:
    """The sessions of all tenants. ``memory_count`` is read from the counter that the memories keep."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: str, id: str) -> Session | None:
        """The session, or None; a deleted one is gone."""
        return (await self._many(tenant, [keys.session(tenant, id)]))[0]

    async def exists(self, tenant: str, id: str) -> bool:
        """Whether there is such a session."""
        return await self._table.get(keys.session(tenant, id)) is not None

    async def external(self, tenant: str, external_id: str) -> Session | None:
        """The session with a caller's id, or None."""
        item = await self._table.get(keys.session_external(tenant, external_id))
        return None if item is None else await self.get(tenant, Reader(item.attributes).string("session"))

    async def contributors(self, tenant: str, id: str) -> list[str]:
        """The names of the agents that wrote in a session, in the order of their names."""
        own = keys.contributor(tenant, id, "")
        names: list[str] = []
        after: str | None = None
        while True:
            piece = await self._table.query(
                Query(partition=own.partition, low=own.sort, high=f"{own.sort}\U0010ffff", after=after)
            )
            items = await self._table.batch_get(piece.keys)
            names += [Reader(items[key].attributes).string("name") for key in piece.keys if key in items]
            if piece.next is None:
                return names
            after = piece.next

    async def add(self, session: Session, contributor: str | None) -> None:
        """Writes a new session. Raises ``Conflict`` if its external id is taken."""
        writes = [Staged(Put(keys.session(session.tenant, session.id), _encoded(session), Absent()))]
        if session.external_id is not None:
            external = Put(
                keys.session_external(session.tenant, session.external_id),
                {"noun": "session-external", "session": session.id},
                Absent(),
            )
            writes.append(Staged(external, _taken))
        if contributor is not None:
            writes.append(Staged(contribution(session.tenant, session.id, contributor)))
        await commit(self._table, [*writes, *tallied(_counts(session, 1))])

    async def replace(self, session: Session) -> Session:
        """Writes a session over its revision, raising it. Raises ``NotFound`` or ``Conflict``."""
        new = replace(session, revision=session.revision + 1)
        put = Put(keys.session(session.tenant, session.id), _encoded(new), RevisionIs(session.revision))
        await commit(self._table, [Staged(put, _changed)])
        return new

    async def remove(self, session: Session, now: datetime, clearing: Clearing | None = None) -> None:
        """Puts a session aside: nothing finds it any more, its external id is free. With a ``clearing`` its memories are
        marked to be cleared, and its summary, which is made of their sentences, is gone. Raises ``NotFound`` or ``Conflict``."""
        own = keys.session(session.tenant, session.id)
        kept = session if clearing is None else replace(session, summary=None)
        aside = present(
            {
                **{name: value for name, value in _encoded(kept).items() if not name.endswith(("_key", "listing_at"))},
                "deleted_at": now,
                TTL_ATTRIBUTE: int((now + REMAINS).timestamp()),
            }
        )
        writes = [
            Staged(Delete(own, RevisionIs(session.revision)), _changed),
            Staged(Put(Key(own.partition, "deleted"), aside)),
        ]
        if session.external_id is not None:
            writes.append(Staged(Delete(keys.session_external(session.tenant, session.external_id))))
        if clearing is not None:
            writes.append(begun(clearing))
        await commit(self._table, [*writes, *tallied(_counts(session, -1))])

    async def page(
        self, tenant: str, filter: SessionFilter, *, limit: int, offset: int = 0, start: Place | None = None
    ) -> Listed[Session]:
        """The sessions that the filter means, newest first."""
        index, within = _narrowest(filter)

        async def load(wanted: Sequence[Key]) -> list[Session | None]:
            sessions = await self._many(tenant, wanted)
            return [session if session and filter.matches(session) else None for session in sessions]

        return await listed(
            self._table,
            Query(partition=keys.members("sessions", tenant, *within), index=index, descending=True),
            load,
            limit=limit,
            offset=offset,
            filtered=filter not in (SessionFilter(), SessionFilter(agent=filter.agent)),
            start=start,
        )

    async def total(self, tenant: str, filter: SessionFilter) -> int | None:
        """How many sessions the filter means, where a counter knows it; else None."""
        if filter == SessionFilter():
            return await counted(self._table, keys.figures(tenant, "tenant"), "sessions")
        if filter.agent is not None and filter == SessionFilter(agent=filter.agent):
            return await counted(self._table, keys.figures(tenant, "agent", DEFAULT_STORE, filter.agent), "sessions")
        return None

    async def _many(self, tenant: str, wanted: Sequence[Key]) -> list[Session | None]:
        items = await self._table.batch_get(wanted)
        ids = {key: Reader(items[key].attributes).string("id") for key in wanted if key in items}
        figures = {key: keys.figures(tenant, "session", DEFAULT_STORE, id) for key, id in ids.items()}
        counters = await self._table.batch_get(list(figures.values()))
        return [_decoded(items[key], counters.get(figures[key])) if key in items else None for key in wanted]


def contribution(tenant: str, session: str, agent: str) -> Put:
    """The write that says that an agent of this name wrote in a session. Repeating it changes nothing."""
    return Put(keys.contributor(tenant, session, agent), {"noun": "contributor", "name": agent})


def _narrowest(filter: SessionFilter) -> tuple[str, tuple[str, ...]]:
    if filter.agent is not None:
        return "by_agent", ("agent", filter.agent)
    if filter.project is not None:
        return "by_project", ("project", filter.project)
    return "listing", ()


def _taken(_: Item | None) -> CommonplaceError:
    return Conflict("A session with this external_id exists")


def _changed(item: Item | None) -> CommonplaceError:
    return NotFound("session") if item is None else Conflict("The session was changed at the same time")


def _counts(session: Session, by: int) -> list[Count]:
    counts = [Count(keys.figures(session.tenant, "tenant"), "sessions", by)]
    if session.agent is not None:
        counts.append(Count(keys.figures(session.tenant, "agent", DEFAULT_STORE, session.agent), "sessions", by))
    return counts


def _encoded(session: Session) -> dict[str, Value]:
    agent, project = session.agent, session.project
    return present(
        {
            "noun": "session",
            "id": session.id,
            "tenant": session.tenant,
            "agent": agent,
            "external_id": session.external_id,
            "project": project,
            "title": session.title,
            "summary": session.summary,
            "metadata": text(session.metadata),
            "started_at": session.started_at,
            "ended_at": session.ended_at,
            "created_at": session.created_at,
            "updated_at": session.updated_at,
            "revision": session.revision,
            "listing_key": keys.members("sessions", session.tenant),
            "agent_key": None if agent is None else keys.members("sessions", session.tenant, "agent", agent),
            "project_key": None if project is None else keys.members("sessions", session.tenant, "project", project),
            "listing_at": keys.timed(session.created_at, session.id),
        }
    )


def _decoded(item: Item, counter: Item | None) -> Session:
    row = Reader(item.attributes)
    return Session(
        id=row.string("id"),
        tenant=row.string("tenant"),
        agent=row.maybe("agent"),
        external_id=row.maybe("external_id"),
        project=row.maybe("project"),
        title=row.maybe("title"),
        summary=row.maybe("summary"),
        metadata=row.json("metadata"),
        started_at=row.moment("started_at"),
        ended_at=row.maybe_moment("ended_at"),
        created_at=row.moment("created_at"),
        updated_at=row.moment("updated_at"),
        revision=row.whole("revision"),
        memory_count=0 if counter is None else max(0, Reader(counter.attributes).whole("memories")),
    )
