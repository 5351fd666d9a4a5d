import asyncio

import pytest

from commonplace.core.subscribe import WebhookChange, WebhookOrder
from commonplace.model.errors import Conflict, Invalid, NotFound, Problem
from commonplace.model.webhook import EventType, Webhook
from commonplace.rows.webhooks import MOST
from fakes import START
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

URL = "https://example.com/hook"


async def added(world: World, url: str = URL) -> Webhook:
    return await world.services.subscribe.add(TENANT, WebhookOrder(url=url, secret="s"))


async def test_an_endpoint_is_what_was_ordered(world: World) -> None:
    order = WebhookOrder(url=URL, secret="s", event_types=(EventType.MEMORY_CREATED,), description="d")
    webhook = await world.services.subscribe.add(TENANT, order)
    assert webhook == await world.services.subscribe.get(TENANT, webhook.id)
    assert (webhook.url, webhook.secret, webhook.event_types) == (URL, "s", (EventType.MEMORY_CREATED,))
    assert (webhook.description, webhook.enabled, webhook.created_at) == ("d", True, START)
    assert "secret" not in repr(webhook)


async def test_a_url_that_may_not_be_called_is_refused_by_its_field(world: World) -> None:
    webhook = await added(world)
    with pytest.raises(Invalid) as failure:
        await added(world, "https://refused")
    assert failure.value.problems == (Problem("url", "The URL may not be called"),)
    with pytest.raises(Invalid):
        await world.services.subscribe.change(TENANT, webhook.id, WebhookChange(url="https://refused"))
    with pytest.raises(Invalid, match="webhook_url: "):
        await world.services.subscribe.allow("webhook_url", "https://refused")
    assert await world.services.subscribe.all(TENANT) == [webhook]


async def test_endpoints_are_listed_newest_first_and_only_of_their_tenant(world: World) -> None:
    first, second = await added(world), await added(world)
    assert await world.services.subscribe.all(TENANT) == [second, first]
    assert await world.services.subscribe.all(OTHER_TENANT) == []
    with pytest.raises(NotFound):
        await world.services.subscribe.get(OTHER_TENANT, first.id)


async def test_a_tenant_has_a_bounded_number_of_endpoints(world: World) -> None:
    for _ in range(MOST):
        await added(world)
    with pytest.raises(Conflict):
        await added(world)
    assert len(await world.services.subscribe.all(TENANT)) == MOST


async def test_a_change_keeps_what_it_does_not_name(world: World) -> None:
    webhook = await added(world)
    change = world.services.subscribe.change
    changed = await change(TENANT, webhook.id, WebhookChange(description="d", event_types=(EventType.MEMORY_DELETED,)))
    assert (changed.url, changed.secret, changed.enabled) == (URL, "s", True)
    changed = await change(TENANT, webhook.id, WebhookChange(url=f"{URL}/2", secret="t", enabled=False))
    assert changed == await world.services.subscribe.get(TENANT, webhook.id)
    assert (changed.url, changed.secret, changed.enabled, changed.description) == (f"{URL}/2", "t", False, "d")
    assert changed.event_types == (EventType.MEMORY_DELETED,)


async def test_a_change_of_nothing_changes_nothing(world: World) -> None:
    webhook = await added(world)
    assert await world.services.subscribe.change(TENANT, webhook.id, WebhookChange()) == webhook


async def test_changes_at_the_same_time_all_happen(world: World) -> None:
    webhook = await added(world)
    change = world.services.subscribe.change
    await asyncio.gather(
        change(TENANT, webhook.id, WebhookChange(description="d")),
        change(TENANT, webhook.id, WebhookChange(enabled=False)),
        change(TENANT, webhook.id, WebhookChange(secret="t")),
    )
    now = await world.services.subscribe.get(TENANT, webhook.id)
    assert (now.description, now.enabled, now.secret, now.revision) == ("d", False, "t", 4)


async def test_a_removed_endpoint_is_gone(world: World) -> None:
    webhook = await added(world)
    await world.services.subscribe.remove(TENANT, webhook.id)
    with pytest.raises(NotFound):
        await world.services.subscribe.get(TENANT, webhook.id)
    with pytest.raises(NotFound):
        await world.services.subscribe.remove(TENANT, webhook.id)
    with pytest.raises(NotFound):
        await world.services.subscribe.change(TENANT, webhook.id, WebhookChange(enabled=False))


@pytest.mark.parametrize("event", EventType)
async def test_an_endpoint_without_types_wants_all_and_a_disabled_one_none(world: World, event: EventType) -> None:
    webhook = await added(world)
    one = await world.services.subscribe.change(
        TENANT, webhook.id, WebhookChange(event_types=(EventType.MEMORY_CREATED,))
    )
    off = await world.services.subscribe.change(TENANT, webhook.id, WebhookChange(enabled=False))
    assert webhook.wants(event)
    assert one.wants(event) is (event is EventType.MEMORY_CREATED)
    assert not off.wants(event)
