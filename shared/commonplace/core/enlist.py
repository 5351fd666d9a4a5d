"""Agents: found by id or by name, made on their first write."""

import uuid
from dataclasses import dataclass, replace

from commonplace.core.cursor import Cursors
from commonplace.model.agent import Agent, AgentFigures
from commonplace.model.errors import Conflict, NotFound
from commonplace.model.page import Page
from commonplace.model.values import Metadata
from commonplace.ports.world import Clock, Ids
from commonplace.rows.agents import Agents


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOrder:
    """An agent as a caller asks for it; ``id`` is the caller's own, if it has one."""

    name: str
    id: str | None = None
    description: str | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChange:
    """What an update of an agent asks for; None leaves a part as it is."""

    name: str | None = None
    description: str | None = None
    metadata: Metadata | None = None


class Enlist:
    """The registry of agents."""

    def __init__(self, agents: Agents, cursors: Cursors, clock: Clock, ids: Ids) -> None:
        self._agents = agents
        self._cursors = cursors
        self._clock = clock
        self._ids = ids

    async def find(self, tenant: str, reference: str) -> Agent | None:
        """The agent with this id, or else with this name; None for an unknown name.

        Raises ``NotFound`` for an unknown UUID, which cannot be meant as a name.
        """
        found = await self._agents.known_as(tenant, reference)
        if found is None and well_formed(reference):
            raise NotFound("agent")
        return found

    async def get(self, tenant: str, reference: str) -> Agent:
        """The agent with this id or name. Raises ``NotFound``."""
        found = await self.find(tenant, reference)
        if found is None:
            raise NotFound("agent")
        return found

    async def ensure(self, tenant: str, reference: str) -> Agent:
        """The agent with this id or name; an unknown name becomes a new agent. Raises ``NotFound`` for an unknown UUID."""
        found = await self.find(tenant, reference)
        if found is None:
            found, _ = await self.create(tenant, AgentOrder(name=reference))
        return found

    async def create(self, tenant: str, order: AgentOrder) -> tuple[Agent, bool]:
        """A new agent and True; or, if its name or id is taken, the agent that has it and False."""
        now = self._clock.now()
        agent = Agent(
            id=order.id or self._ids.new(),
            tenant=tenant,
            name=order.name,
            description=order.description,
            metadata=order.metadata or {},
            created_at=now,
            updated_at=now,
        )
        try:
            await self._agents.add(agent)
        except Conflict:
            taken = await self._agents.named(tenant, agent.name) or await self._agents.get(tenant, agent.id)
            if taken is None:
                raise
            return taken, False
        return agent, True

    async def change(self, tenant: str, reference: str, change: AgentChange) -> Agent:
        """The agent after the change. Raises ``NotFound``, or ``Conflict`` if another has the new name."""
        agent = await self.get(tenant, reference)
        new = replace(
            agent,
            name=agent.name if change.name is None else change.name,
            description=agent.description if change.description is None else change.description,
            metadata=agent.metadata if change.metadata is None else change.metadata,
            updated_at=self._clock.now(),
        )
        return await self._agents.replace(agent, new)

    async def remove(self, tenant: str, reference: str) -> Agent:
        """Removes an agent from the registry. Its memories stay, under its id. Raises ``NotFound``."""
        agent = await self.get(tenant, reference)
        await self._agents.remove(agent)
        return agent

    async def page(self, tenant: str, *, limit: int, offset: int = 0, cursor: str | None = None) -> Page[Agent]:
        """A page of the agents, newest first."""
        start = await self._cursors.read(cursor, tenant, "agents")
        listed = await self._agents.page(tenant, limit=limit, offset=offset, start=start)
        next_cursor = await self._cursors.write(listed.next, tenant, "agents")
        return Page(listed.items, next_cursor, await self._agents.total(tenant))

    async def figures(self, tenant: str, ids: list[str]) -> dict[str, AgentFigures]:
        """What each of the agents has."""
        return await self._agents.figures(tenant, ids)


def well_formed(reference: str) -> bool:
    """Whether this is a UUID in its usual spelling, and so cannot be meant as a name."""
    try:
        return str(uuid.UUID(reference)) == reference.lower()
    except ValueError:
        return False
