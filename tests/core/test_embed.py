import asyncio
from collections.abc import Sequence

import pytest

from commonplace.core.embed import AT_ONCE, DOWN, PORTION, message
from commonplace.core.search import Wanted
from commonplace.core.subscribe import WebhookOrder
from commonplace.model.errors import NotFound, Unavailable
from commonplace.model.memory import Change, Memory, Notify, State
from commonplace.ports.table import Delete
from commonplace.rows import keys
from fakes import FakeEmbedder
from steps import EVERYTHING, documents, draft, embed_message, found, handed, row, sentences, written
from worker.app import BEGINS, consume
from world import TENANT, World

pytestmark = pytest.mark.anyio


async def pending(world: World, content: str = "The user prefers dark mode") -> Memory:
    """A memory whose message was lost."""
    memory = (await world.services.remember.later(TENANT, draft(content))).memory
    batch = await world.embedding_queue.inner.receive(10, 360)
    await world.embedding_queue.inner.delete([message.receipt for message in batch])
    return memory


async def test_embedding_nothing_does_nothing(world: World) -> None:
    assert await world.services.embed([]) == []


async def test_a_repeated_message_changes_nothing(world: World) -> None:
    memory = await pending(world)
    assert await handed(world, embed_message(memory), embed_message(memory)) == []
    ready, texts = await row(world, memory.id), list(world.embedder.texts)
    world.clock.advance(60)

    assert await handed(world, embed_message(memory)) == []

    assert await row(world, memory.id) == ready
    assert world.embedder.texts == texts


async def test_two_workers_at_once_tell_a_webhook_once(world: World) -> None:
    await world.services.subscribe.add(TENANT, WebhookOrder(url="https://example.com/hook", secret="s"))
    memory = await pending(world)

    await asyncio.gather(world.services.embed([memory]), world.services.embed([memory]))
    await handed(world, embed_message(memory))
    await world.work()

    events = [posted.headers["x-memoryrelay-event"] for posted in world.sender.posted]
    assert sorted(events) == ["embedding.completed", "memory.created"]
    assert (await row(world, memory.id)).ready


async def test_a_message_that_a_change_overtook_changes_nothing(world: World) -> None:
    memory = await pending(world)
    changed = await world.services.revise(TENANT, memory.id, Change(content="The user prefers light mode"))

    assert await handed(world, embed_message(memory)) == []
    assert await world.services.embed([memory]) == [memory]

    assert await row(world, memory.id) == changed
    assert await documents(world) == {(memory.id, 0): 2}


async def test_a_change_during_the_embedding_is_not_overwritten(world: World) -> None:
    memory = await pending(world, sentences(20))

    async def changed() -> None:
        await world.services.revise(TENANT, memory.id, Change(content="Short now"))

    world.embedder.meanwhile = changed
    assert await world.services.embed([memory]) == [memory]

    now = await row(world, memory.id)
    assert (now.content, now.revision, now.state, now.passages) == ("Short now", 2, State.READY, 1)
    assert await documents(world) == {(memory.id, 0): 2}


async def test_a_very_long_text_is_found_by_its_end(world: World) -> None:
    content = sentences(400)
    memory = await written(world, content)
    assert len(content) > AT_ONCE
    assert len(await documents(world)) == memory.passages > 100
    results = await world.services.search(TENANT, Wanted(query="thing399", filter=EVERYTHING, limit=1))
    assert results.hits[0].relevance > 0.3


async def test_a_memory_that_is_deleted_during_the_embedding_stays_deleted(world: World) -> None:
    memory = await pending(world, sentences(20))

    async def deleted() -> None:
        await world.services.forget(TENANT, memory.id)

    world.embedder.meanwhile = deleted
    (outcome,) = await world.services.embed([memory])

    assert isinstance(outcome, NotFound)
    assert await world.services.memories.get(TENANT, memory.id) is None
    assert await documents(world) == {}


