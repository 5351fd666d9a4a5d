import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from commonplace.core.converse import SessionOrder
from commonplace.core.search import Mode, Wanted
from commonplace.core.subscribe import WebhookChange, WebhookOrder
from commonplace.model.document import Arm, Findings, Probe
from commonplace.model.errors import NotFound, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.memory import Change, Memory, Notify, State
from commonplace.model.scope import Scope
from commonplace.model.space import Space
from commonplace.model.webhook import Answer
from commonplace.ports.meter import (
    DEGRADED_ANSWERS,
    DELIVERIES,
    LAG_TO_SEARCHABLE,
    MEMORIES_FAILED,
    MEMORIES_WRITTEN,
    METRICS,
    SEARCH_LATENCY,
    Metric,
    Unit,
    lag_to_searchable,
)
from commonplace.ports.world import Unreachable
from steps import CONTENT, EVERYTHING, UNKNOWN, draft, embed_message, handed, row, written
from world import TENANT, SwitchedIndex, World

pytestmark = pytest.mark.anyio

HOOK = Notify("https://example.com/hook", "secret")


class TimedIndex(SwitchedIndex):
    """An index whose arms say that they took 12.5 and 3 milliseconds."""

    async def search(self, space: Space, probe: Probe, filter: Filter) -> Findings:
        found = await super().search(space, probe, filter)
        return Findings(replace(found.vectors, milliseconds=12.5), replace(found.words, milliseconds=3.0))


async def searched(world: World, query: str = CONTENT, mode: Mode = Mode.HYBRID) -> None:
    await world.services.search(TENANT, Wanted(query=query, filter=EVERYTHING, limit=10, mode=mode))


def values(world: World, metric: Metric) -> list[float]:
    assert all(measure.part is None for measure in world.meter.of(metric))
    return [measure.value for measure in world.meter.of(metric)]


def parts(world: World, metric: Metric) -> dict[str | None, float]:
    """The one value of each part."""
    measures = world.meter.of(metric)
    found = {measure.part: measure.value for measure in measures}
    assert len(found) == len(measures)
    return found


def test_the_metrics_are_what_the_dashboard_and_the_alarms_are_made_for() -> None:
    assert [(metric.name, metric.unit.value, metric.dimension, metric.whole) for metric in METRICS] == [
        ("MemoriesWritten", "Count", None, False),
        ("MemoriesFailed", "Count", None, False),
        ("LagToSearchable", "Milliseconds", None, False),
        ("SearchLatency", "Milliseconds", "Arm", False),
        ("DegradedAnswers", "Count", "Arm", True),
        ("Deliveries", "Count", "Outcome", True),
    ]


def test_a_span_is_told_in_milliseconds_and_is_never_negative() -> None:
    measure = lag_to_searchable(timedelta(seconds=1, microseconds=500))
    assert (measure.metric.unit, measure.value) == (Unit.MILLISECONDS, 1000.5)
    assert lag_to_searchable(timedelta(seconds=-1)).value == 0.0


async def test_each_memory_that_is_written_counts_once_whoever_makes_it_searchable(world: World) -> None:
    memory = (await world.services.remember.later(TENANT, draft("tea"))).memory
    assert values(world, MEMORIES_WRITTEN) == [1]
    await world.work()
    await world.services.remember.now(TENANT, [draft("coffee"), draft("water")])
    await world.services.revise(TENANT, memory.id, Change(content="green tea"))
    assert values(world, MEMORIES_WRITTEN) == [1, 2]


async def test_what_is_refused_or_a_duplicate_was_not_written(world: World) -> None:
    await world.services.remember.now(TENANT, [draft(duplicate_threshold=0.95), draft(agent=UNKNOWN)])
    await world.services.remember.now(TENANT, [draft(duplicate_threshold=0.95), draft(agent=UNKNOWN)])
    await world.services.remember.now(TENANT, [])
    assert values(world, MEMORIES_WRITTEN) == [1]


async def test_equal_creates_at_the_same_time_count_as_the_one_memory_that_they_make(world: World) -> None:
    same = draft(duplicate_threshold=0.95)
    await asyncio.gather(*(world.services.remember.later(TENANT, same) for _ in range(3)))
    assert values(world, MEMORIES_WRITTEN) == [1]


