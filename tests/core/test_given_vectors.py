"""Memories that come with a vector: they stand in two spaces, and each can fail by itself."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commonplace.core.embed import Refused
from commonplace.core.nearest import Near
from commonplace.core.rebuild import Progress
from commonplace.core.remember import Remembered
from commonplace.model.document import Document, Probe, Removal
from commonplace.model.errors import Invalid, NotFound, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.memory import Change, Draft, Memory, Standing, State, Tombstone
from commonplace.model.scope import Scope
from commonplace.model.space import Space
from commonplace.ports.index import Index, Outcome
from commonplace.ports.meter import DEGRADED_ANSWERS, degraded_answer
from commonplace.ports.table import Delete
from commonplace.rows import keys
from commonplace.wiring import Services
from steps import EVERYTHING, documents, draft, embed_message, found, handed, row, sentences, written
from world import OTHER_TENANT, TENANT, SwitchedIndex, World

pytestmark = pytest.mark.anyio

CONTENT = "Acme prefers Slack for incidents"
EAST, NORTH, WEST = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)
MINE = Filter(store="default", organization="org")
OTHER_CONTENT = "Acme prefers the telephone now"


class PickyIndex(SwitchedIndex):
    """An index whose spaces fail one by one, and that keeps what it was asked to write."""

    def __init__(self, inner: Index) -> None:
        super().__init__(inner)
        self.closed: set[Space] = set()
        self.refused: set[Space] = set()
        self.upserts: list[tuple[Space, int]] = []
        self.renewed: list[Space] = []
        self.retired: list[Space] = []

    async def upsert(self, space: Space, documents: Sequence[Document]) -> list[Outcome]:
        self.upserts.append((space, len(documents)))
        if space in self.closed:
            raise Unavailable("The index cannot be used now")
        if space in self.refused:
            return [Invalid("refused") for _ in documents]
        return await super().upsert(space, documents)

    async def delete(self, space: Space, removals: Sequence[Removal]) -> list[Outcome]:
        if space in self.closed:
            return [Unavailable("not now") for _ in removals]
        return await super().delete(space, removals)

    async def renew(self, space: Space) -> None:
        self.renewed.append(space)
        await super().renew(space)

    async def retire(self, space: Space) -> None:
        self.retired.append(space)
        await super().retire(space)


def picky(world: World) -> PickyIndex:
    """Puts such an index into the world."""
    index = PickyIndex(world.index.inner)
    engines = replace(world.services.engines, index=index)
    world.services = Services(world.services.settings, engines, world.clock, world.ids)
    return index


def unembedded(world: World) -> None:
    """The world no longer embeds what comes with a vector."""
    settings = replace(world.services.settings, embed_given=False)
    world.services = Services(settings, world.services.engines, world.clock, world.ids)


def order(content: str = CONTENT, vector: Sequence[float] | None = EAST, **fields: Any) -> Draft:
    """A memory as the edge API asks for it."""
    scope = Scope(organization="org", user="customer", project="support")
    plain = Draft(
        content=content,
        agent="support-agent",
        origin="edge",
        scope=scope,
        level="user",
        label="customer",
        vector=None if vector is None else tuple(vector),
    )
    return replace(plain, **fields)


async def later(world: World, draft: Draft | None = None, tenant: str = TENANT) -> Memory:
    """A memory that the worker has not seen; its message is still in the queue."""
    return (await world.services.remember.later(tenant, draft or order())).memory


async def ready(world: World, draft: Draft | None = None, tenant: str = TENANT) -> Memory:
    """A memory that the worker made searchable."""
    memory = await later(world, draft, tenant)
    await world.work()
    now = await row(world, memory.id, tenant)
    assert now.ready
    return now


async def near(
    world: World, vector: Sequence[float] = EAST, *, tenant: str = TENANT, filter: Filter = MINE, limit: int = 10
) -> list[Near]:
    return await world.services.nearest(tenant, tuple(vector), filter, limit)


async def near_ids(world: World, vector: Sequence[float] = EAST, **options: Any) -> list[str]:
    return [each.memory.id for each in await near(world, vector, **options)]


async def held(world: World, length: int = 3, tenant: str = TENANT) -> dict[str, int]:
    """What the index holds of a tenant's vectors of a length: memory to version."""
    probe = Probe(tenant=tenant, vector=(1.0, *[0.0] * (length - 1)), text=None, k=1000)
    arm = (await world.index.inner.search(Space.given(length), probe, EVERYTHING)).vectors
    assert all(each.passage == 0 for each in arm.candidates)
    assert len({each.memory for each in arm.candidates}) == len(arm.candidates)
    return {each.memory: each.version for each in arm.candidates}