async def test_what_a_late_message_brought_to_the_index_goes_even_without_a_tombstone(world: World) -> None:
    memory = await pending(world)

    async def dropped() -> None:
        await world.table.transact([Delete(keys.memory(TENANT, memory.id))])

    world.embedder.meanwhile = dropped
    assert await handed(world, embed_message(memory)) == []
    assert await documents(world) == {}


async def test_what_the_index_does_not_let_go_of_at_once_goes_when_the_message_comes_again(world: World) -> None:
    memory = await pending(world)

    async def dropped() -> None:
        await world.services.forget(TENANT, memory.id)
        world.index.broken_arms = ("delete",)

    world.embedder.meanwhile = dropped
    assert await handed(world, embed_message(memory)) == ["0"]
    world.index.broken_arms = ()
    assert await handed(world, embed_message(memory)) == []
    assert await documents(world) == {}


async def test_a_late_message_for_a_deleted_memory_changes_nothing(world: World) -> None:
    memory = await pending(world)
    await world.services.forget(TENANT, memory.id)
    assert await handed(world, embed_message(memory), embed_message(memory)) == []
    assert await documents(world) == {}
    assert await found(world) == []


async def test_each_record_of_a_batch_fails_alone(world: World) -> None:
    good, other = await pending(world, "first good one"), await pending(world, "second good one")
    refused, deleted = await pending(world, "REFUSED"), await pending(world, "deleted")
    await world.services.forget(TENANT, deleted.id)

    failed = await handed(
        world, embed_message(good), embed_message(refused), "{", embed_message(deleted), embed_message(other)
    )

    assert failed == ["2"]
    states = [(await row(world, memory.id)).state for memory in (good, refused, other)]
    assert states == [State.READY, State.FAILED, State.READY]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"kind":"embed"}',
        '{"kind":"embed","tenant":1,"id":"x"}',
        '{"kind":"what","tenant":"a","id":"b"}',
        '{"kind":"deliver","tenant":"a","id":"b","attempt":"1"}',
        '{"kind":"forget","tenant":"a"}',
    ],
)
async def test_a_message_that_cannot_be_read_fails(world: World, body: str) -> None:
    assert await handed(world, body) == ["0"]


async def test_a_message_for_a_memory_that_never_was_is_done_with(world: World) -> None:
    assert await handed(world, {"kind": "embed", "tenant": TENANT, "id": "never"}) == []


async def test_the_last_attempt_leaves_a_reason_and_a_redrive_makes_it_ready(world: World) -> None:
    memory = await pending(world)
    world.index.refuses = ("dark",)
    assert await handed(world, embed_message(memory), receives=4) == ["0"]
    assert (await row(world, memory.id)).state is State.PENDING

    assert await handed(world, embed_message(memory), receives=5) == ["0"]

    failed = await row(world, memory.id)
    assert (failed.state, failed.failure) == (State.FAILED, "The index refused it: refused")
    world.index.refuses = ()
    assert await found(world) == []
    world.clock.advance(3600)
    assert (await world.services.sweep()).pending == 0

    assert await handed(world, embed_message(memory)) == []
    ready = await row(world, memory.id)
    assert (ready.state, ready.failure, ready.ready_at) == (State.READY, None, world.clock.now())
    assert await found(world) == [memory.id]


def broken(world: World, part: str, *, down: bool) -> None:
    """Takes the index or the embedder down, or brings it back."""
    if part == "index":
        world.index.down = down
    else:
        world.embedder.down = down


@pytest.mark.parametrize("part", ["index", "embedder"])
async def test_an_outage_gives_no_memory_up_however_long_it_lasts(world: World, part: str) -> None:
    memory = await pending(world)
    broken(world, part, down=True)
    for receives in range(1, 5):
        assert await handed(world, embed_message(memory), receives=receives) == ["0"]

    for _ in range(60):
        assert await handed(world, embed_message(memory), receives=5) == []
        world.clock.advance(61)
        assert (await world.services.sweep()).pending == 1
        await world.work()
        now = await row(world, memory.id)
        assert (now.state, now.failure) == (State.PENDING, None)

    broken(world, part, down=False)
    world.clock.advance(61)
    assert (await world.services.sweep()).pending == 1
    await world.work()
    assert await found(world) == [memory.id]
    assert (await world.services.sweep()).pending == 0


