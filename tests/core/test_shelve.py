import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from commonplace.core.enlist import AgentChange
from commonplace.core.shelve import Added, Part, Shelved
from commonplace.model.errors import Invalid, NotFound, RateLimited
from commonplace.model.filter import Period
from commonplace.model.memory import Accesses, Change, Draft, Standing
from commonplace.model.scope import DEFAULT_STORE, Scope
from commonplace.model.store import Store, StoreChange, StoreOrder, StoreStatus
from steps import UNKNOWN, written
from world import TENANT, World

pytestmark = pytest.mark.anyio

UUID = "0b8f6f0e-7f7e-4b55-9d0c-7f2f6b1a2c3d"


async def store_with(world: World, **config: Any) -> Store:
    return await world.services.furnish.create(TENANT, StoreOrder(key="mem-k", name="K", config=config))


def leveled(content: str, level: str = "global", name: str | None = None, **parts: Any) -> Draft:
    """A draft as a caller makes it who thinks in levels."""
    scope = Scope(user=name if level == "user" else None, session=name if level == "session" else None)
    agent = name if level == "agent" else None
    label = name if level == "global" else None
    return replace(Draft(content=content, agent=agent, origin="x", scope=scope, level=level, label=label), **parts)


async def add(world: World, store: Store, content: str, *where: Any, **parts: Any) -> Shelved:
    return await world.services.shelve.add(TENANT, store, leveled(content, *where, **parts))


async def page(world: World, part: Part = Part(), limit: int = 50, skip: int = 0) -> tuple[list[str], int]:  # noqa: B008 - a value
    found, total = await world.services.shelve.page(TENANT, "mem-k", part, limit, skip)
    return [each.memory.content for each in found], total


async def found(world: World, store: Store, query: str, part: Part = Part(), floor: float = 0.0) -> list[str]:  # noqa: B008 - a value
    results = await world.services.shelve.find(TENANT, store, query, part, 10, floor)
    assert results.degraded == ()
    return [hit.memory.content for hit in results.hits]


async def count(world: World, store: Store) -> int:
    return (await world.services.furnish.figures([store]))[0].memories


async def test_what_is_added_can_be_found_at_once_by_its_level_and_its_name(world: World) -> None:
    store = await store_with(world)
    for level, name in (("user", "u1"), ("agent", "a1"), ("agent", UUID), ("session", UUID), ("global", "g1")):
        shelved = await add(world, store, f"kettle of {level} {name}", level, name)
        assert (shelved.memory.level, shelved.memory.label, shelved.memory.ready) == (level, name, True)
        only = [f"kettle of {level} {name}"]
        assert await found(world, store, "kettle", Part(level=level, name=name)) == only
        assert await page(world, Part(level=level, name=name)) == (only, 1)
    await add(world, store, "kettle of nobody", "user")
    assert await page(world, Part(level="user")) == (["kettle of nobody", "kettle of user u1"], 2)
    assert await page(world, Part(name=UUID)) == ([f"kettle of session {UUID}", f"kettle of agent {UUID}"], 2)
    assert await page(world, Part(level="agent", name="nobody")) == ([], 0)
    assert await page(world, Part(level="agent", name=UUID.replace("0", "9"))) == ([], 0)
    assert await page(world, Part(level="somewhere")) == ([], 0)
    assert len(await found(world, store, "kettle")) == 6
    assert await found(world, store, "kettle", Part(level="agent", name="nobody")) == []