async def kept(world: World, memory: Memory, length: int = 3) -> bool:
    """Whether the table holds the vector that came with a memory."""
    return await world.table.get(keys.vectors(memory.tenant, memory.id, Space.given(length).name, 0)) is not None


# Coming


async def test_what_came_with_a_vector_is_found_by_it_and_by_its_text(world: World) -> None:
    memory = await later(world)
    assert (memory.state, memory.given) == (State.PENDING, 3)
    assert await near(world) == []
    assert await found(world, CONTENT) == []
    await world.work()
    now = await row(world, memory.id)
    assert now.ready
    (hit,) = await near(world)
    assert hit.memory == now
    assert hit.cosine == pytest.approx(1.0, abs=1e-6)
    assert await found(world, CONTENT) == [memory.id]


async def test_the_nearest_come_first_with_their_raw_cosine(world: World) -> None:
    vectors = {"west": WEST, "north": NORTH, "east": EAST, "between": (0.6, 0.8, 0.0)}
    for content, vector in vectors.items():
        await ready(world, order(content, vector))
    hits = await near(world, (2.0, 0.0, 0.0))
    assert [each.memory.content for each in hits] == ["east", "between", "north", "west"]
    assert [each.cosine for each in hits] == pytest.approx([1.0, 0.6, 0.0, -1.0], abs=1e-6)
    assert [each.memory.content for each in await near(world, limit=2)] == ["east", "between"]


async def test_no_more_than_the_limit_is_found_and_what_is_gone_does_not_count_against_it(world: World) -> None:
    memories = [await ready(world, order(f"number {n}", (1.0, n / 10, 0.0))) for n in range(6)]
    for memory in memories[:2]:
        await world.table.transact([Delete(keys.memory(TENANT, memory.id))])
    assert await near_ids(world, limit=2) == [memory.id for memory in memories[2:4]]


@pytest.mark.parametrize("vector", [(1e308, 1e308, 0.0), (5e-324, 5e-324, 0.0), (1e300, 1e300, 1e-300)])
async def test_numbers_that_single_precision_does_not_have_are_found(world: World, vector: tuple[float, ...]) -> None:
    memory = await ready(world, order(vector=vector))
    for asked in (vector, (1.0, 1.0, 0.0)):
        (hit,) = await near(world, asked)
        assert hit.memory.id == memory.id
        assert hit.cosine == pytest.approx(1.0, abs=1e-6)


async def test_each_length_is_found_by_its_own_alone(world: World) -> None:
    lengths = [1, 2, 3, world.embedder.space.dimension, 1536, 4096]
    memories = {n: await ready(world, order(f"of {n} numbers", [1.0] * n)) for n in lengths}
    for length, memory in memories.items():
        (hit,) = await near(world, [-2.0] + [0.0] * (length - 1))
        assert (hit.memory.id, hit.memory.given) == (memory.id, length)
        assert hit.cosine == pytest.approx(-1 / math.sqrt(length), abs=1e-5)
    assert await near(world, [1.0] * 5) == []


async def test_what_came_without_a_vector_is_embedded_and_no_vector_finds_it(world: World) -> None:
    memory = await ready(world, order(vector=None))
    assert memory.given is None
    assert await near(world) == []
    assert await found(world, CONTENT) == [memory.id]
    assert await world.services.memories.given(memory) is None


async def test_a_long_text_has_one_vector_of_its_writer_and_many_of_the_service(world: World) -> None:
    memory = await ready(world, order(sentences(20)))
    assert memory.passages > 3
    assert await held(world) == {memory.id: 1}
    assert len(await documents(world)) == memory.passages
    await world.services.forget(TENANT, memory.id)
    assert (await held(world), await documents(world)) == ({}, {})


