"""Sessions: opened, shared, ended, summed up, put aside."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from commonplace.core.cursor import Cursors
from commonplace.core.enlist import Enlist
from commonplace.core.forget import Forget
from commonplace.core.retry import until_settled
from commonplace.core.summary import summarized
from commonplace.model.errors import Conflict, NotFound
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory
from commonplace.model.page import Page
from commonplace.model.scope import DEFAULT_STORE
from commonplace.model.session import Session
from commonplace.model.values import Metadata
from commonplace.ports.world import Clock, Ids
from commonplace.rows.clearings import Clearing
from commonplace.rows.memories import Memories
from commonplace.rows.sessions import SessionFilter, Sessions

MOST_SHOWN = 100
"""Memories that are shown with a session, the newest."""

MOST_SUMMED_UP = 1_000
"""Memories that a summary looks at, the newest, and 5 MB of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOrder:
    """A session as a caller asks for it. ``agent`` is an id or a name."""

    agent: str | None = None
    external_id: str | None = None
    project: str | None = None
    title: str | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A session, whether it is new, and the names of the agents that contributed to it."""

    session: Session
    created: bool
    contributors: tuple[str, ...]


class Converse:
    """The life of sessions."""

    def __init__(
        self,
        sessions: Sessions,
        memories: Memories,
        enlist: Enlist,
        forget: Forget,
        cursors: Cursors,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._sessions = sessions
        self._memories = memories
        self._enlist = enlist
        self._forget = forget
        self._cursors = cursors
        self._clock = clock
        self._ids = ids

    async def open(self, tenant: str, order: SessionOrder) -> Session:
        """A new session. Raises ``NotFound`` for an unknown agent, ``Conflict`` if the external id is taken."""
        agent = None if order.agent is None else await self._enlist.ensure(tenant, order.agent)
        now = self._clock.now()
        session = Session(
            id=self._ids.new(),
            tenant=tenant,
            agent=None if agent is None else agent.id,
            external_id=order.external_id,
            project=order.project,
            title=order.title,
            metadata=order.metadata or {},
            started_at=now,
            created_at=now,
            updated_at=now,
        )
        await self._sessions.add(session, None if agent is None else agent.name)
        return session

    async def open_once(self, tenant: str, order: SessionOrder) -> Opened:
        """The session with this external id; a new one if there is none. Callers at the same time get the same one."""
        external_id = order.external_id or ""
        session = await self._sessions.external(tenant, external_id)
        created = session is None
        if session is None:
            try:
                session = await self.open(tenant, order)
            except Conflict:
                session, created = await self._sessions.external(tenant, external_id), False
                if session is None:
                    raise
        return Opened(session, created, tuple(await self._sessions.contributors(tenant, session.id)))

    async def get(self, tenant: str, id: str) -> Session:
        """The session. Raises ``NotFound``, also for a deleted one."""
        session = await self._sessions.get(tenant, id)
        if session is None:
            raise NotFound("session")
        return session

    async def memories(self, session: Session) -> list[Memory]:
        """The newest memories of a session, at most ``MOST_SHOWN`` and what an answer can carry, oldest of them first."""
        return await self._of(session, MOST_SHOWN)

    async def page(
        self, tenant: str, filter: SessionFilter, *, limit: int, offset: int, cursor: str | None
    ) -> Page[Session]:
        """A page of sessions, newest first. An agent that is not known has none."""
        if filter.agent is not None:
            agent = await self._enlist.find(tenant, filter.agent)
            if agent is None:
                return Page((), None, 0)
            filter = replace(filter, agent=agent.id)
        start = await self._cursors.read(cursor, tenant, filter)
        listed = await self._sessions.page(tenant, filter, limit=limit, offset=offset, start=start)
        next_cursor = await self._cursors.write(listed.next, tenant, filter)
        return Page(listed.items, next_cursor, await self._sessions.total(tenant, filter))

    async def end(self, tenant: str, id: str, summary: str | None, metadata: Metadata | None) -> Session:
        """The session, ended now unless it was before; a summary replaces, metadata is merged in. Can be repeated."""

        def ended(session: Session, now: datetime) -> Session:
            return replace(
                session,
                summary=session.summary if summary is None else summary,
                metadata={**session.metadata, **(metadata or {})},
                ended_at=session.ended_at or now,
                updated_at=now if session.active or summary is not None or metadata else session.updated_at,
            )

        return await self._changed(tenant, id, ended)

    async def summarize(self, tenant: str, id: str) -> tuple[Session, str, int]:
        """Sums a session up from its memories and saves that on it: the session, the summary, how many memories."""
        session = await self.get(tenant, id)
        memories = await self._of(session, MOST_SUMMED_UP)
        summary = await asyncio.to_thread(summarized, [memory.content for memory in memories])

        def summed_up(session: Session, now: datetime) -> Session:
            return replace(session, summary=summary, updated_at=now)

        return await self._changed(tenant, id, summed_up), summary, len(memories)

    async def remove(self, tenant: str, id: str, cascade: bool) -> datetime:
        """Puts a session aside, and with ``cascade`` deletes its memories, some of them perhaps later; when. Raises
        ``NotFound``."""
        now = self._clock.now()
        clearing = Clearing(tenant=tenant, session=id, deleted_at=now) if cascade else None

        async def attempt() -> None:
            await self._sessions.remove(await self.get(tenant, id), now, clearing)

        await until_settled(attempt)
        if clearing is not None:
            await self._forget.session(clearing)
        return now

    async def _of(self, session: Session, most: int) -> list[Memory]:
        filter = Filter(store=DEFAULT_STORE, session=session.id, confidential=True, archived=True)
        listed = await self._memories.page(session.tenant, filter, limit=most)
        return list(reversed(listed.items))

    async def _changed(self, tenant: str, id: str, change: Callable[[Session, datetime], Session]) -> Session:

        async def attempt() -> Session:
            session = await self.get(tenant, id)
            new = change(session, self._clock.now())
            return session if new == session else await self._sessions.replace(new)

        return await until_settled(attempt)
