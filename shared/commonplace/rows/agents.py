"""Agents: their rows, their names, their counters."""

from collections.abc import Sequence
from dataclasses import replace

from commonplace.model.agent import Agent, AgentFigures
from commonplace.model.errors import CommonplaceError, Conflict, NotFound
from commonplace.model.scope import DEFAULT_STORE
from commonplace.ports.table import Absent, Delete, Item, Key, Put, Query, RevisionIs, Table, Value
from commonplace.rows import keys
from commonplace.rows.codec import Reader, present, text
from commonplace.rows.commit import Staged, commit
from commonplace.rows.figures import Count, counted, tallied
from commonplace.rows.listing import Listed, Place, listed


class Agents:
    """The agents of all tenants."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: str, id: str) -> Agent | None:
        """The agent with this id, or None."""
        item = await self._table.get(keys.agent(tenant, id))
        return None if item is None else _decoded(item)

    async def named(self, tenant: str, name: str) -> Agent | None:
        """The agent with this name, or None."""
        item = await self._table.get(keys.agent_name(tenant, name))
        return None if item is None else await self.get(tenant, Reader(item.attributes).string("agent"))

    async def known_as(self, tenant: str, reference: str) -> Agent | None:
        """The agent with this id, or else with this name, or None."""
        own, name = keys.agent(tenant, reference), keys.agent_name(tenant, reference)
        items = await self._table.batch_get([own, name])
        if own in items:
            return _decoded(items[own])
        return await self.get(tenant, Reader(items[name].attributes).string("agent")) if name in items else None

    async def add(self, agent: Agent) -> None:
        """Writes a new agent. Raises ``Conflict`` if its id or its name is taken."""
        await commit(
            self._table,
            [
                Staged(Put(keys.agent(agent.tenant, agent.id), _encoded(agent), Absent()), _taken),
                _name(agent),
                *tallied([Count(keys.figures(agent.tenant, "tenant"), "agents", 1)]),
            ],
        )

    async def replace(self, old: Agent, new: Agent) -> Agent:
        """Writes a new revision over ``old``. Raises ``NotFound``, or ``Conflict`` if it changed or the name is taken."""
        new = replace(new, revision=old.revision + 1)
        writes = [Staged(Put(keys.agent(old.tenant, old.id), _encoded(new), RevisionIs(old.revision)), _changed)]
        if new.name != old.name:
            writes += [_name(new), Staged(Delete(keys.agent_name(old.tenant, old.name)))]
        await commit(self._table, writes)
        return new

    async def remove(self, agent: Agent) -> None:
        """Removes an agent and frees its name. Raises ``NotFound`` or ``Conflict``."""
        await commit(
            self._table,
            [
                Staged(Delete(keys.agent(agent.tenant, agent.id), RevisionIs(agent.revision)), _changed),
                Staged(Delete(keys.agent_name(agent.tenant, agent.name))),
                *tallied([Count(keys.figures(agent.tenant, "tenant"), "agents", -1)]),
            ],
        )

    async def page(self, tenant: str, *, limit: int, offset: int = 0, start: Place | None = None) -> Listed[Agent]:
        """The agents of a tenant, newest first."""

        async def load(wanted: Sequence[Key]) -> list[Agent | None]:
            items = await self._table.batch_get(wanted)
            return [_decoded(items[key]) if key in items else None for key in wanted]

        query = Query(partition=keys.members("agents", tenant), index="listing", descending=True)
        return await listed(self._table, query, load, limit=limit, offset=offset, filtered=False, start=start)

    async def total(self, tenant: str) -> int:
        """How many agents a tenant has."""
        return await counted(self._table, keys.figures(tenant, "tenant"), "agents")

    async def figures(self, tenant: str, ids: Sequence[str]) -> dict[str, AgentFigures]:
        """What each of the agents has, in the default store."""
        wanted = {id: keys.figures(tenant, "agent", DEFAULT_STORE, id) for id in ids}
        items = await self._table.batch_get(list(wanted.values()))
        return {id: _figures(items.get(key)) for id, key in wanted.items()}


def _figures(item: Item | None) -> AgentFigures:
    if item is None:
        return AgentFigures()
    row = Reader(item.attributes)
    return AgentFigures(max(0, row.whole("memories")), max(0, row.whole("sessions")), row.maybe_moment("last_at"))


def _name(agent: Agent) -> Staged:
    put = Put(keys.agent_name(agent.tenant, agent.name), {"noun": "agent-name", "agent": agent.id}, Absent())
    return Staged(put, _taken)


def _taken(_: Item | None) -> CommonplaceError:
    return Conflict("An agent with this id or name exists")


def _changed(item: Item | None) -> CommonplaceError:
    return NotFound("agent") if item is None else Conflict("The agent was changed at the same time")


def _encoded(agent: Agent) -> dict[str, Value]:
    return present(
        {
            "noun": "agent",
            "id": agent.id,
            "tenant": agent.tenant,
            "name": agent.name,
            "description": agent.description,
            "metadata": text(agent.metadata),
            "created_at": agent.created_at,
            "updated_at": agent.updated_at,
            "revision": agent.revision,
            "listing_key": keys.members("agents", agent.tenant),
            "listing_at": keys.timed(agent.created_at, agent.id),
        }
    )


def _decoded(item: Item) -> Agent:
    row = Reader(item.attributes)
    return Agent(
        id=row.string("id"),
        tenant=row.string("tenant"),
        name=row.string("name"),
        description=row.maybe("description"),
        metadata=row.json("metadata"),
        created_at=row.moment("created_at"),
        updated_at=row.moment("updated_at"),
        revision=row.whole("revision"),
    )