async def test_a_batch_takes_memories_with_vectors_of_many_lengths_and_without(world: World) -> None:
    drafts = [order(f"plain {n}", None) for n in range(3)]
    drafts += [order(f"of {n % 4 + 1}, number {n}", [1.0] * (n % 4 + 1)) for n in range(12)]
    batch = await world.services.remember.now(TENANT, drafts)
    memories = [each.memory for each in batch.outcomes if isinstance(each, Remembered)]
    assert len(memories) == len(drafts)
    assert all(memory.ready for memory in memories)
    for length in range(1, 5):
        expected = {memory.id for memory in memories if memory.given == length}
        assert len(expected) == 3
        assert set(await near_ids(world, [1.0] * length)) == expected


async def test_a_batch_is_written_to_the_index_a_length_at_a_time(world: World) -> None:
    index = picky(world)
    drafts = [order(f"number {n}", [1.0] * (2 + n % 2)) for n in range(10)]
    await world.services.remember.now(TENANT, drafts)
    assert sorted(index.upserts, key=str) == sorted(
        [(Space.given(2), 5), (Space.given(3), 5), (world.embedder.space, 10)], key=str
    )


async def test_a_length_too_many_keeps_only_its_own_memories_out(world: World) -> None:
    most = world.services.settings.organization_lengths
    drafts = [order(f"of {n} numbers", [1.0] * n) for n in range(1, most + 3)]
    batch = await world.services.remember.now(TENANT, [*drafts, order("plain", None)])
    refused = [isinstance(outcome, Invalid) for outcome in batch.outcomes]
    assert refused == [False] * most + [True, True] + [False]
    with pytest.raises(Invalid, match=r"^too many embedding dimensions for this organization$"):
        await later(world, drafts[-1])
    assert await near(world, [1.0] * (most + 1)) == []
    assert (await later(world, replace(drafts[-1], scope=Scope(organization="another")))).given == most + 2


async def test_what_the_queue_does_not_take_is_found_at_once(world: World) -> None:
    world.embedding_queue.down = True
    memory = await later(world)
    assert memory.ready
    assert await near_ids(world) == await found(world, CONTENT) == [memory.id]


async def test_a_repeated_message_makes_no_second_match(world: World) -> None:
    memory = await ready(world)
    before = await row(world, memory.id)
    assert await handed(world, embed_message(memory), embed_message(memory)) == []
    assert await world.services.embed([before]) == [before]
    assert await near_ids(world) == [memory.id]
    assert await held(world) == {memory.id: 1}
    assert await row(world, memory.id) == before


async def test_two_workers_at_once_make_one_match(world: World) -> None:
    memory = await later(world)
    await asyncio.gather(world.services.embed([memory]), world.services.embed([memory]))
    assert (await row(world, memory.id)).ready
    assert await near_ids(world) == [memory.id]


# Failing


async def test_with_the_embedder_down_it_is_found_by_its_vector_and_is_finished_later(world: World) -> None:
    world.embedder.down = True
    memory = await later(world)
    assert await handed(world, embed_message(memory)) == ["0"]
    assert (await row(world, memory.id)).state is State.PENDING
    assert await near_ids(world) == [memory.id]
    world.embedder.down = False
    assert await handed(world, embed_message(memory)) == []
    assert (await row(world, memory.id)).ready
    assert await found(world, CONTENT) == await near_ids(world) == [memory.id]


async def test_with_the_index_down_it_stays_pending_and_a_retry_completes_it(world: World) -> None:
    world.index.down = True
    memory = await later(world)
    assert await handed(world, embed_message(memory)) == ["0"]
    assert (await row(world, memory.id)).state is State.PENDING
    world.index.down = False
    assert await near(world) == []
    assert await handed(world, embed_message(memory)) == []
    assert (await row(world, memory.id)).ready
    assert await near_ids(world) == [memory.id]


@pytest.mark.parametrize("space", [Space.given(3), Space("fake", 64)], ids=["the writer's", "the service's"])
async def test_it_is_ready_only_when_both_spaces_have_it(world: World, space: Space) -> None:
    index = picky(world)
    index.closed = {space}
    memory, other = await later(world), await later(world, order("of another length", [1.0, 1.0]))
    failed = await handed(world, embed_message(memory), embed_message(other))
    assert failed == (["0"] if space.is_given else ["0", "1"])
    assert not (await row(world, memory.id)).ready
    assert (await row(world, other.id)).ready is space.is_given
    assert await near_ids(world) == ([] if space.is_given else [memory.id])
    index.closed = set()
    assert await handed(world, embed_message(memory)) == []
    assert (await row(world, memory.id)).ready
    assert await near_ids(world) == [memory.id]


