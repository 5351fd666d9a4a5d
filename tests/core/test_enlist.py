import asyncio

import pytest

from commonplace.core.converse import SessionOrder
from commonplace.core.enlist import AgentChange, AgentOrder, well_formed
from commonplace.model.agent import AgentFigures
from commonplace.model.errors import Conflict, Invalid, NotFound
from commonplace.ports.table import Put
from commonplace.rows import keys
from fakes import START
from steps import UNKNOWN, written
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio


async def test_an_agent_is_found_by_its_id_and_by_its_name(world: World) -> None:
    agent, created = await world.services.enlist.create(
        TENANT, AgentOrder(name="scout", description="d", metadata={"a": 1})
    )
    assert created
    assert (agent.name, agent.description, agent.metadata, agent.created_at) == ("scout", "d", {"a": 1}, START)
    assert await world.services.enlist.get(TENANT, agent.id) == agent
    assert await world.services.enlist.get(TENANT, "scout") == agent


async def test_an_id_wins_over_a_name_that_reads_the_same(world: World) -> None:
    first, _ = await world.services.enlist.create(TENANT, AgentOrder(name="first"))
    await world.services.enlist.create(TENANT, AgentOrder(name=first.id))
    assert await world.services.enlist.get(TENANT, first.id) == first


async def test_an_unknown_name_is_nobody_in_a_search_and_somebody_new_in_a_write(world: World) -> None:
    enlist = world.services.enlist
    assert await enlist.find(TENANT, "scout") is None
    with pytest.raises(NotFound):
        await enlist.get(TENANT, "scout")
    made = await enlist.ensure(TENANT, "scout")
    assert await enlist.find(TENANT, "scout") == made
    assert await enlist.ensure(TENANT, "scout") == made


async def test_an_unknown_uuid_is_never_taken_for_a_name(world: World) -> None:
    with pytest.raises(NotFound):
        await world.services.enlist.find(TENANT, UNKNOWN)
    with pytest.raises(NotFound):
        await world.services.enlist.ensure(TENANT, UNKNOWN.upper())


@pytest.mark.parametrize("word", ["scout", "", UNKNOWN.replace("-", ""), f"{{{UNKNOWN}}}", UNKNOWN[:-1], f" {UNKNOWN}"])
def test_only_the_usual_spelling_is_a_uuid(word: str) -> None:
    assert not well_formed(word)
    assert well_formed(UNKNOWN)


async def test_ten_who_name_the_same_agent_at_once_get_one(world: World) -> None:
    agents = await asyncio.gather(*(world.services.enlist.ensure(TENANT, "scout") for _ in range(10)))
    assert len({agent.id for agent in agents}) == 1
    assert (await world.services.enlist.page(TENANT, limit=10)).total == 1


async def test_a_name_that_is_taken_gives_the_agent_that_has_it(world: World) -> None:
    first, _ = await world.services.enlist.create(TENANT, AgentOrder(name="scout"))
    assert await world.services.enlist.create(TENANT, AgentOrder(name="scout", id="mine")) == (first, False)


async def test_an_id_that_is_taken_gives_the_agent_that_has_it(world: World) -> None:
    first, _ = await world.services.enlist.create(TENANT, AgentOrder(name="scout", id="mine"))
    assert first.id == "mine"
    assert await world.services.enlist.create(TENANT, AgentOrder(name="other", id="mine")) == (first, False)
    assert await world.services.enlist.find(TENANT, "other") is None


async def test_a_name_that_nobody_has_and_that_is_taken_is_a_conflict(world: World) -> None:
    taken = Put(keys.agent_name(TENANT, "scout"), {"noun": "agent-name", "agent": "gone"})
    await world.table.transact([taken])
    with pytest.raises(Conflict):
        await world.services.enlist.create(TENANT, AgentOrder(name="scout"))


async def test_a_change_keeps_what_it_does_not_name(world: World) -> None:
    agent, _ = await world.services.enlist.create(TENANT, AgentOrder(name="scout", description="d", metadata={"a": 1}))
    world.clock.advance(5)
    changed = await world.services.enlist.change(TENANT, "scout", AgentChange(description="e"))
    assert (changed.name, changed.description, changed.metadata) == ("scout", "e", {"a": 1})
    assert (changed.created_at, changed.updated_at) == (START, world.clock.now())
    changed = await world.services.enlist.change(TENANT, agent.id, AgentChange(metadata={}))
    assert changed == await world.services.enlist.get(TENANT, "scout")
    assert (changed.description, changed.metadata) == ("e", {})


async def test_a_new_name_frees_the_old_one(world: World) -> None:
    agent, _ = await world.services.enlist.create(TENANT, AgentOrder(name="scout"))
    await world.services.enlist.change(TENANT, "scout", AgentChange(name="ranger"))
    assert (await world.services.enlist.get(TENANT, "ranger")).id == agent.id
    assert (await world.services.enlist.ensure(TENANT, "scout")).id != agent.id


async def test_a_name_of_another_cannot_be_taken(world: World) -> None:
    await world.services.enlist.ensure(TENANT, "scout")
    await world.services.enlist.ensure(TENANT, "ranger")
    with pytest.raises(Conflict):
        await world.services.enlist.change(TENANT, "scout", AgentChange(name="ranger"))
    with pytest.raises(NotFound):
        await world.services.enlist.change(TENANT, "nobody", AgentChange(name="x"))


async def test_a_removed_agent_is_gone_its_name_is_free_and_its_memories_stay(world: World) -> None:
    memory = await written(world, agent="scout")
    removed = await world.services.enlist.remove(TENANT, "scout")
    assert removed.id == memory.scope.agent
    assert await world.services.enlist.find(TENANT, "scout") is None
    assert (await world.services.enlist.page(TENANT, limit=10)).total == 0
    assert (await world.services.browse.get(TENANT, memory.id)).scope.agent == removed.id
    with pytest.raises(NotFound):
        await world.services.enlist.remove(TENANT, "scout")
    assert (await world.services.enlist.ensure(TENANT, "scout")).id != removed.id


async def test_figures_count_memories_and_sessions(world: World) -> None:
    memory = await written(world, agent="scout")
    world.clock.advance(5)
    last = await written(world, agent="scout")
    await world.services.converse.open(TENANT, SessionOrder(agent="scout"))
    idle = await world.services.enlist.ensure(TENANT, "idle")
    agent = memory.scope.agent or ""

    figures = await world.services.enlist.figures(TENANT, [agent, idle.id])
    assert figures == {agent: AgentFigures(2, 1, last.created_at), idle.id: AgentFigures()}

    await world.services.forget(TENANT, last.id)
    assert (await world.services.enlist.figures(TENANT, [agent]))[agent].memories == 1


async def test_agents_are_listed_newest_first_page_by_page(world: World) -> None:
    for name in ("a", "b", "c"):
        await world.services.enlist.ensure(TENANT, name)
    await world.services.enlist.ensure(OTHER_TENANT, "d")
    first = await world.services.enlist.page(TENANT, limit=2)
    assert [agent.name for agent in first.items] == ["c", "b"]
    assert first.total == 3
    rest = await world.services.enlist.page(TENANT, limit=2, cursor=first.cursor)
    assert ([agent.name for agent in rest.items], rest.cursor) == (["a"], None)
    assert [agent.name for agent in (await world.services.enlist.page(TENANT, limit=2, offset=2)).items] == ["a"]
    with pytest.raises(Invalid):
        await world.services.enlist.page(OTHER_TENANT, limit=2, cursor=first.cursor)
