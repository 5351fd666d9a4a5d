"""The worker's messages about events and recalls, as SQS hands them over."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from commonplace.core.gather import GroupOrder
from commonplace.model.directory import GroupKind
from commonplace.model.event import Event, EventKind, EventOrder, EventState
from commonplace.model.filter import Filter
from commonplace.model.insight import Insight, Nature, Statement
from commonplace.model.memory import Accesses, State
from commonplace.model.usage import Dimension
from commonplace.ports.extractor import Extracted, Extractor
from fakes import START
from steps import UNKNOWN, handed, row, written
from sweeper.app import sweep
from worker.app import consume
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

EVENTS = Path(__file__).parents[2] / "infra/events"
EVENT_ID = "019b7c00-0000-7000-8000-0000000000ee"
"""The event that the message speaks of, and its organization."""
ORG = "acme"
LAST = 5
"""The attempt after which SQS gives a message up."""


def literal(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def failed(given: dict[str, Any]) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in given["Records"]]}


async def told(world: World, content: str = "I prefer tea", id: str = EVENT_ID, organization: str = ORG) -> str:
    """An event of which no message was sent."""
    order = EventOrder(actor="ada", session="s", kind=EventKind.USER, content=content, id=id)
    world.embedding_queue.down = True
    (kept,) = await world.services.ingest(TENANT, organization, [order], lambda _, __: [])
    world.embedding_queue.down = False
    return kept


async def event(world: World, id: str = EVENT_ID, organization: str = ORG) -> Event:
    return (await world.services.events.many(TENANT, organization, [id]))[id]


async def contents(world: World) -> list[str]:
    page = await world.services.browse.page(TENANT, Filter(store="default"), limit=100)
    return [memory.content for memory in page.items]


def extract(*ids: str, organization: str = ORG) -> dict[str, object]:
    return {"kind": "extract", "tenant": TENANT, "organization": organization, "ids": list(ids)}


async def test_the_worker_makes_memories_of_events_once_however_often_it_is_told(world: World) -> None:
    await told(world)
    for _ in range(2):
        assert await consume(world.services, literal("extract")) == {"batchItemFailures": []}
        assert (await event(world)).state is EventState.COMPLETED
        assert await contents(world) == ["I prefer tea"]


async def test_the_message_that_is_sent_is_the_one_that_is_read(world: World) -> None:
    order = EventOrder(actor="ada", session="s", kind=EventKind.USER, content="I prefer tea", id=EVENT_ID)
    await world.services.ingest(TENANT, ORG, [order], lambda _, __: [])
    (sent,) = await world.embedding_queue.inner.receive(10, 0)
    assert json.loads(sent.body) == json.loads(literal("extract")["Records"][0]["body"])


@pytest.mark.parametrize("name", ["extract", "recalled", "promote"])
async def test_a_message_for_what_is_not_there_is_done(world: World, name: str) -> None:
    assert await consume(world.services, literal(name)) == {"batchItemFailures": []}
    assert await contents(world) == []


async def test_a_message_comes_again_while_an_event_is_not_done(world: World) -> None:
    await told(world)
    world.embedder.down = True
    assert await consume(world.services, literal("extract")) == failed(literal("extract"))
    assert (await event(world)).state is EventState.PENDING
    world.embedder.down = False
    await world.work()
    assert await consume(world.services, literal("extract")) == {"batchItemFailures": []}
    assert (await event(world)).state is EventState.COMPLETED


async def test_after_the_last_attempt_an_event_is_left_to_the_sweeper(world: World) -> None:
    await told(world)
    world.embedder.down = True
    given = literal("extract")
    given["Records"][0]["attributes"]["ApproximateReceiveCount"] = str(LAST - 1)
    assert await consume(world.services, given) == failed(given)
    given["Records"][0]["attributes"]["ApproximateReceiveCount"] = str(LAST)
    assert await consume(world.services, given) == {"batchItemFailures": []}
    assert (await event(world)).state is EventState.PENDING
    world.embedder.down = False
    await world.work()
    world.clock.advance(61)
    assert (await sweep(world.services))["events"] == 1
    await world.work()
    assert (await event(world)).state is EventState.COMPLETED
    assert await contents(world) == ["I prefer tea"]


async def test_while_the_table_is_down_the_message_comes_again_even_after_the_last_attempt(world: World) -> None:
    await told(world)
    world.table.down = True
    assert await handed(world, extract(EVENT_ID), receives=LAST) == ["0"]
    world.table.down = False
    assert await handed(world, extract(EVENT_ID)) == []


async def test_an_event_that_failed_for_good_is_done(world: World) -> None:
    await told(world, "I prefer what is REFUSED")
    assert await handed(world, extract(EVENT_ID)) == []
    found = await event(world)
    assert (found.state, found.failure) == (EventState.FAILED, "The embedder refused a text")


async def test_an_event_whose_memory_the_index_refuses_fails_after_all_attempts(world: World) -> None:
    await told(world)
    world.index.refuses = ("tea",)
    for _ in range(3 * LAST):
        world.clock.advance(361)
        await world.services.sweep()
        await world.work()
    found = await event(world)
    assert (found.state, found.failure) == (EventState.FAILED, "The index refused it: refused")
    page = await world.services.browse.page(TENANT, Filter(store="default"), limit=9)
    assert [memory.state for memory in page.items] == [State.FAILED]
    world.clock.advance(361)
    swept = await world.services.sweep()
    assert (swept.events, swept.pending) == (0, 0)


async def test_an_event_is_read_only_for_its_own_organization(world: World) -> None:
    await told(world, organization="theirs")
    assert await handed(world, extract(EVENT_ID)) == []
    assert (await event(world, organization="theirs")).state is EventState.PENDING
    assert await handed(world, extract(EVENT_ID, organization="theirs")) == []
    assert (await event(world, organization="theirs")).state is EventState.COMPLETED


async def test_a_recall_is_counted_for_each_memory_that_was_found(world: World) -> None:
    one, two = await written(world, "one"), await written(world, "two")
    given = literal("recalled")
    record = given["Records"][0]
    record["body"] = json.dumps({**json.loads(record["body"]), "ids": [one.id, two.id, one.id]})
    assert await consume(world.services, given) == {"batchItemFailures": []}
    world.clock.advance(1)
    assert await handed(world, {"kind": "recalled", "tenant": TENANT, "ids": [two.id]}) == []
    accesses = await world.services.memories.accesses(TENANT, [one.id, two.id])
    now = world.clock.now()
    assert accesses == {one.id: Accesses(1, START), two.id: Accesses(2, now)}
    assert await row(world, one.id) == one
    assert await world.services.memories.accesses(OTHER_TENANT, [one.id]) == {one.id: Accesses()}


async def test_what_members_of_a_role_say_is_promoted_by_a_sweep_and_the_worker(world: World) -> None:
    role = await world.services.gather.create(TENANT, ORG, GroupOrder(kind=GroupKind.ROLE, name="Cook", focus="food"))
    orders = [
        EventOrder(actor=actor, session="s", kind=EventKind.USER, content="We always salt the water.", role=role.id)
        for actor in ("ada", "ben", "cay")
    ]
    await world.services.ingest(TENANT, ORG, orders, lambda _, __: [])
    await world.work()
    await world.services.sweep()
    (sent,) = await world.embedding_queue.inner.receive(10, 0)
    assert json.loads(sent.body) == json.loads(literal("promote")["Records"][0]["body"])
    for _ in range(2):
        assert await consume(world.services, literal("promote")) == {"batchItemFailures": []}
        page = await world.services.browse.page(TENANT, Filter(store="default"), limit=100)
        assert [memory.scope.user for memory in page.items] == [None, "cay", "ben", "ada"]
        assert page.items[0].scope.role == role.id


async def test_a_turn_of_promotion_that_fails_comes_again(world: World) -> None:
    world.table.down = True
    assert await consume(world.services, literal("promote")) == failed(literal("promote"))


class Haiku(Extractor):
    """A text model that says the same of every event."""

    async def extract(
        self,
        events: Sequence[Event],
        context: Sequence[Event],  # noqa: ARG002 - as the port has it
    ) -> list[Extracted]:
        insight = Insight(nature=Nature.SEMANTIC, title="Tea", confidence=0.5)
        return [Extracted((Statement(text="Tea is preferred", kind="fact", insight=insight),), 7) for _ in events]


async def test_a_text_model_reads_events_where_one_is_set(world: World) -> None:
    await told(world)
    world.extractor = Haiku()
    assert await consume(world.services, literal("extract")) == {"batchItemFailures": []}
    assert await contents(world) == ["Tea is preferred"]
    month = await world.services.tally.month(TENANT, ORG, world.clock.now(), {})
    assert month.used[Dimension.LLM_TOKENS] == 7


async def test_a_text_model_reads_events_until_the_months_tokens_are_used_up(world: World) -> None:
    await told(world)
    world.extractor = Haiku()
    world.configure(quotas=((Dimension.LLM_TOKENS, 7),))
    await told(world, "I prefer chess", id="another")
    assert await handed(world, extract(EVENT_ID)) == []
    assert await handed(world, extract("another")) == []
    assert sorted(await contents(world)) == ["I prefer chess", "Tea is preferred"]
    month = await world.services.tally.month(TENANT, ORG, world.clock.now(), {})
    assert month.used[Dimension.LLM_TOKENS] == 7


MALFORMED: list[object] = [
    {"kind": "extract"},
    {"kind": "extract", "tenant": TENANT, "ids": ["e"]},
    {"kind": "extract", "tenant": TENANT, "organization": None, "ids": ["e"]},
    {"kind": "extract", "tenant": TENANT, "organization": ORG},
    {"kind": "extract", "tenant": TENANT, "organization": ORG, "ids": "e"},
    {"kind": "extract", "tenant": TENANT, "organization": ORG, "ids": {"e": 1}},
    {"kind": "extract", "tenant": TENANT, "organization": ORG, "ids": [1]},
    {"kind": "extract", "tenant": TENANT, "organization": ORG, "ids": ["e", None]},
    {"kind": "extract", "tenant": 1, "organization": ORG, "ids": ["e"]},
    {"kind": "promote", "tenant": TENANT},
    {"kind": "promote", "tenant": TENANT, "organization": None},
    {"kind": "recalled", "tenant": TENANT},
    {"kind": "recalled", "ids": ["m"]},
    {"kind": "recalled", "tenant": TENANT, "ids": None},
    {"kind": "recalled", "tenant": TENANT, "ids": ["m", ["m"]]},
    {"kind": "Extract", "tenant": TENANT, "organization": ORG, "ids": ["e"]},
    {"kind": ["extract"], "tenant": TENANT, "organization": ORG, "ids": ["e"]},
    {"kind": "embed", "tenant": TENANT, "id": "m", "ids": 5},
]


async def test_each_malformed_message_comes_back_alone(world: World) -> None:
    await told(world)
    memory = await written(world, "one")
    good = [extract(EVENT_ID), {"kind": "recalled", "tenant": TENANT, "ids": [memory.id]}]
    bodies = [good[0], *MALFORMED, good[1]]
    numbers = [str(number) for number in range(1, len(MALFORMED) + 1)]
    assert await handed(world, *(json.dumps(body) for body in bodies)) == sorted(numbers)
    assert (await event(world)).state is EventState.COMPLETED
    assert (await world.services.memories.accesses(TENANT, [memory.id]))[memory.id].count == 1


@pytest.mark.parametrize("body", [extract(), {"kind": "recalled", "tenant": TENANT, "ids": []}, extract(UNKNOWN, "")])
async def test_a_message_that_names_nothing_there_is_done(world: World, body: dict[str, object]) -> None:
    assert await handed(world, body, {**body, "more": 1}) == []


async def test_events_of_one_organization_are_made_memories_together_and_those_of_another_apart(world: World) -> None:
    mine = [await told(world, f"I prefer number {number}", id=f"mine-{number}") for number in range(60)]
    theirs = await told(world, "I prefer tea", id="theirs", organization="theirs")
    messages = [*(extract(*mine[start : start + 20]) for start in (0, 20, 40)), extract(theirs, organization="theirs")]
    assert await handed(world, *messages) == []
    assert sorted(world.embedder.batches) == [1, 20, 40]
    for id, organization in [*((id, ORG) for id in mine), (theirs, "theirs")]:
        assert (await event(world, id, organization)).state is EventState.COMPLETED


async def test_an_event_whose_memory_another_is_about_to_make_waits_for_nobody(world: World) -> None:
    first = await told(world, id="first")
    world.clock.advance(61)
    second = await told(world, id="second")
    world.embedder.down = True
    assert await handed(world, extract(first)) == ["0"]
    world.embedder.down = False
    assert await handed(world, extract(second)) == []
    assert (await event(world, second)).state is EventState.COMPLETED
    assert len(await contents(world)) == 1
