from dataclasses import replace

import pytest

from commonplace.core.gather import GroupOrder
from commonplace.core.promote import Promote
from commonplace.model.directory import GroupChange, GroupKind
from commonplace.model.errors import Unavailable
from commonplace.model.insight import Insight, Nature
from commonplace.model.memory import Change, Draft, Memory, Standing
from commonplace.model.scope import Scope
from commonplace.rows.groups import Groups
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG = "acme-org"
SAID = "The release needs two reviewers."
INSIGHT = Insight(nature=Nature.PROCEDURAL, title="The release", confidence=0.8)


def promote(world: World) -> Promote:
    services = world.services
    return Promote(services.survey, Groups(world.table), services.memories, services.remember, world.clock)


async def group(world: World, kind: GroupKind = GroupKind.ROLE, focus: str = "cooking") -> str:
    """The id of a new role or team."""
    order = GroupOrder(kind=kind, name="Kitchen", focus=focus)
    return (await world.services.gather.create(TENANT, ORG, order)).id


async def said(
    world: World, actor: str | None, content: str = SAID, insight: Insight | None = INSIGHT, **groups: str
) -> Memory:
    """A memory that was made of what an actor said."""
    scope = Scope(organization=ORG, user=actor, session=f"session of {actor}", **groups)
    draft = Draft(content=content, agent=None, origin="memsy", scope=scope, kind="norm", level="user", insight=insight)
    (outcome,) = (await world.services.remember.now(TENANT, [draft])).outcomes
    assert not isinstance(outcome, Exception)
    world.clock.advance(1)
    await world.services.memories.gained(TENANT, outcome.memory.id, [f"event of {actor} {len(groups)}"])
    return outcome.memory


async def promoted(world: World) -> list[Memory]:
    """The memories that are about no user, newest first."""
    overview = await world.services.survey.overview(TENANT, ORG)
    return [memory for memory in overview.memories if memory.scope.user is None]


async def test_what_three_members_of_a_role_say_its_role_knows(world: World) -> None:
    role = await group(world)
    for actor in ("a", "b"):
        await said(world, actor, role=role)
    assert await promote(world)(TENANT, ORG) == 0
    first = (await world.services.survey.overview(TENANT, ORG)).memories[-1]
    await said(world, "c", "the RELEASE needs two reviewers!", role=role)
    assert await promote(world)(TENANT, ORG) == 1
    (memory,) = await promoted(world)
    assert memory.scope == Scope(organization=ORG, role=role)
    assert (memory.content, memory.kind, memory.insight, memory.ready) == (SAID, "norm", INSIGHT, True)
    assert memory.occurred_at == first.occurred_at
    sources = await world.services.memories.sources(TENANT, [memory.id])
    assert sources[memory.id] == ("event of a 1", "event of b 1", "event of c 1")


async def test_a_second_turn_makes_nothing_new_and_gains_new_sources(world: World) -> None:
    role = await group(world)
    for actor in ("a", "b", "c"):
        await said(world, actor, role=role)
    assert await promote(world)(TENANT, ORG) == 1
    await said(world, "d", role=role)
    assert await promote(world)(TENANT, ORG) == 0
    (memory,) = await promoted(world)
    assert len((await world.services.memories.sources(TENANT, [memory.id]))[memory.id]) == 4


async def test_a_member_who_repeats_it_counts_once(world: World) -> None:
    role = await group(world)
    for content in (SAID, "The release needs two reviewers", "the release needs two reviewers"):
        await said(world, "a", content, role=role)
    assert await promote(world)(TENANT, ORG) == 0


async def test_two_members_do_where_the_prompt_speaks_of_it(world: World) -> None:
    team = await group(world, GroupKind.TEAM, focus="how releases are made")
    for actor in ("a", "b"):
        await said(world, actor, team=team)
    assert await promote(world)(TENANT, ORG) == 1
    assert [memory.scope.team for memory in await promoted(world)] == [team]


async def test_a_prompt_that_was_written_by_hand_counts(world: World) -> None:
    role = await group(world)
    change = GroupChange(prompt="Whatever concerns reviewers")
    await world.services.gather.change(TENANT, ORG, GroupKind.ROLE, role, change)
    for actor in ("a", "b"):
        await said(world, actor, role=role)
    assert await promote(world)(TENANT, ORG) == 1


async def test_what_two_groups_know_the_organization_knows(world: World) -> None:
    role, team = await group(world), await group(world, GroupKind.TEAM)
    for actor in ("a", "b", "c"):
        await said(world, actor, role=role, team=team)
    assert await promote(world)(TENANT, ORG) == 3
    assert {memory.scope for memory in await promoted(world)} == {
        Scope(organization=ORG, role=role),
        Scope(organization=ORG, team=team),
        Scope(organization=ORG),
    }


