from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bill import counted
from commonplace.core.browse import MOST_READ, Browse, everything
from commonplace.core.cursor import Cursors
from commonplace.model.errors import Invalid, NotFound
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory
from commonplace.model.payload import LARGEST
from commonplace.model.scope import Scope
from commonplace.model.values import Metadata
from commonplace.ports.table import Key, Put
from commonplace.rows import keys
from commonplace.rows.apikeys import Secrets
from commonplace.rows.listing import BUDGET, FULL, SKIPPED, Listed, Place
from commonplace.rows.memories import Memories
from commonplace.rows.memory_writes import Entry
from fakes import START
from steps import EVERYTHING, draft, ids, row, sentences, written
from world import OTHER_TENANT, TENANT, World

STORES = "/api/client/v1/memory/stores"

pytestmark = pytest.mark.anyio


async def expiring(world: World, memory: Memory, seconds: int) -> None:
    changed = replace(memory, expires_at=world.clock.now() + timedelta(seconds=seconds), revision=memory.revision + 1)
    await world.services.memories.replace(memory, changed)


async def test_a_memory_can_be_read_while_it_is_pending(world: World) -> None:
    accepted = await world.services.remember.later(TENANT, draft())
    assert await world.services.browse.get(TENANT, accepted.memory.id) == accepted.memory


@pytest.mark.parametrize("id", ["nothing", "", "a#b", "%"])
async def test_a_memory_that_is_not_there_is_not_found(world: World, id: str) -> None:
    with pytest.raises(NotFound, match="Memory not found"):
        await world.services.browse.get(TENANT, id)


async def test_what_has_expired_cannot_be_read_before_it_is_swept(world: World) -> None:
    memory, other = await written(world), await written(world)
    await expiring(world, memory, 10)
    assert (await world.services.browse.get(TENANT, memory.id)).id == memory.id
    world.clock.advance(10)
    with pytest.raises(NotFound):
        await world.services.browse.get(TENANT, memory.id)
    assert ids((await world.services.browse.page(TENANT, EVERYTHING, limit=10)).items) == [other.id]


async def test_a_memory_says_in_which_dialect_it_was_written(world: World) -> None:
    memory, other = await written(world), await written(world, origin="edge")
    origin = world.services.browse.origin
    assert [await origin(TENANT, each.id) for each in (memory, other)] == ["relay", "edge"]


async def test_what_is_not_there_for_a_tenant_was_written_in_no_dialect(world: World) -> None:
    memory, deleted, expired = await written(world), await written(world), await written(world)
    await world.services.forget(TENANT, deleted.id)
    await expiring(world, expired, 10)
    assert await world.services.browse.origin(TENANT, expired.id) == "relay"
    world.clock.advance(10)
    origin = world.services.browse.origin
    for id in (deleted.id, expired.id, "", "nothing", "a#b", "search"):
        assert await origin(TENANT, id) is None
    assert await origin(OTHER_TENANT, memory.id) is None


async def test_a_list_is_newest_first_and_only_of_its_tenant(world: World) -> None:
    memories = []
    for number in range(3):
        world.clock.advance(1)
        memories.append(await written(world, f"number {number}"))
    await written(world, tenant=OTHER_TENANT)
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=10)
    assert ids(page.items) == ids(memories[::-1])
    assert (page.cursor, page.total) == (None, 3)


async def test_each_part_of_a_scope_is_a_list_of_its_own(world: World) -> None:
    mine = await written(world, agent="scout", scope=Scope(user="ada", session="monday", project="p"))
    await written(world, agent="ranger", scope=Scope(user="bob", session="tuesday", project="q"))
    browse = world.services.browse
    for part in ("user", "agent", "session", "project"):
        filter = replace(EVERYTHING, **{part: getattr(mine.scope, part)})
        assert ids((await browse.page(TENANT, filter, limit=10)).items) == [mine.id]
    totals = [
        (await browse.page(TENANT, filter, limit=10)).total
        for filter in (
            replace(EVERYTHING, agent=mine.scope.agent),
            replace(EVERYTHING, session="monday"),
            replace(EVERYTHING, user="ada"),
            Filter(store="default"),
        )
    ]
    assert totals == [1, 1, None, None]
    both = replace(EVERYTHING, user="ada", project="q")
    assert (await browse.page(TENANT, both, limit=10)).items == ()


