import pytest

from commonplace.core.rebuild import Progress
from commonplace.model.document import Removal
from commonplace.model.errors import Unavailable
from commonplace.model.memory import Memory
from commonplace.wiring import Services
from steps import documents, found, row, sentences, written
from world import TENANT, World

pytestmark = pytest.mark.anyio

OTHER = "another-tenant"


async def lost(world: World, *memories: Memory) -> None:
    """The index forgets these memories, as if it had never had them."""
    space = world.embedder.space
    for memory in memories:
        removals = [Removal(memory.tenant, memory.id, n, memory.revision) for n in range(memory.passages)]
        await world.index.inner.delete(space, removals)
    assert not any([await documents(world, memory.tenant) for memory in memories])


async def rebuilt(services: Services, position: str | None = None) -> Progress:
    last = Progress(0, 0, None)
    async for progress in services.rebuild(position):
        last = progress
    return last


async def test_everything_that_was_ready_is_found_again_without_embedding_it_again(world: World) -> None:
    short = await written(world, "The kettle is red")
    long = await written(world, sentences(12))
    elsewhere = await written(world, "The lantern is green", tenant=OTHER)
    await lost(world, short, long, elsewhere)
    embedded = world.embedder.texts
    assert await rebuilt(world.services) == Progress(3, 0, None)
    assert world.embedder.texts == embedded
    assert set(await documents(world)) == {(short.id, 0), *((long.id, n) for n in range(long.passages))}
    assert (await found(world, "kettle"))[0] == short.id
    assert await found(world, "lantern", tenant=OTHER) == [elsewhere.id]


async def test_what_is_in_the_index_already_stays_as_it_is(world: World) -> None:
    memory = await written(world)
    before = await documents(world)
    assert (await rebuilt(world.services)).indexed == 1
    assert await documents(world) == before
    assert await row(world, memory.id) == memory


async def test_a_memory_of_another_model_is_embedded_anew(world: World) -> None:
    memory = await written(world, "The kettle is red")
    old, world.embedder.model = world.embedder.space, "another-model"
    assert world.embedder.space != old
    assert (await rebuilt(world.services)).indexed == 1
    assert (await row(world, memory.id)).model == world.embedder.space.name
    assert await found(world, "kettle") == [memory.id]


async def test_what_is_pending_is_made_ready_lest_another_has_just_written_it_into_the_old_index(world: World) -> None:
    world.index.down = True
    pending = await written(world)
    world.index.down = False
    assert not pending.ready
    assert await rebuilt(world.services) == Progress(1, 0, None)
    assert (await row(world, pending.id)).ready
    assert await documents(world) == {(pending.id, 0): pending.revision}


async def test_what_was_given_up_is_left_alone(world: World) -> None:
    refused = await written(world, "REFUSED")
    assert await rebuilt(world.services) == Progress(0, 0, None)
    assert await row(world, refused.id) == refused
    assert await documents(world) == {}


async def test_what_is_deleted_while_it_is_put_back_does_not_stay_in_the_index(world: World) -> None:
    memory = await written(world)
    await lost(world, memory)

    async def deleted() -> None:
        await world.services.forget(TENANT, memory.id)

    world.index.meanwhile = deleted
    await rebuilt(world.services)
    assert await documents(world) == {}


async def test_what_the_index_refuses_is_counted(world: World) -> None:
    await written(world, "The kettle is red")
    await written(world, "The lantern is green")
    world.index.refuses = ("kettle",)
    assert await rebuilt(world.services) == Progress(1, 1, None)


async def test_a_run_that_is_broken_off_goes_on_where_it_was(world: World) -> None:
    memories = [await written(world, f"Memory number {n}") for n in range(300)]
    await lost(world, *memories)
    services = world.services
    run = services.rebuild()
    first = await anext(run)
    assert 0 < first.indexed < len(memories)
    world.table.down = True
    with pytest.raises(Unavailable):
        await anext(run)
    world.table.down = False
    rest = await rebuilt(services, first.position)
    assert first.indexed + rest.indexed == len(memories)
    assert len(await documents(world)) == len(memories)
