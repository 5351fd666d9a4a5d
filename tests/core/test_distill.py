"""From events to memories: each event is done when its memories are found, and doing it again changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from commonplace.core.distill import EARLIER, MOST_TURNS, TURN, Distill
from commonplace.core.extraction import RuleExtractor
from commonplace.core.search import Wanted
from commonplace.model.errors import CommonplaceError, Invalid, NotFound, TooLarge, Unavailable
from commonplace.model.event import Event, EventKind, EventOrder, EventState
from commonplace.model.filter import Filter
from commonplace.model.insight import Insight, Nature, Statement
from commonplace.model.memory import Memory, State
from commonplace.model.scope import Scope
from commonplace.model.usage import Dimension
from commonplace.ports.extractor import Extracted, Extractor
from commonplace.ports.table import Table, Update, Write
from commonplace.rows import keys
from commonplace.rows.events import Events
from commonplace.rows.memories import MOST_SOURCES, Memories
from commonplace.rows.turns import Turns
from commonplace.rows.usage import Usages, counts
from commonplace.wiring import Services
from fakes import START
from steps import UNKNOWN, documents, handed
from template_document import setting
from watched_table import WatchedTable
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG = "org_1"
EVERYTHING = Filter(store="default", organization=ORG, confidential=True, archived=True)
PENDING, COMPLETED, FAILED = EventState
EMBEDDING_ATTEMPTS = 5


def statement(text: str, **fields: Any) -> Statement:
    insight = Insight(nature=Nature.EPISODIC, title=text[:10], confidence=0.25)
    return replace(Statement(text=text, kind="meeting", insight=insight), **fields)


class FakeExtractor(Extractor):
    """Says of each event what the test has put down for its content, or else the content; and keeps what it was asked."""

    def __init__(self, known: Mapping[str, Extracted] | None = None) -> None:
        self.known = dict(known or {})
        self.asked: list[list[str]] = []
        self.context: list[list[str]] = []

    async def extract(self, events: Sequence[Event], context: Sequence[Event]) -> list[Extracted]:
        self.asked.append([event.content for event in events])
        self.context.append([event.content for event in context])
        return [self.known.get(event.content, Extracted((statement(event.content),))) for event in events]


def order(content: str, **fields: Any) -> EventOrder:
    return replace(EventOrder(actor="ada", session="s", kind=EventKind.USER, content=content), **fields)


async def told(world: World, *wanted: EventOrder | str, organization: str = ORG, tenant: str = TENANT) -> list[str]:
    """Events that the worker was not told of."""

    def counting(_: int, __: datetime) -> list[Any]:
        return []

    orders = [order(each) if isinstance(each, str) else each for each in wanted]
    down, world.embedding_queue.down = world.embedding_queue.down, True
    ids = await world.services.ingest(tenant, organization, orders, counting)
    world.embedding_queue.down = down
    return ids


def distill(
    world: World,
    extractor: Extractor,
    fallback: Extractor | None = None,
    *,
    table: Table | None = None,
    services: Services | None = None,
    most_tokens: int | None = None,
) -> Distill:
    """The making of memories, with another reader; ``table`` is for all but the writing of the memories."""
    own = table or world.table
    services = services or world.services
    return Distill(
        Events(own),
        Memories(own),
        services.remember,
        extractor,
        fallback or RuleExtractor(),
        Turns(own),
        Usages(own),
        world.clock,
        most_tokens,
    )


async def made(world: World, *ids: str, known: Mapping[str, Extracted] | None = None, last: bool = False) -> int:
    return await distill(world, FakeExtractor(known))(TENANT, ORG, ids, last=last)


async def event(world: World, id: str, organization: str = ORG) -> Event:
    return (await world.services.events.many(TENANT, organization, [id]))[id]


async def states(world: World, *ids: str) -> list[EventState]:
    return [(await event(world, id)).state for id in ids]


async def memories(world: World, filter: Filter = EVERYTHING) -> list[Memory]:
    """All memories, the oldest first."""
    return list((await world.services.browse.page(TENANT, filter, limit=200)).items)[::-1]


async def sources(world: World) -> list[tuple[str, ...]]:
    """The sources of all memories, the oldest first."""
    found = [memory.id for memory in await memories(world)]
    known = await world.services.memories.sources(TENANT, found)
    return [known[id] for id in found]


async def used(world: World, dimension: Dimension, organization: str = ORG) -> int:
    usage = await world.services.tally.month(TENANT, organization, world.clock.now(), {})
    return usage.used.get(dimension, 0)


async def found(world: World, query: str) -> list[str]:
    results = await world.services.search(TENANT, Wanted(query=query, filter=EVERYTHING, limit=10))
    return [hit.memory.content for hit in results.hits]


# What is written


async def test_metadata_that_are_a_text_are_those_of_a_memory_as_an_object(world: World) -> None:
    (id,) = await told(world, order("e", metadata="not json"))
    assert await made(world, id, known={"e": Extracted((statement("Deploy on Fridays"),))}) == 0
    (memory,) = await memories(world)
    assert memory.metadata == {"raw": "not json"}
    assert (await event(world, id)).metadata == "not json"


async def test_a_memory_has_the_scope_the_time_and_the_metadata_of_its_event_and_what_was_understood(
    world: World,
) -> None:
    yesterday = START - timedelta(days=1)
    metadata = {"raw": "not json", "n": [1, None]}
    insight = Insight(nature=Nature.PROCEDURAL, title="T", confidence=0.5, summary="S", entities=("A", "B c"))
    (id,) = await told(world, order("e", role="r", team="t", at=yesterday, metadata=metadata))
    known = {"e": Extracted((statement("Deploy on Fridays", kind="rule", insight=insight, tags=("ops", "ü")),))}
    world.clock.advance(5)

    assert await made(world, id, known=known) == 0

    (memory,) = await memories(world)
    assert memory.scope == Scope(organization=ORG, user="ada", session="s", role="r", team="t")
    assert (memory.content, memory.kind, memory.origin) == ("Deploy on Fridays", "rule", "memsy")
    assert (memory.level, memory.label) == ("user", "ada")
    assert (memory.insight, memory.tags, memory.metadata) == (insight, ("ops", "ü"), metadata)
    assert (memory.occurred_at, memory.created_at) == (yesterday, START + timedelta(seconds=5))
    assert memory.ready
    assert await sources(world) == [(id,)]
    assert await found(world, "Deploy on Fridays") == ["Deploy on Fridays"]
    done = await event(world, id)
    assert (done.state, done.failure, done.marked_at) == (COMPLETED, None, None)


async def test_an_event_without_metadata_gives_a_memory_without(world: World) -> None:
    ids = await told(world, "one", order("two", metadata={}))
    await made(world, *ids)
    assert [memory.metadata for memory in await memories(world)] == [{}, {}]


async def test_many_statements_of_many_events_are_all_written(world: World) -> None:
    ids = await told(world, *(f"e{number}" for number in range(25)))
    known = {
        f"e{number}": Extracted(tuple(statement(f"statement {number} {each}") for each in range(5)))
        for number in range(25)
    }
    assert await made(world, *ids, known=known) == 0
    assert await states(world, *ids) == [COMPLETED] * 25
    assert len(await memories(world)) == 125
    assert sorted(await sources(world)) == sorted((id,) for id in ids for _ in range(5))
    assert await used(world, Dimension.MEMORIES_STORED) == 125


async def test_what_yields_nothing_is_completed(world: World) -> None:
    ids = await told(world, "hello", "fact")
    assert await made(world, *ids, known={"hello": Extracted(())}) == 0
    assert await states(world, *ids) == [COMPLETED] * 2
    assert [memory.content for memory in await memories(world)] == ["fact"]
    (alone,) = await told(world, order("hello", session="t"))
    assert await made(world, alone, known={"hello": Extracted(())}) == 0
    assert await states(world, alone) == [COMPLETED]


async def test_unknown_events_and_those_of_others_are_left_alone(world: World) -> None:
    (theirs,) = await told(world, "theirs", organization="org_2")
    extractor = FakeExtractor()
    assert await distill(world, extractor)(TENANT, ORG, [theirs, UNKNOWN, ""]) == 0
    assert await distill(world, extractor)(OTHER_TENANT, "org_2", [theirs]) == 0
    assert await distill(world, extractor)(TENANT, ORG, []) == 0
    assert extractor.asked == []
    assert (await event(world, theirs, "org_2")).state is PENDING


async def test_events_are_read_in_the_order_in_which_they_happened(world: World) -> None:
    ids = await told(world, *(order(f"e{n}", at=START - timedelta(hours=n), id=f"z{n}") for n in range(5)))
    extractor = FakeExtractor()
    await distill(world, extractor)(TENANT, ORG, ids)
    assert extractor.asked == [["e4", "e3", "e2", "e1", "e0"]]


# Equal texts


async def test_an_equal_text_of_one_scope_is_one_memory_with_both_events_as_its_sources(world: World) -> None:
    (first,) = await told(world, "I prefer tea")
    await made(world, first)
    (second,) = await told(world, order("I prefer tea", kind=EventKind.ASSISTANT))
    assert await made(world, second) == 0
    assert await states(world, first, second) == [COMPLETED] * 2
    assert [memory.content for memory in await memories(world)] == ["I prefer tea"]
    assert await sources(world) == [(first, second)]
    assert await used(world, Dimension.MEMORIES_STORED) == 1


async def test_equal_texts_of_one_message_are_one_memory_too(world: World) -> None:
    ids = await told(world, "a", "b", "c")
    same = Extracted((statement("the same"), statement("the same")))
    assert await made(world, *ids, known={"a": same, "b": same, "c": same}) == 0
    assert await states(world, *ids) == [COMPLETED] * 3
    assert len(await memories(world)) == 1
    assert await sources(world) == [tuple(ids)]
    assert await used(world, Dimension.MEMORIES_STORED) == 1


@pytest.mark.parametrize("part", ["actor", "session", "role", "team", "organization"])
async def test_an_equal_text_of_another_scope_is_another_memory(world: World, part: str) -> None:
    (first,) = await told(world, "the same")
    await made(world, first)
    elsewhere = "org_2" if part == "organization" else ORG
    other = order("the same", kind=EventKind.APP) if part == "organization" else order("the same", **{part: "other"})
    if part in ("role", "team"):
        other = replace(other, kind=EventKind.APP)  # for the event neither counts
    (second,) = await told(world, other, organization=elsewhere)
    assert await distill(world, FakeExtractor())(TENANT, elsewhere, [second]) == 0
    every = await memories(world, Filter(store="default", confidential=True, archived=True))
    assert len(every) == 2
    known = await world.services.memories.sources(TENANT, [memory.id for memory in every])
    assert [known[memory.id] for memory in every] == [(first,), (second,)]
    assert await used(world, Dimension.MEMORIES_STORED, elsewhere) == (2 if elsewhere == ORG else 1)


async def test_a_memory_names_no_more_sources_than_it_can_hold(world: World) -> None:
    await made(world, *await told(world, "the same"))
    (memory,) = await memories(world)
    many = [f"{number:06d}" + '"' * 250 for number in range(MOST_SOURCES + 10)]
    (first,) = (await sources(world))[0]
    await world.services.memories.gained(TENANT, memory.id, many)
    known = (await sources(world))[0]
    assert known == (first, *many[: MOST_SOURCES - 1])
    item = await world.table.get(keys.sources(TENANT, memory.id))
    assert item is not None
    (again,) = await told(world, order("the same", kind=EventKind.TOOL))
    assert await made(world, again) == 0
    assert await sources(world) == [known]
    assert await world.table.get(keys.sources(TENANT, memory.id)) == item


async def test_sources_gained_at_the_same_time_are_all_kept(world: World) -> None:
    (first,) = await told(world, "the same")
    await made(world, first)
    orders = [order("the same", kind=kind) for kind in (EventKind.TOOL, EventKind.APP, EventKind.ASSISTANT)]
    ids = await told(world, *orders)
    await asyncio.gather(*(made(world, id) for id in ids))
    (known,) = await sources(world)
    assert known[0] == first
    assert sorted(known) == sorted([first, *ids])


# What is down


async def test_while_the_embedder_is_down_events_stay_pending_and_are_completed_later(world: World) -> None:
    ids = await told(world, "I prefer tea", "I prefer chess")
    world.embedder.down = True
    assert await made(world, *ids) == 2
    assert await states(world, *ids) == [PENDING] * 2
    assert len(await memories(world)) == 2
    assert await sources(world) == [(id,) for id in ids]
    world.embedder.down = False
    assert await made(world, *ids) == 0
    assert await states(world, *ids) == [COMPLETED] * 2
    await world.work()
    assert sorted(await found(world, "I prefer")) == ["I prefer chess", "I prefer tea"]
    assert await used(world, Dimension.MEMORIES_STORED) == 2


async def test_an_event_is_pending_as_long_as_one_of_its_memories_is(world: World) -> None:
    known = {"e": Extracted((statement("good"), statement("bad"), statement("fine")))}
    ids = await told(world, "e", "other")
    world.index.refuses = ("bad",)
    assert await made(world, *ids, known=known) == 1
    assert await states(world, *ids) == [PENDING, COMPLETED]
    world.index.refuses = ()
    await world.work()
    assert await made(world, *ids, known=known) == 0
    assert await states(world, *ids) == [COMPLETED] * 2


async def test_an_event_whose_memory_the_index_refuses_each_time_has_failed_in_the_end(world: World) -> None:
    (id,) = await told(world, "unwanted words")
    world.index.refuses = ("unwanted",)
    assert await made(world, id) == 1
    (memory,) = await memories(world)
    body = {"kind": "embed", "tenant": TENANT, "id": memory.id}
    for receives in range(1, EMBEDDING_ATTEMPTS):
        assert await handed(world, body, receives=receives) == ["0"]
        assert await made(world, id) == 1
    assert await handed(world, body, receives=EMBEDDING_ATTEMPTS) == ["0"]
    assert await made(world, id) == 0
    failed = await event(world, id)
    assert (failed.state, failed.failure) == (FAILED, "The index refused it: refused")
    assert failed.marked_at is None
    assert (await memories(world))[0].state is State.FAILED
    world.index.refuses = ()
    assert await made(world, id) == 0
    assert await states(world, id) == [FAILED]


async def test_a_text_that_the_embedder_refuses_makes_its_event_fail_and_no_other(world: World) -> None:
    ids = await told(world, "REFUSED", "fine")
    assert await made(world, *ids) == 0
    assert await states(world, *ids) == [FAILED, COMPLETED]
    assert (await event(world, ids[0])).failure == "The embedder refused a text"


async def test_a_failure_without_a_word_has_a_reason_all_the_same(world: World) -> None:
    (id,) = await told(world, "REFUSED")
    await made(world, id)
    (memory,) = await memories(world)
    key = keys.memory(TENANT, memory.id)
    await world.table.transact([Update(key, remove=("failure",))])
    (again,) = await told(world, order("REFUSED", kind=EventKind.APP))
    assert await made(world, again) == 0
    assert (await event(world, again)).failure == "It cannot be made searchable"


async def test_what_the_reader_refuses_has_failed_with_the_reason(world: World) -> None:
    ids = await told(world, "bad", "good")
    assert await made(world, *ids, known={"bad": Extracted(Invalid("The model refused it"), tokens=7)}) == 0
    assert await states(world, *ids) == [FAILED, COMPLETED]
    assert (await event(world, ids[0])).failure == "The model refused it"
    assert await used(world, Dimension.LLM_TOKENS) == 7


async def test_what_cannot_be_read_now_is_read_later(world: World) -> None:
    ids = await told(world, "slow", "good")
    extractor = FakeExtractor({"slow": Extracted(Unavailable("The model is down"))})
    assert await distill(world, extractor)(TENANT, ORG, ids) == 1
    assert await states(world, *ids) == [PENDING, COMPLETED]
    extractor.known.clear()
    assert await distill(world, extractor)(TENANT, ORG, ids) == 0
    assert extractor.asked == [["slow", "good"], ["slow"]]
    assert [memory.content for memory in await memories(world)] == ["good", "slow"]


async def test_what_cannot_be_read_at_the_last_attempt_is_read_by_rule(world: World) -> None:
    ids = await told(world, "slow", "good", "worse", "refused")
    down = Extracted(Unavailable("The model is down"), tokens=3)
    known = {"slow": down, "worse": down, "refused": Extracted(Invalid("no"))}
    by_rule = FakeExtractor({"slow": Extracted((statement("by rule"),)), "worse": Extracted(Invalid("never"))})
    assert await distill(world, FakeExtractor(known), by_rule)(TENANT, ORG, ids, last=True) == 0
    assert by_rule.asked == [["slow"], ["worse"]]
    assert await states(world, *ids) == [COMPLETED, COMPLETED, FAILED, FAILED]
    assert sorted(memory.content for memory in await memories(world)) == ["by rule", "good"]
    assert await used(world, Dimension.LLM_TOKENS) == 6


class Moody(FakeExtractor):
    """A text model that never says the same twice, or, if it is ``mute``, nothing at all. ``meanwhile`` happens while it is
    asked."""

    def __init__(self, *, mute: bool = False) -> None:
        super().__init__()
        self.mute = mute
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def extract(self, events: Sequence[Event], context: Sequence[Event]) -> list[Extracted]:
        await super().extract(events, context)
        if self.meanwhile is not None:
            await self.meanwhile()
        time = len(self.asked)
        if self.mute:
            return [Extracted(Unavailable("Not in a form that can be read"), 10) for _ in events]
        return [Extracted((statement(f"{event.content}, said in way {time}"),), 10) for event in events]


async def test_two_messages_at_once_ask_a_text_model_once(world: World) -> None:
    ids = await told(world, *(f"fact {number}" for number in range(10)))
    reader = Moody()
    lefts: list[int] = []

    async def another() -> None:
        lefts.append(await distill(world, reader)(TENANT, ORG, ids))

    reader.meanwhile = another
    assert await distill(world, reader)(TENANT, ORG, ids) == 0
    assert lefts == [10]
    assert len(reader.asked) == 1
    assert len(await memories(world)) == 10
    assert await used(world, Dimension.LLM_TOKENS) == 100


async def test_what_a_text_model_said_is_kept_while_its_memories_cannot_be_found(world: World) -> None:
    (id,) = await told(world, "fact")
    reader = Moody()
    world.embedder.down = True
    for _ in range(10):
        assert await distill(world, reader)(TENANT, ORG, [id]) == 1
        world.clock.advance(365)
    world.embedder.down = False
    assert await distill(world, reader)(TENANT, ORG, [id]) == 0
    assert [memory.content for memory in await memories(world)] == ["fact, said in way 1"]
    assert len(reader.asked) == 1
    assert await states(world, id) == [COMPLETED]


async def test_a_text_model_that_gives_no_usable_answer_is_asked_so_often_and_no_more(world: World) -> None:
    (id,) = await told(world, "fact")
    reader, by_rule = Moody(mute=True), FakeExtractor()
    for _ in range(MOST_TURNS - 1):
        assert await distill(world, reader, by_rule)(TENANT, ORG, [id]) == 1
    world.embedder.down = True
    assert await distill(world, reader, by_rule)(TENANT, ORG, [id]) == 1
    world.embedder.down = False
    assert [memory.content for memory in await memories(world)] == ["fact"]
    assert await distill(world, reader, by_rule)(TENANT, ORG, [id]) == 0
    assert len(reader.asked) == MOST_TURNS
    assert await states(world, id) == [COMPLETED]
    assert [memory.content for memory in await memories(world)] == ["fact"]
    assert await used(world, Dimension.LLM_TOKENS) == 10 * MOST_TURNS


async def test_what_the_rules_said_in_the_place_of_a_text_model_is_kept_too(world: World) -> None:
    (id,) = await told(world, "fact")
    reader = Moody(mute=True)
    world.embedder.down = True
    assert await distill(world, reader)(TENANT, ORG, [id], last=True) == 1
    world.embedder.down = reader.mute = False
    assert await distill(world, reader)(TENANT, ORG, [id]) == 0
    assert [memory.content for memory in await memories(world)] == ["fact"]
    assert len(reader.asked) == 1


async def test_an_event_over_which_each_worker_dies_is_read_by_rule_in_the_end(world: World) -> None:
    class Died(Exception):
        pass

    async def die() -> None:
        raise Died

    (id,) = await told(world, "fact")
    reader = Moody()
    reader.meanwhile = die
    for _ in range(MOST_TURNS):
        with pytest.raises(Died):
            await distill(world, reader)(TENANT, ORG, [id])
        assert await distill(world, reader)(TENANT, ORG, [id]) == 1  # it may still be at it
        world.clock.advance(TURN.total_seconds())
    assert await distill(world, reader)(TENANT, ORG, [id]) == 0
    assert len(reader.asked) == MOST_TURNS
    assert [memory.content for memory in await memories(world)] == ["fact"]


def test_a_turn_is_longer_than_the_life_of_a_worker() -> None:
    assert TURN.total_seconds() > setting("worker", "Timeout")


async def test_who_has_used_up_the_months_tokens_is_read_by_rule_until_the_month_ends(world: World) -> None:
    reader = Moody()
    contents: list[str] = []
    for number in range(4):
        (id,) = await told(world, f"fact {number}")
        assert await distill(world, reader, FakeExtractor(), most_tokens=20)(TENANT, ORG, [id]) == 0
        contents.append(f"fact {number}" + (f", said in way {number + 1}" if number < 2 else ""))
        world.clock.advance(1)
    assert [memory.content for memory in await memories(world)] == contents
    assert await used(world, Dimension.LLM_TOKENS) == 20
    (theirs,) = await told(world, "theirs", organization="org_2")
    assert await distill(world, reader, FakeExtractor(), most_tokens=20)(TENANT, "org_2", [theirs]) == 0
    assert len(reader.asked) == 3
    world.clock.advance(31 * 86_400)
    (id,) = await told(world, "next month")
    assert await distill(world, reader, FakeExtractor(), most_tokens=20)(TENANT, ORG, [id]) == 0
    assert reader.asked[-1] == ["next month"]


async def test_after_the_last_attempt_the_sweeper_may_send_the_event_again(world: World) -> None:
    (id,) = await told(world, "fact")
    world.clock.advance(61)
    assert (await world.services.sweep()).events == 1
    world.embedder.down = True
    assert await made(world, id) == 1
    world.clock.advance(61)
    assert (await world.services.sweep()).events == 0
    assert await made(world, id, last=True) == 1
    world.clock.advance(61)
    assert (await world.services.sweep()).events == 1


async def test_what_nobody_can_read_even_at_the_last_attempt_stays_pending(world: World) -> None:
    (id,) = await told(world, "slow")
    down = FakeExtractor({"slow": Extracted(Unavailable("The model is down"))})
    assert await distill(world, down, down)(TENANT, ORG, [id], last=True) == 1
    assert await states(world, id) == [PENDING]


@pytest.mark.parametrize(
    ("refusal", "state"),
    [
        (Invalid("too odd"), FAILED),
        (NotFound("store"), FAILED),
        (TooLarge("too large"), FAILED),
        (Unavailable("down"), PENDING),
    ],
)
async def test_a_memory_that_cannot_be_written_for_good_makes_its_event_fail(
    world: World, refusal: CommonplaceError, state: EventState
) -> None:
    class Refusing(WatchedTable):
        async def transact(self, writes: Sequence[Write]) -> None:
            if any(write.key.sort == "memory" and "bad" in str(write) for write in writes):
                raise refusal
            await super().transact(writes)

    ids = await told(world, "bad", "good")
    refusing = Services(
        world.services.settings, replace(world.engines, table=Refusing(world.table)), world.clock, world.ids
    )
    await distill(world, FakeExtractor(), services=refusing)(TENANT, ORG, ids)
    # What is written together waits together while the table is down.
    assert await states(world, *ids) == [state, COMPLETED if state is FAILED else PENDING]
    assert (await event(world, ids[0])).failure == (refusal.message if state is FAILED else None)
    assert await made(world, *ids) == 0
    assert await states(world, *ids) == [COMPLETED if state is PENDING else FAILED, COMPLETED]


# Redelivery


async def everything(world: World, *ids: str) -> object:
    """All that a repeated message could change."""
    rows = await memories(world)
    count = await world.services.memories.total(TENANT, Filter(store="default", confidential=True, archived=True))
    usage = await world.services.tally.month(TENANT, ORG, world.clock.now(), {})
    return rows, count, usage, await sources(world), [await event(world, id) for id in ids], await documents(world)


async def test_a_repeated_message_changes_nothing(world: World) -> None:
    ids = await told(world, "one", "two", "hello", "bad")
    known = {"hello": Extracted(()), "bad": Extracted(Invalid("no"))}
    extractor = FakeExtractor(known)
    assert await distill(world, extractor)(TENANT, ORG, ids) == 0
    before, texts = await everything(world, *ids), list(world.embedder.texts)
    world.clock.advance(60)
    for _ in range(2):
        assert await distill(world, extractor)(TENANT, ORG, ids, last=True) == 0
    assert await everything(world, *ids) == before
    assert len(extractor.asked) == 1
    assert world.embedder.texts == texts


async def test_two_workers_at_once_make_each_memory_once(world: World) -> None:
    ids = await told(world, *(f"fact {number}" for number in range(10)))
    lefts = await asyncio.gather(made(world, *ids), made(world, *ids))
    assert min(lefts) == 0
    await world.work()
    assert await made(world, *ids) == 0
    assert len(await memories(world)) == 10
    assert await sources(world) == [(id,) for id in ids]
    assert await used(world, Dimension.MEMORIES_STORED) == 10
    assert await world.services.memories.total(TENANT, replace(EVERYTHING, organization=None)) == 10


def touching(*nouns: str) -> Any:
    """Whether a transaction writes to such a row."""
    return lambda _, writes: any(write.key.sort in nouns for write in writes)


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("noun", ["sources", "event", "month"])
async def test_a_crash_between_the_memories_and_the_end_is_made_up_for_by_the_next_delivery(
    world: World, noun: str, lost: bool
) -> None:
    ids = await told(world, "one", "two", "one more")
    known = {"one": Extracted((statement("a"), statement("b")), tokens=5), "two": Extracted((statement("a"),))}
    table = WatchedTable(world.table)
    if lost:
        table.lost = touching(noun)
    else:
        table.fails = touching(noun)
    with pytest.raises(Unavailable):
        await distill(world, FakeExtractor(known), table=table)(TENANT, ORG, ids)
    assert (await states(world, *ids))[1:] == [PENDING] * 2
    world.clock.advance(TURN.total_seconds())

    assert await made(world, *ids, known=known) == 0

    assert await states(world, *ids) == [COMPLETED] * 3
    assert sorted(memory.content for memory in await memories(world)) == ["a", "b", "one more"]
    assert sorted(await sources(world)) == sorted([(ids[0], ids[1]), (ids[0],), (ids[2],)])
    assert await used(world, Dimension.MEMORIES_STORED) == 3
    # What it said is kept as soon as it was counted. A text model that is asked again costs again.
    assert await used(world, Dimension.LLM_TOKENS) == (10 if noun == "month" and lost else 5)


async def test_a_crash_before_the_memories_are_found_is_made_up_for_too(world: World) -> None:
    ids = await told(world, "one", "two")

    async def dies() -> None:
        world.table.down = True

    world.embedder.meanwhile = dies
    with pytest.raises(Unavailable):
        await made(world, *ids)
    world.table.down = False
    assert [memory.state for memory in await memories(world)] == [State.PENDING] * 2
    assert await made(world, *ids) == 0
    assert await states(world, *ids) == [COMPLETED] * 2
    assert await used(world, Dimension.MEMORIES_STORED) == 2
    assert await sources(world) == [(id,) for id in ids]


async def test_a_memory_that_is_deleted_while_it_is_made_stays_deleted(world: World) -> None:
    (id,) = await told(world, "one")

    async def deleted() -> None:
        (memory,) = await memories(world)
        await world.services.forget(TENANT, memory.id)

    world.embedder.meanwhile = deleted
    assert await made(world, id) == 0
    assert await made(world, id) == 0
    assert await states(world, id) == [COMPLETED]
    assert await memories(world) == []
    assert await documents(world) == {}


async def test_of_two_memories_the_one_that_is_left_is_what_an_event_waits_for(world: World) -> None:
    (id,) = await told(world, "e")
    known = {"e": Extracted((statement("gone"), statement("bad")))}
    world.index.refuses = ("bad",)

    async def deleted() -> None:
        (memory,) = [each for each in await memories(world) if each.content == "gone"]
        await world.services.forget(TENANT, memory.id)

    world.embedder.meanwhile = deleted
    assert await made(world, id, known=known) == 1
    assert await states(world, id) == [PENDING]
    assert await sources(world) == [(id,)]


async def test_a_deleted_memory_takes_its_sources_with_it_and_its_text_can_be_told_again(world: World) -> None:
    (first,) = await told(world, "one")
    await made(world, first)
    (memory,) = await memories(world)
    await world.services.forget(TENANT, memory.id)
    assert await world.services.memories.sources(TENANT, [memory.id]) == {memory.id: ()}
    assert await world.table.get(keys.sources(TENANT, memory.id)) is None
    assert await made(world, first) == 0
    assert await memories(world) == []
    (second,) = await told(world, order("one", kind=EventKind.APP))
    assert await made(world, second) == 0
    assert await sources(world) == [(second,)]
    assert await used(world, Dimension.MEMORIES_STORED) == 2


async def test_tokens_are_counted_for_the_organization_whose_events_were_read(world: World) -> None:
    ids = await told(world, "one", "two", "three")
    known = {"one": Extracted((statement("a"),), 100), "two": Extracted((), 20), "three": Extracted(Invalid("no"), 3)}
    await made(world, *ids, known=known)
    assert await used(world, Dimension.LLM_TOKENS) == 123
    assert await used(world, Dimension.LLM_TOKENS, "org_2") == 0
    (other,) = await told(world, "four")
    await made(world, other)
    assert await used(world, Dimension.LLM_TOKENS) == 123


# Context


async def context(world: World, *ids: str) -> list[str]:
    extractor = FakeExtractor()
    await distill(world, extractor)(TENANT, ORG, ids)
    (found,) = extractor.context
    return found


async def test_what_came_before_in_the_session_is_passed_the_oldest_first(world: World) -> None:
    for number in range(EARLIER + 5):
        world.clock.advance(1)
        await told(world, f"turn {number}")
        await told(world, order(f"elsewhere {number}", session="t"))
        await told(world, f"theirs {number}", organization="org_2")
    world.clock.advance(1)
    (id,) = await told(world, "now")
    world.clock.advance(1)
    await told(world, "later")
    assert await context(world, id) == [f"turn {number}" for number in range(5, EARLIER + 5)]


async def test_the_first_event_of_a_session_has_nothing_before_it(world: World) -> None:
    (id,) = await told(world, "first")
    await told(world, order("later", at=START + timedelta(seconds=1)), order("other", session="t"))
    assert await context(world, id) == []


async def test_events_of_one_message_are_no_context_of_each_other_and_each_session_has_its_own(world: World) -> None:
    early = [order(f"early {session}", session=session) for session in "abc"]
    await told(world, *early)
    world.clock.advance(1)
    now = [order(f"{n} {session}", session=session, at=START + timedelta(minutes=9 - n)) for session in "ab" for n in
           range(3)]  # fmt: skip
    ids = await told(world, *now)
    assert sorted(await context(world, *ids)) == ["early a", "early b"]


async def test_the_time_of_an_event_says_what_came_before_it_and_not_when_it_was_told(world: World) -> None:
    (id,) = await told(world, order("backfilled", at=START - timedelta(days=1)))
    world.clock.advance(1)
    await told(world, order("before", at=START - timedelta(days=2)), order("after", at=START))
    assert await context(world, id) == ["before"]


async def test_rules_are_not_given_a_context_that_they_do_not_read(world: World) -> None:
    await told(world, "before")
    world.clock.advance(1)
    (id,) = await told(world, "now")
    rules = FakeExtractor()
    await distill(world, rules, rules)(TENANT, ORG, [id])
    assert rules.context == [[]]


# By rule, as the service is wired


async def test_events_are_made_memories_of_by_the_worker(world: World) -> None:
    orders = [order("I prefer dark mode."), order("thanks!"), order("The build failed at 12:30.", kind=EventKind.TOOL)]
    ids = await world.services.ingest(
        TENANT, ORG, orders, lambda count, now: counts(TENANT, ORG, {Dimension.EVENTS_INGESTED: count}, now)
    )
    assert [answer["batchItemFailures"] for answer in await world.work()] == [[]]
    assert await states(world, *ids) == [COMPLETED] * 3
    assert [memory.content for memory in await memories(world)] == ["I prefer dark mode.", "The build failed at 12:30."]
    assert await sources(world) == [(ids[0],), (ids[2],)]
    usage = await world.services.tally.month(TENANT, ORG, START, {})
    assert usage.used == {Dimension.EVENTS_INGESTED: 3, Dimension.MEMORIES_STORED: 2}
