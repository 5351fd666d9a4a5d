from datetime import timedelta

import pytest

from commonplace.core.converse import SessionOrder
from commonplace.core.remember import WAIT, Remembered
from commonplace.model.errors import CommonplaceError, NotFound
from commonplace.model.memory import Memory, State, Tier
from commonplace.model.scope import Scope
from fakes import START
from steps import CONTENT, EVERYTHING, UNKNOWN, draft, found, ids, row, sentences, written
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio


async def listed(world: World) -> list[Memory]:
    return list((await world.services.browse.page(TENANT, EVERYTHING, limit=100)).items)


async def test_a_write_is_durable_before_it_is_acknowledged_whatever_else_is_down(world: World) -> None:
    world.embedding_queue.down = world.delivery_queue.down = world.index.down = world.embedder.down = True

    accepted = await world.services.remember.later(TENANT, draft())

    assert accepted == Remembered(await row(world, accepted.memory.id), job=None)
    assert accepted.memory.state is State.PENDING
    assert [memory.content for memory in await listed(world)] == [CONTENT]


async def test_what_could_not_even_be_queued_is_finished_by_the_sweeper(world: World) -> None:
    world.embedding_queue.down = world.index.down = True
    accepted = await world.services.remember.later(TENANT, draft())
    world.embedding_queue.down = world.index.down = False

    world.clock.advance(61)
    swept = await world.services.sweep()
    await world.work()

    assert swept.pending == 1
    assert (await row(world, accepted.memory.id)).ready
    assert await found(world) == [accepted.memory.id]


async def test_a_queued_memory_is_found_after_the_worker_and_not_before(world: World) -> None:
    accepted = await world.services.remember.later(TENANT, draft())
    assert accepted.job is not None
    assert await found(world) == []

    await world.work()

    assert await found(world) == [accepted.memory.id]


async def test_without_the_queue_a_memory_is_ready_at_once_and_has_no_job(world: World) -> None:
    world.embedding_queue.down = True
    accepted = await world.services.remember.later(TENANT, draft())
    assert (accepted.job, accepted.memory.state) == (None, State.READY)
    assert await found(world) == [accepted.memory.id]


async def test_a_synchronous_write_is_found_at_once(world: World) -> None:
    memory = await written(world)
    assert memory == await row(world, memory.id)
    assert (memory.state, memory.marked_at, memory.ready_at) == (State.READY, None, START)
    assert await found(world) == [memory.id]
    assert await world.work() == []


@pytest.mark.parametrize("part", ["index", "embedder"])
async def test_a_synchronous_write_survives_a_part_that_is_down_and_is_finished_by_the_worker(
    world: World, part: str
) -> None:
    getattr(world, part).down = True
    memory = await written(world)
    assert memory.state is State.PENDING
    getattr(world, part).down = False

    await world.work()

    assert await found(world) == [memory.id]


async def test_a_text_that_the_embedder_refuses_is_kept_all_the_same(world: World) -> None:
    memory = await written(world, "REFUSED")
    assert (memory.state, memory.failure) == (State.FAILED, "The embedder refused a text")
    assert [each.content for each in await listed(world)] == ["REFUSED"]


async def test_the_parts_of_a_draft_stand_in_the_memory(world: World) -> None:
    yesterday = START - timedelta(days=1)
    memory = await written(
        world,
        scope=Scope(user="ada", project="p", role="r", team="t", organization="o"),
        kind="task",
        importance=0.9,
        tags=("a", "b"),
        metadata={"deep": {"list": [1, None, "ü"]}},
        confidential=True,
        occurred_at=yesterday,
    )
    stored = await row(world, memory.id)
    agent = await world.services.enlist.get(TENANT, "my-assistant")
    assert stored == memory
    assert stored.scope == Scope(user="ada", project="p", role="r", team="t", organization="o", agent=agent.id)
    assert (stored.kind, stored.importance, stored.tier) == ("task", 0.9, Tier.HOT)
    assert (stored.tags, stored.metadata) == (("a", "b"), {"deep": {"list": [1, None, "ü"]}})
    assert (stored.confidential, stored.occurred_at, stored.created_at) == (True, yesterday, START)


async def test_a_tier_that_is_named_wins_over_the_importance(world: World) -> None:
    assert (await written(world, importance=0.9, tier=Tier.COLD)).tier is Tier.COLD


async def test_a_memory_without_an_agent_has_none(world: World) -> None:
    assert (await written(world, agent=None)).scope.agent is None


