"""Taking in events: each of them once, all of a call or none."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from commonplace.core.ingest import EACH_MESSAGE, Ingest
from commonplace.core.retry import TRIES
from commonplace.model.errors import Conflict, QuotaExceeded, Unavailable
from commonplace.model.event import Event, EventKind, EventOrder, EventState
from commonplace.model.usage import Dimension
from commonplace.model.values import Json
from commonplace.ports.table import MAX_TRANSACTION, Delete, Put, Table, Write
from commonplace.rows.events import AT_ONCE, Arrival, Events, fingerprint
from commonplace.rows.figures import Count
from commonplace.rows.usage import counts
from fakes import START
from steps import sentences
from watched_table import WatchedTable
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG = "org_1"
TOGETHER = 48
"""New events that one transaction takes: two rows each, and what they count for in three more."""


def order(content: str = "I prefer dark mode", **fields: Any) -> EventOrder:
    return replace(EventOrder(actor="ada", session="s", kind=EventKind.USER, content=content), **fields)


def orders(count: int, **fields: Any) -> list[EventOrder]:
    return [order(f"I prefer number {number}", **fields) for number in range(count)]


def counting(count: int, now: datetime) -> Sequence[Count]:
    return counts(TENANT, ORG, {Dimension.EVENTS_INGESTED: count}, now)


async def told(
    world: World, *wanted: EventOrder, tenant: str = TENANT, organization: str = ORG, ingest: Ingest | None = None
) -> list[str]:
    return await (ingest or world.services.ingest)(tenant, organization, wanted, counting)


def on(world: World, table: Table) -> Ingest:
    """The taking in of events, on a table of its own."""
    return Ingest(Events(table), world.embedding_queue, world.clock, world.ids)


async def kept(world: World, *ids: str) -> list[Event]:
    found = await world.services.events.many(TENANT, ORG, ids)
    return [found[id] for id in ids]


async def sums(world: World) -> tuple[int, int, int]:
    """How many events are listed, counted, and counted as used."""
    events = world.services.events
    page = await events.page(TENANT, ORG, limit=2_000)
    used = (await world.services.tally.month(TENANT, ORG, world.clock.now(), {})).used
    return len(page.items), await events.total(TENANT, ORG), used.get(Dimension.EVENTS_INGESTED, 0)


async def messages(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while batch := await world.embedding_queue.inner.receive(10, 360):
        found += [json.loads(message.body) for message in batch]
    return found


async def test_nothing_is_nothing(world: World) -> None:
    assert await told(world) == []
    assert await sums(world) == (0, 0, 0)
    assert await messages(world) == []


async def test_an_event_is_kept_as_it_was_told(world: World) -> None:
    yesterday = START - timedelta(days=1)
    metadata: dict[str, Json] = {"deep": {"list": [1, None, "ü"]}, "": ""}
    full = order(at=yesterday, role="r", team="t", metadata=metadata, kind=EventKind.TOOL, id="my own/id#1")
    (plain_id, full_id) = await told(world, order(), full)
    plain = Event(
        id=plain_id, tenant=TENANT, organization=ORG, actor="ada", session="s", kind=EventKind.USER,
        content="I prefer dark mode", at=START, ingested_at=START, marked_at=START,
    )  # fmt: skip
    told_in_full = replace(
        plain, id="my own/id#1", at=yesterday, role="r", team="t", metadata=metadata, kind=EventKind.TOOL
    )
    assert full_id == "my own/id#1"
    assert await kept(world, plain_id, full_id) == [plain, told_in_full]


async def test_empty_metadata_is_not_the_same_as_none(world: World) -> None:
    ids = await told(world, order("a", metadata={}), order("b"))
    assert [event.metadata for event in await kept(world, *ids)] == [{}, None]


@pytest.mark.parametrize("count", [1, 2, TOGETHER - 1, TOGETHER, TOGETHER + 1, TOGETHER + 2, 99, 100, 101, 1000])
async def test_the_ids_come_in_the_order_of_the_events_however_many(world: World, count: int) -> None:
    ids = await told(world, *orders(count))
    assert len(set(ids)) == count
    assert [event.content for event in await kept(world, *ids)] == [each.content for each in orders(count)]
    assert await sums(world) == (count, count, count)
    assert await told(world, *reversed(orders(count))) == ids[::-1]
    assert await sums(world) == (count, count, count)


@pytest.mark.parametrize("count", [TOGETHER, TOGETHER + 1])
async def test_as_many_as_fit_into_one_transaction_are_written_in_one(world: World, count: int) -> None:
    table = WatchedTable(world.table)
    ids = await told(world, *orders(count), ingest=on(world, table))
    assert len(table.transactions) == (1 if count == TOGETHER else 3)
    assert max(table.transactions) <= MAX_TRANSACTION
    batches = {event.batch for event in await kept(world, *ids)}
    assert (batches == {None}) is (count == TOGETHER)


async def test_long_contents_are_spread_over_several_transactions(world: World) -> None:
    class Weighed(WatchedTable):
        most = 0

        async def transact(self, writes: Sequence[Write]) -> None:
            texts = [str(value) for write in writes if isinstance(write, Put) for value in write.attributes.values()]
            self.most = max(self.most, sum(len(text.encode()) for text in texts))
            await super().transact(writes)

    table = Weighed(world.table)
    long = [order(f"{number:05d}" + "🫖" * 31_995) for number in range(40)]
    ids = await told(world, *long, ingest=on(world, table))
    assert 1_000_000 < table.most < 4_000_000
    assert len(table.transactions) > 3
    assert [event.content for event in await kept(world, *ids)] == [each.content for each in long]
    assert await sums(world) == (40, 40, 40)


async def test_one_message_names_several_events_and_each_is_named_once(world: World) -> None:
    ids = await told(world, *orders(2 * EACH_MESSAGE + 1))
    found = await messages(world)
    assert [len(each["ids"]) for each in found] == [EACH_MESSAGE, EACH_MESSAGE, 1]
    assert [id for each in found for id in each["ids"]] == ids
    assert {(each["kind"], each["tenant"], each["organization"]) for each in found} == {("extract", TENANT, ORG)}
    await told(world, *orders(3))
    assert await messages(world) == []


# Duplicates


async def test_the_same_words_are_the_same_event_for_a_minute_from_the_first_time(world: World) -> None:
    first = await told(world, order())
    for _ in range(2):  # a repetition does not make it longer
        world.clock.advance(29.999)
        assert await told(world, order()) == first
    world.clock.advance(0.001)
    assert await told(world, order()) == first
    world.clock.advance(0.001)
    second = await told(world, order())
    assert second != first
    world.clock.advance(59.999999)
    assert await told(world, order()) == second
    assert await sums(world) == (2, 2, 2)


async def test_exactly_a_minute_later_it_is_another_event(world: World) -> None:
    first = await told(world, order())
    world.clock.advance(60)
    assert await told(world, order()) != first


async def test_a_large_call_is_known_again_for_a_minute_too(world: World) -> None:
    ids = await told(world, *orders(100))
    world.clock.advance(59.999)
    assert await told(world, order("new"), *orders(100)) == [*(await told(world, order("new"))), *ids]
    world.clock.advance(0.001)
    again = await told(world, *orders(100))
    assert not set(again) & set(ids)
    world.clock.advance(1)
    assert await told(world, *orders(3)) == again[:3]
    assert await sums(world) == (201, 201, 201)


async def test_the_same_words_in_one_call_are_one_event(world: World) -> None:
    a, b, c, d, e = await told(world, order("a"), order("b"), order("a"), order("b", at=START), order("a", role="r"))
    assert (a, b) == (c, d)
    assert a == e != b
    assert await sums(world) == (2, 2, 2)


async def test_known_and_new_events_of_one_call_each_have_their_id(world: World) -> None:
    (known,) = await told(world, order("known"))
    first, middle, last = await told(world, order("new"), order("known"), order("newer"))
    assert middle == known
    assert [event.content for event in await kept(world, first, middle, last)] == ["new", "known", "newer"]
    assert await sums(world) == (3, 3, 3)


OTHERS = [
    {"actor": "bob"},
    {"actor": "ada "},
    {"session": "s2"},
    {"kind": EventKind.ASSISTANT},
    {"content": "i prefer dark mode"},
    {"content": "I prefer dark mode "},
    {"actor": "ada#s", "session": ""},
]


@pytest.mark.parametrize("other", OTHERS, ids=[str(other) for other in OTHERS])
async def test_another_actor_session_kind_or_content_is_another_event(world: World, other: dict[str, Any]) -> None:
    (first,) = await told(world, order())
    (second,) = await told(world, order(**other))
    assert first != second
    assert await sums(world) == (2, 2, 2)


@pytest.mark.parametrize(
    "same", [{"role": "r"}, {"team": "t"}, {"at": START - timedelta(days=9)}, {"metadata": {"a": 1}}, {"id": "mine"}]
)
async def test_nothing_else_tells_events_apart(world: World, same: dict[str, Any]) -> None:
    first = await told(world, order())
    assert await told(world, order(**same)) == first
    assert await sums(world) == (1, 1, 1)


async def test_another_organization_or_tenant_has_events_of_its_own(world: World) -> None:
    ids = [
        *await told(world, order()),
        *await told(world, order(), organization="org_2"),
        *await told(world, order(), tenant=OTHER_TENANT),
    ]
    assert len(set(ids)) == 3
    assert await world.services.events.many(TENANT, ORG, ids) == {ids[0]: (await kept(world, ids[0]))[0]}
    assert list(await world.services.events.many(TENANT, "org_2", ids)) == [ids[1]]
    assert list(await world.services.events.many(OTHER_TENANT, ORG, ids)) == [ids[2]]


# Callers' own ids


async def test_an_id_that_is_there_stores_nothing_whatever_it_comes_with(world: World) -> None:
    assert await told(world, order(id="mine")) == ["mine"]
    world.clock.advance(3600)
    assert await told(world, order("something else", actor="bob", id="mine")) == ["mine"]
    (event,) = await kept(world, "mine")
    assert (event.content, event.actor) == ("I prefer dark mode", "ada")
    assert await sums(world) == (1, 1, 1)


async def test_an_id_never_reaches_the_event_of_another_organization_or_tenant(world: World) -> None:
    await told(world, order("theirs", id="mine"), organization="org_2")
    await told(world, order("of others", id="mine"), tenant=OTHER_TENANT)
    assert await told(world, order("ours", id="mine")) == ["mine"]
    (event,) = await kept(world, "mine")
    assert event.content == "ours"
    theirs = await world.services.events.many(TENANT, "org_2", ["mine"])
    assert theirs["mine"].content == "theirs"


async def test_an_id_that_stands_twice_in_a_call_is_the_first_event(world: World) -> None:
    assert await told(world, order("a", id="mine"), order("b", id="mine"), order("a")) == ["mine"] * 3
    (event,) = await kept(world, "mine")
    assert event.content == "a"
    assert await sums(world) == (1, 1, 1)


async def test_of_two_ids_for_the_same_words_the_first_counts(world: World) -> None:
    assert await told(world, order(id="one"), order(id="two")) == ["one", "one"]
    assert list(await world.services.events.many(TENANT, ORG, ["one", "two"])) == ["one"]


@pytest.mark.parametrize("id", ["", "a#b", "%-", "ü🫖", "x" * 256, "../..", "event"])
async def test_an_odd_id_is_kept_to_the_letter(world: World, id: str) -> None:
    (kept_id,) = await told(world, order(id=id or None))
    assert kept_id == id or not id
    assert [event.id for event in await kept(world, kept_id)] == [kept_id]
    assert [event.id for event in (await world.services.events.page(TENANT, ORG, limit=5)).items] == [kept_id]


# All or nothing


def named(count: int) -> list[EventOrder]:
    """Events with their callers' own ids."""
    return [replace(each, id=f"own-{number:04d}") for number, each in enumerate(orders(count))]


