import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bill import Bill, CountedIndex, counted
from commonplace.core.recognize import MOST_CANDIDATES, Recognize
from commonplace.core.remember import Remembered
from commonplace.core.subscribe import WebhookOrder
from commonplace.model.document import Arm, Candidate, Findings, Probe
from commonplace.model.filter import Filter
from commonplace.model.memory import Change, State, content_hash
from commonplace.model.scope import Scope
from commonplace.model.space import Space
from commonplace.ports.table import Put
from commonplace.rows import keys
from steps import CONTENT, EVERYTHING, draft, row, sentences, written
from world import TENANT, World

pytestmark = pytest.mark.anyio

SHUFFLED = "Dark mode the user prefers"
NEAR = "The user prefers light mode"


async def told(world: World, content: str = CONTENT, threshold: float = 0.95, **fields: Any) -> Remembered:
    """What becomes of a memory whose caller wants no duplicates."""
    drafts = [draft(content, duplicate_threshold=threshold, **fields)]
    (outcome,) = (await world.services.remember.now(TENANT, drafts)).outcomes
    assert isinstance(outcome, Remembered)
    return outcome


async def count(world: World) -> int | None:
    page = await world.services.browse.page(TENANT, EVERYTHING, limit=100)
    assert page.total == len(page.items)
    return page.total


@pytest.mark.parametrize("content", [CONTENT, SHUFFLED])
async def test_the_same_said_again_is_the_memory_that_is_there(world: World, content: str) -> None:
    first = await written(world)
    again = await told(world, content)
    assert again == Remembered(first, duplicate=True)
    assert await count(world) == 1


async def test_the_threshold_decides_what_is_the_same(world: World) -> None:
    first = await written(world)
    assert (await told(world, NEAR, 0.95)).memory.id != first.id
    assert (await told(world, "The user prefers bright mode", 0.5)).duplicate
    assert await count(world) == 2


async def test_without_the_wish_the_same_is_written_twice(world: World) -> None:
    await written(world)
    await written(world)
    assert await count(world) == 2


@pytest.mark.parametrize(
    "scope",
    [
        Scope(user="ada"),
        Scope(project="p"),
        Scope(session="s"),
        Scope(role="r"),
        Scope(team="t"),
        Scope(organization="o"),
    ],
)
async def test_the_same_in_another_scope_is_another_memory(world: World, scope: Scope) -> None:
    await told(world)
    assert not (await told(world, scope=scope)).duplicate
    assert await count(world) == 2


@pytest.mark.parametrize("others", [9, 10, 41, 170])
async def test_a_memory_of_no_user_is_known_again_among_those_of_many(world: World, others: int) -> None:
    first = await written(world, NEAR)
    for number in range(others):
        await written(world, scope=Scope(user=f"u{number}"))
    again = await told(world, threshold=0.5)
    assert (again.duplicate, again.memory.id) == (True, first.id)


async def test_where_all_that_is_near_is_of_others_the_search_for_it_ends(world: World) -> None:
    first = await written(world, NEAR)
    beside = [await written(world, scope=Scope(user=f"u{number}")) for number in range(3)]
    asked: list[int] = []

    class Deep(CountedIndex):
        """Has the same three passages as often as is asked for."""

        async def search(self, space: Space, probe: Probe, filter: Filter) -> Findings:
            assert (space, filter.user) == (world.embedder.space, None)
            asked.append(probe.k)
            found = [Candidate(each.id, 0, 1, 0.9) for each in beside] * probe.k
            return Findings(Arm(tuple(found[: probe.k])), Arm())

    recognize = Recognize(world.services.memories, Deep(world.index, Bill()), world.embedder, world.clock)
    assert await recognize(first, 0.5) is None
    assert asked == [10, 40, 160, 640, MOST_CANDIDATES]


async def test_what_is_not_near_is_not_looked_through(world: World) -> None:
    for number in range(30):
        await written(world, f"Something else {number}")
    async with counted(world) as till:
        bill = await till.cost("POST", "/v1/memories", {"agent_id": "a", "content": CONTENT, "deduplicate": True})
    assert not till.answer["is_duplicate"]
    assert bill.calls["search"] == 1


