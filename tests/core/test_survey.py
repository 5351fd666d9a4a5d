"""Looking over all memories of an organization."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commonplace.core.browse import MOST_HELD, MOST_READ, SLICE, everything
from commonplace.core.survey import Actor, Survey, Surveyed
from commonplace.model.filter import Filter
from commonplace.model.memory import Accesses, Change, Memory, Standing
from commonplace.model.scope import Scope
from commonplace.rows.listing import Listed, Place
from commonplace.rows.memories import Memories
from steps import draft, ids, written
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG = "org_1"


async def about(world: World, user: str | None, content: str = "I prefer dark mode", **fields: Any) -> Memory:
    """A memory of the organization, written a second after the last one."""
    world.clock.advance(1)
    return await written(world, content, scope=Scope(organization=ORG, user=user), **fields)


async def test_all_memories_of_an_organization_are_seen_newest_first_whatever_they_are(world: World) -> None:
    old, nobodys = await about(world, "ada"), await about(world, None)
    archived = await about(world, "bob")
    archived = await world.services.revise(TENANT, archived.id, Change(standing=Standing.ARCHIVED))
    confidential = await about(world, "bob", confidential=True)
    for scope in (Scope(), Scope(organization="org_2")):
        await written(world, scope=scope)
    await written(world, tenant=OTHER_TENANT, scope=Scope(organization=ORG))
    overview = await world.services.survey.overview(TENANT, ORG)
    assert ids(overview.memories) == ids([confidential, archived, nobodys, old])
    assert not overview.truncated


async def test_an_overview_may_be_of_one_actor_or_of_what_is_meant(world: World) -> None:
    mine = [await about(world, "ada", content) for content in ("one", "two", "three")]
    theirs = await about(world, "bob", "two")
    survey = world.services.survey
    assert ids((await survey.overview(TENANT, ORG, "ada")).memories) == ids(mine[::-1])
    meant = (await survey.overview(TENANT, ORG, None, lambda memory: memory.content == "two")).memories
    assert ids(meant) == ids([theirs, mine[1]])
    assert ids((await survey.overview(TENANT, ORG, "ada", lambda memory: memory.content == "two")).memories) == [
        mine[1].id
    ]
    assert await survey.overview(TENANT, "org_2") == await survey.overview(TENANT, ORG, "nobody")


async def test_more_than_a_slice_is_read_slice_by_slice(world: World) -> None:
    drafts = [draft(f"number {number}", scope=Scope(organization=ORG, user="ada")) for number in range(SLICE + 1)]
    await world.services.remember.now(TENANT, drafts)
    overview = await world.services.survey.overview(TENANT, ORG)
    assert len({memory.id for memory in overview.memories}) == SLICE + 1
    assert not overview.truncated


class Endless(Memories):
    """Has the same memories again and again. Counts how often it was asked."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.asked = 0

    async def page(
        self, tenant: str, filter: Filter, *, limit: int, offset: int = 0, start: Place | None = None, **_: Any
    ) -> Listed[Memory]:
        assert (tenant, filter.organization, offset) == (TENANT, ORG, 0)
        assert (start is None) is (self.asked == 0)
        self.asked += 1
        return Listed((self.memory,) * limit, Place("x"), limit)


async def test_of_very_many_memories_the_newest_are_seen_and_it_is_said_that_there_are_more(world: World) -> None:
    endless = Endless(await about(world, "ada"))
    survey = Survey(endless, world.clock)
    overview = await survey.overview(TENANT, ORG, None, everything)
    assert (len(overview.memories), overview.truncated) == (MOST_READ, True)
    assert endless.asked == MOST_READ // SLICE
    endless.asked = 0
    nothing = await survey.overview(TENANT, ORG, None, lambda _: False)
    assert (nothing.memories, nothing.truncated, endless.asked) == ((), True, MOST_READ // SLICE)
    endless.asked = 0
    ((actor,), truncated) = await survey.actors(TENANT, ORG)
    assert (actor.id, len(actor.memories), truncated) == ("ada", MOST_READ, True)


async def test_no_more_memories_are_seen_than_there_is_room_for(world: World) -> None:
    heavy = replace(await about(world, "ada"), content="x" * (MOST_HELD // 500))
    endless = Endless(heavy)
    overview = await Survey(endless, world.clock).overview(TENANT, ORG, None, everything)
    assert overview.truncated
    assert 500 - SLICE <= len(overview.memories) <= 500 + SLICE
    endless.asked = 0
    await Survey(endless, world.clock).overview(TENANT, ORG, None, lambda _: False)
    assert endless.asked == MOST_READ // SLICE


async def test_actors_are_those_whom_memories_are_about_with_the_first_and_the_last_of_them(world: World) -> None:
    first = await about(world, "ada")
    other, _ = await about(world, "bob"), await about(world, None)
    last = await about(world, "ada", "I live in Oslo", occurred_at=world.clock.now() - timedelta(days=9))
    found, truncated = await world.services.survey.actors(TENANT, ORG)
    actors = {actor.id: actor for actor in found}
    assert actors == {"ada": Actor("ada", (last, first)), "bob": Actor("bob", (other,))}
    assert (actors["ada"].first_at, actors["ada"].last_at) == (first.created_at, last.created_at)
    assert not truncated
    assert await world.services.survey.actors(TENANT, ORG, "bob") == ([actors["bob"]], False)
    for tenant, organization, actor in ((TENANT, "org_2", None), (OTHER_TENANT, ORG, None), (TENANT, ORG, "Ada")):
        assert await world.services.survey.actors(tenant, organization, actor) == ([], False)


async def test_what_is_known_of_memories_comes_in_their_order(world: World) -> None:
    memories = [await about(world, "ada"), await about(world, "bob")]
    await world.services.memories.gained(TENANT, memories[0].id, ["event 1", "event 2"])
    await world.services.memories.accessed(TENANT, [memories[1].id], world.clock.now())
    accesses = (Accesses(1, world.clock.now()), Accesses())
    strengths = await world.services.survey.strengths(TENANT, memories)
    assert await world.services.survey.known(TENANT, memories[::-1]) == [
        Surveyed(memories[1], accesses[0], strengths[memories[1].id], ()),
        Surveyed(memories[0], accesses[1], strengths[memories[0].id], ("event 1", "event 2")),
    ]
    assert strengths == {memories[0].id: pytest.approx(1.0, abs=1e-5), memories[1].id: 1.1}
    assert await world.services.survey.known(TENANT, []) == []


async def test_strength_is_of_now_and_never_above_five(world: World) -> None:
    memory = await about(world, "ada", occurred_at=world.clock.now() + timedelta(days=1))
    survey = world.services.survey
    # What is to happen tomorrow has not begun to fade.
    assert await survey.strengths(TENANT, [memory]) == {memory.id: 1.0}
    for _ in range(45):
        await world.services.memories.accessed(TENANT, [memory.id], world.clock.now())
    assert await survey.strengths(TENANT, [memory]) == {memory.id: 5.0}
    world.clock.advance(31 * 86_400)
    assert await survey.strengths(TENANT, [replace(memory)]) == {memory.id: pytest.approx(2.5, rel=1e-3)}
    assert await survey.strengths(TENANT, []) == {}
