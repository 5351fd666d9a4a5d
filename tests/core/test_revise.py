import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bill import counted
from commonplace.core.remember import Remembered
from commonplace.core.revise import IDLE, MOST_LOOKED_AT, Revise
from commonplace.core.search import Wanted
from commonplace.model.errors import NotFound
from commonplace.model.filter import Among, Filter
from commonplace.model.insight import Insight, Nature
from commonplace.model.memory import Change, Memory, State, Tier
from commonplace.rows.listing import Listed, Place
from commonplace.rows.memories import Memories
from commonplace.rows.memory_writes import Entry
from steps import CONTENT, EVERYTHING, documents, draft, found, row, sentences, written
from world import TENANT, World

pytestmark = pytest.mark.anyio


def tagged(value: int) -> Filter:
    return replace(EVERYTHING, metadata=(("n", Among((value,))),))


async def contents(world: World, query: str) -> list[str]:
    results = await world.services.search(TENANT, Wanted(query=query, filter=EVERYTHING, limit=10))
    return [hit.memory.content for hit in results.hits]


async def test_a_change_of_metadata_keeps_the_memory_ready_and_is_found_by_it_without_embedding_again(
    world: World,
) -> None:
    memory = await written(world, metadata={"n": 1})
    texts = list(world.embedder.texts)

    changed = await world.services.revise(TENANT, memory.id, Change(metadata={"n": 2}))

    assert world.embedder.texts == texts
    assert changed == await row(world, memory.id)
    assert (changed.state, changed.revision, changed.content_revision) == (State.READY, 2, 1)
    assert await found(world, filter=tagged(2)) == [memory.id]
    assert await found(world, filter=tagged(1)) == []


async def test_a_change_of_metadata_replaces_all_of_it(world: World) -> None:
    memory = await written(world, metadata={"a": 1, "b": 2})
    assert (await world.services.revise(TENANT, memory.id, Change(metadata={"b": 3}))).metadata == {"b": 3}
    assert (await world.services.revise(TENANT, memory.id, Change(metadata={}))).metadata == {}


async def test_new_content_is_found_and_the_old_is_not(world: World) -> None:
    memory = await written(world, "Berlin is rainy")
    world.clock.advance(5)
    changed = await world.services.revise(TENANT, memory.id, Change(content="Cairo is sunny"))

    assert (changed.state, changed.revision, changed.content_revision) == (State.READY, 2, 2)
    assert (changed.created_at, changed.updated_at) == (memory.created_at, world.clock.now())
    assert await contents(world, "sunny cairo") == ["Cairo is sunny"]
    results = await world.services.search(TENANT, Wanted(query="berlin rainy", filter=EVERYTHING, limit=10, floor=0.3))
    assert results.hits == ()


async def test_while_new_content_cannot_be_indexed_no_search_shows_the_old(world: World) -> None:
    memory = await written(world, "Berlin is rainy")
    world.index.down = True
    changed = await world.services.revise(TENANT, memory.id, Change(content="Cairo is sunny"))
    world.index.down = False

    assert changed.state is State.PENDING
    assert await contents(world, "berlin rainy") == []
    await world.work()
    assert await contents(world, "cairo") == ["Cairo is sunny"]
    assert (await row(world, memory.id)).state is State.READY


async def test_while_new_metadata_cannot_be_indexed_the_memory_is_still_found(world: World) -> None:
    memory = await written(world)
    world.index.down = True
    changed = await world.services.revise(TENANT, memory.id, Change(metadata={"n": 1}))
    world.index.down = False

    assert changed.state is State.READY
    assert await found(world) == [memory.id]
    assert await found(world, filter=tagged(1)) == []
    await world.work()
    assert await found(world, filter=tagged(1)) == [memory.id]


async def test_new_content_keeps_nothing_that_was_understood_of_the_old(world: World) -> None:
    insight = Insight(nature=Nature.SEMANTIC, title="Tea", confidence=0.5, summary="About tea", entities=("tea",))
    drafted = replace(draft("The user likes tea"), insight=insight)
    (made,) = (await world.services.remember.now(TENANT, [drafted])).outcomes
    assert isinstance(made, Remembered)
    tagged_only = await world.services.revise(TENANT, made.memory.id, Change(tags=("drinks",)))
    assert tagged_only.insight == insight

    changed = await world.services.revise(TENANT, made.memory.id, Change(content="The user likes coffee"))

    assert changed.insight == Insight(nature=Nature.SEMANTIC, title="The user likes coffee", confidence=0.5)


async def test_content_that_shrinks_leaves_no_surplus_passages(world: World) -> None:
    memory = await written(world, sentences(20))
    assert len(await documents(world)) == memory.passages > 3
    changed = await world.services.revise(TENANT, memory.id, Change(content="Short now"))
    assert changed.passages == 1
    assert await documents(world) == {(memory.id, 0): 2}


