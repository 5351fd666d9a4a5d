import json

import pytest

from commonplace.core.notify import message
from commonplace.core.subscribe import WebhookOrder
from commonplace.model.memory import Change, Memory, Notify
from commonplace.model.webhook import DeliveryState, EventType, Webhook
from commonplace.ports.queue import MAX_DELAY
from steps import draft, row, written
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

URL = "https://example.com/hook"


async def subscribed(world: World, *event_types: EventType) -> Webhook:
    return await world.services.subscribe.add(TENANT, WebhookOrder(url=URL, secret="s", event_types=event_types))


def told(world: World) -> list[str]:
    return [posted.headers["x-memoryrelay-event"] for posted in world.sender.posted]


async def test_an_endpoint_is_told_of_the_whole_life_of_a_memory_in_its_order(world: World) -> None:
    await subscribed(world)
    memory = await written(world)
    await world.work()
    await world.services.revise(TENANT, memory.id, Change(metadata={"a": 1}))
    await world.work()
    await world.services.revise(TENANT, memory.id, Change(content="new"))
    await world.work()
    await world.services.forget(TENANT, memory.id)
    await world.work()
    assert told(world) == [
        "memory.created",
        "embedding.completed",
        "memory.updated",
        "memory.updated",
        "embedding.completed",
        "memory.deleted",
    ]


async def test_an_endpoint_is_told_only_of_what_it_asked_for(world: World) -> None:
    await subscribed(world, EventType.MEMORY_DELETED)
    memory = await written(world)
    await world.services.forget(TENANT, memory.id)
    await world.work()
    assert told(world) == ["memory.deleted"]


async def test_nobody_is_told_of_another_tenants_memories(world: World) -> None:
    await subscribed(world)
    await written(world, tenant=OTHER_TENANT)
    await world.work()
    assert world.sender.posted == []


async def test_the_url_of_a_request_is_told_once_when_its_memory_is_ready(world: World) -> None:
    webhook = await subscribed(world)
    notify = Notify("https://example.com/once", "secret of the request")
    await world.services.remember.later(TENANT, draft(notify=notify))
    await world.work()
    assert sorted((posted.url, posted.headers["x-memoryrelay-event"]) for posted in world.sender.posted) == [
        (webhook.url, "embedding.completed"),
        (webhook.url, "memory.created"),
        (notify.url, "embedding.completed"),
    ]
    assert "secret" not in repr(notify)


async def test_a_body_says_what_happened_to_which_memory(world: World) -> None:
    await subscribed(world, EventType.EMBEDDING_COMPLETED)
    memory = await written(world)
    await world.work()
    (posted,) = world.sender.posted
    body = json.loads(posted.body)
    assert body["data"] == {"memory_id": memory.id, "agent_id": memory.scope.agent, "status": "ready"}
    assert body["created_at"] == "2026-01-02T03:04:05Z"


async def test_the_same_event_has_the_same_deliveries_however_often_it_is_made(world: World) -> None:
    endpoint = await subscribed(world)
    memory = await written(world)
    notify = world.services.notify
    first, again = (
        notify.deliveries(EventType.MEMORY_UPDATED, memory, world.clock.now(), [endpoint]) for _ in range(2)
    )
    assert first == again
    assert first[0].state is DeliveryState.PENDING
    ids = {
        notify.deliveries(event, each, world.clock.now(), [endpoint])[0].id
        for event in EventType
        for each in (memory, await changed(world, memory))
    }
    assert len(ids) == 2 * len(EventType)


async def changed(world: World, memory: Memory) -> Memory:
    now = await row(world, memory.id)
    return now if now.revision > 1 else await world.services.revise(TENANT, memory.id, Change(importance=0.9))


async def test_telling_nobody_sends_nothing(world: World) -> None:
    await world.services.notify.send([])
    assert await world.delivery_queue.inner.depth() == 0


async def test_a_message_names_the_attempt_and_never_waits_longer_than_a_queue_can(world: World) -> None:
    endpoint = await subscribed(world)
    (delivery,) = world.services.notify.deliveries(
        EventType.MEMORY_CREATED, await written(world), world.clock.now(), [endpoint]
    )
    assert json.loads(message(delivery).body) == {
        "kind": "deliver",
        "tenant": TENANT,
        "id": delivery.id,
        "attempt": 0,
    }
    assert [message(delivery, delay).delay for delay in (0, 5, 10**6)] == [0, 5, MAX_DELAY]


async def test_what_the_queue_refuses_is_sent_by_the_sweeper(world: World) -> None:
    await subscribed(world, EventType.MEMORY_CREATED)
    world.delivery_queue.down = True
    await written(world)
    world.delivery_queue.down = False
    await world.work()
    assert told(world) == []

    world.clock.advance(61)
    assert (await world.services.sweep()).deliveries == 1
    await world.work()

    assert told(world) == ["memory.created"]
    assert (await world.services.sweep()).deliveries == 0