async def test_a_vector_that_the_index_refuses_is_tried_again_and_given_up_at_last(world: World) -> None:
    index = picky(world)
    index.refused = {Space.given(3)}
    memory, other = await later(world), await later(world, order("without", None))
    (outcome,) = await world.services.embed([memory])
    assert isinstance(outcome, Refused)
    assert outcome.message == "The index refused it: refused"
    assert await handed(world, embed_message(memory), embed_message(other), receives=4) == ["0"]
    assert (await row(world, memory.id)).state is State.PENDING
    assert await handed(world, embed_message(memory), receives=5) == ["0"]
    failed = await row(world, memory.id)
    assert (failed.state, failed.failure) == (State.FAILED, "The index refused it: refused")
    assert (await row(world, other.id)).ready

    index.refused = set()
    assert await handed(world, embed_message(memory)) == []
    assert (await row(world, memory.id)).ready
    assert await near_ids(world) == [memory.id]


async def test_a_text_that_the_embedder_refuses_leaves_it_found_by_its_vector(world: World) -> None:
    memory = await later(world, order("REFUSED"))
    assert await handed(world, embed_message(memory)) == []
    assert (await row(world, memory.id)).state is State.FAILED
    assert await near_ids(world) == [memory.id]


async def test_a_refused_text_gives_nothing_up_before_the_vector_is_in_the_index(world: World) -> None:
    index = picky(world)
    index.closed = {Space.given(3)}
    memory = await later(world, order("REFUSED"))
    assert await handed(world, embed_message(memory)) == ["0"]
    assert (await row(world, memory.id)).state is State.PENDING
    index.closed = set()
    assert await handed(world, embed_message(memory)) == []
    assert (await row(world, memory.id)).state is State.FAILED
    assert await near_ids(world) == [memory.id]


@pytest.mark.parametrize("how", ["down", "broken arm"])
async def test_a_search_that_cannot_be_made_is_an_error_and_counted_and_never_empty(world: World, how: str) -> None:
    await ready(world)
    world.index.down = how == "down"
    world.index.broken_arms = ("vectors",)
    with pytest.raises(Unavailable, match=r"^The vectors cannot be searched now$"):
        await near(world)
    assert world.meter.of(DEGRADED_ANSWERS) == [degraded_answer("vectors")]


# Changing


async def test_a_new_content_takes_the_vector_from_the_row_and_from_the_index(world: World) -> None:
    memory = await ready(world)
    assert await kept(world, memory)
    changed = await world.services.revise(TENANT, memory.id, Change(content=OTHER_CONTENT))
    assert (changed.ready, changed.given) == (True, None)
    assert not await kept(world, memory)
    assert await held(world) == {}
    assert await near(world) == []
    assert await found(world, OTHER_CONTENT) == [memory.id]
    assert await row(world, memory.id) == changed


async def test_a_new_content_is_not_found_by_the_old_vector_while_the_index_is_down(world: World) -> None:
    memory = await ready(world)
    world.index.down = True
    await world.services.revise(TENANT, memory.id, Change(content=OTHER_CONTENT))
    world.index.down = False
    assert await held(world) == {memory.id: 1}
    assert await near(world) == []
    await world.work()
    assert await held(world) == {}
    assert (await row(world, memory.id)).ready


async def test_a_new_content_takes_the_vector_from_the_index_while_the_embedder_is_down(world: World) -> None:
    memory = await ready(world)
    world.embedder.down = True
    changed = await world.services.revise(TENANT, memory.id, Change(content=OTHER_CONTENT))
    assert changed.state is State.PENDING
    assert (await held(world), await kept(world, memory)) == ({}, False)


async def test_a_new_content_is_not_ready_while_the_index_holds_the_old_vector(world: World) -> None:
    index = picky(world)
    memory = await ready(world)
    index.closed = {Space.given(3)}
    changed = await world.services.revise(TENANT, memory.id, Change(content=OTHER_CONTENT))
    assert changed.state is State.PENDING
    index.closed = set()
    await world.work()
    assert (await row(world, memory.id)).ready
    assert await held(world) == {}


