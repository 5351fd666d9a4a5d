"""Orgs, roles and teams."""

import asyncio
from datetime import timedelta

import pytest

from commonplace.core.gather import Gather, GroupOrder, prompt
from commonplace.model.directory import Group, GroupChange, GroupKind, PromptSource
from commonplace.model.errors import Conflict, LimitReached, NotFound
from commonplace.rows.groups import EVERY, Groups
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG, ROLE, TEAM = GroupKind
ORGANIZATION = "org_1"
ORDERS = {kind: GroupOrder(kind=kind, name=f"The {kind}", focus="B2B sales") for kind in GroupKind}

every_kind = pytest.mark.parametrize("kind", GroupKind)


def gather(world: World, most: int = 100) -> Gather:
    """The groups, as a process of its own sees them."""
    return Gather(Groups(world.table), world.clock, world.ids, most)


@every_kind
async def test_a_group_is_made_and_found_again(world: World, kind: GroupKind) -> None:
    made = await gather(world).create(TENANT, ORGANIZATION, ORDERS[kind])
    now = world.clock.now()
    assert (made.kind, made.tenant, made.organization) == (kind, TENANT, ORGANIZATION)
    assert (made.name, made.focus, made.prompt_source) == (f"The {kind}", "B2B sales", PromptSource.GENERATED)
    assert made.created_at == made.updated_at == made.prompted_at == now
    assert await gather(world).get(TENANT, ORGANIZATION, kind, made.id) == made


async def test_an_org_has_the_organizations_id_and_the_others_one_of_plain_letters(world: World) -> None:
    for organization in (ORGANIZATION, "", "ü#:%/ x"):
        made = {kind: await gather(world).create(TENANT, organization, ORDERS[kind]) for kind in GroupKind}
        assert made[ORG].id == organization
        for kind in (ROLE, TEAM):
            assert made[kind].id.startswith(f"{kind}_")
            assert made[kind].id.replace("_", "").replace("-", "").isalnum()
            assert made[kind].id.isascii()


async def test_of_two_who_make_an_org_at_once_one_is_told_that_it_exists(world: World) -> None:
    creating = (gather(world).create(TENANT, ORGANIZATION, ORDERS[ORG]) for _ in range(2))
    outcomes = await asyncio.gather(*creating, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "Group"]
    assert len(await gather(world).page(TENANT, ORGANIZATION, ORG, limit=10)) == 1
    with pytest.raises(Conflict):
        await gather(world).create(TENANT, ORGANIZATION, ORDERS[ORG])


