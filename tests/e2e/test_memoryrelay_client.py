"""The vendor's published client (PyPI memoryrelay 0.4.0), unchanged, against the running service."""

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import pytest
from memoryrelay import AsyncMemoryRelay, MemoryRelay
from memoryrelay.exceptions import MemoryRelayError, NotFoundError, ValidationError
from memoryrelay.models import (
    AgentCreate,
    AgentUpdate,
    BatchMemoryItem,
    BatchMemoryRequest,
    MemoryContextRequest,
    MemoryCreate,
    MemorySearchRequest,
    MemoryUpdate,
)

from service import Service


@pytest.fixture
def sync(running: Service) -> Iterator[MemoryRelay]:
    with MemoryRelay(running.key, running.url, trust_env=False) as client:
        yield client


@pytest.fixture
async def asynchronous(running: Service) -> AsyncIterator[AsyncMemoryRelay]:
    async with AsyncMemoryRelay(running.key, running.url, trust_env=False) as client:
        yield client


def test_the_synchronous_client_writes_finds_changes_and_deletes(sync: MemoryRelay) -> None:
    agent = sync.agents.create(AgentCreate(name="sync-agent", metadata={"team": "red"}))
    assert UUID(agent.id)
    assert sync.agents.get("sync-agent").id == agent.id
    assert agent.id in [each.id for each in sync.agents.list().data]
    assert sync.agents.update(agent.id, AgentUpdate(description="Tests")).name == "sync-agent"

    memory = sync.memories.create(
        MemoryCreate(agent_id="sync-agent", content="The user prefers dark mode", metadata={"topic": "ui"})
    )
    assert (memory.agent_id, memory.extraction_status, memory.tier) == (agent.id, "ready", "warm")
    assert sync.memories.get(memory.id).content == "The user prefers dark mode"
    assert [each.id for each in sync.memories.list(agent_id=agent.id).data] == [memory.id]

    request = MemorySearchRequest(query="which theme does the user like?", agent_id=agent.id, min_score=0.5)
    (hit,) = sync.memories.search(request).data
    assert hit.memory.id == memory.id
    assert 0.5 <= hit.score <= 1.0
    elsewhere = MemorySearchRequest(query="dark mode", agent_id=agent.id, metadata_filter={"topic": "food"})
    assert sync.memories.search(elsewhere).data == []

    again = sync.memories.create(
        MemoryCreate(agent_id="sync-agent", content="The user prefers dark mode", deduplicate=True)
    )
    assert (again.id, again.is_duplicate) == (memory.id, True)

    changed = sync.memories.update(memory.id, MemoryUpdate(content="The user drinks green tea"))
    assert (changed.id, changed.content) == (memory.id, "The user drinks green tea")
    tea = MemorySearchRequest(query="what does the user drink?", agent_id=agent.id, min_score=0.5)
    assert [hit.memory.id for hit in sync.memories.search(tea).data] == [memory.id]

    assert sync.memories.promote(memory.id, 0.9).tier == "hot"
    assert sync.memories.maintenance().demoted_count == 0

    sync.memories.delete(memory.id)
    with pytest.raises(NotFoundError):
        sync.memories.get(memory.id)
    assert sync.memories.search(tea).data == []

    sync.agents.delete(agent.id)
    with pytest.raises(NotFoundError):
        sync.agents.get(agent.id)