async def test_what_the_table_refuses_does_not_count(world: World) -> None:
    session = await world.services.converse.open(TENANT, SessionOrder())

    async def deleted() -> None:
        await world.services.converse.remove(TENANT, session.id, cascade=False)

    world.embedder.meanwhile = deleted
    lost = draft(duplicate_threshold=0.9, scope=Scope(session=session.id))
    (outcome,) = (await world.services.remember.now(TENANT, [lost])).outcomes
    assert isinstance(outcome, NotFound)
    assert values(world, MEMORIES_WRITTEN) == []


async def test_the_lag_runs_from_the_creation_until_a_search_finds_it(world: World) -> None:
    await world.services.remember.later(TENANT, draft())
    world.clock.advance(1.25)
    assert values(world, LAG_TO_SEARCHABLE) == []
    await world.work()
    assert values(world, LAG_TO_SEARCHABLE) == [1250]


async def test_the_lag_of_new_content_runs_from_the_change_that_brought_it(world: World) -> None:
    memory = await written(world)
    world.clock.advance(3600)
    world.index.down = True
    await world.services.revise(TENANT, memory.id, Change(content="The user prefers light mode"))
    world.index.down = False
    world.clock.advance(2)
    await world.work()
    assert values(world, LAG_TO_SEARCHABLE) == [0, 2000]


async def test_other_facts_do_not_shorten_the_lag_of_a_memory_that_still_waits(world: World) -> None:
    memory = (await world.services.remember.later(TENANT, draft())).memory
    world.clock.advance(5)
    world.embedder.down = True
    await world.services.revise(TENANT, memory.id, Change(importance=0.9))
    world.embedder.down = False
    world.clock.advance(5)
    await world.work()
    assert values(world, LAG_TO_SEARCHABLE) == [10_000]


async def test_what_is_found_already_has_no_lag_when_its_facts_change_or_its_message_comes_again(world: World) -> None:
    memory = await written(world)
    world.clock.advance(60)
    await world.services.revise(TENANT, memory.id, Change(importance=0.9))
    await handed(world, embed_message(memory))
    assert values(world, LAG_TO_SEARCHABLE) == [0]


async def test_a_change_that_comes_in_between_has_the_lag_and_what_it_overtook_has_none(world: World) -> None:
    memory = (await world.services.remember.later(TENANT, draft())).memory
    world.clock.advance(7)

    async def changed() -> None:
        await world.services.revise(TENANT, memory.id, Change(content="Short now"))

    world.embedder.meanwhile = changed
    await world.services.embed([memory])
    assert values(world, LAG_TO_SEARCHABLE) == [0]


async def test_a_memory_that_is_given_up_has_failed_once_and_has_no_lag(world: World) -> None:
    memory = (await world.services.remember.later(TENANT, draft("REFUSED"))).memory
    await world.work()
    assert (await row(world, memory.id)).state is State.FAILED
    assert values(world, MEMORIES_FAILED) == [1]
    assert values(world, LAG_TO_SEARCHABLE) == []


async def test_the_last_attempt_counts_as_a_failure_and_those_before_it_do_not(world: World) -> None:
    memory = (await world.services.remember.later(TENANT, draft())).memory
    world.index.refuses = ("",)
    await handed(world, embed_message(memory))
    assert values(world, MEMORIES_FAILED) == []
    await handed(world, embed_message(memory), receives=world.services.settings.max_receives)
    assert values(world, MEMORIES_FAILED) == [1]


async def test_what_is_changed_while_it_is_given_up_has_not_failed(world: World) -> None:
    memory = (await world.services.remember.later(TENANT, draft())).memory

    async def changed() -> None:
        await world.services.revise(TENANT, memory.id, Change(content="Short now"))

    world.table.meanwhile = changed
    await world.services.embed.give_up(memory, "too late")
    await world.services.embed.give_up(memory, "later still")
    assert values(world, MEMORIES_FAILED) == []


async def test_a_search_takes_as_long_as_its_parts_together_and_each_arm_what_the_engine_says(world: World) -> None:
    await written(world)
    world.index.inner = TimedIndex(world.index.inner)

    async def slow() -> None:
        world.clock.advance(0.25)

    world.embedder.meanwhile = slow
    await searched(world)
    assert parts(world, SEARCH_LATENCY) == {"total": 250, "vectors": 12.5, "words": 3}
    assert world.meter.of(DEGRADED_ANSWERS) == []


