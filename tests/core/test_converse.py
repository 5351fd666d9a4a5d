import asyncio

import pytest

from commonplace.core.converse import Opened, SessionOrder
from commonplace.model.errors import Conflict, Invalid, NotFound
from commonplace.model.page import Page
from commonplace.model.scope import Scope
from commonplace.model.session import Session
from commonplace.ports.table import Key, Put
from commonplace.rows import keys
from commonplace.rows.sessions import SessionFilter
from fakes import START
from steps import EVERYTHING, UNKNOWN, draft, ids, written
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio


async def opened(world: World, **order: object) -> Session:
    return await world.services.converse.open(TENANT, SessionOrder(**order))  # type: ignore[arg-type]  # as given


async def page(
    world: World, filter: SessionFilter | None = None, *, limit: int = 20, offset: int = 0, cursor: str | None = None
) -> Page[Session]:
    return await world.services.converse.page(
        TENANT, filter or SessionFilter(), limit=limit, offset=offset, cursor=cursor
    )


async def test_a_session_is_what_was_ordered(world: World) -> None:
    session = await opened(world, agent="a", external_id="x", project="p", title="t", metadata={"m": [1]})
    agent = await world.services.enlist.get(TENANT, "a")
    assert session == await world.services.converse.get(TENANT, session.id)
    assert (session.agent, session.external_id, session.project, session.title) == (agent.id, "x", "p", "t")
    assert (session.metadata, session.active, session.memory_count) == ({"m": [1]}, True, 0)
    assert (session.started_at, session.ended_at, session.created_at) == (START, None, START)


async def test_an_order_of_nothing_is_a_session_too(world: World) -> None:
    session = await opened(world)
    assert (session.agent, session.external_id, session.metadata) == (None, None, {})


async def test_an_unknown_agent_id_opens_nothing(world: World) -> None:
    with pytest.raises(NotFound, match="Agent"):
        await opened(world, agent=UNKNOWN)
    assert (await page(world)).items == ()


async def test_an_external_id_that_is_taken_is_a_conflict(world: World) -> None:
    await opened(world, external_id="x")
    with pytest.raises(Conflict):
        await opened(world, external_id="x")
    assert (await page(world)).total == 1


async def test_ten_callers_at_once_get_one_session(world: World) -> None:
    order = SessionOrder(external_id="x", agent="a")
    found = await asyncio.gather(*(world.services.converse.open_once(TENANT, order) for _ in range(10)))
    assert len({each.session.id for each in found}) == 1
    assert [each.created for each in found].count(True) == 1
    assert {each.contributors for each in found} == {("a",)}
    assert (await page(world)).total == 1


async def test_a_session_that_is_there_keeps_what_it_was_opened_with(world: World) -> None:
    first = await opened(world, external_id="x", title="first", project="p")
    order = SessionOrder(external_id="x", title="second", project="q", agent="other")
    assert await world.services.converse.open_once(TENANT, order) == Opened(first, False, ())


async def test_an_external_id_belongs_to_its_tenant(world: World) -> None:
    order = SessionOrder(external_id="x")
    mine = await world.services.converse.open_once(TENANT, order)
    theirs = await world.services.converse.open_once(OTHER_TENANT, order)
    assert theirs.created
    with pytest.raises(NotFound):
        await world.services.converse.get(TENANT, theirs.session.id)
    assert ids_of(await page(world)) == [mine.session.id]


def ids_of(page: Page[Session]) -> list[str]:
    return [session.id for session in page.items]


async def test_an_external_id_that_stays_taken_by_nobody_is_a_conflict(world: World) -> None:
    taken = Put(keys.session_external(TENANT, "x"), {"noun": "session-external", "session": "gone"})
    await world.table.transact([taken])
    with pytest.raises(Conflict):
        await world.services.converse.open_once(TENANT, SessionOrder(external_id="x"))