async def test_an_outage_leaves_a_redriven_message_dead_and_the_reason_in_its_memory(world: World) -> None:
    memory = await pending(world)
    world.index.refuses = ("dark",)
    await handed(world, embed_message(memory), receives=5)
    world.index.refuses, world.index.down = (), True
    assert await handed(world, embed_message(memory), receives=5) == ["0"]
    failed = await row(world, memory.id)
    assert (failed.state, failed.failure) == (State.FAILED, "The index refused it: refused")


async def test_an_outage_keeps_a_deleted_memory_for_the_sweeper_to_take_out_of_the_index(world: World) -> None:
    memory = await written(world)
    world.index.down = True
    await world.services.forget(TENANT, memory.id)
    assert await handed(world, embed_message(memory), receives=4) == ["0"]
    assert await handed(world, embed_message(memory), receives=5) == []
    world.index.down = False
    assert (memory.id, 0) in await documents(world)
    world.clock.advance(61)
    await world.services.sweep()
    await world.work()
    assert await documents(world) == {}


async def test_what_no_row_remembers_is_dead_when_the_index_does_not_let_go_of_it(world: World) -> None:
    memory = await pending(world)

    async def dropped() -> None:
        await world.table.transact([Delete(keys.memory(TENANT, memory.id))])
        world.index.broken_arms = ("delete",)

    world.embedder.meanwhile = dropped
    assert await handed(world, embed_message(memory), receives=5) == ["0"]