@pytest.mark.parametrize(("mode", "arm"), [(Mode.SEMANTIC, "vectors"), (Mode.KEYWORD, "words")])
async def test_sqlite_says_what_the_arms_took_that_were_asked(world: World, mode: Mode, arm: str) -> None:
    await searched(world, mode=mode)  # nothing is stored yet: that takes its time too
    await written(world)
    await searched(world, mode=mode)
    measures = world.meter.of(SEARCH_LATENCY)
    assert [measure.part for measure in measures] == ["total", arm, "total", arm]
    assert all(measure.value > 0 for measure in measures if measure.part == arm)


def test_what_an_arm_took_is_no_part_of_what_it_found() -> None:
    assert Arm(milliseconds=1.0) == Arm(milliseconds=2.0)
    assert Arm().milliseconds is None


@pytest.mark.parametrize(("broken", "other"), [("vectors", "words"), ("words", "vectors")])
async def test_an_arm_that_fails_makes_a_degraded_answer_and_has_no_latency(
    world: World, broken: str, other: str
) -> None:
    await written(world)
    world.index.broken_arms = (broken,)
    await searched(world)
    assert parts(world, DEGRADED_ANSWERS) == {broken: 1}
    assert parts(world, SEARCH_LATENCY).keys() == {"total", other}


async def test_without_the_embedder_the_answer_is_degraded_by_its_vectors(world: World) -> None:
    await written(world)
    world.embedder.down = True
    await searched(world)
    assert parts(world, DEGRADED_ANSWERS) == {"vectors": 1}
    assert parts(world, SEARCH_LATENCY).keys() == {"total", "words"}


async def test_a_search_that_is_not_answered_is_neither_degraded_nor_fast(world: World) -> None:
    world.embedder.down = True
    with pytest.raises(Unavailable):
        await searched(world, mode=Mode.SEMANTIC)
    world.embedder.down = False
    world.index.down = True
    with pytest.raises(Unavailable):
        await searched(world)
    assert world.meter.measures == []


async def delivered(world: World, *answers: Answer | Exception) -> list[str | None]:
    """The outcomes of the deliveries to a request's own URL that answers so."""
    world.sender.answers = list(answers)
    await written(world, notify=HOOK)
    await world.work()
    assert all(measure.value == 1 for measure in world.meter.of(DELIVERIES))
    return [measure.part for measure in world.meter.of(DELIVERIES)]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(204), "delivered"),
        (Answer(500), "retried"),
        (Unreachable("no answer"), "retried"),
        (Answer(410), "failed"),
    ],
)
async def test_each_attempt_to_deliver_counts_by_what_became_of_it(
    world: World, answer: Answer | Exception, outcome: str
) -> None:
    assert await delivered(world, answer) == [outcome]


async def test_a_delivery_that_succeeds_in_the_end_was_retried_before(world: World) -> None:
    await delivered(world, Answer(500), Answer(200))
    world.clock.advance(10)
    await world.work()
    assert [measure.part for measure in world.meter.of(DELIVERIES)] == ["retried", "delivered"]


async def test_a_delivery_to_an_endpoint_that_was_disabled_has_failed(world: World) -> None:
    hook = await world.services.subscribe.add(TENANT, WebhookOrder(url=HOOK.url, secret=HOOK.secret))
    await written(world)
    await world.services.subscribe.change(TENANT, hook.id, WebhookChange(enabled=False))
    await world.work()
    assert {measure.part for measure in world.meter.of(DELIVERIES)} == {"failed"}
    assert world.sender.posted == []


async def test_of_two_attempts_at_once_the_one_that_is_recorded_counts(world: World) -> None:
    await written(world, notify=HOOK)
    (message,) = await world.delivery_queue.inner.receive(10, 360)

    async def attempt() -> None:
        await handed(world, message.body)

    world.sender.meanwhile = attempt
    await attempt()
    assert len(world.sender.posted) == 2
    assert parts(world, DELIVERIES) == {"delivered": 1}


async def test_no_measure_names_a_tenant_a_memory_or_its_content(world: World) -> None:
    memory: Memory = await written(world, notify=HOOK)
    await searched(world)
    await world.work()
    told = repr(world.meter.measures)
    assert world.meter.measures
    assert not any(secret in told for secret in (TENANT, memory.id, memory.content, HOOK.url, HOOK.secret))
