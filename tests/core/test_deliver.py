import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from commonplace.core.deliver import FLOOR_WHEN_BUSY, SCHEDULE, next_delay
from commonplace.core.subscribe import WebhookChange, WebhookOrder
from commonplace.core.sweep import HIDDEN, PATIENCE
from commonplace.model.errors import Unavailable
from commonplace.model.memory import Notify
from commonplace.model.webhook import Answer, Delivery, DeliveryState, EventType, Webhook
from commonplace.ports.world import Refused, Unreachable
from commonplace.rows.webhooks import Deliveries
from steps import draft, handed, written
from world import TENANT, World

pytestmark = pytest.mark.anyio

URL = "https://example.com/hook"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def subscribed(world: World) -> Webhook:
    order = WebhookOrder(url=URL, secret=SECRET, event_types=(EventType.MEMORY_CREATED,))
    return await world.services.subscribe.add(TENANT, order)


async def due(world: World) -> str:
    """The id of a delivery that is to be made now."""
    await written(world)
    (received,) = await world.delivery_queue.inner.receive(10, 360)
    await world.delivery_queue.inner.delete([received.receipt])
    return str(json.loads(received.body)["id"])


async def record(world: World, id: str) -> Delivery:
    delivery = await Deliveries(world.table).get(TENANT, id)
    assert delivery is not None
    return delivery


