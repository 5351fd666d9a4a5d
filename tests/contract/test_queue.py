"""What every Queue does."""

import json

import pytest

from commonplace.model.errors import Unavailable
from commonplace.ports.queue import MAX_DELAY, Message, Queue
from contract.consumers import Consumer

pytestmark = pytest.mark.anyio

MAX_BYTES = 256 * 1024


async def test_what_was_sent_is_received_under_the_id_that_send_gave(consumer: Consumer) -> None:
    (sent,) = await consumer.queue.send([Message('{"id": 1}')])
    assert await consumer.receive() == [(sent, '{"id": 1}', 1)]


async def test_sending_nothing_gives_nothing(consumer: Consumer) -> None:
    assert await consumer.queue.send([]) == []
    assert await consumer.receive() == []


async def test_any_number_is_sent_at_once_and_each_gets_its_own_id(consumer: Consumer) -> None:
    messages = [Message(json.dumps({"n": n})) for n in range(47)]
    sent = await consumer.queue.send(messages)
    assert len(set(sent)) == 47
    assert {(id, body) for id, body, _ in await consumer.receive()} == {
        (id, message.body) for id, message in zip(sent, messages, strict=True)
    }


async def test_the_same_message_twice_is_two_messages(consumer: Consumer) -> None:
    message = Message("{}")
    sent = await consumer.queue.send([message, message])
    assert sorted(await consumer.receive()) == sorted((id, "{}", 1) for id in sent)


async def test_a_message_that_is_worked_on_is_not_seen(consumer: Consumer) -> None:
    await consumer.queue.send([Message("{}")])
    assert len(await consumer.receive()) == 1
    assert await consumer.receive() == []


async def test_a_message_comes_again_when_its_time_is_over_and_the_receipts_are_counted(consumer: Consumer) -> None:
    await consumer.queue.send([Message("{}")])
    counts = [count for _ in range(3) for _, _, count in await consumer.receive(visibility=0)]
    assert counts == sorted(set(counts))
    assert len(counts) == 3


async def test_a_delayed_message_is_seen_after_its_delay_and_not_before(consumer: Consumer) -> None:
    late, _ = await consumer.queue.send([Message('"late"', delay=1), Message('"now"')])
    assert [body for _, body, _ in await consumer.receive()] == ['"now"']
    assert await consumer.receive_after(1) == [(late, '"late"', 1)]


async def test_a_delay_out_of_bounds_is_taken_for_the_nearest(consumer: Consumer) -> None:
    sent = await consumer.queue.send([Message('"never"', delay=MAX_DELAY * 100), Message('"now"', delay=-5)])
    assert None not in sent
    assert [body for _, body, _ in await consumer.receive()] == ['"now"']


async def test_large_messages_are_sent_together(consumer: Consumer) -> None:
    bodies = [json.dumps(str(n) * 100_000) for n in range(5)] + [f'"{"x" * (MAX_BYTES - 2)}"']
    assert None not in await consumer.queue.send([Message(body) for body in bodies])
    assert sorted(body for _, body, _ in await consumer.receive()) == sorted(bodies)


async def test_a_message_that_is_too_large_is_refused_and_its_neighbours_are_not(consumer: Consumer) -> None:
    bodies = ['"before"', f'"{"é" * (MAX_BYTES // 2)}"', '"half \ud800"', '"after"']
    before, large, broken, after = await consumer.queue.send([Message(body) for body in bodies])
    assert (large, broken) == (None, None)
    assert sorted(await consumer.receive()) == sorted([(before, '"before"', 1), (after, '"after"', 1)])


async def test_a_body_is_any_text(consumer: Consumer) -> None:
    body = json.dumps("😀 שלום \u202e \0 \x1b\n é", ensure_ascii=False)
    await consumer.queue.send([Message(body)])
    assert [received for _, received, _ in await consumer.receive()] == [body]


async def test_a_queue_that_is_down_refuses_all_and_does_not_raise(down_queue: Queue) -> None:
    assert await down_queue.send([Message(json.dumps(n)) for n in range(23)]) == [None] * 23


async def test_what_was_given_up_is_put_back_and_comes_as_if_for_the_first_time(consumer: Consumer) -> None:
    await consumer.give_up([f'"{n}"' for n in range(23)])
    assert await consumer.queue.redrive() == 23
    received = await consumer.receive()
    assert sorted(body for _, body, _ in received) == sorted(f'"{n}"' for n in range(23))
    assert {count for _, _, count in received} == {1}
    assert await consumer.queue.redrive() == 0


async def test_a_queue_that_is_down_cannot_be_redriven(down_queue: Queue) -> None:
    with pytest.raises(Unavailable):
        await down_queue.redrive()
