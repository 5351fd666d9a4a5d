"""Events as they stand in rows: their lists, their batches, their states."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commonplace.model.errors import NotFound
from commonplace.model.event import Event, EventKind, EventState
from commonplace.ports.table import TTL_ATTRIBUTE, Delete, Put
from commonplace.rows import keys
from commonplace.rows.events import BATCH_LIFE, Arrival, Events, arrived, fingerprint, place
from fakes import START
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

ORG = "org_1"
SECOND = timedelta(seconds=1)
USER, ASSISTANT, TOOL, APP = EventKind


def event(number: int = 0, **fields: Any) -> Event:
    plain = Event(
        id=f"e{number:04d}",
        tenant=TENANT,
        organization=ORG,
        actor="ada",
        session="s",
        kind=USER,
        content=f"content {number}",
        at=START + number * SECOND,
        ingested_at=START,
        marked_at=START,
    )
    return replace(plain, **fields)


@pytest.fixture
def events(world: World) -> Events:
    return Events(world.table)


async def added(events: Events, *new: Event, batch: str = "batch") -> None:
    counts = [arrived(new[0].tenant, new[0].organization, len(new))]
    await events.add([Arrival(each, fingerprint(each), None) for each in new], batch, counts)


async def unclosed(world: World, *new: Event) -> None:
    """Leaves what a request leaves that dies on the way: rows of a batch that nobody closed."""
    for each in new:
        await added(Events(world.table), each)
        key = keys.event(each.tenant, each.organization, each.id)
        item = await world.table.get(key)
        assert item is not None
        await world.table.transact([Put(key, {**item.attributes, "batch": "nobody's"})])


async def listed(events: Events, **asked: Any) -> list[str]:
    page = await events.page(TENANT, ORG, **{"limit": 100, **asked})
    return [each.id for each in page.items]


async def test_an_event_comes_back_as_it_was_written(events: Events) -> None:
    full = event(
        1, role="r#1", team="%-", metadata={"raw": "\x01\ufffd", "n": [1.5, None, {}]}, state=EventState.FAILED,
        failure="because", marked_at=None, content="ü🫖\n" * 8_000, kind=APP, at=START - timedelta(days=900, microseconds=1),
    )  # fmt: skip
    texts = [event(number, metadata=text) for number, text in enumerate(('{"raw":"x"}', ""), 2)]
    await added(events, event(), full, *texts)
    assert await events.many(TENANT, ORG, ["e0001", "e0000", "none", "e0001"]) == {"e0000": event(), "e0001": full}
    assert list((await events.many(TENANT, ORG, ["e0002", "e0003"])).values()) == texts
    assert await events.total(TENANT, ORG) == 4
    assert await events.total(TENANT, "other") == 0


async def test_pages_go_by_time_both_ways_whatever_the_order_of_the_writing(events: Events) -> None:
    new = [event(number) for number in range(12)]
    for each in random.Random(3).sample(new, 12):
        await added(events, each)
    in_order = [each.id for each in new]
    assert await listed(events, newest_first=False) == in_order
    assert await listed(events) == in_order[::-1]
    assert await listed(events, limit=5, offset=3, newest_first=False) == in_order[3:8]
    assert await listed(events, limit=5, offset=10) == in_order[1::-1]
    assert await listed(events, offset=12) == []


async def test_events_of_one_moment_have_an_order_too(events: Events) -> None:
    new = [event(number, at=START) for number in range(5)]
    await added(events, *new[::-1])
    assert await listed(events, newest_first=False) == [each.id for each in new]
    assert await listed(events) == [each.id for each in new[::-1]]
    assert await listed(events, before=place(new[3])) == ["e0002", "e0001", "e0000"]


async def test_each_filter_alone_and_all_together(events: Events) -> None:
    dice = random.Random(5)
    new = [
        event(number, actor=dice.choice("abc"), session=dice.choice("xyz"), kind=dice.choice(list(EventKind)))
        for number in range(120)
    ]
    for start in range(0, 120, 30):
        await added(events, *new[start : start + 30])
    for actor in (None, "a", "d"):
        for session in (None, "x", "w"):
            for kind in (None, TOOL):
                meant = [
                    each.id
                    for each in new
                    if actor in (None, each.actor) and session in (None, each.session) and kind in (None, each.kind)
                ]
                asked = {"actor": actor, "session": session, "kind": kind}
                assert await listed(events, newest_first=False, **asked) == meant[:100]
                assert await listed(events, limit=7, offset=2, **asked) == meant[::-1][2:9]


async def test_what_came_before_an_event_does_not_hold_the_event(events: Events) -> None:
    new = [event(number, session="s" if number % 2 else "t") for number in range(8)]
    await added(events, *new)
    assert await listed(events, session="s", before=place(new[5])) == ["e0003", "e0001"]
    assert await listed(events, session="s", before=place(new[6])) == ["e0005", "e0003", "e0001"]
    assert await listed(events, session="s", before=place(new[7]), limit=1) == ["e0005"]
    assert await listed(events, session="s", before=place(new[1])) == []
    assert await listed(events, before=place(new[3]), newest_first=False) == ["e0000", "e0001", "e0002"]


async def test_long_ids_of_four_bytes_a_character_stand_in_the_order_of_time(events: Events) -> None:
    new = [event(number, id="🦊" * (250 + number)) for number in range(6)]
    await added(events, *new[::-1])
    assert await listed(events) == [each.id for each in new[::-1]]
    assert await listed(events, before=place(new[2])) == [new[1].id, new[0].id]


NAMES = ["", "a#b", "%-", "%23", "user", "ada#session", "O'Neil\"; --", "ü🫖" * 128, "x" * 256, " ada", "null"]


@pytest.mark.parametrize("part", ["actor", "session"])
async def test_odd_names_are_told_apart_to_the_letter(events: Events, part: str) -> None:
    await added(events, *(event(number, **{part: name}) for number, name in enumerate(NAMES)))
    for number, name in enumerate(NAMES):
        assert await listed(events, **{part: name}) == [f"e{number:04d}"]
    assert await listed(events, **{part: "ADA"}) == []


async def test_an_actor_is_no_session_and_no_part_of_another_name(events: Events) -> None:
    await added(events, event(0, actor="x", session="y"), event(1, actor="x#session", session="y"))
    await added(events, event(2, actor="x", session="y#z"))
    assert await listed(events, actor="y") == []
    assert await listed(events, session="x") == []
    assert await listed(events, actor="x", session="y") == ["e0000"]


async def test_each_organization_and_tenant_sees_its_own(events: Events) -> None:
    await added(events, event(0))
    await added(events, event(0, organization="org_2", content="theirs"), event(1, organization="org_2"))
    await added(events, event(0, tenant=OTHER_TENANT, content="others'"))
    await added(events, event(5, tenant=TENANT, organization=f"{ORG}#user#ada"))
    assert await listed(events) == await listed(events, actor="ada") == await listed(events, session="s") == ["e0000"]
    assert (await events.many(TENANT, ORG, ["e0000"]))["e0000"].content == "content 0"
    assert await events.many(TENANT, ORG, ["e0001"]) == {}
    assert [await events.total(TENANT, ORG), await events.total(TENANT, "org_2")] == [1, 2]
    assert await events.total(OTHER_TENANT, ORG) == 1


async def test_a_batch_that_is_not_closed_is_nowhere_to_be_seen(world: World, events: Events) -> None:
    await added(events, event(0), event(2))
    hidden = event(1)
    await unclosed(world, hidden)
    assert await events.many(TENANT, ORG, ["e0000", "e0001", "e0002"]) == {"e0000": event(0), "e0002": event(2)}
    for asked in ({}, {"actor": "ada"}, {"session": "s"}, {"kind": USER}, {"before": place(event(9))}):
        assert await listed(events, **asked) == ["e0002", "e0000"]
    assert await listed(events, limit=1, offset=1) == ["e0000"]
    marked = [
        each for shard in keys.every_shard("extracting") for each in await events.marked(shard, START + SECOND, 500)
    ]
    mine = [each for each in marked if each.organization == ORG]
    assert sorted(each.id for each in mine) == ["e0000", "e0001", "e0002"]
    assert sorted(each.id for each in await events.closed(mine)) == ["e0000", "e0002"]
    assert await events.abandoned(TENANT, ORG, ["e0000", "e0001", "none"], START - SECOND) == {}
    assert list(await events.abandoned(TENANT, ORG, ["e0000", "e0001", "none"], START)) == ["e0001"]


async def test_the_sweeper_drops_a_batch_that_is_not_closed_after_an_hour_and_not_before(world: World) -> None:
    events, elsewhere = world.services.events, 60
    await unclosed(world, event(0), event(1))
    await added(events, *(event(number, organization="elsewhere") for number in range(elsewhere)))
    world.clock.advance(3599.999)
    assert (await world.services.sweep()).events == elsewhere
    assert set(await events.abandoned(TENANT, ORG, ["e0000", "e0001"], START)) == {"e0000", "e0001"}
    world.clock.advance(0.001)
    assert (await world.services.sweep()).events == 0
    assert await events.abandoned(TENANT, ORG, ["e0000", "e0001"], START) == {}
    assert await world.table.get(keys.event(TENANT, ORG, "e0000")) is None
    assert await events.total(TENANT, "elsewhere") == elsewhere


@pytest.mark.parametrize("count", [1, 60], ids=["small", "batch"])
async def test_settling_takes_an_event_out_of_the_sweepers_hands_and_repeating_it_changes_nothing(
    world: World, events: Events, count: int
) -> None:
    await added(events, *(event(number) for number in range(count)))
    (one,) = (await events.many(TENANT, ORG, ["e0000"])).values()
    settled = replace(one, state=EventState.COMPLETED, marked_at=None, batch=None)
    for _ in range(2):
        await events.settle(one, EventState.COMPLETED)
        assert await events.many(TENANT, ORG, ["e0000"]) == {"e0000": settled}
        assert await marked_ids(events, one) == []
    assert (await listed(events))[-1] == "e0000"
    assert await events.total(TENANT, ORG) == count
    await world.table.transact([Delete(keys.batch(TENANT, "batch"))])  # what is settled needs it no more
    assert await listed(events) == ["e0000"]


async def test_what_was_put_off_is_marked_later_and_needs_its_batch_no_more(world: World, events: Events) -> None:
    new = [event(number) for number in range(60)]
    await added(events, *new)
    later = START + timedelta(hours=1)
    found = await events.many(TENANT, ORG, ["e0000", "e0001"])
    await events.mark(list(found.values()), later)
    await events.mark([], later)
    assert await marked_ids(events, event(0)) == []
    assert await marked_ids(events, event(2)) == ["e0002"]
    shard = keys.extracting("e0000")
    assert "e0000" in [each.id for each in await events.marked(shard, later + SECOND, 500)]
    await world.table.transact([Delete(keys.batch(TENANT, "batch"))])
    assert await listed(events) == ["e0001", "e0000"]
    assert (await events.many(TENANT, ORG, ["e0000"]))["e0000"] == event(0, marked_at=later)


async def test_what_was_settled_meanwhile_is_neither_put_off_nor_dropped(events: Events) -> None:
    await added(events, event(0), event(1))
    await events.settle(event(0), EventState.COMPLETED)
    await events.mark([event(0), event(1)], START + SECOND)
    await events.drop([event(0), event(1)])
    done = event(0, state=EventState.COMPLETED, marked_at=None)
    assert await events.many(TENANT, ORG, ["e0000", "e0001"]) == {"e0000": done}


async def test_what_came_in_the_place_of_a_dead_event_is_not_dropped(world: World, events: Events) -> None:
    await unclosed(world, event())
    (dead,) = (await events.abandoned(TENANT, ORG, ["e0000"], START)).values()
    new = event(ingested_at=START + SECOND, content="new")
    await events.add([Arrival(new, fingerprint(new), None, dead)], "other", [])
    await events.drop([dead])
    assert await events.many(TENANT, ORG, ["e0000"]) == {"e0000": new}


async def test_the_row_of_a_batch_is_forgotten_in_the_end(world: World, events: Events) -> None:
    await added(events, *(event(number) for number in range(60)))
    item = await world.table.get(keys.batch(TENANT, "batch"))
    assert item is not None
    assert item.attributes[TTL_ATTRIBUTE] == int((START + BATCH_LIFE).timestamp())


async def marked_ids(events: Events, one: Event) -> list[str]:
    shard = keys.extracting(one.id)
    return [each.id for each in await events.marked(shard, START + SECOND, 500) if each.id == one.id]


async def test_a_failure_has_a_reason_until_the_event_is_completed_after_all(events: Events) -> None:
    await added(events, event())
    await events.settle(event(), EventState.FAILED, "refused")
    failed = (await events.many(TENANT, ORG, ["e0000"]))["e0000"]
    assert (failed.state, failed.failure, failed.marked_at) == (EventState.FAILED, "refused", None)
    await events.settle(failed, EventState.COMPLETED)
    done = (await events.many(TENANT, ORG, ["e0000"]))["e0000"]
    assert (done.state, done.failure) == (EventState.COMPLETED, None)


async def test_what_is_not_there_cannot_be_settled(events: Events) -> None:
    with pytest.raises(NotFound):
        await events.settle(event(), EventState.COMPLETED)
    assert await events.many(TENANT, ORG, ["e0000"]) == {}


async def test_a_shard_gives_its_oldest_events_first_and_no_more_than_asked_for(events: Events) -> None:
    shard = keys.extracting("e0000")
    same = [number for number in range(400) if keys.extracting(f"e{number:04d}") == shard][:5]
    new = [event(number, marked_at=START - number * SECOND) for number in same]
    await added(events, *new, event(401, marked_at=None))

    async def found(before: timedelta, limit: int) -> Sequence[str]:
        return [each.id for each in await events.marked(shard, START - before, limit)]

    oldest = [each.id for each in new[::-1]]
    assert await found(-SECOND, 10) == oldest
    assert await found(-SECOND, 2) == oldest[:2]
    assert await found(same[2] * SECOND - SECOND / 2, 10) == oldest[:3]
    everywhere = [each.id for each_shard in keys.every_shard("extracting") for each in
                  await events.marked(each_shard, START + SECOND, 500)]  # fmt: skip
    assert sorted(everywhere) == sorted(oldest)


async def test_a_dropped_event_is_gone_from_every_list_and_dropping_it_again_does_no_harm(events: Events) -> None:
    await added(events, event(0), event(1))
    for _ in range(2):
        await events.drop([event(0)])
    await events.drop([])
    assert await events.many(TENANT, ORG, ["e0000", "e0001"]) == {"e0001": event(1)}
    assert await listed(events) == await listed(events, session="s") == ["e0001"]
    assert await marked_ids(events, event(0)) == []