async def test_a_worker_that_a_new_content_overtook_does_not_bring_the_vector_back(world: World) -> None:
    memory = await later(world)

    async def rewritten() -> None:
        await world.services.revise(TENANT, memory.id, Change(content=OTHER_CONTENT))

    world.index.meanwhile = rewritten  # after its vector was read, before it is written to the index
    await world.services.embed([memory])
    await world.services.embed([memory])
    assert (await held(world), await near(world)) == ({}, [])
    assert await found(world, OTHER_CONTENT) == [memory.id]


async def test_a_content_that_is_changed_back_has_no_vector_again(world: World) -> None:
    memory = await ready(world)
    for content in (OTHER_CONTENT, CONTENT):
        await world.services.revise(TENANT, memory.id, Change(content=content))
    assert await near(world) == []
    assert await found(world, CONTENT) == [memory.id]


async def test_new_facts_leave_the_vector_and_are_what_a_filter_sees(world: World) -> None:
    memory = await ready(world, order(tags=("old",)))
    texts = list(world.embedder.texts)
    changed = await world.services.revise(
        TENANT, memory.id, Change(tags=("new",), importance=0.9, metadata={"ticket": 7}, content=CONTENT)
    )
    assert (changed.ready, changed.given, changed.revision) == (True, 3, 2)
    assert await held(world) == {memory.id: 2}
    assert await near_ids(world, filter=replace(MINE, tags=("new",))) == [memory.id]
    assert await near(world, filter=replace(MINE, tags=("old",))) == []
    assert (await near(world))[0].memory.importance == 0.9
    assert world.embedder.texts == texts


# Going


async def test_what_is_deleted_leaves_the_table_and_both_spaces(world: World) -> None:
    memory = await ready(world)
    await world.services.forget(TENANT, memory.id)
    assert await world.services.memories.get(TENANT, memory.id) is None
    assert not await kept(world, memory)
    assert (await held(world), await documents(world)) == ({}, {})
    assert await near(world) == []

    (late,) = await world.services.embed([memory])
    assert isinstance(late, NotFound)
    assert await handed(world, embed_message(memory)) == []
    assert (await held(world), await documents(world), await near(world)) == ({}, {}, [])
    assert not await kept(world, memory)


async def test_what_is_deleted_while_it_is_made_searchable_stays_deleted(world: World) -> None:
    memory = await later(world)

    async def deleted() -> None:
        await world.services.forget(TENANT, memory.id)

    world.embedder.meanwhile = deleted  # its vector is in the index by then
    (outcome,) = await world.services.embed([memory])
    assert isinstance(outcome, NotFound)
    assert (await held(world), await documents(world), await near(world)) == ({}, {}, [])


async def test_what_a_late_message_brought_goes_even_without_a_tombstone(world: World) -> None:
    memory = await later(world)

    async def dropped() -> None:
        await world.table.transact([Delete(keys.memory(TENANT, memory.id))])

    world.embedder.meanwhile = dropped
    assert await handed(world, embed_message(memory)) == []
    assert (await held(world), await documents(world)) == ({}, {})


async def test_an_index_that_is_down_lets_go_of_the_vector_later(world: World) -> None:
    memory = await ready(world)
    world.index.down = True
    await world.services.forget(TENANT, memory.id)
    world.index.down = False
    assert await near(world) == []
    tombstone = await world.services.memories.last_seen(TENANT, memory.id)
    assert isinstance(tombstone, Tombstone)
    assert set(tombstone.spaces) == {world.embedder.space.name, "given-3"}
    world.clock.advance(61)
    await world.services.sweep()
    await world.work()
    assert (await held(world), await documents(world)) == ({}, {})


async def test_a_vector_that_a_new_content_left_in_the_index_goes_with_the_memory(world: World) -> None:
    index = picky(world)
    memory = await ready(world)
    index.closed = {Space.given(3)}
    await world.services.revise(TENANT, memory.id, Change(content=OTHER_CONTENT))
    index.closed = set()
    await world.services.forget(TENANT, memory.id)
    assert await held(world) == {}