def test_the_synchronous_client_writes_batches_waits_and_builds_a_context(sync: MemoryRelay) -> None:
    batch = BatchMemoryRequest(
        memories=[
            BatchMemoryItem(agent_id="sync-batch", content="Deployments go out on Tuesday mornings"),
            BatchMemoryItem(agent_id="sync-batch", content="The staging database is called plum"),
        ]
    )
    written = sync.memories.batch_create(batch)
    assert (written.total, written.succeeded, written.failed) == (2, 2, 0)
    assert all(UUID(result.id or "") for result in written.results)

    accepted = sync.memories.create_async(
        MemoryCreate(agent_id="sync-batch", content="The release manager is called Beatrix")
    )
    assert accepted.status == "pending"
    assert accepted.job_id
    ready = sync.memories.wait_until_ready(accepted.id, poll_interval=0.05)
    assert ready.content == "The release manager is called Beatrix"

    context = sync.memories.context(MemoryContextRequest(query="who is the release manager?", agent_id="sync-batch"))
    assert "The release manager is called Beatrix" in context.context
    assert context.memories_used >= 1
    assert context.total_chars == len(context.context)


@pytest.mark.anyio
async def test_the_asynchronous_client_does_the_same(asynchronous: AsyncMemoryRelay) -> None:
    client = asynchronous
    agent = await client.agents.create(AgentCreate(name="async-agent"))
    assert (await client.agents.get(agent.id)).name == "async-agent"
    assert agent.id in [each.id for each in (await client.agents.list()).data]
    assert (await client.agents.update(agent.id, AgentUpdate(name="async-agent-2"))).name == "async-agent-2"

    memory = await client.memories.create(MemoryCreate(agent_id=agent.id, content="The cat is called Miso"))
    assert (await client.memories.get(memory.id)).id == memory.id
    assert [each.id for each in (await client.memories.list(agent_id=agent.id)).data] == [memory.id]
    request = MemorySearchRequest(query="what is the name of the cat?", agent_id=agent.id, min_score=0.5)
    assert [hit.memory.id for hit in (await client.memories.search(request)).data] == [memory.id]
    changed = await client.memories.update(memory.id, MemoryUpdate(metadata={"animal": "cat"}))
    assert changed.metadata == {"animal": "cat"}
    filtered = MemorySearchRequest(query="cat", agent_id=agent.id, metadata_filter={"animal": "cat"})
    assert [hit.memory.id for hit in (await client.memories.search(filtered)).data] == [memory.id]

    batch = BatchMemoryRequest(memories=[BatchMemoryItem(agent_id=agent.id, content="The dog is called Udon")])
    assert (await client.memories.batch_create(batch)).succeeded == 1
    accepted = await client.memories.create_async(MemoryCreate(agent_id=agent.id, content="The parrot is called Soba"))
    ready = await client.memories.wait_until_ready(accepted.id, poll_interval=0.05)
    assert ready.id == accepted.id
    context = await client.memories.context(MemoryContextRequest(query="what is the parrot called?", agent_id=agent.id))
    assert "The parrot is called Soba" in context.context

    await client.memories.delete(memory.id)
    with pytest.raises(NotFoundError):
        await client.memories.get(memory.id)
    await client.agents.delete(agent.id)


def test_the_client_meets_its_own_errors(sync: MemoryRelay, running: Service) -> None:
    with pytest.raises(ValidationError, match="Content cannot be empty"):
        sync.memories.create(MemoryCreate(agent_id="a", content="  "))
    with pytest.raises(NotFoundError, match="Memory not found"):
        sync.memories.get("00000000-0000-7000-8000-000000000000")
    with pytest.raises(NotFoundError):
        sync.memories.get("")
    assert sync.icm.capabilities() == {"supported": False}
    stranger = MemoryRelay("mem_local_nobody_knows_this_key", running.url, trust_env=False)
    with stranger, pytest.raises(MemoryRelayError, match="API key"):
        stranger.agents.list()


@pytest.mark.parametrize("suffix", ["/", "/relay", "/relay/"])
def test_the_client_works_with_a_slash_or_a_prefix_in_its_base_url(running: Service, suffix: str) -> None:
    with MemoryRelay(running.key, running.url + suffix, trust_env=False) as client:
        memory = client.memories.create(MemoryCreate(agent_id="prefixed", content="The sky is blue"))
        assert client.memories.get(memory.id).content == "The sky is blue"
