"""The rows of orgs, roles and teams, and the mark of the organisations that have any."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonplace.model.directory import Group, GroupKind, PromptSource
from commonplace.model.errors import Conflict, NotFound
from commonplace.rows import keys
from commonplace.rows.groups import Groups
from fakes import START
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG, ROLE, TEAM = GroupKind
GROUP = Group(
    id="role_1",
    kind=ROLE,
    tenant=TENANT,
    organization="org#1",
    name="Söhne & Co",
    focus="f" * 4000,
    prompt="p",
    prompt_source=PromptSource.MANUAL,
    prompted_at=START + timedelta(seconds=1),
    created_at=START,
    updated_at=START + timedelta(seconds=2),
)
WORD = st.text(alphabet="a#%-\U0001f600", max_size=4)
WORDS = st.tuples(WORD, WORD, st.sampled_from(GroupKind), WORD)


async def promoted(world: World, before: timedelta = timedelta()) -> list[tuple[str, str]]:
    """All organisations whose turn it is."""
    groups, moment = Groups(world.table), START + before
    found = [await groups.to_promote(shard, moment, 10) for shard in keys.every_shard("promoting")]
    return sorted(each for shard in found for each in shard)


async def test_a_group_comes_back_as_it_was_written_and_knows_its_slot_after_a_change(world: World) -> None:
    groups = Groups(world.table)
    await groups.add(GROUP, 7)
    assert await groups.get(TENANT, "org#1", ROLE, "role_1") == GROUP
    new = await groups.replace(GROUP, replace(GROUP, name="n", prompt_source=PromptSource.GENERATED))
    assert new.revision == 2
    assert await groups.get(TENANT, "org#1", ROLE, "role_1") == new
    assert await groups.taken(TENANT, "org#1", ROLE) == {7}
    await groups.remove(TENANT, "org#1", ROLE, "role_1")
    assert await groups.taken(TENANT, "org#1", ROLE) == set()


async def test_neither_an_id_nor_a_slot_is_given_twice(world: World) -> None:
    groups = Groups(world.table)
    await groups.add(GROUP, 0)
    for taken in ((GROUP, 1), (replace(GROUP, id="role_2"), 0)):
        with pytest.raises(Conflict):
            await groups.add(*taken)
    assert await groups.page(TENANT, "org#1", ROLE, limit=10, offset=0) == [GROUP]


async def test_a_stale_change_is_a_conflict_and_one_of_nothing_is_not_found(world: World) -> None:
    groups = Groups(world.table)
    with pytest.raises(NotFound):
        await groups.replace(GROUP, GROUP)
    await groups.add(GROUP, 0)
    await groups.replace(GROUP, GROUP)
    with pytest.raises(Conflict, match="role"):
        await groups.replace(GROUP, GROUP)


async def test_organizations_with_roles_or_teams_are_found_and_others_not(world: World) -> None:
    groups = Groups(world.table)
    for number, (tenant, organization, kind) in enumerate(
        [(TENANT, "a", ROLE), (TENANT, "a", TEAM), (TENANT, "b", TEAM), (TENANT, "c", ORG), (OTHER_TENANT, "b", ROLE)]
    ):
        await groups.add(replace(GROUP, id=str(number), tenant=tenant, organization=organization, kind=kind), number)
    assert await promoted(world) == [(TENANT, "a"), (TENANT, "b"), (OTHER_TENANT, "b")]
    assert await promoted(world, -timedelta(microseconds=1)) == []

    await groups.remove(TENANT, "a", ROLE, "0")
    await groups.remove(TENANT, "c", ORG, "3")
    assert (TENANT, "a") in await promoted(world)
    await groups.remove(TENANT, "a", TEAM, "1")
    await groups.remove(OTHER_TENANT, "b", ROLE, "4")
    assert await promoted(world) == [(TENANT, "b")]


async def test_an_organization_that_had_its_turn_waits_for_the_next(world: World) -> None:
    groups = Groups(world.table)
    await groups.add(GROUP, 0)
    await groups.promoted(TENANT, "org#1", START + timedelta(hours=1))
    assert await promoted(world) == []
    assert await promoted(world, timedelta(hours=1)) == [(TENANT, "org#1")]

    await groups.add(replace(GROUP, id="role_2"), 1)  # a new role does not wait
    assert await promoted(world) == [(TENANT, "org#1")]


async def test_a_turn_of_an_organization_without_groups_makes_none(world: World) -> None:
    await Groups(world.table).promoted(TENANT, "org#1", START)
    assert await promoted(world) == []


async def test_a_group_that_comes_while_the_last_one_goes_keeps_its_organization_found(world: World) -> None:
    groups = Groups(world.table)
    await groups.add(GROUP, 0)

    async def another_comes() -> None:
        await groups.add(replace(GROUP, id="role_2"), 1)

    async def group_goes() -> None:
        world.table.meanwhile = another_comes  # just before the next write, which takes the mark away

    world.table.meanwhile = group_goes
    await groups.remove(TENANT, "org#1", ROLE, "role_1")
    assert await promoted(world) == [(TENANT, "org#1")]


async def test_the_turns_of_a_shard_come_in_order_and_bounded(world: World) -> None:
    groups = Groups(world.table)
    names = [f"o{number}" for number in range(40)]
    for number, name in enumerate(names):
        at = START - timedelta(seconds=number)
        await groups.add(replace(GROUP, id=name, organization=name, created_at=at), 0)
    shards = keys.every_shard("promoting")
    whole = [await groups.to_promote(shard, START, 40) for shard in shards]
    assert sorted(name for shard in whole for _, name in shard) == sorted(names)
    assert len([shard for shard in whole if shard]) > 1
    for shard, found in zip(shards, whole, strict=True):
        assert found == sorted(found, key=lambda each: -names.index(each[1]))
        assert await groups.to_promote(shard, START, 2) == found[:2]


@settings(derandomize=True, max_examples=300, database=None, deadline=None)
@given(WORDS, WORDS)
def test_different_groups_never_have_the_same_key(
    one: tuple[str, str, GroupKind, str], other: tuple[str, str, GroupKind, str]
) -> None:
    assert (keys.group(*one) == keys.group(*other)) is (one == other)
    slots = keys.group_slot(*one[:3], 1), keys.group_slot(*other[:3], 1)
    assert (slots[0] == slots[1]) is (one[:3] == other[:3])
    assert (keys.promotion(*one[:2]) == keys.promotion(*other[:2])) is (one[:2] == other[:2])
    if one[0] != other[0]:
        assert keys.group(*one).partition != keys.group(*other).partition