async def test_content_that_shrinks_while_its_worker_was_lost_leaves_no_surplus_passages(world: World) -> None:
    accepted = (await world.services.remember.later(TENANT, draft(sentences(20)))).memory
    await world.services.embed([accepted])
    stale = accepted  # as another process read it before the worker was there
    reach = await world.services.embed.reach(stale)
    await world.services.memories.replace(stale, replace(stale, revision=2, passages=reach))
    await world.services.revise(TENANT, accepted.id, Change(content="Short now"))
    assert await documents(world) == {(accepted.id, 0): 3}


async def test_content_that_grows_is_found_by_all_of_its_parts(world: World) -> None:
    memory = await written(world, "Short")
    changed = await world.services.revise(TENANT, memory.id, Change(content=sentences(20)))
    assert len(await documents(world)) == changed.passages > 3
    assert await found(world, "thing19") == [memory.id]


async def test_a_change_of_nothing_changes_nothing(world: World) -> None:
    memory = await written(world)
    assert await world.services.revise(TENANT, memory.id, Change()) == memory
    assert await row(world, memory.id) == memory


async def test_the_same_content_again_is_not_embedded_again(world: World) -> None:
    memory = await written(world)
    texts = list(world.embedder.texts)
    assert (await world.services.revise(TENANT, memory.id, Change(content=CONTENT))).revision == 2
    assert world.embedder.texts == texts


@pytest.mark.parametrize(
    ("change", "tier"),
    [
        (Change(importance=0.9), Tier.HOT),
        (Change(importance=0.1), Tier.COLD),
        (Change(importance=0.9, tier=Tier.COLD), Tier.COLD),
        (Change(tier=Tier.HOT), Tier.HOT),
        (Change(metadata={}), Tier.WARM),
    ],
)
async def test_the_tier_follows_the_importance_unless_it_is_named(world: World, change: Change, tier: Tier) -> None:
    memory = await written(world)
    changed = await world.services.revise(TENANT, memory.id, change)
    assert changed.tier is tier
    assert changed.importance == (memory.importance if change.importance is None else change.importance)


async def test_a_memory_that_is_not_there_cannot_be_changed(world: World) -> None:
    with pytest.raises(NotFound):
        await world.services.revise(TENANT, "nothing", Change(content="x"))


async def test_changes_at_the_same_time_all_happen(world: World) -> None:
    memory = await written(world)
    await asyncio.gather(
        world.services.revise(TENANT, memory.id, Change(metadata={"n": 1})),
        world.services.revise(TENANT, memory.id, Change(importance=0.9)),
        world.services.revise(TENANT, memory.id, Change(content="Another text")),
    )
    await world.work()
    now = await row(world, memory.id)
    assert (now.metadata, now.importance, now.content, now.revision) == ({"n": 1}, 0.9, "Another text", 4)
    assert (now.state, now.marked_at) == (State.READY, None)
    assert await documents(world) == {(memory.id, 0): 4}


async def test_content_that_the_embedder_refuses_fails_at_once_and_is_not_found_under_the_old_text(
    world: World,
) -> None:
    memory = await written(world)
    changed = await world.services.revise(TENANT, memory.id, Change(content="REFUSED"))
    assert (changed.state, changed.failure) == (State.FAILED, "The embedder refused a text")
    assert await row(world, memory.id) == changed
    assert await found(world, memory.content) == []


async def test_a_failed_memory_stays_failed_until_its_content_changes(world: World) -> None:
    memory = await written(world, "REFUSED")
    assert (await world.services.revise(TENANT, memory.id, Change(metadata={"n": 1}))).state is State.FAILED
    changed = await world.services.revise(TENANT, memory.id, Change(content="Good"))
    assert (changed.state, changed.failure) == (State.READY, None)


async def test_a_memory_that_is_deleted_during_the_change_is_gone(world: World) -> None:
    memory = await written(world)

    async def deleted() -> None:
        await world.services.forget(TENANT, memory.id)

    world.embedder.meanwhile = deleted
    with pytest.raises(NotFound):
        await world.services.revise(TENANT, memory.id, Change(content="Another text"))
    assert await documents(world) == {}


async def idle(world: World, *memories: Memory) -> None:
    assert memories
    world.clock.advance(IDLE.total_seconds())


async def test_what_nobody_wrote_to_for_long_gets_cold(world: World) -> None:
    warm, hot = await written(world, "warm"), await written(world, "hot", importance=0.9)
    secret = await written(world, "secret", confidential=True)
    await idle(world, warm, hot, secret)
    fresh = await written(world, "fresh")

    assert await world.services.revise.demote(TENANT, "default") == 2

    tiers = [(await row(world, memory.id)).tier for memory in (warm, hot, secret, fresh)]
    assert tiers == [Tier.COLD, Tier.HOT, Tier.COLD, Tier.WARM]
    assert await found(world, "warm", filter=replace(EVERYTHING, tiers=(Tier.COLD,))) == [warm.id, secret.id]
    assert await world.services.revise.demote(TENANT, "default") == 0