async def test_stores_do_not_meet(world: World) -> None:
    store = await store_with(world)
    other = await world.services.furnish.create(TENANT, StoreOrder(key="other", name="O"))
    memory = (await add(world, store, "the kettle")).memory
    assert await found(world, other, "kettle") == []
    for attempt in (
        world.services.shelve.read(TENANT, "other", memory.id),
        world.services.shelve.change(TENANT, "other", memory.id, Change(importance=1.0)),
        world.services.shelve.remove(TENANT, "other", memory.id),
        world.services.shelve.read(TENANT, "mem-k", UNKNOWN),
        world.services.shelve.read("another-tenant", "mem-k", memory.id),
        world.services.shelve.page(TENANT, "unknown", Part(), 1, 0),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_the_default_store_has_what_other_dialects_wrote(world: World) -> None:
    memory = await written(world, "the red kettle", scope=Scope(user="u1"))
    default = await world.services.furnish.get(TENANT, "default")
    results = await world.services.shelve.find(TENANT, default, "kettle", Part(level="user", name="u1"), 10, 0.0)
    (hit,) = results.hits
    assert hit.memory.id == memory.id
    shelved = await world.services.shelve.read(TENANT, "default", memory.id)
    assert (shelved.memory.level, shelved.memory.label) == ("user", "u1")
    found, total = await world.services.shelve.page(TENANT, "default", Part(level="user", name="u1"), 10, 0)
    assert ([each.memory.id for each in found], total) == ([memory.id], 1)


async def test_equal_content_of_one_scope_is_kept_once_even_when_it_comes_at_once(world: World) -> None:
    store = await store_with(world)
    everyone = await asyncio.gather(*(add(world, store, "same", "user", "u1") for _ in range(4)))
    assert len({shelved.memory.id for shelved in everyone}) == 1
    elsewhere = [await add(world, store, "same", *where) for where in (("user", "u2"), ("agent", "u1"), ("user",))]
    assert len({shelved.memory.id for shelved in [everyone[0], *elsewhere]}) == 4
    assert await count(world, store) == 4


async def test_meeting_what_is_there_counts_as_an_access_and_changes_nothing_else(world: World) -> None:
    store = await store_with(world)
    first = await add(world, store, "same", tags=("a",))
    again = await add(world, store, "same", tags=("b",))
    assert again == replace(first, accesses=Accesses())
    assert (await add(world, store, "same")).accesses == Accesses(1, world.clock.now())
    assert await count(world, store) == 1


async def test_an_archived_memory_is_no_reason_not_to_write_it_again(world: World) -> None:
    store = await store_with(world)
    old = (await add(world, store, "same")).memory
    await world.services.shelve.change(TENANT, "mem-k", old.id, Change(standing=Standing.ARCHIVED))
    new = (await add(world, store, "same")).memory
    assert new.id != old.id
    assert await found(world, store, "same") == ["same"]


async def test_a_store_without_deduplication_keeps_repetitions(world: World) -> None:
    store = await store_with(world, deduplication=False)
    assert (await add(world, store, "same")).memory.id != (await add(world, store, "same")).memory.id
    drafts = [leveled("same"), leveled("same")]
    assert await world.services.shelve.add_all(TENANT, store, drafts) == Added(2, 0, 0)


async def test_a_batch_passes_over_what_is_there_and_what_it_repeats(world: World) -> None:
    store = await store_with(world)
    await add(world, store, "one")
    drafts = [leveled("one"), leveled("two"), leveled("two"), leveled("two", "user", "u")]
    assert await world.services.shelve.add_all(TENANT, store, drafts) == Added(2, 2, 0)
    assert await count(world, store) == 3


async def test_what_of_a_batch_cannot_be_written_is_counted(world: World) -> None:
    store = await store_with(world)
    unknown = Draft(content="of no session", agent=None, origin="x", scope=Scope(session=UNKNOWN))
    assert await world.services.shelve.add_all(TENANT, store, [leveled("one"), unknown]) == Added(1, 0, 1)
    with pytest.raises(NotFound):
        await world.services.shelve.add(TENANT, store, unknown)


async def test_a_full_store_takes_only_what_it_has(world: World) -> None:
    store = await store_with(world, maxMemories=3)
    shelve = world.services.shelve
    await add(world, store, "one")
    await add(world, store, "two", "agent", "a1")
    with pytest.raises(RateLimited, match=r"memories limit reached \(2/3\)"):
        await shelve.add_all(TENANT, store, [leveled("three"), leveled("four")])
    assert await count(world, store) == 2
    drafts = [leveled("three"), leveled("three"), leveled("two", "agent", "a1"), leveled("one")]
    assert await shelve.add_all(TENANT, store, drafts) == Added(1, 3, 0)
    with pytest.raises(RateLimited, match=r"memories limit reached \(3/3\)"):
        await add(world, store, "four", "agent", "a2")
    assert (await add(world, store, "one")).memory.content == "one"


@pytest.mark.parametrize("quota", [True, "3", 2.5, None])
async def test_a_quota_that_is_no_whole_number_is_none(world: World, quota: object) -> None:
    assert (await store_with(world, maxMemories=quota)).quota is None


async def test_reading_and_finding_count_as_accesses_and_listing_and_changing_do_not(world: World) -> None:
    store = await store_with(world)
    id = (await add(world, store, "the kettle")).memory.id
    shelve = world.services.shelve
    assert (await shelve.read(TENANT, "mem-k", id)).accesses == Accesses()
    world.clock.advance(3)
    assert await found(world, store, "kettle") == ["the kettle"]
    then = world.clock.now()
    world.clock.advance(3)
    await page(world)
    changed = await shelve.change(TENANT, "mem-k", id, Change(importance=0.9))
    assert changed.accesses == Accesses(2, then)
    await shelve.remove(TENANT, "mem-k", id)
    assert (await world.services.memories.accesses(TENANT, [id])) == {id: Accesses()}


async def test_a_page_is_cut_out_of_the_newest_first_and_the_total_is_of_all(world: World) -> None:
    store = await store_with(world)
    for n in range(7):
        await add(world, store, f"number {n}", tags=(("even",) if n % 2 == 0 else ("odd",)))
        world.clock.advance(1)
    assert await page(world, limit=2, skip=1) == (["number 5", "number 4"], 7)
    assert await page(world, limit=0) == ([], 7)
    assert await page(world, skip=9) == ([], 7)
    assert await page(world, Part(tags=("even", "none")), limit=2, skip=1) == (["number 4", "number 2"], 4)
    assert await page(world, Part(created=Period(end=store.created_at + timedelta(seconds=2)))) == (
        ["number 1", "number 0"],
        2,
    )


async def test_a_page_by_standing_and_by_text(world: World) -> None:
    store = await store_with(world)
    shelve = world.services.shelve
    for content in ("The runners ran 50% faster", "A kettle", "Old news"):
        await add(world, store, content)
    (news,) = (await shelve.page(TENANT, "mem-k", Part(text="news"), 9, 0))[0]
    await shelve.change(TENANT, "mem-k", news.memory.id, Change(standing=Standing.EXPIRED))
    assert await page(world, Part(standing=Standing.EXPIRED)) == (["Old news"], 1)
    assert (await page(world, Part(standing=Standing.ACTIVE)))[1] == 2
    assert await page(world, Part(standing=Standing.ARCHIVED)) == ([], 0)
    for text in ("runner FASTER", "0% fas", "ran"):
        assert await page(world, Part(text=text)) == (["The runners ran 50% faster"], 1)
    assert await page(world, Part(text="%")) == (["The runners ran 50% faster"], 1)
    assert await page(world, Part(text="kettle news")) == ([], 0)
    assert await page(world, Part(text="?!")) == ([], 0)


async def test_more_is_counted_than_is_read_at_a_time(world: World) -> None:
    store = await store_with(world)
    drafts = [leveled(f"number {n}", tags=("t",)) for n in range(430)]
    for start in range(0, len(drafts), 100):
        await world.services.shelve.add_all(TENANT, store, drafts[start : start + 100])
    contents, total = await page(world, Part(tags=("t",)), limit=1, skip=429)
    assert (len(contents), total) == (1, 430)


async def test_standing_can_go_to_and_fro_and_only_active_memories_are_found(world: World) -> None:
    store = await store_with(world)
    id = (await add(world, store, "the kettle")).memory.id
    now = world.clock.now()
    for standing in (Standing.ARCHIVED, Standing.EXPIRED, Standing.ARCHIVED, Standing.ACTIVE):
        shelved = await world.services.shelve.change(TENANT, "mem-k", id, Change(standing=standing))
        assert shelved.memory.standing(now) is standing
        assert await found(world, store, "kettle") == (["the kettle"] if standing is Standing.ACTIVE else [])


async def test_a_change_of_tags_replaces_and_of_metadata_merges(world: World) -> None:
    store = await store_with(world)
    id = (await add(world, store, "the kettle", tags=("a",), metadata={"x": 1, "y": 1})).memory.id
    change = Change(tags=("b",), merged={"y": 2}, content="the herring")
    memory = (await world.services.shelve.change(TENANT, "mem-k", id, change)).memory
    assert (memory.tags, memory.metadata, memory.content) == (("b",), {"x": 1, "y": 2}, "the herring")
    assert await found(world, store, "herring", Part(tags=("b",))) == ["the herring"]
    assert await found(world, store, "herring", Part(tags=("a",))) == []


async def removed(world: World, part: Part) -> int:
    return await world.services.shelve.remove_all(TENANT, "mem-k", part)


async def test_many_are_deleted_by_their_part_whatever_their_standing(world: World) -> None:
    store = await store_with(world)
    await add(world, store, "one", "user", "u", tags=("a",))
    old = (await add(world, store, "two", "user", "u", tags=("b",))).memory
    await add(world, store, "three", "user", "v", tags=("a",))
    await world.services.shelve.change(TENANT, "mem-k", old.id, Change(standing=Standing.ARCHIVED))
    assert await removed(world, Part(level="agent", name="nobody")) == 0
    assert await removed(world, Part(level="user", name="u", tags=("b",))) == 1
    assert await removed(world, Part(created=Period(end=store.created_at))) == 0
    assert await removed(world, Part(tags=("a",))) == 2
    assert await removed(world, Part()) == 0
    assert await count(world, store) == 0


async def test_deleting_goes_through_all_pages(world: World) -> None:
    store = await store_with(world)
    contents: Sequence[str] = [f"number {n}" for n in range(230)]
    for start in range(0, len(contents), 100):
        drafts = [leveled(content) for content in contents[start : start + 100]]
        await world.services.shelve.add_all(TENANT, store, drafts)
    assert await removed(world, Part()) == 230


async def test_one_that_goes_meanwhile_is_not_counted_as_deleted(world: World) -> None:
    store = await store_with(world)
    first = (await add(world, store, "one")).memory

    async def gone() -> None:
        await world.services.forget(TENANT, first.id)

    world.table.meanwhile = gone
    assert await removed(world, Part()) == 0
    assert store.status is StoreStatus.ACTIVE


async def test_an_agent_is_told_apart_by_what_it_is_called(world: World) -> None:
    store = await store_with(world)
    agent = await world.services.enlist.ensure(TENANT, "support")
    await add(world, store, "The kettle", "agent", agent.id)
    await add(world, store, "The kettle", "agent", "support")
    assert await count(world, store) == 2
    await world.services.enlist.change(TENANT, agent.id, AgentChange(name="robot"))
    await add(world, store, "The herring", "agent", "support")
    for where in (Part(level="agent", name="support"), Part(name="support")):
        assert await page(world, where) == (["The herring", "The kettle"], 2)
    await world.services.enlist.remove(TENANT, agent.id)
    assert await page(world, Part(level="agent", name=agent.id)) == (["The kettle"], 1)
    assert await page(world, Part(level="agent", name="robot")) == ([], 0)
    assert await world.services.shelve.remove_all(TENANT, "mem-k", Part(level="agent", name="support")) == 2


async def test_what_an_agent_left_that_is_registered_no_more_is_found_by_its_name(world: World) -> None:
    shelve = world.services.shelve
    store = await world.services.furnish.get(TENANT, DEFAULT_STORE)
    memory = (await shelve.add(TENANT, store, leveled("The kettle", "agent", "support"))).memory
    await world.services.enlist.remove(TENANT, "support")
    for name in ("support", memory.scope.agent):
        part = Part(level="agent", name=name)
        found, total = await shelve.page(TENANT, DEFAULT_STORE, part, 10, 0)
        assert ([each.memory for each in found], total) == (([memory], 1) if name == "support" else ([], 0))
    assert await shelve.remove_all(TENANT, DEFAULT_STORE, Part(level="agent", name="support")) == 1


async def test_what_is_confidential_is_listed_and_not_found(world: World) -> None:
    shelve = world.services.shelve
    await written(world, "The kettle is secret", confidential=True)
    store = await world.services.furnish.get(TENANT, DEFAULT_STORE)
    assert (await shelve.page(TENANT, DEFAULT_STORE, Part(), 10, 0))[1] == 1
    assert (await shelve.find(TENANT, store, "kettle", Part(), 10, 0.0)).hits == ()


async def test_what_is_active_again_or_says_something_else_is_known_again(world: World) -> None:
    store = await store_with(world)
    change = partial(world.services.shelve.change, TENANT, "mem-k")
    first = (await add(world, store, "The kettle", "user", "u")).memory
    await change(first.id, Change(standing=Standing.ARCHIVED))
    await change(first.id, Change(standing=Standing.ACTIVE))
    assert (await add(world, store, "The kettle", "user", "u")).memory.id == first.id
    await change(first.id, Change(content="The herring"))
    assert (await add(world, store, "The herring", "user", "u")).memory.id == first.id
    assert (await add(world, store, "The kettle", "user", "u")).memory.id != first.id
    assert await count(world, store) == 2


async def test_a_change_to_what_is_there_already_is_no_duplicate(world: World) -> None:
    store = await store_with(world)
    first = (await add(world, store, "The kettle")).memory
    second = (await add(world, store, "The herring")).memory
    changed = await world.services.shelve.change(TENANT, "mem-k", second.id, Change(content="The kettle"))
    assert (changed.memory.id, changed.memory.claim) == (second.id, None)
    assert (await add(world, store, "The kettle")).memory.id == first.id


async def test_what_was_kept_without_deduplication_counts_from_its_next_change_on(world: World) -> None:
    store = await store_with(world, deduplication=False)
    first = (await add(world, store, "The kettle")).memory
    store = await world.services.furnish.change(TENANT, "mem-k", StoreChange(config={"deduplication": True}))
    await world.services.shelve.change(TENANT, "mem-k", first.id, Change(tags=("a",)))
    assert (await add(world, store, "The kettle")).memory.id == first.id


async def test_a_change_of_nothing_is_none_in_a_store_either(world: World) -> None:
    store = await store_with(world)
    memory = (await add(world, store, "The kettle")).memory
    assert (await world.services.shelve.change(TENANT, "mem-k", memory.id, Change())).memory == memory


@pytest.mark.parametrize(
    "change",
    [Change(content="The herring"), Change(standing=Standing.ARCHIVED), None],
    ids=["said", "archived", "deleted"],
)
async def test_what_lets_go_of_its_content_meanwhile_keeps_nobody_from_writing_it(
    world: World, change: Change | None
) -> None:
    store = await store_with(world)
    first = (await add(world, store, "The kettle")).memory

    async def lets_go() -> None:
        if change is None:
            await world.services.shelve.remove(TENANT, "mem-k", first.id)
        else:
            await world.services.shelve.change(TENANT, "mem-k", first.id, change)

    world.table.refused = lets_go
    second = (await add(world, store, "The kettle")).memory
    assert second.id != first.id
    assert (await add(world, store, "The kettle")).memory.id == second.id


async def test_a_store_is_never_overfilled_by_many_at_once(world: World) -> None:
    store = await store_with(world, maxMemories=5)
    adding = (add(world, store, f"memory {number}") for number in range(20))
    outcomes = await asyncio.gather(*adding, return_exceptions=True)
    refusals = [each for each in outcomes if isinstance(each, BaseException)]
    assert len(refusals) == 15
    assert {(type(each), str(each)) for each in refusals} == {(RateLimited, "memories limit reached (5/5)")}
    assert await count(world, store) == 5
    await world.services.shelve.remove_all(TENANT, "mem-k", Part(level="global"))

    async def filled() -> None:
        await world.services.shelve.add_all(TENANT, store, [leveled(f"other {number}") for number in range(3)])

    world.table.meanwhile = filled
    batch = [leveled(f"memory {number}") for number in range(4)]
    assert await world.services.shelve.add_all(TENANT, store, batch) == Added(2, 0, 2)
    assert await count(world, store) == 5


@pytest.mark.parametrize("key", ["mem-k", DEFAULT_STORE])
async def test_equal_contents_of_agents_that_are_new_are_not_one(world: World, key: str) -> None:
    if key == "mem-k":
        store = await store_with(world, maxMemories=1)
    else:
        await world.services.furnish.get(TENANT, key)
        store = await world.services.furnish.change(TENANT, key, StoreChange(config={"maxMemories": 1}))
    batch = [leveled("The kettle", "agent", "one"), leveled("The kettle", "agent", "two")]
    with pytest.raises(RateLimited):
        await world.services.shelve.add_all(TENANT, store, batch)
    await add(world, store, "The kettle", "agent")
    with pytest.raises(RateLimited):
        await add(world, store, "The kettle", "agent", "one")
    assert await count(world, store) == 1


async def test_metadata_and_config_do_not_grow_without_end(world: World) -> None:
    store = await store_with(world)
    id = (await add(world, store, "one")).memory.id
    large = {"x": "y" * 40_000}
    await world.services.shelve.change(TENANT, "mem-k", id, Change(merged=large))
    with pytest.raises(Invalid, match="metadata"):
        await world.services.shelve.change(TENANT, "mem-k", id, Change(merged={"z": "y" * 40_000}))
    await world.services.furnish.change(TENANT, "mem-k", StoreChange(config=large))
    with pytest.raises(Invalid, match="config"):
        await world.services.furnish.change(TENANT, "mem-k", StoreChange(config={"z": "y" * 40_000}))


async def test_nothing_is_added_to_a_store_that_was_deleted_meanwhile(world: World) -> None:
    store = await store_with(world)
    await world.services.furnish.remove(TENANT, "mem-k")
    with pytest.raises(NotFound):
        await add(world, store, "too late")
    assert await count(world, store) == 0
    again = await store_with(world)
    assert (await add(world, again, "in time")).memory.content == "in time"


async def test_an_arm_that_could_not_be_asked_is_told(world: World) -> None:
    store = await store_with(world)
    await add(world, store, "the kettle")
    world.index.broken_arms = ("vectors",)
    results = await world.services.shelve.find(TENANT, store, "kettle", Part(), 10, 0.0)
    assert (len(results.hits), results.degraded) == (1, ("vectors",))


async def test_a_batch_for_a_store_that_was_deleted_since_is_refused_as_a_whole(world: World) -> None:
    store = await store_with(world)
    await world.services.furnish.remove(TENANT, "mem-k")
    with pytest.raises(NotFound, match="Store not found"):
        await world.services.shelve.add_all(TENANT, store, [leveled("one"), leveled("two")])
    assert await count(world, store) == 0