async def test_the_same_of_another_agent_is_another_memory(world: World) -> None:
    await told(world)
    assert not (await told(world, agent="another")).duplicate


async def test_equal_creates_at_the_same_time_make_one_memory(world: World) -> None:
    outcomes = await asyncio.gather(*(told(world) for _ in range(10)))
    assert len({outcome.memory.id for outcome in outcomes}) == 1
    assert [outcome.duplicate for outcome in outcomes].count(False) == 1
    assert await count(world) == 1


async def test_two_drafts_of_one_call_can_be_duplicates_of_each_other(world: World) -> None:
    drafts = [
        draft(duplicate_threshold=0.95),
        draft("other", duplicate_threshold=0.95),
        draft(duplicate_threshold=0.95),
    ]
    first, other, second = (await world.services.remember.now(TENANT, drafts)).outcomes
    assert isinstance(first, Remembered)
    assert isinstance(other, Remembered)
    assert second == Remembered(first.memory, duplicate=True)
    assert first.memory.state is State.READY
    assert await count(world) == 2


async def test_a_duplicate_has_no_job(world: World) -> None:
    first = await told(world)
    again = await world.services.remember.later(TENANT, draft(duplicate_threshold=0.95))
    assert again == Remembered(first.memory, job=None, duplicate=True)
    assert await world.work() == []


async def test_a_duplicate_is_told_to_no_webhook(world: World) -> None:
    await told(world)
    await world.services.subscribe.add(TENANT, WebhookOrder(url="https://example.com", secret="s"))
    await told(world)
    await world.work()
    assert world.sender.posted == []


async def test_long_texts_repeat_each_other_only_to_the_letter(world: World) -> None:
    long = sentences(12)
    first = await told(world, long)
    assert not (await told(world, f"{long} And more.")).duplicate
    assert not (await told(world, sentences(3), 0.5)).duplicate
    assert (await told(world, long)).memory == first.memory


async def test_while_the_index_is_down_only_the_same_letters_are_known_again(world: World) -> None:
    first = await told(world)
    world.index.down = True
    assert (await told(world)).memory.id == first.memory.id
    assert not (await told(world, SHUFFLED)).duplicate


async def test_a_text_that_the_embedder_refuses_is_kept_all_the_same(world: World) -> None:
    assert (await told(world, "REFUSED")).memory.state is State.FAILED


async def test_what_was_rewritten_can_be_said_again(world: World) -> None:
    first = await told(world)
    await world.services.revise(TENANT, first.memory.id, Change(content="Something else entirely"))
    again = await told(world)
    assert not again.duplicate
    assert again.memory.content == CONTENT
    assert (await told(world)).memory == again.memory


async def test_a_change_of_metadata_keeps_the_claim(world: World) -> None:
    first = await told(world)
    await world.services.revise(TENANT, first.memory.id, Change(metadata={"a": 1}))
    world.index.down = True
    assert (await told(world)).duplicate


async def test_what_was_deleted_can_be_said_again(world: World) -> None:
    first = await told(world)
    await world.services.forget(TENANT, first.memory.id)
    assert not (await told(world)).duplicate


async def test_what_has_expired_can_be_said_again_before_it_is_swept(world: World) -> None:
    first = (await told(world)).memory
    expiring = replace(first, expires_at=world.clock.now(), revision=2)
    await world.services.memories.replace(first, expiring)
    again = await told(world)
    assert not again.duplicate
    assert (await row(world, again.memory.id)).ready


async def test_a_claim_whose_memory_is_gone_keeps_nobody_from_writing(world: World) -> None:
    agent = await world.services.enlist.ensure(TENANT, "my-assistant")
    claim = keys.claim(Scope(agent=agent.id, organization=TENANT), content_hash(CONTENT))
    await world.table.transact([Put(keys.claimed(TENANT, claim), {"noun": "claim", "memory": "gone"})])
    await world.services.subscribe.add(TENANT, WebhookOrder(url="https://example.com", secret="s"))
    assert not (await told(world)).duplicate
    assert await count(world) == 1
    await world.work()
    events = [posted.headers["x-memoryrelay-event"] for posted in world.sender.posted]
    assert sorted(events) == ["embedding.completed", "memory.created"]
