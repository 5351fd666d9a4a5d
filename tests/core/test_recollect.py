"""Finding memories with where they come from, and making what is found stronger."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from commonplace.core.recollect import MOST_EVENTS, Recollect, Recollected
from commonplace.core.search import Wanted
from commonplace.model.errors import Unavailable
from commonplace.model.event import Event, EventKind, EventOrder
from commonplace.model.filter import Filter
from commonplace.model.scope import audience_of
from commonplace.ports.table import Table
from commonplace.rows.events import Events
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG = "org_1"
HALF_LIFE = 30 * 86_400
QUERY = "Which mode do I prefer?"


async def told(world: World, *contents: str, actor: str = "ada") -> list[str]:
    """The ids of events of which memories have been made."""
    orders = [EventOrder(actor=actor, session="s", kind=EventKind.USER, content=content) for content in contents]
    found = await world.services.ingest(TENANT, ORG, orders, lambda _, __: [])
    await world.work()
    return found


async def recollected(
    world: World, query: str = QUERY, *, tenant: str = TENANT, limit: int = 10, audience: Sequence[str] = ()
) -> list[Recollected]:
    filter = Filter(store="default", organization=ORG, audience=tuple(audience))
    return await world.services.recollect(tenant, Wanted(query=query, filter=filter, limit=limit))


async def test_what_is_found_says_how_well_it_answers_how_strong_it_was_and_what_it_was_made_of(world: World) -> None:
    (id,) = await told(world, "I prefer dark mode")
    (found,) = await recollected(world)
    assert found.memory.content == "I prefer dark mode"
    assert found.sources == (id,)
    assert 0 < found.relevance <= 1
    assert found.strength == 1.0


async def test_what_is_told_twice_has_both_events_as_its_sources(world: World) -> None:
    first = await told(world, "I prefer dark mode")
    world.clock.advance(61)
    ids = [*first, *await told(world, "I prefer dark mode")]
    (found,) = await recollected(world)
    assert found.sources == tuple(ids)
    (events,) = await world.services.recollect.events(TENANT, ORG, [found])
    assert set(events) == set(ids)
    assert {event.content for event in events.values()} == {"I prefer dark mode"}


async def test_events_are_those_of_the_organization_and_none_are_looked_for_where_there_are_none(world: World) -> None:
    await told(world, "I prefer dark mode")
    found = await recollected(world)
    for tenant, organization in ((TENANT, "org_2"), (OTHER_TENANT, ORG)):
        for described in (None, 5):
            assert await world.services.recollect.events(tenant, organization, found, described) == [{}]
    world.table.down = True
    assert await world.services.recollect.events(TENANT, ORG, []) == []


class Reads(Events):
    """Events that remember which of them were asked for."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.asked: list[list[str]] = []

    async def many(self, tenant: str, organization: str, ids: Iterable[str]) -> dict[str, Event]:
        self.asked.append(sorted(ids))
        return await super().many(tenant, organization, self.asked[-1])