NUMBERS = [1, 2, 3, 4]
"""Three transactions of rows and the one that closes them."""


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("wanted", [orders(300), named(300)], ids=["new ids", "own ids"])
@pytest.mark.parametrize("number", NUMBERS)
async def test_a_table_that_fails_on_the_way_leaves_nothing_and_the_next_attempt_works(
    world: World, number: int, wanted: list[EventOrder], lost: bool
) -> None:
    table = WatchedTable(world.table)
    if lost:
        table.lost = lambda at, _: at == number
    else:
        table.fails = lambda at, _: at == number
    ingest = on(world, table)
    with pytest.raises(Unavailable):
        await told(world, *wanted, ingest=ingest)
    listed, counted, used = await sums(world)
    assert listed == 0
    assert (counted, used) == ((300, 300) if lost and number == len(NUMBERS) else (0, 0))
    assert await messages(world) == []

    ids = await told(world, *wanted, ingest=ingest)
    assert (await sums(world))[0] == 300
    assert await sums(world) == (300, counted + 300, used + 300)
    assert [event.content for event in await kept(world, *ids)] == [each.content for each in wanted]


@pytest.mark.parametrize("count", [1, TOGETHER])
async def test_a_table_that_is_down_keeps_nothing_of_a_small_call(world: World, count: int) -> None:
    table = WatchedTable(world.table, lambda _, __: True)
    ingest = on(world, table)
    with pytest.raises(Unavailable):
        await told(world, *named(count), ingest=ingest)
    assert await sums(world) == (0, 0, 0)
    table.fails = lambda _, __: False
    assert len(await told(world, *named(count), ingest=ingest)) == count
    assert await sums(world) == (count, count, count)


