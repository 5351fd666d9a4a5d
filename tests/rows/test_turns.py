"""Turns: an event is put to a text model by one at a time, and what it said is kept."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from commonplace.model.event import Event
from commonplace.model.insight import Insight, Nature, Statement
from commonplace.ports.table import TTL_ATTRIBUTE, Key
from commonplace.rows import keys
from commonplace.rows.turns import TURN_LIFE, Turn, Turns
from fakes import START
from fakes import event as made
from world import World

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
SAID = (
    Statement(
        text="The user prefers tea: „ü🫖“",
        kind="preference",
        insight=Insight(
            nature=Nature.PROCEDURAL, title="Tea", confidence=0.25, summary="A summary", entities=("Tea", "B c")
        ),
        tags=("drinks", "ü"),
    ),
    Statement(text="x", kind="fact", insight=Insight(nature=Nature.SEMANTIC, title="x", confidence=1.0)),
)


def event(number: int = 0) -> Event:
    return made(number=number)


@pytest.fixture
def turns(world: World) -> Turns:
    return Turns(world.table)


async def test_nobody_else_has_the_turn_of_an_event_until_its_time_is_over(turns: Turns) -> None:
    until = START + MINUTE
    assert await turns.take([event()], START, until) == [Turn(1)]
    assert await turns.take([event(), event(1)], until - timedelta.resolution, until + MINUTE) == [None, Turn(1)]
    assert await turns.take([event(), event(1)], until, until + MINUTE) == [Turn(2), None]
    assert await turns.take([], START, until) == []


async def test_of_those_who_come_at_once_one_has_the_turn(turns: Turns) -> None:
    events = [event(number) for number in range(30)]
    for now, number in ((START, 1), (START + MINUTE, 2)):
        several = await asyncio.gather(*(turns.take(events, now, now + MINUTE) for _ in range(3)))
        for mine in zip(*several, strict=True):
            assert sorted(mine, key=str) == [None, None, Turn(number)]


async def test_events_of_others_have_turns_of_their_own(turns: Turns) -> None:
    ours = event()
    several = [ours, replace(ours, organization="theirs"), replace(ours, tenant="umbrella")]
    for each in several:
        assert await turns.take([each], START, START + MINUTE) == [Turn(1)]


async def test_a_turn_that_was_ended_leaves_the_event_to_the_next_at_once(turns: Turns) -> None:
    (turn,) = await turns.take([event()], START, START + MINUTE)
    assert turn is not None
    await turns.end([(event(), turn)], START)
    assert await turns.take([event()], START, START + MINUTE) == [Turn(2)]


async def test_what_was_said_is_had_by_everybody_without_a_turn(turns: Turns) -> None:
    await turns.take([event(), event(1)], START, START + MINUTE)
    await turns.end([(event(), Turn(1, SAID)), (event(1), Turn(1, ()))], START)
    for _ in range(2):
        assert await turns.take([event(), event(1)], START, START + MINUTE) == [Turn(1, SAID), Turn(1, ())]


async def test_who_was_too_late_does_not_end_the_turn_of_another(turns: Turns) -> None:
    await turns.take([event()], START, START + MINUTE)
    now = START + MINUTE
    assert await turns.take([event()], now, now + MINUTE) == [Turn(2)]
    await turns.end([(event(), Turn(1, SAID))], now)
    assert await turns.take([event()], now, now + MINUTE) == [None]


async def test_turns_are_forgotten_in_the_end(world: World, turns: Turns) -> None:
    await turns.take([event()], START, START + MINUTE)
    item = await world.table.get(Key(keys.event("acme", "acme", "0000").partition, "turn"))
    assert item is not None
    assert item.attributes[TTL_ATTRIBUTE] == int((START + TURN_LIFE).timestamp())