@pytest.mark.parametrize("how", ["gone", "expired", "archived"])
async def test_a_hit_whose_row_does_not_say_so_is_dropped(world: World, how: str) -> None:
    memory, other = await ready(world), await ready(world, order("another", (0.9, 0.1, 0.0)))
    picky(world).down = True  # the index hears nothing of what follows
    if how == "gone":
        await world.table.transact([Delete(keys.memory(TENANT, memory.id))])
    elif how == "archived":
        await world.services.revise(TENANT, memory.id, Change(standing=Standing.ARCHIVED))
    else:
        over = replace(memory, expires_at=world.clock.now() + timedelta(seconds=5), revision=2)
        await world.services.memories.replace(memory, over)
        world.clock.advance(5)
    picky(world)
    assert memory.id in await held(world)
    assert await near_ids(world) == [other.id]


async def test_what_expires_takes_its_vector_with_it(world: World) -> None:
    memory = await ready(world)
    over = replace(memory, expires_at=world.clock.now() + timedelta(seconds=5), revision=2)
    await world.services.memories.replace(memory, over)
    world.clock.advance(6)
    assert (await world.services.sweep()).expired == 1
    assert (await held(world), await kept(world, memory)) == ({}, False)


async def test_a_sweep_finishes_what_a_crash_left(world: World) -> None:
    memory = await later(world)
    batch = await world.embedding_queue.inner.receive(10, 360)
    await world.embedding_queue.inner.delete([message.receipt for message in batch])
    world.clock.advance(61)
    assert (await world.services.sweep()).pending == 1
    await world.work()
    assert (await row(world, memory.id)).ready
    assert await near_ids(world) == await found(world, CONTENT) == [memory.id]


# Keeping apart


async def test_tenants_and_organizations_with_the_same_numbers_never_meet(world: World) -> None:
    mine = await ready(world)
    other = await ready(world, order(scope=Scope(organization="other", project="support")))
    elsewhere = await ready(world, tenant=OTHER_TENANT)
    assert await near_ids(world) == [mine.id]
    assert await near_ids(world, filter=replace(MINE, organization="other")) == [other.id]
    assert await near_ids(world, tenant=OTHER_TENANT) == [elsewhere.id]
    assert await near(world, filter=replace(MINE, organization="nobody's")) == []
    assert await near(world, tenant="nobody") == []


async def test_a_namespace_narrows_before_the_cut(world: World) -> None:
    for n in range(30):
        await ready(world, order(f"nearer {n}", (1.0, n / 1000, 0.0)))
    mine = await ready(world, order(vector=WEST, scope=Scope(organization="org", project="billing")))
    assert await near_ids(world, filter=replace(MINE, project="billing"), limit=1) == [mine.id]


# Without an embedding of the text


async def test_a_service_that_does_not_embed_them_finds_them_by_their_vector_alone(world: World) -> None:
    unembedded(world)
    memory, plain = await ready(world), await ready(world, order(OTHER_CONTENT, None))
    assert (memory.passages, plain.passages) == (0, 1)
    assert [text for text in world.embedder.texts if CONTENT in text] == []
    assert await near_ids(world) == [memory.id]
    assert await found(world, CONTENT) == [plain.id]
    assert set(await documents(world)) == {(plain.id, 0)}
    assert await handed(world, embed_message(memory)) == []
    assert await world.services.embed([memory]) == [memory]
    await world.services.forget(TENANT, memory.id)
    assert await held(world) == {}


async def test_a_service_that_does_not_embed_them_embeds_a_new_content(world: World) -> None:
    unembedded(world)
    memory = await ready(world)
    await world.services.revise(TENANT, memory.id, Change(content=OTHER_CONTENT))
    assert await found(world, OTHER_CONTENT) == [memory.id]
    assert await near(world) == []


async def test_a_service_that_no_longer_embeds_them_forgets_their_passages_when_they_change(world: World) -> None:
    memory = await ready(world)
    unembedded(world)
    changed = await world.services.revise(TENANT, memory.id, Change(tags=("new",)))
    assert (changed.ready, changed.passages) == (True, 0)
    assert await documents(world) == {}
    space = world.embedder.space.name
    assert await world.table.get(keys.vectors(TENANT, memory.id, space, 0)) is None
    assert await near_ids(world) == [memory.id]


# Building the index anew


async def lost(world: World, *memories: Memory) -> None:
    """The index forgets these memories, as if it had never had them."""
    for memory in memories:
        removals = [Removal(memory.tenant, memory.id, n, memory.revision) for n in range(max(1, memory.passages))]
        await world.index.inner.delete(world.embedder.space, removals)
        if memory.given is not None:
            await world.index.inner.delete(Space.given(memory.given), removals[:1])