async def test_while_a_transaction_fails_those_at_its_side_come_to_their_end_first(world: World) -> None:
    ended: list[int] = []

    class Slow(WatchedTable):
        async def transact(self, writes: Sequence[Write]) -> None:
            self.transactions.append(len(writes))
            if len(self.transactions) == 1:
                raise Unavailable("The table cannot be used now")
            for _ in range(50):
                await asyncio.sleep(0)
            await self.inner.transact(writes)
            ended.append(len(writes))

    with pytest.raises(Unavailable):
        await told(world, *orders(1000), ingest=on(world, Slow(world.table)))
    begun = AT_ONCE - 1
    assert len(ended) >= begun
    assert await sums(world) == (0, 0, 0)
    world.clock.advance(2 * 3600)
    assert (await world.services.sweep()).events == 0
    marked = [each for shard in SHARDS for each in await world.services.events.marked(shard, world.clock.now(), 500)]
    assert marked == []


SHARDS = [f"extracting#{number}" for number in range(8)]


class Died(Exception):
    """A Lambda environment that is gone."""


class DyingTable(WatchedTable):
    """A table whose client is gone for good after so many transactions."""

    async def transact(self, writes: Sequence[Write]) -> None:
        if self.fails(len(self.transactions) + 1, writes):
            raise Died
        await super().transact(writes)