async def test_a_session_that_is_not_there_is_not_found(world: World) -> None:
    converse = world.services.converse
    with pytest.raises(NotFound):
        await converse.get(TENANT, UNKNOWN)
    with pytest.raises(NotFound):
        await converse.end(TENANT, UNKNOWN, None, None)
    with pytest.raises(NotFound):
        await converse.summarize(TENANT, UNKNOWN)
    with pytest.raises(NotFound):
        await converse.remove(TENANT, UNKNOWN, cascade=True)


async def test_ending_sets_the_end_the_summary_and_merges_the_metadata(world: World) -> None:
    session = await opened(world, metadata={"a": 1, "b": 2})
    world.clock.advance(10)
    ended = await world.services.converse.end(TENANT, session.id, "All done", {"b": 3})
    assert (ended.active, ended.ended_at, ended.updated_at) == (False, world.clock.now(), world.clock.now())
    assert (ended.summary, ended.metadata) == ("All done", {"a": 1, "b": 3})
    assert ended == await world.services.converse.get(TENANT, session.id)


async def test_ending_again_changes_nothing(world: World) -> None:
    session = await opened(world)
    ended = await world.services.converse.end(TENANT, session.id, "All done", None)
    world.clock.advance(10)
    assert await world.services.converse.end(TENANT, session.id, None, None) == ended


async def test_a_summary_that_comes_later_is_taken_and_the_end_stays(world: World) -> None:
    session = await opened(world)
    ended = await world.services.converse.end(TENANT, session.id, "All done", None)
    world.clock.advance(10)
    again = await world.services.converse.end(TENANT, session.id, "Really", {"a": 1})
    assert (again.summary, again.metadata, again.ended_at) == ("Really", {"a": 1}, ended.ended_at)
    assert again.updated_at == world.clock.now()


async def test_changes_at_the_same_time_all_happen(world: World) -> None:
    session = await opened(world)
    converse = world.services.converse
    await asyncio.gather(*(converse.end(TENANT, session.id, None, {str(n): n}) for n in range(3)))
    assert (await converse.get(TENANT, session.id)).metadata == {"0": 0, "1": 1, "2": 2}


async def test_a_summary_is_made_of_the_memories_and_kept(world: World) -> None:
    session = await opened(world)
    await written(world, "The build failed.", scope=Scope(session=session.id))
    await written(world, "It was the cache.", scope=Scope(session=session.id))
    await written(world, "Not of this session.")
    world.clock.advance(10)
    summed_up, summary, count = await world.services.converse.summarize(TENANT, session.id)
    assert (summary, count) == ("The build failed. It was the cache.", 2)
    assert summed_up == await world.services.converse.get(TENANT, session.id)
    assert (summed_up.summary, summed_up.updated_at) == (summary, world.clock.now())


async def test_a_session_shows_its_newest_memories_oldest_first(world: World) -> None:
    session = await opened(world)
    memories = []
    for number in range(3):
        world.clock.advance(1)
        memories.append(await written(world, f"number {number}", scope=Scope(session=session.id)))
    assert ids(await world.services.converse.memories(session)) == ids(memories)


async def test_a_deleted_session_is_gone_and_its_external_id_is_free(world: World) -> None:
    session = await opened(world, external_id="x", agent="a")
    memory = await written(world, scope=Scope(session=session.id))
    at = await world.services.converse.remove(TENANT, session.id, cascade=False)

    assert at == world.clock.now()
    with pytest.raises(NotFound):
        await world.services.converse.get(TENANT, session.id)
    with pytest.raises(NotFound):
        await world.services.converse.remove(TENANT, session.id, cascade=False)
    with pytest.raises(NotFound):
        await world.services.remember.later(TENANT, draft(scope=Scope(session=session.id)))
    assert (await page(world)).items == ()
    assert (await world.services.browse.get(TENANT, memory.id)) == memory
    assert (await world.services.converse.open_once(TENANT, SessionOrder(external_id="x"))).created