async def rebuilt(world: World) -> Progress:
    last = Progress(0, 0, None)
    async for progress in world.services.rebuild():
        last = progress
    return last


async def test_a_rebuild_puts_vectors_of_all_lengths_back_into_fresh_collections(world: World) -> None:
    index = picky(world)
    three, two = await ready(world), await ready(world, order("of two", [1.0, 1.0]))
    plain, elsewhere = await written(world), await ready(world, tenant=OTHER_TENANT)
    await lost(world, three, two, plain, elsewhere)
    assert (await held(world), await held(world, 2), await documents(world)) == ({}, {}, {})
    texts = list(world.embedder.texts)

    assert await rebuilt(world) == Progress(4, 0, None)

    spaces = {Space.given(2), Space.given(3), world.embedder.space}
    assert set(index.renewed) == set(index.retired) == spaces
    assert len(index.renewed) == len(index.retired) == 3
    assert await near_ids(world) == [three.id]
    assert await near_ids(world, (1.0, 1.0)) == [two.id]
    assert await near_ids(world, tenant=OTHER_TENANT) == [elsewhere.id]
    assert len(await documents(world)) == 3
    assert world.embedder.texts == texts


async def test_a_rebuild_keeps_the_old_collections_while_a_vector_is_missing_in_the_new_one(world: World) -> None:
    index = picky(world)
    memory = await ready(world)
    index.closed = {Space.given(3)}
    assert await rebuilt(world) == Progress(0, 1, None)
    assert index.retired == []
    assert memory.id in await held(world)


async def test_a_rebuild_puts_the_vector_back_of_what_was_given_up_for_its_text(world: World) -> None:
    memory = await later(world, order("REFUSED"))
    await handed(world, embed_message(memory))
    await lost(world, await row(world, memory.id))
    assert await near(world) == []
    assert await rebuilt(world) == Progress(1, 0, None)
    assert await near_ids(world) == [memory.id]
    assert (await row(world, memory.id)).state is State.FAILED


async def test_a_vector_that_the_index_refused_before_does_not_hold_up_a_rebuild(world: World) -> None:
    index = picky(world)
    index.refused = {Space.given(2)}
    memory = await later(world, order(vector=(1.0, 1.0)))
    assert await handed(world, embed_message(memory), receives=5) == ["0"]
    assert await rebuilt(world) == Progress(1, 0, None)
    assert world.embedder.space in index.retired


async def test_a_rebuild_does_not_bring_back_the_vector_of_an_older_content(world: World) -> None:
    memory = await ready(world)
    await world.services.revise(TENANT, memory.id, Change(content=OTHER_CONTENT))
    assert await rebuilt(world) == Progress(1, 0, None)
    assert await held(world) == {}


# What the core adds


async def test_a_draft_brings_its_own_id_and_the_name_of_its_agent(world: World) -> None:
    memory = await ready(world, order(id="7f9d0d2e-6ad1-4a3b-b608-28cbb76b3f87", agent="any name: #%"))
    assert (memory.id, memory.agent_name, memory.label) == (
        "7f9d0d2e-6ad1-4a3b-b608-28cbb76b3f87",
        "any name: #%",
        "customer",
    )
    assert (await world.services.browse.get(TENANT, memory.id)).agent_name == "any name: #%"


async def test_what_other_apis_write_belongs_to_the_organization_of_the_tenant(world: World) -> None:
    memory = await written(world)
    assert memory.scope.organization == TENANT
    assert memory.agent_name == "my-assistant"
    filter = Filter(store="default", organization=TENANT)
    page = await world.services.browse.page(TENANT, filter, limit=10)
    assert [each.id for each in page.items] == [memory.id]


async def test_the_lengths_of_writers_without_a_word_for_it_count_for_the_organization_of_the_tenant(
    world: World,
) -> None:
    most = world.services.settings.organization_lengths
    for n in range(1, most + 1):
        organization = TENANT if n % 2 else None
        await later(world, draft(f"of {n}", vector=(1.0,) * n, scope=Scope(organization=organization)))
    with pytest.raises(Invalid, match="for this organization"):
        await later(world, draft("one more", vector=(1.0,) * (most + 1), scope=Scope(organization=TENANT)))