async def test_what_a_request_left_that_died_is_in_nobodys_way_after_a_minute(world: World) -> None:
    with pytest.raises(Died):
        await told(world, *named(300), ingest=on(world, DyingTable(world.table, lambda at, _: at == 4)))
    assert await sums(world) == (0, 0, 0)
    world.clock.advance(59)
    with pytest.raises(Conflict):  # it may still be at it
        await told(world, *named(300))
    world.clock.advance(1)
    ids = await told(world, *named(300))
    assert ids == [each.id for each in named(300)]
    assert await sums(world) == (300, 300, 300)
    world.clock.advance(2 * 3600)
    assert (await world.services.sweep()).events == 300
    assert await sums(world) == (300, 300, 300)


async def test_what_a_request_left_that_died_goes_to_the_first_who_comes(world: World) -> None:
    with pytest.raises(Died):
        await told(world, *named(60), ingest=on(world, DyingTable(world.table, lambda at, _: at == 2)))
    world.clock.advance(60)
    both = await asyncio.gather(told(world, named(60)[0]), told(world, order("other words", id="own-0000")))
    assert list(both) == [["own-0000"], ["own-0000"]]
    assert await sums(world) == (1, 1, 1)


async def test_what_cannot_be_taken_back_is_dropped_by_the_sweeper(world: World) -> None:
    class Gone(DyingTable):
        async def transact(self, writes: Sequence[Write]) -> None:
            if len(self.transactions) >= 2:
                world.table.down = True
            await super().transact(writes)

    with pytest.raises(Unavailable):
        await told(world, *orders(1000), ingest=on(world, Gone(world.table)))
    world.table.down = False
    assert await sums(world) == (0, 0, 0)
    world.clock.advance(3599)
    left = [each for shard in SHARDS for each in await world.services.events.marked(shard, world.clock.now(), 500)]
    assert len(left) >= 100
    assert (await world.services.sweep()).events == 0
    world.clock.advance(1)
    assert (await world.services.sweep()).events == 0
    assert [await world.services.events.marked(shard, world.clock.now(), 500) for shard in SHARDS] == [[]] * 8


async def test_what_a_call_takes_back_is_its_own(world: World) -> None:
    class Overtaken(WatchedTable):
        """A table at which the closing of the batch takes very long, and then fails."""

        overtaken = False

        async def transact(self, writes: Sequence[Write]) -> None:
            if isinstance(writes[0], Delete) and not self.overtaken:
                self.overtaken = True
                world.clock.advance(60)
                await told(world, order("by another", id="own-0000"))
            await super().transact(writes)

    with pytest.raises(Unavailable):
        await told(world, *named(60), ingest=on(world, Overtaken(world.table, lambda at, _: at == 2)))
    assert await sums(world) == (1, 1, 1)
    (event,) = await kept(world, "own-0000")
    assert event.content == "by another"