async def test_one_call_demotes_a_bounded_number_and_the_next_goes_on(world: World) -> None:
    await idle(world, *[await written(world, f"memory {number}") for number in range(5)])
    demote = world.services.revise.demote
    assert [await demote(TENANT, "default", most) for most in (2, 2, 2)] == [2, 2, 1]


async def test_what_is_to_be_demoted_is_found_past_what_stays(world: World) -> None:
    hot, touched = await written(world, "hot", importance=0.9), await written(world, "touched")
    old = await written(world, "old")
    await idle(world, hot, touched, old)
    await world.services.revise(TENANT, touched.id, Change(metadata={"n": 1}))
    for number in range(3):
        await written(world, f"fresh {number}")
    assert await world.services.revise.demote(TENANT, "default", 1) == 1
    assert [(await row(world, each.id)).tier for each in (hot, touched, old)] == [Tier.HOT, Tier.WARM, Tier.COLD]


async def test_demoting_begins_with_the_oldest(world: World) -> None:
    old = []
    for number in range(3):
        world.clock.advance(1)
        old.append(await written(world, f"old {number}"))
    await idle(world, *old)
    assert await world.services.revise.demote(TENANT, "default", 2) == 2
    assert [(await row(world, each.id)).tier for each in old] == [Tier.COLD, Tier.COLD, Tier.WARM]


async def test_demoting_reads_nothing_that_is_fresh(world: World) -> None:
    await idle(world, await written(world, "one"), await written(world, "two"))
    fresh = await row(world, (await written(world, "fresh")).id)
    many = [Entry(replace(fresh, id=f"f{number}", claim=None)) for number in range(500)]
    assert set(await world.services.memories.add(many)) == {None}
    async with counted(world) as till:
        await till("GET", "/v1/memories?limit=1")  # the key is known from here on
        bill = await till.cost("POST", "/v1/memories/maintenance", {"action": "demote_cold"})
    assert till.answer["demoted_count"] == 2
    assert bill.things["batch_get"] < 10


class Endless(Memories):
    """Has the same memory again and again. Counts the rows that it read."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.read = 0

    async def kept_up(self, tenant: str, store: str) -> Place | None:
        assert (tenant, store) == (TENANT, "default")
        return None

    async def keep_up(self, tenant: str, store: str, place: Place | None) -> None:
        assert (tenant, store, place) == (TENANT, "default", Place("x"))

    async def page(self, tenant: str, filter: Filter, *, limit: int, **_: Any) -> Listed[Memory]:
        assert (tenant, filter.store) == (TENANT, "default")
        self.read += limit
        return Listed((self.memory,) * limit, Place("x"), limit)


async def test_one_call_looks_at_a_bounded_number_of_memories(world: World) -> None:
    endless = Endless(replace(await written(world), updated_at=world.clock.now() + timedelta(days=1)))
    services = world.services
    revise = Revise(endless, services.notify, services.embed, services.engines.embedding_queue, world.clock)
    assert await revise.demote(TENANT, "default") == 0
    assert endless.read == MOST_LOOKED_AT


async def test_demoting_gets_to_the_end_of_a_store_however_much_stays_as_it_is_and_then_begins_anew(
    world: World,
) -> None:
    first, last = await written(world, "first", importance=0.9), await written(world, "last")
    hot = await row(world, first.id)
    many = [
        Entry(replace(hot, id=f"h{number}", claim=None, created_at=hot.created_at + timedelta(seconds=1)))
        for number in range(MOST_LOOKED_AT)
    ]
    assert set(await world.services.memories.add(many)) == {None}
    behind = replace(await row(world, last.id), id="behind", created_at=hot.created_at + timedelta(seconds=2))
    assert await world.services.memories.add([Entry(replace(behind, claim=None))]) == [None]
    world.clock.advance(2)
    await idle(world, first, last)
    demote = world.services.revise.demote
    assert [await demote(TENANT, "default") for _ in range(2)] == [1, 1]
    assert (await row(world, "behind")).tier is Tier.COLD
    await world.services.revise(TENANT, first.id, Change(importance=0.5))
    world.clock.advance(IDLE.total_seconds())
    assert await demote(TENANT, "default") == 1


async def test_demoting_passes_over_what_has_expired(world: World) -> None:
    memory, expiring = await written(world, "one"), await written(world, "two")
    changed = replace(expiring, expires_at=world.clock.now() + timedelta(days=1), revision=2)
    await world.services.memories.replace(expiring, changed)
    await idle(world, memory, expiring)
    assert await world.services.revise.demote(TENANT, "default") == 1
    assert (await row(world, expiring.id)).tier is Tier.WARM


async def test_demoting_passes_over_what_is_deleted_meanwhile(world: World) -> None:
    waiting = (await world.services.remember.later(TENANT, draft("waiting"))).memory
    deleted = await written(world, "deleted")
    await idle(world, deleted, waiting)

    async def meanwhile() -> None:
        await world.services.forget(TENANT, deleted.id)

    world.embedder.meanwhile = meanwhile
    assert await world.services.revise.demote(TENANT, "default") == 1
    assert (await row(world, waiting.id)).tier is Tier.COLD