@every_kind
async def test_a_group_of_another_is_not_found_changed_or_removed(world: World, kind: GroupKind) -> None:
    own = gather(world)
    made = await own.create(TENANT, ORGANIZATION, ORDERS[kind])
    (other_kind, *_) = (each for each in GroupKind if each is not kind)
    elsewhere = [(OTHER_TENANT, ORGANIZATION, kind), (TENANT, "org_2", kind), (TENANT, ORGANIZATION, other_kind)]
    for place in elsewhere:
        for attempt in (
            own.get(*place, made.id),
            own.change(*place, made.id, GroupChange(name="x")),
            own.regenerate(*place, made.id),
            own.remove(*place, made.id),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            assert caught.value.noun == place[2]
        assert await own.page(*place, limit=10) == []
    assert await own.get(TENANT, ORGANIZATION, kind, made.id) == made


async def test_groups_are_listed_newest_first_page_by_page(world: World) -> None:
    made = []
    for number in range(7):
        made.append(
            await gather(world).create(TENANT, ORGANIZATION, GroupOrder(kind=ROLE, name=str(number), focus="f"))
        )
        world.clock.advance(1)
    await gather(world).create(TENANT, ORGANIZATION, ORDERS[TEAM])
    newest = made[::-1]
    pages = [await gather(world).page(TENANT, ORGANIZATION, ROLE, limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert pages == [newest[:3], newest[3:6], newest[6:], []]
    assert await gather(world).page(TENANT, ORGANIZATION, ROLE, limit=200) == newest


@every_kind
async def test_a_change_leaves_what_it_does_not_name(world: World, kind: GroupKind) -> None:
    own = gather(world)
    made = await own.create(TENANT, ORGANIZATION, ORDERS[kind])
    world.clock.advance(5)
    named = await own.change(TENANT, ORGANIZATION, kind, made.id, GroupChange(name="New"))
    assert (named.name, named.focus, named.prompt, named.revision) == ("New", made.focus, made.prompt, 2)
    assert (named.prompt_source, named.prompted_at, named.created_at) == (
        PromptSource.GENERATED,
        made.created_at,
        made.created_at,
    )
    assert named.updated_at - made.updated_at == timedelta(seconds=5)
    focused = await own.change(TENANT, ORGANIZATION, kind, made.id, GroupChange(focus="Support"))
    assert (focused.name, focused.focus, focused.prompt) == ("New", "Support", made.prompt)
    assert await own.get(TENANT, ORGANIZATION, kind, made.id) == focused


async def test_a_change_of_nothing_changes_nothing(world: World) -> None:
    made = await gather(world).create(TENANT, ORGANIZATION, ORDERS[TEAM])
    world.clock.advance(5)
    assert await gather(world).change(TENANT, ORGANIZATION, TEAM, made.id, GroupChange()) == made


@every_kind
async def test_a_prompt_is_set_by_hand_and_made_anew_of_what_the_group_is_now(world: World, kind: GroupKind) -> None:
    own = gather(world)
    made = await own.create(TENANT, ORGANIZATION, ORDERS[kind])
    assert made.name in made.prompt
    assert made.focus in made.prompt
    world.clock.advance(5)
    change = GroupChange(name="Night shift", focus="Incidents", prompt="Only this")
    manual = await own.change(TENANT, ORGANIZATION, kind, made.id, change)
    assert (manual.prompt, manual.prompt_source) == ("Only this", PromptSource.MANUAL)
    assert manual.prompted_at == manual.updated_at == world.clock.now()
    world.clock.advance(5)
    anew = await own.regenerate(TENANT, ORGANIZATION, kind, made.id)
    assert (anew.prompt, anew.prompt_source) == (prompt(kind, "Night shift", "Incidents"), PromptSource.GENERATED)
    assert anew.prompted_at == anew.updated_at == world.clock.now()
    assert await own.get(TENANT, ORGANIZATION, kind, made.id) == anew


def test_a_prompt_follows_from_kind_name_and_focus_alone() -> None:
    prompts = [prompt(kind, name, focus) for kind in GroupKind for name in "ab" for focus in "cd"]
    again = [prompt(kind, name, focus) for kind in GroupKind for name in "ab" for focus in "cd"]
    assert prompts == again
    assert len(set(prompts)) == len(prompts)


@every_kind
async def test_a_removed_group_is_gone_and_can_be_made_again(world: World, kind: GroupKind) -> None:
    own = gather(world, most=1)
    made = await own.create(TENANT, ORGANIZATION, ORDERS[kind])
    await own.remove(TENANT, ORGANIZATION, kind, made.id)
    assert await own.page(TENANT, ORGANIZATION, kind, limit=10) == []
    for attempt in (own.get(TENANT, ORGANIZATION, kind, made.id), own.remove(TENANT, ORGANIZATION, kind, made.id)):
        with pytest.raises(NotFound):
            await attempt
    again = await own.create(TENANT, ORGANIZATION, ORDERS[kind])
    assert again.revision == 1
    assert (again.id == made.id) is (kind is ORG)


@pytest.mark.parametrize("kind", [ROLE, TEAM])
async def test_there_are_as_many_roles_and_as_many_teams_as_the_limit(world: World, kind: GroupKind) -> None:
    own = gather(world, most=2)
    (other,) = {ROLE, TEAM} - {kind}
    for place in ((TENANT, "org_2", kind), (OTHER_TENANT, ORGANIZATION, kind), (TENANT, ORGANIZATION, other)):
        await own.create(*place[:2], ORDERS[place[2]])
    first, _ = [await own.create(TENANT, ORGANIZATION, ORDERS[kind]) for _ in range(2)]
    with pytest.raises(LimitReached) as caught:
        await own.create(TENANT, ORGANIZATION, ORDERS[kind])
    assert (caught.value.noun, caught.value.limit, caught.value.current) == (kind, 2, 2)
    await own.remove(TENANT, ORGANIZATION, kind, first.id)
    await own.create(TENANT, ORGANIZATION, ORDERS[kind])
    with pytest.raises(LimitReached):
        await own.create(TENANT, ORGANIZATION, ORDERS[kind])


async def test_a_limit_that_was_lowered_says_how_many_there_are(world: World) -> None:
    for _ in range(3):
        await gather(world, most=3).create(TENANT, ORGANIZATION, ORDERS[ROLE])
    with pytest.raises(LimitReached) as caught:
        await gather(world, most=1).create(TENANT, ORGANIZATION, ORDERS[ROLE])
    assert (caught.value.limit, caught.value.current) == (1, 3)


async def test_many_at_once_keep_to_a_limit_that_was_lowered(world: World) -> None:
    made = [await gather(world, most=40).create(TENANT, ORGANIZATION, ORDERS[ROLE]) for _ in range(20)]
    for group in made[:17]:
        await gather(world).remove(TENANT, ORGANIZATION, ROLE, group.id)
    creating = (gather(world, most=5).create(TENANT, ORGANIZATION, ORDERS[ROLE]) for _ in range(20))
    outcomes = await asyncio.gather(*creating, return_exceptions=True)
    assert sum(isinstance(outcome, Group) for outcome in outcomes) == 2
    assert len(await gather(world).page(TENANT, ORGANIZATION, ROLE, limit=100)) == 5


async def test_many_who_make_roles_at_once_get_them_all_up_to_the_limit(world: World) -> None:
    creating = (gather(world).create(TENANT, ORGANIZATION, ORDERS[ROLE]) for _ in range(20))
    assert len({group.id for group in await asyncio.gather(*creating)}) == 20

    creating = (gather(world, most=5).create(TENANT, ORGANIZATION, ORDERS[TEAM]) for _ in range(20))
    outcomes = await asyncio.gather(*creating, return_exceptions=True)
    assert sum(isinstance(outcome, Group) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, LimitReached) for outcome in outcomes) == 15
    assert len(await gather(world).page(TENANT, ORGANIZATION, TEAM, limit=100)) == 5


async def test_changes_of_one_group_at_once_all_happen(world: World) -> None:
    made = await gather(world).create(TENANT, ORGANIZATION, ORDERS[TEAM])
    changes = [GroupChange(name="N"), GroupChange(focus="F"), GroupChange(prompt="P")]
    await asyncio.gather(*(gather(world).change(TENANT, ORGANIZATION, TEAM, made.id, change) for change in changes))
    group = await gather(world).get(TENANT, ORGANIZATION, TEAM, made.id)
    assert (group.name, group.focus, group.prompt, group.revision) == ("N", "F", "P", 4)


async def test_a_group_that_is_changed_while_it_is_removed_is_removed(world: World) -> None:
    made = await gather(world).create(TENANT, ORGANIZATION, ORDERS[TEAM])
    other = gather(world)

    async def meanwhile() -> None:
        await other.change(TENANT, ORGANIZATION, TEAM, made.id, GroupChange(name="N"))

    world.table.meanwhile = meanwhile
    await gather(world).remove(TENANT, ORGANIZATION, TEAM, made.id)
    assert await other.page(TENANT, ORGANIZATION, TEAM, limit=10) == []


async def test_a_group_that_is_removed_while_it_is_changed_is_not_found(world: World) -> None:
    made = await gather(world).create(TENANT, ORGANIZATION, ORDERS[TEAM])
    other = gather(world)

    async def meanwhile() -> None:
        await other.remove(TENANT, ORGANIZATION, TEAM, made.id)

    world.table.meanwhile = meanwhile
    with pytest.raises(NotFound):
        await gather(world).change(TENANT, ORGANIZATION, TEAM, made.id, GroupChange(name="N"))


@pytest.mark.parametrize("most", [-1, EVERY + 1])
async def test_a_limit_beyond_what_can_be_numbered_is_a_mistake(world: World, most: int) -> None:
    with pytest.raises(ValueError, match="up to"):
        gather(world, most)