async def test_events_whose_notes_cannot_be_written_are_kept_and_counted_all_the_same(world: World) -> None:
    table = WatchedTable(world.table, lambda at, _: at > 4)
    ids = await told(world, *orders(300), ingest=on(world, table))
    assert len(table.transactions) == 4 + 3
    assert len(await kept(world, *ids)) == 300
    assert await sums(world) == (300, 300, 300)
    assert len([id for each in await messages(world) for id in each["ids"]]) == 300


# At the same time


async def test_equal_calls_at_once_are_one_event(world: World) -> None:
    found = await asyncio.gather(*(told(world, order(), order("b")) for _ in range(4)))
    assert [each == found[0] for each in found] == [True] * 4
    assert await sums(world) == (2, 2, 2)


async def test_equal_ids_at_once_are_one_event(world: World) -> None:
    found = await asyncio.gather(*(told(world, order(f"words {number}", id="mine")) for number in range(4)))
    assert found == [["mine"]] * 4
    assert await sums(world) == (1, 1, 1)


async def test_a_large_call_yields_to_whoever_told_one_of_its_ids_first(world: World) -> None:
    async def first() -> None:
        await told(world, order("first", id="own-0250"))

    world.table.meanwhile = first
    assert await told(world, *named(300)) == [each.id for each in named(300)]
    assert await sums(world) == (300, 300, 300)
    assert (await kept(world, "own-0250"))[0].content == "first"


async def test_who_is_overtaken_each_time_is_told_so(world: World) -> None:
    class Overtaking(WatchedTable):
        async def transact(self, writes: Sequence[Write]) -> None:
            await told(world, order())
            world.clock.advance(60)
            await super().transact(writes)

    with pytest.raises(Conflict):
        await told(world, order(), ingest=on(world, Overtaking(world.table)))
    events, counted, used = await sums(world)
    assert events == counted == used == TRIES


async def test_an_arrival_that_nobody_else_told_has_the_fingerprint_of_its_words(world: World) -> None:
    (id,) = await told(world, order())
    (event,) = await kept(world, id)
    known = await world.services.events.told(TENANT, ORG, [fingerprint(event), "other"])
    assert {print_: (note.id, note.at, note.revision) for print_, note in known.items()} == {
        fingerprint(event): (id, START, 1)
    }
    assert fingerprint(replace(event, session="s#user_message", kind=event.kind)) != fingerprint(event)
    with pytest.raises(Conflict):  # the same words again, by someone who does not know of the note
        await world.services.events.add([Arrival(replace(event, id="new"), fingerprint(event), None)], "b", [])


# Room


async def test_room_is_asked_for_what_is_new_and_for_nothing_else(world: World) -> None:
    asked: list[int] = []

    async def room(count: int) -> None:
        asked.append(count)
        if count > 2:
            raise QuotaExceeded(Dimension.EVENTS_INGESTED, 0, 2)

    async def wanted(*orders: EventOrder) -> list[str]:
        return await world.services.ingest(TENANT, ORG, orders, counting, room)

    first = await wanted(*orders(2), order("I prefer number 0"))
    assert await wanted(*orders(2)) == first[:2]
    assert await wanted() == []
    assert asked == [2]
    with pytest.raises(QuotaExceeded):
        await wanted(*orders(5))
    assert asked == [2, 3]
    assert await sums(world) == (2, 2, 2)


# The queue


async def test_without_the_queue_the_sweeper_finds_the_events(world: World) -> None:
    world.embedding_queue.down = True
    ids = await told(world, *orders(30))
    world.embedding_queue.down = False
    assert await messages(world) == []
    world.clock.advance(59)
    assert (await world.services.sweep()).events == 0
    world.clock.advance(2)
    assert (await world.services.sweep()).events == 30
    await world.work()
    assert {event.state for event in await kept(world, *ids)} == {EventState.COMPLETED}
    world.clock.advance(61)
    assert (await world.services.sweep()).events == 0


async def test_a_long_event_is_found_by_its_end(world: World) -> None:
    (id,) = await told(world, order(sentences(300)))
    await world.work()
    (event,) = await kept(world, id)
    assert event.state is EventState.COMPLETED
    assert event.content == sentences(300)