async def test_an_unknown_agent_id_is_refused_and_nothing_is_written(world: World) -> None:
    with pytest.raises(NotFound, match="Agent not found"):
        await world.services.remember.later(TENANT, draft(agent=UNKNOWN))
    assert await listed(world) == []


async def test_an_unknown_session_id_is_refused_but_a_label_is_kept(world: World) -> None:
    with pytest.raises(NotFound, match="Session not found"):
        await world.services.remember.later(TENANT, draft(scope=Scope(session=UNKNOWN)))
    assert (await written(world, scope=Scope(session="monday"))).scope.session == "monday"


async def test_a_session_counts_its_memories_and_knows_who_wrote_them(world: World) -> None:
    converse = world.services.converse
    session = await converse.open(TENANT, SessionOrder(external_id="x", agent="owner"))
    for agent in ("b", "a", "b"):
        await written(world, agent=agent, scope=Scope(session=session.id))

    assert (await converse.get(TENANT, session.id)).memory_count == 3
    opened = await converse.open_once(TENANT, SessionOrder(external_id="x"))
    assert opened.contributors == ("a", "b", "owner")


async def test_a_session_that_is_deleted_during_the_write_takes_no_memory(world: World) -> None:
    converse = world.services.converse
    session = await converse.open(TENANT, SessionOrder())

    async def deleted() -> None:
        await converse.remove(TENANT, session.id, cascade=False)

    world.embedder.meanwhile = deleted
    drafts = [draft(duplicate_threshold=0.9, scope=Scope(session=session.id)), draft("another")]
    batch = await world.services.remember.now(TENANT, drafts)

    assert isinstance(batch.outcomes[0], NotFound)
    assert isinstance(batch.outcomes[1], Remembered)
    assert [memory.content for memory in await listed(world)] == ["another"]


async def test_each_draft_of_a_batch_fails_alone(world: World) -> None:
    drafts = [
        draft("first"),
        draft(agent=UNKNOWN),
        draft("REFUSED"),
        draft(scope=Scope(session=UNKNOWN)),
        draft("last"),
    ]
    batch = await world.services.remember.now(TENANT, drafts)

    states = [each if isinstance(each, CommonplaceError) else each.memory.state for each in batch.outcomes]
    assert [str(state) for state in states] == ["ready", "Agent not found", "failed", "Session not found", "ready"]
    assert sorted(memory.content for memory in await listed(world)) == ["REFUSED", "first", "last"]


async def test_the_time_of_a_batch_is_told_in_its_parts(world: World) -> None:
    async def slow() -> None:
        world.clock.advance(2)

    world.embedder.meanwhile = slow
    batch = await world.services.remember.now(TENANT, [draft()])
    assert (batch.writing, batch.embedding) == (timedelta(0), timedelta(seconds=2))


async def test_what_would_take_too_long_is_answered_as_pending_and_finished_by_the_worker(world: World) -> None:
    async def slow() -> None:
        world.clock.advance(WAIT.total_seconds())

    world.embedder.meanwhile = slow
    drafts = [draft(f"thing{number}. {sentences(300)}") for number in range(3)]
    batch = await world.services.remember.now(TENANT, drafts)

    outcomes = [each for each in batch.outcomes if isinstance(each, Remembered)]
    assert [each.memory.state for each in outcomes] == [State.READY, State.PENDING, State.PENDING]
    assert len(world.embedder.batches) == 1

    await world.work()
    assert [(await row(world, each.memory.id)).state for each in outcomes] == [State.READY] * 3


async def test_a_write_that_was_slow_to_be_stored_is_made_searchable_all_the_same(world: World) -> None:
    async def slow() -> None:
        world.clock.advance(2 * WAIT.total_seconds())

    world.table.meanwhile = slow
    assert (await written(world)).ready


async def test_a_batch_of_nothing_writes_nothing(world: World) -> None:
    assert (await world.services.remember.now(TENANT, [])).outcomes == ()
    assert world.embedder.texts == []


async def test_tenants_never_meet(world: World) -> None:
    mine, theirs = await written(world), await written(world, tenant=OTHER_TENANT)
    assert await found(world) == [mine.id]
    assert await found(world, tenant=OTHER_TENANT) == [theirs.id]
    assert ids(await listed(world)) == [mine.id]
    with pytest.raises(NotFound):
        await world.services.browse.get(TENANT, theirs.id)
    with pytest.raises(NotFound):
        await world.services.forget(TENANT, theirs.id)