async def test_pages_neither_repeat_nor_lose_anything_while_the_list_changes(world: World) -> None:
    memories = [await written(world, f"number {number}") for number in range(6)]
    for filter in (EVERYTHING, Filter(store="default")):
        page = await world.services.browse.page(TENANT, filter, limit=2)
        assert ids(page.items) == ids(memories[:-3:-1])
        new = await written(world, "new")
        page = await world.services.browse.page(TENANT, filter, limit=2, cursor=page.cursor)
        assert ids(page.items) == [memories[3].id, memories[2].id]
        await world.services.forget(TENANT, new.id)
        page = await world.services.browse.page(TENANT, filter, limit=9, cursor=page.cursor)
        assert ids(page.items) == [memories[1].id, memories[0].id]
        assert page.cursor is None


async def test_a_deletion_on_a_page_that_was_read_loses_nothing_of_the_next(world: World) -> None:
    for filter in (EVERYTHING, Filter(store="default")):
        memories = [await written(world, f"number {number}") for number in range(4)]
        page = await world.services.browse.page(TENANT, filter, limit=2)
        await world.services.forget(TENANT, memories[3].id)
        page = await world.services.browse.page(TENANT, filter, limit=1, cursor=page.cursor)
        assert ids(page.items) == [memories[1].id]
        for memory in memories[:3]:
            await world.services.forget(TENANT, memory.id)


async def test_vectors_are_those_of_the_first_passage_where_there_are_any(world: World) -> None:
    long, short = await written(world, sentences(20)), await written(world)
    pending = (await world.services.remember.later(TENANT, draft())).memory
    rewritten = replace(short, content="new", revision=2, content_revision=2)
    space = world.embedder.space

    vectors = await world.services.browse.vectors([long, short, pending, rewritten], space)

    assert set(vectors) == {long.id, short.id}
    embedding = await world.services.memories.embedding(long, space)
    assert embedding is not None
    assert vectors[long.id] == embedding.vectors[0]
    assert len(embedding.vectors) == long.passages > 3
    assert await world.services.browse.vectors([pending, rewritten], space) == {}


async def test_the_newest_are_as_many_as_are_asked_for_whatever_has_expired(world: World) -> None:
    memories = [await written(world, f"number {number}") for number in range(9)]
    for number in (8, 7, 5, 2):
        await expiring(world, memories[number], 10)
    newest = world.services.browse.newest
    assert ids(await newest(TENANT, EVERYTHING, 3)) == ids(memories[:5:-1])
    world.clock.advance(10)
    left = [memories[number] for number in (6, 4, 3, 1, 0)]
    for filter in (EVERYTHING, Filter(store="default")):
        for limit in (1, 2, 3, 4, 5, 6, 100):
            assert ids(await newest(TENANT, filter, limit)) == ids(left[:limit])
    assert await newest(OTHER_TENANT, EVERYTHING, 5) == []
    assert await newest(TENANT, Filter(store="default", user="nobody"), 5) == []


async def test_the_newest_are_found_behind_many_that_have_expired(world: World) -> None:
    memory = await written(world, "old and good")
    good = await world.services.browse.get(TENANT, memory.id)
    over = [replace(good, id=f"x{number:03d}", expires_at=START, claim=None) for number in range(250)]
    assert set(await world.services.memories.add([Entry(each) for each in over])) == {None}
    assert ids(await world.services.browse.newest(TENANT, EVERYTHING, 2)) == [memory.id]


async def test_where_all_have_expired_there_is_no_newest(world: World) -> None:
    for number in range(3):
        await expiring(world, await written(world, f"number {number}"), 10)
    world.clock.advance(10)
    assert await world.services.browse.newest(TENANT, EVERYTHING, 2) == []