def numbered(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{number:02d}" for number in numbers)


async def of_many(world: World, described: set[int]) -> tuple[Recollect, Reads, Recollected]:
    """What was found, a memory of 30 events of which some have metadata."""
    orders = [
        EventOrder(
            actor="ada",
            session="s",
            kind=EventKind.USER,
            content=f"I prefer dark mode {number}",
            id=f"{number:02d}",
            metadata={"n": number} if number in described else None,
        )
        for number in range(30)
    ]
    await world.services.ingest(TENANT, ORG, orders, lambda _, __: [])
    await world.work()
    (found,) = await recollected(world, limit=1)
    reads = Reads(world.table)
    recollect = Recollect(world.services.search, world.services.survey, reads, world.embedding_queue)
    return recollect, reads, replace(found, sources=numbered(*range(30)))


async def test_of_many_events_the_first_are_read(world: World) -> None:
    recollect, reads, found = await of_many(world, set())
    (events,) = await recollect.events(TENANT, ORG, [found])
    assert tuple(events) == numbered(*range(MOST_EVENTS))
    assert reads.asked == [sorted(events)]


@pytest.mark.parametrize(
    ("described", "asked"),
    [
        (set(range(30)), [numbered(0, 1, 2)]),
        ({0, 1, 7}, [numbered(0, 1, 2), numbered(*range(3, MOST_EVENTS))]),
        ({25, 26, 27}, [numbered(0, 1, 2), numbered(*range(3, MOST_EVENTS))]),
    ],
)
async def test_no_more_events_are_read_than_have_to_be_for_some_with_metadata(
    world: World, described: set[int], asked: list[tuple[str, ...]]
) -> None:
    recollect, reads, found = await of_many(world, described)
    few = replace(found, sources=numbered(1, 29))
    events = await recollect.events(TENANT, ORG, [found, few], 3)
    assert [tuple(each) for each in events] == [tuple(sorted({*sum(asked, ())})), numbered(1, 29)]
    assert reads.asked == [[*asked[0], "29"], *map(list, asked[1:])]


async def test_an_event_that_two_memories_share_or_that_is_gone_is_asked_for_once(world: World) -> None:
    recollect, reads, found = await of_many(world, {0})
    other = replace(found, sources=("00", "gone", "02"))
    assert [len(each) for each in await recollect.events(TENANT, ORG, [found, other], 3)] == [20, 2]
    assert sorted(id for ids in reads.asked for id in ids) == [*numbered(*range(MOST_EVENTS)), "gone"]


async def test_a_memory_gains_by_being_found_once_the_worker_has_written_it(world: World) -> None:
    await told(world, "I prefer dark mode")
    for recalls in range(3):
        (found,) = await recollected(world)
        assert found.strength == pytest.approx(1 + 0.1 * recalls)
        (again,) = await recollected(world)
        assert again.strength == found.strength
        assert await world.embedding_queue.inner.receive(1, 0)
        (message,) = await world.embedding_queue.inner.receive(1, 0)
        await world.embedding_queue.inner.delete([message.receipt])
        await world.work()
    accesses = await world.services.memories.accesses(TENANT, [found.memory.id])
    assert (accesses[found.memory.id].count, accesses[found.memory.id].last_at) == (3, world.clock.now())


async def test_strength_is_halved_with_time_since_it_was_recalled(world: World) -> None:
    await told(world, "I prefer dark mode")
    world.clock.advance(HALF_LIFE)
    (found,) = await recollected(world)
    assert found.strength == pytest.approx(0.5)
    await world.work()
    world.clock.advance(2 * HALF_LIFE)
    (found,) = await recollected(world)
    assert found.strength == pytest.approx(1.1 / 4)


async def test_one_message_names_all_that_was_found_of_the_tenant(world: World) -> None:
    await told(world, "I prefer dark mode", "I prefer light mode")
    found = await recollected(world)
    (message,) = await world.embedding_queue.inner.receive(10, 0)
    ids = [each.memory.id for each in found]
    assert json.loads(message.body) == {"kind": "recalled", "tenant": TENANT, "ids": ids}
    assert len(ids) == 2


async def test_where_nothing_is_found_nothing_is_asked_and_nothing_is_sent(world: World) -> None:
    await told(world, "I prefer dark mode")
    assert await recollected(world, tenant=OTHER_TENANT) == []
    assert await recollected(world, audience=[audience_of("user", "bob")]) == []
    assert await world.embedding_queue.inner.receive(10, 0) == []


async def test_a_recall_that_the_queue_does_not_take_is_lost_and_not_the_answer(world: World) -> None:
    await told(world, "I prefer dark mode")
    world.embedding_queue.down = True
    (found,) = await recollected(world)
    assert found.memory.content == "I prefer dark mode"
    world.embedding_queue.down = False
    await world.work()
    assert (await world.services.memories.accesses(TENANT, [found.memory.id]))[found.memory.id].count == 0


async def test_a_search_that_cannot_be_made_is_no_empty_one(world: World) -> None:
    await told(world, "I prefer dark mode")
    world.index.down = True
    with pytest.raises(Unavailable):
        await recollected(world)