async def test_of_two_messages_for_a_memory_only_the_one_whose_attempts_are_over_is_done_with(world: World) -> None:
    memory = await pending(world)
    world.index.down = True
    records = [
        {"messageId": id, "body": message(memory).body, "attributes": {"ApproximateReceiveCount": receives}}
        for id, receives in (("old", "5"), ("older", "6"), ("new", "1"))
    ]
    answer = await consume(world.services, {"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "new"}]}


async def test_giving_up_leaves_a_changed_and_a_deleted_memory_alone(world: World) -> None:
    changed, deleted = await written(world), await written(world)
    now = await world.services.revise(TENANT, changed.id, Change(metadata={"a": 1}))
    await world.services.forget(TENANT, deleted.id)

    await world.services.embed.give_up(changed, "too late")
    await world.services.embed.give_up(deleted, "too late")

    assert await row(world, changed.id) == now
    assert await world.services.memories.get(TENANT, deleted.id) is None


async def test_giving_up_leaves_alone_what_is_changed_at_the_same_time(world: World) -> None:
    memory = await pending(world)

    async def changed() -> None:
        await world.services.revise(TENANT, memory.id, Change(metadata={"a": 1}))

    world.table.meanwhile = changed
    assert await world.services.embed.give_up(memory, "too late") == memory
    assert (await row(world, memory.id)).ready


async def test_giving_up_on_newer_facts_leaves_a_memory_found_by_its_old_ones(world: World) -> None:
    memory = await written(world)
    world.index.down = True
    changed = await world.services.revise(TENANT, memory.id, Change(metadata={"a": 1}))
    assert await world.services.embed.give_up(changed, "too late") == changed
    assert changed.ready
    assert changed.marked_at is not None


async def test_a_requests_own_url_is_told_once_and_not_of_later_changes(world: World) -> None:
    memory = await written(world, notify=Notify("https://example.com/own", "secret"))
    await world.work()
    await world.services.revise(TENANT, memory.id, Change(content="Something else"))
    await world.work()
    assert [posted.url for posted in world.sender.posted] == ["https://example.com/own"]
    assert (await row(world, memory.id)).notify is None


async def test_a_document_that_the_index_refuses_keeps_only_its_own_memory_waiting(world: World) -> None:
    world.index.refuses = ("poison",)
    bad, good = await pending(world, "poison"), await pending(world, "good")
    assert await handed(world, embed_message(bad), embed_message(good)) == ["0"]
    (outcome,) = await world.services.embed([bad])
    assert isinstance(outcome, Unavailable)
    assert outcome.message == "The index refused it: refused"
    assert (await row(world, good.id)).ready


async def test_a_surplus_that_the_index_keeps_holds_up_only_its_own_memory(world: World) -> None:
    long = await written(world, sentences(20))
    world.index.down = True
    await world.services.revise(TENANT, long.id, Change(content="Short now"))
    fresh = await pending(world, "fresh")
    world.index.down, world.index.broken_arms = False, ("delete",)

    assert await handed(world, embed_message(long), embed_message(fresh)) == ["0"]

    assert (await row(world, fresh.id)).ready
    assert not (await row(world, long.id)).ready


async def test_a_table_that_fails_at_the_end_is_an_attempt_that_failed(world: World) -> None:
    memory = await pending(world)

    async def down() -> None:
        world.table.down = True

    world.embedder.meanwhile = down
    (outcome,) = await world.services.embed([memory])
    world.table.down = False

    assert isinstance(outcome, Unavailable)
    assert (await row(world, memory.id)).state is State.PENDING
    assert await handed(world, embed_message(memory)) == []
    assert await found(world) == [memory.id]


class FussyEmbedder(FakeEmbedder):
    """Cannot be asked for texts with BUSY in them, nor for any that come with them. Keeps how many texts it was asked for
    each time, and how many memories were ready by then."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.asked: list[int] = []
        self.ready: list[int] = []

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        self.asked.append(len(texts))
        listed = await self.world.services.browse.page(TENANT, EVERYTHING, limit=100)
        self.ready.append(sum(memory.ready for memory in listed.items))
        if any("BUSY" in text for text in texts):
            raise Unavailable("Too many requests")
        return await super().embed(texts)


def fussy(world: World) -> FussyEmbedder:
    world.embedder = embedder = FussyEmbedder(world)
    world.configure()
    return embedder


async def all_pending(world: World, *contents: str) -> list[Memory]:
    return [await pending(world, content) for content in contents]


async def states(world: World, memories: Sequence[Memory]) -> list[bool]:
    return [(await row(world, memory.id)).ready for memory in memories]


LONG = sentences(100)
"""More than a quarter of a portion and less than a third: three make one."""


async def test_a_batch_of_short_memories_is_one_portion(world: World) -> None:
    embedder = fussy(world)
    memories = await all_pending(world, *(f"fact number {number}" for number in range(64)))
    assert await handed(world, *map(embed_message, memories)) == []
    assert embedder.asked == [64]
    assert all(await states(world, memories))


async def test_much_is_made_searchable_in_portions_each_finished_before_the_next(world: World) -> None:
    embedder = fussy(world)
    memories = await all_pending(world, *[LONG] * 7)
    outcomes = await world.services.embed(memories)
    one = (await row(world, memories[0].id)).passages
    assert PORTION / 4 < one <= PORTION / 3
    assert embedder.asked == [3 * one, 3 * one, one]
    assert embedder.ready == [0, 3, 6]
    assert outcomes == [await row(world, memory.id) for memory in memories]
    assert all(await states(world, memories))
    assert len(await documents(world)) == 7 * one


async def test_a_memory_of_more_than_a_portion_is_not_split(world: World) -> None:
    embedder = fussy(world)
    memories = await all_pending(world, "short", sentences(500), "short too")
    await world.services.embed(memories)
    assert embedder.asked == [1, (await row(world, memories[1].id)).passages, 1]
    assert embedder.asked[1] > PORTION


@pytest.mark.parametrize("place", [0, 31, 32, 63])
async def test_a_text_that_the_embedder_cannot_be_asked_for_holds_up_only_its_own_memory(
    world: World, place: int
) -> None:
    fussy(world)
    contents = [f"fact number {number}" for number in range(64)]
    contents[place] = "BUSY"
    memories = await all_pending(world, *contents)
    assert await handed(world, *map(embed_message, memories)) == [str(place)]
    assert await states(world, memories) == [number != place for number in range(64)]


async def test_a_long_memory_that_cannot_be_embedded_leaves_the_portions_around_it_alone(world: World) -> None:
    fussy(world)
    memories = await all_pending(world, LONG, sentences(300), sentences(300) + " BUSY", sentences(300), LONG)
    outcomes = await world.services.embed(memories)
    assert await states(world, memories) == [True, True, False, True, True]
    assert isinstance(outcomes[2], Unavailable)
    assert outcomes[2].message == "Too many requests"


async def test_an_embedder_that_is_down_is_asked_a_few_times_however_much_there_is_to_do(world: World) -> None:
    embedder = fussy(world)
    embedder.down = True
    memories = await all_pending(world, *[LONG] * 20)
    outcomes = await world.services.embed(memories)
    assert len(embedder.asked) == DOWN
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert not any(await states(world, memories))


async def test_an_index_that_is_down_costs_no_second_embedding(world: World) -> None:
    embedder = fussy(world)
    memories = await all_pending(world, *(f"fact number {number}" for number in range(64)))
    world.index.down = True
    assert len(await handed(world, *map(embed_message, memories))) == 64
    assert embedder.asked == [64]


async def test_what_the_index_refuses_is_no_reason_to_stop(world: World) -> None:
    fussy(world)
    world.index.refuses = ("poison",)
    memories = await all_pending(world, *[sentences(300, "poison")] * DOWN, sentences(300, "good"))
    await world.services.embed(memories)
    assert await states(world, memories) == [*[False] * DOWN, True]


async def test_a_refused_text_is_found_by_halves(world: World) -> None:
    contents = [f"fact number {number}" for number in range(63)]
    memories = await all_pending(world, *contents, "REFUSED")
    assert await handed(world, *map(embed_message, memories)) == []
    assert world.embedder.batches == [32, 16, 8, 4, 2, 1]
    assert (await row(world, memories[-1].id)).state is State.FAILED
    assert all(await states(world, memories[:-1]))


async def test_the_worker_begins_no_portion_that_it_may_not_finish_and_the_rest_comes_again(world: World) -> None:
    embedder = fussy(world)
    memories = await all_pending(world, *[LONG] * 7)

    async def slow() -> None:
        world.clock.advance(BEGINS.total_seconds())

    left = memories
    for expected in (4, 1, 0):
        embedder.meanwhile = slow
        failed = await handed(world, *map(embed_message, left))
        left = [left[int(number)] for number in failed]
        assert len(left) == expected
        assert await states(world, memories) == [memory not in left for memory in memories]


async def test_what_no_turn_came_for_is_not_given_up_after_the_last_attempt(world: World) -> None:
    embedder = fussy(world)
    memories = await all_pending(world, *[LONG] * 4)

    async def slow() -> None:
        world.clock.advance(61)

    embedder.meanwhile = slow
    assert await handed(world, *map(embed_message, memories), receives=5) == []
    assert (await row(world, memories[3].id)).state is State.PENDING
    assert (await world.services.sweep()).pending == 1
    await world.work()
    assert all(await states(world, memories))


async def test_a_table_that_does_not_give_the_stored_vectors_fails_only_the_attempt(world: World) -> None:
    memory = await written(world)
    world.table.down = True
    (outcome,) = await world.services.embed([memory])
    world.table.down = False
    assert isinstance(outcome, Unavailable)
    assert await world.services.embed([memory]) == [memory]


async def test_a_table_that_fails_after_a_deletion_fails_only_the_attempt(world: World) -> None:
    memory = await pending(world)

    async def dropped() -> None:
        await world.table.transact([Delete(keys.memory(TENANT, memory.id))])

    async def down() -> None:
        world.table.down = True

    world.embedder.meanwhile, world.table.refused = dropped, down
    (outcome,) = await world.services.embed([memory])
    world.table.down = False
    assert isinstance(outcome, Unavailable)
    assert await handed(world, embed_message(memory)) == []