class Endless(Memories):
    """Has the same memory again and again, as one row of ``apart``. Counts the rows that it read."""

    def __init__(self, memory: Memory, apart: int) -> None:
        self.memory = memory
        self.apart = apart
        self.read = 0

    async def page(
        self, tenant: str, filter: Filter, *, limit: int, offset: int = 0, start: Place | None = None, **_: Any
    ) -> Listed[Memory]:
        assert (tenant, filter) == (TENANT, EVERYTHING)
        assert (start is None) is (self.read == 0)
        offset = offset if start is None else start.offset
        rows = min((limit + offset) * self.apart, BUDGET)
        self.read += rows
        found = rows // self.apart
        return Listed((self.memory,) * max(0, found - offset), Place("x", max(0, offset - found)), rows)

    async def total(self, tenant: str, filter: Filter) -> int | None:
        assert (tenant, filter) == (TENANT, EVERYTHING)
        return 10**6


def browse(world: World, memories: Memories) -> Browse:
    return Browse(memories, Cursors(Secrets(world.table), world.ids), world.clock)


@pytest.mark.parametrize("apart", [1, 100, 10**9])
async def test_a_list_that_nothing_continues_looks_at_so_many_rows(world: World, apart: int) -> None:
    good = await written(world)
    over = replace(good, expires_at=world.clock.now())
    for memory, limit, shown, read in [
        (good, 10, min(10, MOST_READ // apart), min(10 * apart, MOST_READ)),
        (over, 10, 0, MOST_READ),
    ]:
        endless = Endless(memory, apart)
        found = await browse(world, endless).newest(TENANT, EVERYTHING, limit)
        assert len(found) == shown
        assert read <= endless.read < read + BUDGET
        assert endless.read == read or memory is over


@pytest.mark.parametrize(("apart", "found"), [(1, 9), (100, 9), (4_000, 0)])
async def test_a_counted_list_looks_at_so_many_rows(world: World, apart: int, found: int) -> None:
    endless = Endless(await written(world), apart)
    counted = browse(world, endless).counted
    memories, total = await counted(TENANT, EVERYTHING, everything, limit=9, skip=30)
    assert (len(memories), total) == (found, 10**6)
    assert endless.read == min(39 * apart, MOST_READ)
    endless.read = 0
    memories, total = await counted(TENANT, EVERYTHING, lambda _: True, limit=9, skip=30)
    assert (len(memories), total, endless.read) == (found, MOST_READ // apart if found else 0, MOST_READ)
    endless.read = 0
    assert await counted(TENANT, EVERYTHING, lambda _: False, limit=9, skip=0) == ([], 0)
    assert endless.read == MOST_READ


async def many(world: World, count: int, content: str = "x", metadata: Metadata | None = None) -> list[str]:
    """Writes so many memories a second apart; their ids, newest first."""
    memory = await row(world, (await written(world, "the last")).id)
    rows = [
        replace(
            memory,
            id=f"m{number:06d}",
            content=content,
            metadata=metadata or {},
            created_at=START + timedelta(days=1, seconds=number),
            claim=None,
        )
        for number in range(count)
    ]
    assert set(await world.services.memories.add([Entry(each) for each in rows])) == {None}
    return [*ids(rows[::-1]), memory.id]


@pytest.mark.parametrize("repeated", [0, BUDGET + 500])
async def test_a_cursor_goes_on_with_what_is_still_to_be_left_out_whatever_offset_stands_beside_it(
    world: World, repeated: int
) -> None:
    every = await many(world, BUDGET + 600)
    browse, offset = world.services.browse, BUDGET + 500
    page = await browse.page(TENANT, Filter(store="default"), limit=7, offset=offset)
    assert page.items == ()
    page = await browse.page(TENANT, Filter(store="default"), limit=7, offset=repeated, cursor=page.cursor)
    assert ids(page.items) == every[offset : offset + 7]
    assert (await browse.page(TENANT, EVERYTHING, limit=7, offset=offset)).items == page.items


async def test_an_offset_that_one_page_cannot_leave_out_is_left_out_by_its_cursor(world: World) -> None:
    whole = keys.members("memories", TENANT, "default")
    listing = {"listing_key": whole, "listing_at": ""}
    puts = [Put(Key(whole, f"{number:06d}"), {**listing, "listing_at": f"3{number:06d}"}) for number in range(SKIPPED)]
    for start in range(0, SKIPPED, 100):
        await world.table.transact(puts[start : start + 100])
    memories = [await written(world, f"number {number}") for number in range(3)]
    browse = world.services.browse
    page = await browse.page(TENANT, EVERYTHING, limit=5, offset=SKIPPED + 1)
    assert page.items == ()
    page = await browse.page(TENANT, EVERYTHING, limit=5, cursor=page.cursor)
    assert ids(page.items) == [memories[1].id, memories[0].id]
    assert page.cursor is None


@pytest.mark.parametrize(
    ("content", "metadata", "each"),
    [
        ("x" * 50_000, None, 50_000),
        ("\U0001f600" * 50_000, None, 200_000),
        ('"' * 50_000, None, 200_000),
        ("\n" * 50_000, None, 150_000),
        ("x", {"k": "y" * 60_000}, 60_000),
    ],
)
async def test_a_page_has_as_many_memories_as_an_answer_can_show(
    world: World, content: str, metadata: Metadata | None, each: int
) -> None:
    every = await many(world, 2 * FULL // each, content, metadata)
    browse = world.services.browse
    page = await browse.page(TENANT, EVERYTHING, limit=1_000)
    shown = len(page.items)
    assert FULL // each - 1 <= shown <= FULL // each
    rest = await browse.page(TENANT, EVERYTHING, limit=1_000, cursor=page.cursor)
    assert ids((*page.items, *rest.items)) == every[: shown + len(rest.items)]


async def test_what_no_answer_could_show_is_refused_where_nothing_continues_it(world: World) -> None:
    every = await many(world, 70, "x" * 100_000)
    fit = LARGEST // 100_100
    browse = world.services.browse
    assert ids(await browse.newest(TENANT, EVERYTHING, fit)) == every[:fit]
    for wanted in (everything, lambda _: True):
        memories, total = await browse.counted(TENANT, EVERYTHING, wanted, limit=fit, skip=3)
        assert (ids(memories), total) == (every[3 : fit + 3], 71)
        with pytest.raises(Invalid, match="larger than 6 MB"):
            await browse.counted(TENANT, EVERYTHING, wanted, limit=fit + 5, skip=0)
    with pytest.raises(Invalid, match="larger than 6 MB"):
        await browse.newest(TENANT, EVERYTHING, fit + 5)


async def test_where_few_memories_are_shown_none_is_read_twice_for_its_weight(world: World) -> None:
    await many(world, 150, "x" * 60_000)
    async with counted(world) as till:
        await till("GET", f"{STORES}/default/memories?limit=1")  # the key is known from here on
        bill = await till.cost("GET", f"{STORES}/default/memories?search=the%20last")
        assert (len(till.answer["items"]), till.answer["total"]) == (1, 1)
        assert bill.things["batch_get"] < 160
        bill = await till.cost("GET", "/v1/console/memories?limit=2")
        assert (len(till.answer["items"]), till.answer["total"]) == (2, 151)
        assert bill.things["batch_get"] < 170


async def test_memories_that_have_expired_take_no_room_among_the_newest(world: World) -> None:
    over = replace(await row(world, (await written(world)).id), content="x" * LARGEST, expires_at=START)
    assert await browse(world, Endless(over, 1_000)).newest(TENANT, EVERYTHING, 5) == []


async def test_a_list_can_be_read_oldest_first_up_to_a_time(world: World) -> None:
    memories = []
    for number in range(5):
        world.clock.advance(1)
        memories.append(await written(world, f"number {number}"))
    page = world.services.memories.page
    for filter in (EVERYTHING, Filter(store="default")):
        assert ids((await page(TENANT, filter, limit=9, newest_first=False)).items) == ids(memories)
        for newest_first, order in ((True, -1), (False, 1)):
            listed = await page(TENANT, filter, limit=9, newest_first=newest_first, until=memories[2].created_at)
            assert ids(listed.items) == ids(memories[:3][::order])
    first = await page(TENANT, EVERYTHING, limit=2, newest_first=False)
    assert ids((await page(TENANT, EVERYTHING, limit=2, start=first.next, newest_first=False)).items) == ids(
        memories[2:4]
    )