async def test_a_delivery_is_signed_twice_and_recorded(world: World) -> None:
    await subscribed(world)
    id = await due(world)
    world.clock.advance(3)
    await world.services.deliver(TENANT, id, 0)

    (posted,) = world.sender.posted
    timestamp = str(int(world.clock.now().timestamp()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = hmac.digest(key, f"{id}.{timestamp}.".encode() + posted.body, hashlib.sha256)
    assert posted.url == URL
    assert posted.headers == {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        "x-memoryrelay-signature": f"sha256={hmac.new(SECRET.encode(), posted.body, 'sha256').hexdigest()}",
        "x-memoryrelay-event": "memory.created",
        "x-memoryrelay-delivery": id,
    }
    made = await record(world, id)
    assert (made.state, made.due_at) == (DeliveryState.DELIVERED, None)
    assert [(each.at, each.status, each.error) for each in made.attempts] == [(world.clock.now(), 200, None)]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_success_ends_it(world: World, status: int) -> None:
    await subscribed(world)
    id = await due(world)
    world.sender.answers = [Answer(status)]
    await world.services.deliver(TENANT, id, 0)
    assert (await record(world, id)).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("answer", [Answer(301), Answer(404), Answer(500), Answer(199), Unreachable("No answer came")])
async def test_anything_else_is_tried_again_with_the_same_id(world: World, answer: Answer | Exception) -> None:
    await subscribed(world)
    id = await due(world)
    world.sender.answers = [answer]
    await world.services.deliver(TENANT, id, 0)

    waiting = await record(world, id)
    assert waiting.state is DeliveryState.PENDING
    assert waiting.due_at is not None
    assert waiting.due_at > world.clock.now()
    (attempt,) = waiting.attempts
    if isinstance(answer, Answer):
        assert (attempt.status, attempt.error) == (answer.status, f"The endpoint answered {answer.status}")
    else:
        assert (attempt.status, attempt.error) == (None, "No answer came")

    await world.work()
    assert len(world.sender.posted) == 1, "too early"
    world.clock.advance(61)
    await world.work()
    assert [posted.headers["webhook-id"] for posted in world.sender.posted] == [id, id]
    assert (await record(world, id)).state is DeliveryState.DELIVERED


async def test_the_schedule_is_kept_to_its_end_and_then_it_has_failed(world: World) -> None:
    await subscribed(world)
    id = await due(world)
    world.sender.answers = [Answer(500)] * 100
    for attempt in range(len(SCHEDULE) + 1):
        before = world.clock.now()
        await world.services.deliver(TENANT, id, attempt)
        waiting = await record(world, id)
        if attempt < len(SCHEDULE):
            assert waiting.due_at == before + timedelta(seconds=SCHEDULE[attempt])
            world.clock.advance(SCHEDULE[attempt])
    failed = await record(world, id)
    assert (failed.state, failed.due_at, len(failed.attempts)) == (DeliveryState.FAILED, None, len(SCHEDULE) + 1)
    await world.services.deliver(TENANT, id, len(SCHEDULE) + 1)
    assert len(world.sender.posted) == len(SCHEDULE) + 1


async def test_the_queue_brings_the_early_attempts_and_the_sweeper_the_late_ones(world: World) -> None:
    await subscribed(world)
    id = await due(world)
    world.sender.answers = [Answer(500)] * 3
    await world.services.deliver(TENANT, id, 0)
    for wait in (5, 300):
        world.clock.advance(wait)
        await world.work()
    assert len((await record(world, id)).attempts) == 3
    world.clock.advance(1_800)
    await world.work()
    assert len(world.sender.posted) == 3

    world.clock.advance(61)
    assert (await world.services.sweep()).deliveries == 1
    await world.work()

    assert (await record(world, id)).state is DeliveryState.DELIVERED


async def test_a_queue_that_is_behind_gets_one_copy_and_the_receiver_one_call(world: World) -> None:
    await subscribed(world)
    await written(world)
    swept = 0
    for _ in range(5):
        world.clock.advance(61)
        swept += (await world.services.sweep()).deliveries
    assert swept == 1
    assert await world.delivery_queue.inner.depth() == 2
    await world.work()
    assert len(world.sender.posted) == 1


async def test_each_restart_does_not_send_again_what_waits(world: World) -> None:
    await subscribed(world)
    await written(world)
    swept = 0
    for _ in range(3):
        world.clock.advance(1)
        swept += (await world.services.sweep(timedelta(0))).deliveries
    assert swept == 1


async def test_a_delivery_whose_message_is_dead_is_due_again(world: World) -> None:
    await subscribed(world)
    id = await due(world)
    world.clock.advance(61)
    assert (await world.services.sweep()).deliveries == 1
    (lost,) = await world.delivery_queue.inner.receive(10, 360)
    await world.delivery_queue.inner.delete([lost.receipt])
    world.clock.advance((HIDDEN * world.services.settings.max_receives + PATIENCE).total_seconds() + 1)
    assert (await world.services.sweep()).deliveries == 1
    await world.work()
    assert (await record(world, id)).state is DeliveryState.DELIVERED


async def test_a_delivery_that_the_queue_does_not_take_comes_with_the_next_sweep(world: World) -> None:
    await subscribed(world)
    id = await due(world)
    world.clock.advance(61)
    world.delivery_queue.down = True
    assert (await world.services.sweep()).deliveries == 1
    world.delivery_queue.down = False
    assert (await world.services.sweep()).deliveries == 1
    await world.work()
    assert (await record(world, id)).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("status", [200, 500])
async def test_an_attempt_that_is_being_made_while_the_sweeper_looks_is_recorded(world: World, status: int) -> None:
    await subscribed(world)
    id = await due(world)
    world.clock.advance(61)
    world.sender.meanwhile = world.services.sweep
    world.sender.answers = [Answer(status)]
    await world.services.deliver(TENANT, id, 0)
    made = await record(world, id)
    assert [each.status for each in made.attempts] == [status]
    assert made.due_at == (None if status in range(200, 300) else world.clock.now() + timedelta(seconds=SCHEDULE[0]))
    await handed(world, {"kind": "deliver", "tenant": TENANT, "id": id, "attempt": 0})  # the sweeper's copy
    assert len(world.sender.posted) == 1


async def test_what_was_recorded_while_the_sweeper_sent_a_message_stays_as_it_is(world: World) -> None:
    await subscribed(world)
    id = await due(world)
    world.clock.advance(61)

    async def delivered() -> None:
        await world.services.deliver(TENANT, id, 0)

    world.table.meanwhile = delivered  # just before the sweeper puts it off
    assert (await world.services.sweep()).deliveries == 1
    made = await record(world, id)
    assert (made.state, made.due_at) == (DeliveryState.DELIVERED, None)
    world.clock.advance(10**6)
    assert (await world.services.sweep()).deliveries == 0


@pytest.mark.parametrize("made", range(1, len(SCHEDULE) + 1))
def test_retries_are_spread_by_a_fifth(made: int) -> None:
    base = SCHEDULE[made - 1]
    assert next_delay(made, Answer(500), 0.0) == round(base * 0.8)
    assert next_delay(made, Answer(500), 0.5) == base
    assert round(base * 1.19) <= next_delay(made, Answer(500), 0.999) <= base * 1.2


@pytest.mark.parametrize("answer", [None, Answer(429)])
def test_who_is_busy_or_silent_gets_a_minute_at_least(answer: Answer | None) -> None:
    assert next_delay(1, answer, 0.5) == FLOOR_WHEN_BUSY
    assert next_delay(2, answer, 0.5) == 300


@pytest.mark.parametrize(
    ("asked", "delay"), [(0, 300), (-5, 300), (299, 300), (400, 400), (600, 600), (601, 600), (10**9, 600)]
)
def test_a_retry_after_is_honoured_between_the_schedule_and_twice_that(asked: int, delay: int) -> None:
    assert next_delay(2, Answer(503, asked), 0.5) == delay


async def test_gone_disables_the_endpoint(world: World) -> None:
    webhook = await subscribed(world)
    id = await due(world)
    world.sender.answers = [Answer(410)]
    await world.services.deliver(TENANT, id, 0)
    assert not (await world.services.subscribe.get(TENANT, webhook.id)).enabled
    failed = await record(world, id)
    assert (failed.state, failed.attempts[0].status) == (DeliveryState.FAILED, 410)
    await written(world, "another")
    await world.work()
    assert len(world.sender.posted) == 1


async def test_gone_ends_the_url_of_a_request_too(world: World) -> None:
    await world.services.remember.later(TENANT, draft(notify=Notify("https://example.com/once", "s")))
    world.sender.answers = [Answer(410)]
    await world.work()
    world.clock.advance(10**6)
    assert (await world.services.sweep()).deliveries == 0
    assert len(world.sender.posted) == 1


async def test_a_url_that_may_not_be_called_any_more_is_not_tried_again(world: World) -> None:
    await subscribed(world)
    id = await due(world)
    world.sender.answers = [Refused("The URL may not be called")]
    await world.services.deliver(TENANT, id, 0)
    failed = await record(world, id)
    assert (failed.state, failed.due_at) == (DeliveryState.FAILED, None)
    assert [each.error for each in failed.attempts] == ["The URL may not be called"]


@pytest.mark.parametrize("attempt", [1, -1, 7])
async def test_a_message_for_another_attempt_does_nothing(world: World, attempt: int) -> None:
    await subscribed(world)
    id = await due(world)
    await world.services.deliver(TENANT, id, attempt)
    assert world.sender.posted == []
    assert (await record(world, id)).attempts == ()


async def test_a_repeated_message_delivers_once(world: World) -> None:
    await subscribed(world)
    id = await due(world)
    message = {"kind": "deliver", "tenant": TENANT, "id": id, "attempt": 0}
    assert await handed(world, message) == []
    assert await handed(world, message, {**message, "id": "nothing"}, {**message, "tenant": "umbrella"}) == []
    assert len(world.sender.posted) == 1


@pytest.mark.parametrize("removed", [True, False])
async def test_what_is_due_to_a_disabled_or_removed_endpoint_has_failed(world: World, removed: bool) -> None:
    webhook = await subscribed(world)
    id = await due(world)
    if removed:
        await world.services.subscribe.remove(TENANT, webhook.id)
    else:
        await world.services.subscribe.change(TENANT, webhook.id, WebhookChange(enabled=False))
    await world.services.deliver(TENANT, id, 0)
    assert world.sender.posted == []
    assert (await record(world, id)).state is DeliveryState.FAILED


async def test_a_changed_endpoint_gets_what_is_due_at_its_new_url_with_its_new_secret(world: World) -> None:
    webhook = await subscribed(world)
    id = await due(world)
    change = WebhookChange(url="https://example.com/new", secret="new")
    await world.services.subscribe.change(TENANT, webhook.id, change)
    await world.services.deliver(TENANT, id, 0)
    (posted,) = world.sender.posted
    assert posted.url == "https://example.com/new"
    assert posted.headers["x-memoryrelay-signature"] == (
        f"sha256={hmac.new(b'new', posted.body, 'sha256').hexdigest()}"
    )


async def test_a_record_that_cannot_be_written_is_an_attempt_that_failed(world: World) -> None:
    await subscribed(world)
    id = await due(world)
    world.table.down = True
    with pytest.raises(Unavailable):
        await world.services.deliver(TENANT, id, 0)
    assert await handed(world, {"kind": "deliver", "tenant": TENANT, "id": id, "attempt": 0}) == ["0"]
    world.table.down = False
    assert await handed(world, {"kind": "deliver", "tenant": TENANT, "id": id, "attempt": 0}) == []


async def test_of_two_attempts_at_once_one_is_recorded(world: World) -> None:
    webhook = await subscribed(world)
    id = await due(world)

    async def other() -> None:
        await world.services.deliver(TENANT, id, 0)

    world.sender.meanwhile = other
    world.sender.answers = [Answer(410), Answer(410)]
    await world.services.deliver(TENANT, id, 0)

    assert len((await record(world, id)).attempts) == 1
    assert not (await world.services.subscribe.get(TENANT, webhook.id)).enabled


async def test_of_two_failures_at_once_one_asks_for_the_next_attempt(world: World) -> None:
    await subscribed(world)
    id = await due(world)

    async def other() -> None:
        await world.services.deliver(TENANT, id, 0)

    world.sender.meanwhile = other
    world.sender.answers = [Answer(500), Answer(500)]
    await world.services.deliver(TENANT, id, 0)
    assert len((await record(world, id)).attempts) == 1
    assert await world.delivery_queue.inner.depth() == 1