@pytest.mark.parametrize(
    "insight", [None, replace(INSIGHT, nature=Nature.EPISODIC)], ids=["written as it is", "something that happened"]
)
async def test_only_knowledge_that_was_made_of_events_is_promoted(world: World, insight: Insight | None) -> None:
    role = await group(world)
    for actor in ("a", "b", "c"):
        await said(world, actor, insight=insight, role=role)
    assert await promote(world)(TENANT, ORG) == 0


async def test_what_has_no_words_or_no_actor_or_an_unknown_role_is_not_promoted(world: World) -> None:
    await group(world)
    for actor in ("a", "b", "c"):
        await said(world, actor, "?!", role="unheard-of")
        await said(world, actor, role="unheard-of")
        await said(world, actor, "No role at all")
    await said(world, None, role="unheard-of")
    assert await promote(world)(TENANT, ORG) == 0


async def test_without_roles_and_teams_nothing_is_read(world: World) -> None:
    for actor in ("a", "b", "c"):
        await said(world, actor, role="r")
    world.index.down = True
    assert await promote(world)(TENANT, ORG) == 0


async def test_what_cannot_be_written_is_left_for_the_next_turn(world: World) -> None:
    role = await group(world)
    for actor in ("a", "b", "c"):
        await said(world, actor, role=role)
    world.embedder.down = True
    assert await promote(world)(TENANT, ORG) == 1
    world.embedder.down = False
    await world.work()
    assert [memory.ready for memory in await promoted(world)] == [True]


async def test_what_the_table_does_not_take_is_written_by_the_next_turn(world: World) -> None:
    role = await group(world)
    for actor in ("a", "b", "c"):
        await said(world, actor, role=role)

    async def refused() -> None:
        raise Unavailable("The table takes nothing now")

    world.table.meanwhile = refused
    assert await promote(world)(TENANT, ORG) == 0
    assert await promoted(world) == []
    assert await promote(world)(TENANT, ORG) == 1
    (memory,) = await promoted(world)
    assert len((await world.services.memories.sources(TENANT, [memory.id]))[memory.id]) == 3


async def test_nothing_of_other_organizations_and_tenants_counts(world: World) -> None:
    role = await group(world)
    await said(world, "a", role=role)
    for tenant, organization in ((TENANT, "another"), (OTHER_TENANT, ORG)):
        for actor in ("b", "c", "d"):
            scope = Scope(organization=organization, user=actor, role=role)
            draft = Draft(content=SAID, agent=None, origin="memsy", scope=scope, level="user", insight=INSIGHT)
            await world.services.remember.now(tenant, [draft])
    assert await promote(world)(TENANT, ORG) == 0


async def unwanted(world: World, id: str, how: str) -> None:
    """Takes a promoted memory out of use in one of the ways that there are."""
    services = world.services
    match how:
        case "deleted":
            await services.forget(TENANT, id)
        case "archived":
            await services.revise(TENANT, id, Change(standing=Standing.ARCHIVED))
        case _:
            await services.revise(TENANT, id, Change(content="The release needs no reviewers."))


@pytest.mark.parametrize("how", ["deleted", "archived", "changed"])
async def test_what_somebody_did_not_want_is_not_promoted_again(world: World, how: str) -> None:
    role, team = await group(world), await group(world, GroupKind.TEAM)
    for actor in ("a", "b", "c"):
        await said(world, actor, role=role)
    assert await promote(world)(TENANT, ORG) == 1
    (memory,) = await promoted(world)
    await unwanted(world, memory.id, how)
    left = await promoted(world)
    await said(world, "d", role=role)
    assert await promote(world)(TENANT, ORG) == 0
    assert await promoted(world) == left
    # Other texts, and the same for others, are promoted as ever.
    for actor in ("a", "b", "c"):
        await said(world, actor, "The release is on Tuesday.", role=role)
        await said(world, actor, team=team)
    assert await promote(world)(TENANT, ORG) == 3
    made = {(memory.content, memory.scope) for memory in await promoted(world)}
    assert made - {(memory.content, memory.scope) for memory in left} == {
        ("The release is on Tuesday.", Scope(organization=ORG, role=role)),
        (SAID, Scope(organization=ORG, team=team)),
        (SAID, Scope(organization=ORG)),
    }
    assert await promote(world)(TENANT, ORG) == 0
