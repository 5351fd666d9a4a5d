"""Turns: who puts an event to a text model now, how often that was done, and what the model made of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from commonplace.model.event import Event
from commonplace.model.insight import Insight, Nature, Statement
from commonplace.ports.table import TTL_ATTRIBUTE, Absent, Item, Key, Put, RevisionIs, Table, Write
from commonplace.rows import keys
from commonplace.rows.apart import apart
from commonplace.rows.codec import Reader, present, text

TURN_LIFE = timedelta(days=30)
"""How long it stays what was made of an event: longer than its memories wait for an index that is down."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An event's turn with a text model. ``number`` counts the turns that it has had, this one included. ``statements`` are
    what the model made of it in one of them; whoever has those need not ask."""

    number: int
    statements: tuple[Statement, ...] | None = None


class Turns:
    """The turns of the events of all tenants. An event has one at a time."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def take(self, events: Sequence[Event], now: datetime, until: datetime) -> list[Turn | None]:
        """A turn for each of different events, which is nobody else's until a time; None for one that has its turn now."""
        items = await self._table.batch_get([_key(event) for event in events])
        turns: list[Turn | None] = []
        writes: list[Write] = []
        taken: list[int] = []
        for number, event in enumerate(events):
            item = items.get(_key(event))
            before = Turn(0) if item is None else _decoded(item)
            if before.statements is not None:
                turns.append(before)
            elif item is not None and Reader(item.attributes).moment("until") > now:
                turns.append(None)
            else:
                turn = Turn(before.number + 1)
                turns.append(turn)
                taken.append(number)
                writes.append(_put(event, turn, until, now, before.number))
        for number, written in zip(taken, await apart(self._table, writes), strict=True):
            if not written:  # another was quicker
                turns[number] = None
        return turns

    async def end(self, turns: Sequence[tuple[Event, Turn]], now: datetime) -> None:
        """Ends turns that were taken, with what the model made of their events."""
        await apart(self._table, [_put(event, turn, now, now, turn.number) for event, turn in turns])


def _key(event: Event) -> Key:
    return keys.turn(event.tenant, event.organization, event.id)


def _put(event: Event, turn: Turn, until: datetime, now: datetime, before: int) -> Put:
    said = None if turn.statements is None else text([asdict(statement) for statement in turn.statements])
    attributes = present({"noun": "turn", "revision": turn.number, "until": until, "statements": said})
    attributes[TTL_ATTRIBUTE] = int((now + TURN_LIFE).timestamp())
    return Put(_key(event), attributes, RevisionIs(before) if before else Absent())


def _decoded(item: Item) -> Turn:
    row = Reader(item.attributes)
    said = None if row.maybe("statements") is None else tuple(map(_statement, row.json("statements")))
    return Turn(row.whole("revision"), said)


def _statement(known: dict[str, Any]) -> Statement:
    insight = known["insight"]
    understood = Insight(**{**insight, "nature": Nature(insight["nature"]), "entities": tuple(insight["entities"])})
    return Statement(**{**known, "tags": tuple(known["tags"]), "insight": understood})
