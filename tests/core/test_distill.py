"""Making memories of events: each event is done once, whatever part of the service is down meanwhile."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commonplace.core.distill import EARLIER, Distill
from commonplace.core.extraction import RuleExtractor
from commonplace.core.remember import Batch, Counting, Remember, nothing
from commonplace.model.errors import CommonplaceError, Conflict, Invalid, NotFound, TooLarge, Unavailable
from commonplace.model.event import Event, EventKind, EventOrder, EventState
from commonplace.model.insight import Insight, Nature, Statement
from commonplace.model.memory import Draft, Memory
from commonplace.model.scope import Scope
from commonplace.model.usage import Dimension
from commonplace.ports.extractor import Extracted, Extractor
from commonplace.rows.usage import Usages
from fakes import START
from steps import EVERYTHING
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG = "org_1"
INSIGHT = Insight(nature=Nature.SEMANTIC, title="t", confidence=0.7, entities=("mode",))
Outcome = tuple[Statement, ...] | CommonplaceError


def stating(*texts: str) -> tuple[Statement, ...]:
    return tuple(Statement(text=text, kind="preference", insight=INSIGHT, tags=("ui",)) for text in texts)


class Scripted(Extractor):
    """Says of each event what ``says`` has for its content, else that content. Keeps what it was asked."""

    def __init__(self, tokens: int = 0, **says: Outcome) -> None:
        self.says = says
        self.tokens = tokens
        self.asked: list[tuple[list[str], list[str]]] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def extract(self, events: Sequence[Event], context: Sequence[Event]) -> list[Extracted]:
        self.asked.append(([event.content for event in events], [event.content for event in context]))
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return [Extracted(self.says.get(event.content, stating(event.content)), self.tokens) for event in events]


class Refusing(Remember):
    """Refuses what has ``error`` in it, and writes the rest."""

    def __init__(self, inner: Remember, error: CommonplaceError) -> None:
        self.inner = inner
        self.error = error

    async def now(self, tenant: str, drafts: Sequence[Draft], counting: Counting = nothing) -> Batch:
        good = [draft for draft in drafts if "error" not in draft.content]
        batch = await self.inner.now(tenant, good, counting)
        written = iter(batch.outcomes)
        return replace(batch, outcomes=tuple(next(written) if each in good else self.error for each in drafts))


def distill(
    world: World,
    extractor: Extractor | None = None,
    fallback: Extractor | None = None,
    remember: Remember | None = None,
) -> Distill:
    services = world.services
    return Distill(
        services.events,
        services.memories,
        remember or services.remember,
        extractor or Scripted(),
        fallback or RuleExtractor(),
        Usages(world.table),
        world.clock,
    )


def order(content: str = "likes", second: int = 0, **fields: Any) -> EventOrder:
    given = {"actor": "ada", "session": "s", "kind": EventKind.USER, "at": START + timedelta(seconds=second)}
    return EventOrder(content=content, **{**given, **fields})


async def told(world: World, *orders: EventOrder) -> list[str]:
    return await world.services.ingest(TENANT, ORG, orders, lambda _, __: [])


async def states(world: World, *ids: str) -> list[EventState]:
    found = await world.services.events.many(TENANT, ORG, ids)
    return [found[id].state for id in ids]


async def memories(world: World) -> list[Memory]:
    """All memories, newest first."""
    return list((await world.services.browse.page(TENANT, EVERYTHING, limit=100)).items)


async def sources(world: World, memory: Memory) -> tuple[str, ...]:
    return (await world.services.memories.sources(TENANT, [memory.id]))[memory.id]


async def used(world: World) -> dict[Dimension, int]:
    return dict((await world.services.tally.month(TENANT, ORG, world.clock.now(), {})).used)


async def test_a_memory_is_of_the_event_that_it_was_made_of(world: World) -> None:
    event = order("likes", -60, role="r", team="t", metadata={"plan": "pro"})
    (id,) = await told(world, event)
    assert await distill(world, Scripted(likes=stating("Ada likes dark mode")))(TENANT, ORG, [id]) == 0
    (memory,) = await memories(world)
    assert memory.scope == Scope(organization=ORG, user="ada", session="s", role="r", team="t")
    assert (memory.content, memory.kind, memory.tags) == ("Ada likes dark mode", "preference", ("ui",))
    assert (memory.metadata, memory.occurred_at, memory.insight) == ({"plan": "pro"}, event.at, INSIGHT)
    assert (memory.origin, memory.level, memory.label, memory.ready) == ("memsy", "user", "ada", True)
    assert await sources(world, memory) == (id,)
    assert await states(world, id) == [EventState.COMPLETED]
    assert await used(world) == {Dimension.MEMORIES_STORED: 1}


async def test_doing_it_again_changes_nothing(world: World) -> None:
    ids = await told(world, order("a"), order("b", 1))
    extractor = Scripted(tokens=10)
    for _ in range(2):
        assert await distill(world, extractor)(TENANT, ORG, ids) == 0
    assert len(extractor.asked) == 1
    assert len(await memories(world)) == 2
    assert await used(world) == {Dimension.MEMORIES_STORED: 2, Dimension.LLM_TOKENS: 20}


async def test_events_that_are_not_there_are_nobodys_and_yield_nothing(world: World) -> None:
    (id,) = await told(world, order())
    for tenant, organization, ids in ((TENANT, ORG, ["x"]), (OTHER_TENANT, ORG, [id]), (TENANT, "org_2", [id])):
        assert await distill(world)(tenant, organization, ids) == 0
    assert await memories(world) == []
    assert await states(world, id) == [EventState.PENDING]


async def test_an_event_without_a_statement_is_done(world: World) -> None:
    (id,) = await told(world, order("thanks"))
    assert await distill(world, Scripted(thanks=()))(TENANT, ORG, [id]) == 0
    assert await states(world, id) == [EventState.COMPLETED]
    assert await memories(world) == []


async def test_an_equal_statement_of_one_scope_gains_the_event_as_a_source_and_counts_once(world: World) -> None:
    script = Scripted(a=stating("same"), b=stating("same", "other"), c=stating("same"))
    ids = await told(world, order("a"), order("b", 1), order("c", 2, actor="bob"))
    assert await distill(world, script)(TENANT, ORG, ids) == 0
    of_ada = {each.content: each for each in await memories(world) if each.scope.user == "ada"}
    assert set(of_ada) == {"same", "other"}
    assert await sources(world, of_ada["same"]) == (ids[0], ids[1])
    assert await sources(world, of_ada["other"]) == (ids[1],)
    assert await used(world) == {Dimension.MEMORIES_STORED: 3}


async def test_events_are_read_in_their_order_and_in_the_light_of_what_came_before_in_their_sessions(
    world: World,
) -> None:
    early = [order(f"early {number}", number) for number in range(EARLIER + 2)]
    other = order("other session", 1, session="t")
    late = [order("second", 101), order("first", 100), order("in t", 102, session="t")]
    ids = await told(world, *early, other, *late)
    extractor = Scripted()
    assert await distill(world, extractor)(TENANT, ORG, ids[-3:]) == 0
    ((asked, context),) = extractor.asked
    assert asked == ["first", "second", "in t"]
    assert context == [*(f"early {number}" for number in range(2, EARLIER + 2)), "other session"]


async def test_rules_need_no_context(world: World) -> None:
    ids = await told(world, order("a"), order("b", 1))
    rules = Scripted()
    assert await distill(world, rules, rules)(TENANT, ORG, ids[1:]) == 0
    assert rules.asked == [(["b"], [])]


async def test_what_cannot_be_read_now_waits_and_takes_nothing_with_it(world: World) -> None:
    ids = await told(world, order("a"), order("b", 1))
    extractor = Scripted(tokens=5, a=Unavailable("busy"))
    assert await distill(world, extractor)(TENANT, ORG, ids) == 1
    assert await states(world, *ids) == [EventState.PENDING, EventState.COMPLETED]
    del extractor.says["a"]
    assert await distill(world, extractor)(TENANT, ORG, ids) == 0
    assert await states(world, *ids) == [EventState.COMPLETED] * 2
    assert await used(world) == {Dimension.MEMORIES_STORED: 2, Dimension.LLM_TOKENS: 15}


async def test_the_last_time_the_rules_read_what_the_model_cannot(world: World) -> None:
    ids = await told(world, order("a"), order("b", 1), order("c", 2))
    extractor = Scripted(tokens=5, a=Unavailable("busy"), c=Invalid("refused"))
    fallback = Scripted(tokens=100, a=stating("by rule"))
    assert await distill(world, extractor, fallback)(TENANT, ORG, ids, last=True) == 0
    assert fallback.asked == [(["a"], [])]
    assert {memory.content for memory in await memories(world)} == {"by rule", "b"}
    assert await states(world, *ids) == [EventState.COMPLETED, EventState.COMPLETED, EventState.FAILED]
    assert (await used(world))[Dimension.LLM_TOKENS] == 15


async def test_what_is_refused_for_good_has_failed_and_says_why(world: World) -> None:
    (id,) = await told(world, order("a"))
    assert await distill(world, Scripted(a=Invalid("It is refused")))(TENANT, ORG, [id]) == 0
    event = (await world.services.events.many(TENANT, ORG, [id]))[id]
    assert (event.state, event.failure) == (EventState.FAILED, "It is refused")
    assert await memories(world) == []


async def test_an_event_is_not_done_before_its_memories_can_be_found(world: World) -> None:
    (id,) = await told(world, order())
    world.index.down = True
    assert await distill(world)(TENANT, ORG, [id]) == 1
    assert await states(world, id) == [EventState.PENDING]
    (memory,) = await memories(world)
    assert await sources(world, memory) == (id,)
    world.index.down = False
    await world.work()
    assert await distill(world)(TENANT, ORG, [id]) == 0
    assert await states(world, id) == [EventState.COMPLETED]
    assert [each.id for each in await memories(world)] == [memory.id]


async def test_nobody_waits_for_a_memory_that_was_deleted_before_it_could_be_found(world: World) -> None:
    (id,) = await told(world, order())
    world.index.down = True

    async def deleted() -> None:
        (memory,) = await memories(world)
        await world.services.forget(TENANT, memory.id)

    world.embedder.meanwhile = deleted
    assert await distill(world)(TENANT, ORG, [id]) == 0
    assert await states(world, id) == [EventState.COMPLETED]
    assert await memories(world) == []


async def test_a_statement_that_cannot_be_embedded_makes_its_event_fail_and_no_other(world: World) -> None:
    ids = await told(world, order("a"), order("b", 1))
    assert await distill(world, Scripted(a=stating("good", "REFUSED")))(TENANT, ORG, ids) == 0
    assert await states(world, *ids) == [EventState.FAILED, EventState.COMPLETED]
    assert {memory.content for memory in await memories(world) if memory.ready} == {"good", "b"}


@pytest.mark.parametrize(
    ("error", "left", "state"),
    [
        (TooLarge("It is too large"), 0, EventState.FAILED),
        (Invalid("It is wrong"), 0, EventState.FAILED),
        (NotFound("store"), 0, EventState.FAILED),
        (Unavailable("busy"), 1, EventState.PENDING),
        (Conflict("changed at the same time"), 1, EventState.PENDING),
    ],
)
async def test_a_statement_that_cannot_be_written_makes_its_event_fail_or_wait_and_the_others_know_their_source(
    world: World, error: CommonplaceError, left: int, state: EventState
) -> None:
    ids = await told(world, order("a"), order("b", 1))
    making = distill(world, Scripted(a=stating("good", "error")), remember=Refusing(world.services.remember, error))
    assert await making(TENANT, ORG, ids) == left
    assert await states(world, *ids) == [state, EventState.COMPLETED]
    event = (await world.services.events.many(TENANT, ORG, ids))[ids[0]]
    assert event.failure == (error.message if state is EventState.FAILED else None)
    good = next(memory for memory in await memories(world) if memory.content == "good")
    assert await sources(world, good) == (ids[0],)


async def test_a_table_that_is_down_leaves_the_events_as_they_are(world: World) -> None:
    (id,) = await told(world, order())
    extractor = Scripted()

    async def fails() -> None:
        world.table.down = True

    extractor.meanwhile = fails
    with pytest.raises(Unavailable):
        await distill(world, extractor)(TENANT, ORG, [id])
    world.table.down = False
    assert await states(world, id) == [EventState.PENDING]
    assert await distill(world, extractor)(TENANT, ORG, [id]) == 0
    assert await states(world, id) == [EventState.COMPLETED]