async def test_with_cascade_the_memories_go_too(world: World) -> None:
    session = await opened(world)
    await written(world, scope=Scope(session=session.id))
    other = await written(world)
    await world.services.converse.remove(TENANT, session.id, cascade=True)
    await world.work()
    listed = await world.services.browse.page(TENANT, EVERYTHING, limit=10)
    assert ids(listed.items) == [other.id]


@pytest.mark.parametrize("cascade", [True, False])
async def test_what_is_kept_of_a_session_tells_nothing_of_memories_that_went_with_it(
    world: World, cascade: bool
) -> None:
    session = await opened(world, title="Visit")
    await written(world, "The patient has condition X.", scope=Scope(session=session.id))
    await world.services.converse.summarize(TENANT, session.id)
    await world.services.converse.remove(TENANT, session.id, cascade=cascade)
    aside = await world.table.get(Key(keys.session(TENANT, session.id).partition, "deleted"))
    assert aside is not None
    assert aside.attributes["title"] == "Visit"
    assert ("condition X" in repr(aside.attributes)) is not cascade


async def test_the_count_of_memories_is_exact(world: World) -> None:
    session = await opened(world)
    memories = await asyncio.gather(
        *(written(world, f"number {number}", scope=Scope(session=session.id)) for number in range(20))
    )
    assert (await world.services.converse.get(TENANT, session.id)).memory_count == 20
    await asyncio.gather(*(world.services.forget(TENANT, memory.id) for memory in memories[:5]))
    assert (await world.services.converse.get(TENANT, session.id)).memory_count == 15


async def test_sessions_are_listed_newest_first_by_agent_project_and_status(world: World) -> None:
    first = await opened(world, agent="a", project="p")
    world.clock.advance(1)
    second = await opened(world, agent="a", project="q")
    world.clock.advance(1)
    third = await opened(world, agent="b", project="p")
    await world.services.converse.end(TENANT, first.id, None, None)

    assert ids_of(await page(world)) == [third.id, second.id, first.id]
    assert ids_of(await page(world, SessionFilter(agent="a"))) == [second.id, first.id]
    assert ids_of(await page(world, SessionFilter(agent=second.agent))) == [second.id, first.id]
    assert ids_of(await page(world, SessionFilter(project="p"))) == [third.id, first.id]
    assert ids_of(await page(world, SessionFilter(active=True))) == [third.id, second.id]
    assert ids_of(await page(world, SessionFilter(active=False))) == [first.id]
    assert ids_of(await page(world, SessionFilter(agent="a", project="q", active=True))) == [second.id]
    totals = [(await page(world, filter)).total for filter in (SessionFilter(), SessionFilter(agent="a"))]
    assert totals == [3, 2]
    assert (await page(world, SessionFilter(project="p"))).total is None


async def test_an_unknown_name_has_no_sessions_and_an_unknown_id_is_not_found(world: World) -> None:
    await opened(world, agent="a")
    assert await page(world, SessionFilter(agent="nobody")) == Page((), None, 0)
    with pytest.raises(NotFound):
        await page(world, SessionFilter(agent=UNKNOWN))


async def test_a_list_of_sessions_goes_on_at_its_cursor_and_nowhere_else(world: World) -> None:
    sessions = [await opened(world, agent="a") for _ in range(3)]
    first = await page(world, limit=2)
    assert first.cursor is not None
    rest = await page(world, limit=2, cursor=first.cursor)
    assert ids_of(first) + ids_of(rest) == [session.id for session in reversed(sessions)]
    assert rest.cursor is None
    with pytest.raises(Invalid):
        await page(world, SessionFilter(agent="a"), cursor=first.cursor)


async def test_an_offset_leaves_out_the_newest(world: World) -> None:
    sessions = [await opened(world) for _ in range(3)]
    assert ids_of(await page(world, offset=1)) == [sessions[1].id, sessions[0].id]
