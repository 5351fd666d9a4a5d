"""Making memories of events."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from commonplace.core.derived import ORIGIN, gained, stored
from commonplace.core.remember import Batch, Remember, Remembered
from commonplace.core.usage import month_start
from commonplace.model.errors import CommonplaceError, Invalid, NotFound, TooLarge, Unavailable
from commonplace.model.event import Event, EventState
from commonplace.model.insight import Statement
from commonplace.model.memory import Draft, Memory, State
from commonplace.model.scope import Scope
from commonplace.model.usage import Dimension
from commonplace.ports.extractor import Extracted, Extractor
from commonplace.ports.world import Clock
from commonplace.rows.events import Events, place
from commonplace.rows.memories import Memories
from commonplace.rows.turns import Turn, Turns
from commonplace.rows.usage import Usages

LEVEL = "user"
"""What every memory that is made of an event is about: its actor."""

EARLIER = 10
"""Earlier events of a session that an event is read in the light of."""

TURN = timedelta(minutes=2)
"""How long nobody else puts an event to a text model: longer than the worker that does lives (its Timeout in template.yaml)."""

MOST_TURNS = 5
"""How often an event is put to a text model that gives no usable answer."""


@dataclass(frozen=True, slots=True)
class _Yield:
    """What became of an event: the memories made of it, and why it is not done; None: it is."""

    memories: tuple[Memory, ...] = ()
    failure: CommonplaceError | None = None


class Distill:
    """Extracts statements from events, writes them as memories, and says when an event is done.

    Repeating it changes nothing: a statement that is a memory already, in this scope, gains the event as a source. Where the
    ``extractor`` is a text model, it is asked by one at a time for an event, and what it said is kept until the event is done.
    ``fallback`` is what reads an event when the ``extractor`` cannot and there is no other attempt to come, or when the
    organization has used ``most_tokens`` this month.
    """

    def __init__(
        self,
        events: Events,
        memories: Memories,
        remember: Remember,
        extractor: Extractor,
        fallback: Extractor,
        turns: Turns,
        usages: Usages,
        clock: Clock,
        most_tokens: int | None = None,
    ) -> None:
        self._events = events
        self._memories = memories
        self._remember = remember
        self._extractor = extractor
        self._fallback = fallback
        self._turns = turns
        self._usages = usages
        self._clock = clock
        self._most_tokens = most_tokens

    async def __call__(self, tenant: str, organization: str, ids: Sequence[str], *, last: bool = False) -> int:
        """Makes memories of those of the events that have none yet; how many of them are not done now.

        An event is done when a search finds its memories, be it none, or when it cannot be read for good. Those that are
        not done wait for a part of the service that is down, or for another attempt that is under way. With ``last`` there is
        no other attempt soon, unless the sweeper asks for one: it is told that it may.
        """
        found = await self._events.many(tenant, organization, ids)
        # In the order in which they happened: each is read in the light of those before it.
        open = sorted((event for event in found.values() if event.state is EventState.PENDING), key=place)
        if not open:
            return 0
        extracted = await self._extracted(tenant, organization, open, last=last)
        yields = await self._written(tenant, open, extracted)
        await self._linked(tenant, open, yields)
        left = [event for event, yielded in zip(open, yields, strict=True) if not await self._settled(event, yielded)]
        if last:
            await self._events.mark(left, self._clock.now())
        return len(left)

    async def _extracted(
        self, tenant: str, organization: str, events: Sequence[Event], *, last: bool
    ) -> list[Extracted]:
        """What came of each event, by whoever reads it."""
        if self._extractor is self._fallback:
            return await self._fallback.extract(events, [])
        now = self._clock.now()
        turns = await self._turns.take(events, now, now + TURN)
        asked = [
            (event, turn)
            for event, turn in zip(events, turns, strict=True)
            if turn is not None and turn.statements is None and turn.number <= MOST_TURNS
        ]
        if asked and await self._spent(tenant, organization):
            asked = []
        said = await self._said(tenant, organization, asked, last=last) if asked else {}
        found: list[Extracted] = []
        for event, turn in zip(events, turns, strict=True):
            if turn is None:
                found.append(Extracted(Unavailable("Another attempt to read it is under way")))
            elif turn.statements is not None:
                found.append(Extracted(turn.statements))
            elif event.id in said:
                found.append(said[event.id])
            else:
                found += await self._fallback.extract([event], [])
        return found

    async def _spent(self, tenant: str, organization: str) -> bool:
        """Whether an organization has used all tokens that it may use this month."""
        if self._most_tokens is None:
            return False
        month = month_start(self._clock.now()).date()
        used = await self._usages.month(tenant, organization, month)
        return used.get(Dimension.LLM_TOKENS, 0) >= self._most_tokens

    async def _said(
        self, tenant: str, organization: str, asked: Sequence[tuple[Event, Turn]], *, last: bool
    ) -> dict[str, Extracted]:
        """What the text model says of events whose turn it is, by id, or the rules in its place. It is kept before anything is
        made of it."""
        events = [event for event, _ in asked]
        answers = await self._extractor.extract(events, await self._context(events))
        now = self._clock.now()
        tokens = sum(each.tokens for each in answers)
        if tokens:
            await self._usages.count(tenant, organization, {Dimension.LLM_TOKENS: tokens}, now)
        for number, (event, turn) in enumerate(asked):
            if isinstance(answers[number].outcome, Unavailable) and (last or turn.number == MOST_TURNS):
                (answers[number],) = await self._fallback.extract([event], [])
        ended = [
            (event, replace(turn, statements=each.outcome if isinstance(each.outcome, tuple) else None))
            for (event, turn), each in zip(asked, answers, strict=True)
        ]
        await self._turns.end(ended, now)
        return {event.id: each for event, each in zip(events, answers, strict=True)}

    async def _context(self, events: Sequence[Event]) -> list[Event]:
        """What came before the events in their sessions, oldest first."""
        first: dict[str, Event] = {}
        for event in events:
            if event.session not in first or place(event) < place(first[event.session]):
                first[event.session] = event
        earlier: list[Event] = []
        for event in first.values():
            page = await self._events.page(
                event.tenant,
                event.organization,
                session=event.session,
                before=place(event),
                limit=EARLIER,
            )
            earlier += reversed(page.items)
        return earlier

    async def _written(self, tenant: str, events: Sequence[Event], extracted: Sequence[Extracted]) -> list[_Yield]:
        """Writes what was extracted; for each event what became of it."""
        drafts: list[Draft] = []
        owners: list[int] = []
        for number, (event, each) in enumerate(zip(events, extracted, strict=True)):
            if isinstance(each.outcome, tuple):
                drafts += [_draft(event, statement) for statement in each.outcome]
                owners += [number] * len(each.outcome)

        counting = partial(stored, now=self._clock.now())
        batch = await self._remember.now(tenant, drafts, counting) if drafts else None
        outcomes: list[list[Remembered | CommonplaceError]] = [[] for _ in events]
        for owner, outcome in zip(owners, await self._kept(tenant, _outcomes(batch)), strict=True):
            if outcome is not None:
                outcomes[owner].append(outcome)
        return [
            _Yield(failure=each.outcome) if isinstance(each.outcome, CommonplaceError) else _yielded(of_event)
            for each, of_event in zip(extracted, outcomes, strict=True)
        ]

    async def _kept(
        self, tenant: str, outcomes: Sequence[Remembered | CommonplaceError]
    ) -> list[Remembered | CommonplaceError | None]:
        """The outcomes, without the memories that were deleted since they were written: nobody waits for those."""
        open = {each.memory.id for each in outcomes if isinstance(each, Remembered) and not each.memory.ready}
        gone = open - (await self._memories.many(tenant, open)).keys() if open else set()
        return [None if isinstance(each, Remembered) and each.memory.id in gone else each for each in outcomes]

    async def _linked(self, tenant: str, events: Sequence[Event], yields: Sequence[_Yield]) -> None:
        """Writes which events each memory was made of."""
        sources: dict[str, list[str]] = {}
        for event, yielded in zip(events, yields, strict=True):
            for memory in yielded.memories:
                sources.setdefault(memory.id, []).append(event.id)
        for id, of_memory in sources.items():
            await gained(self._memories, tenant, id, of_memory)

    async def _settled(self, event: Event, yielded: _Yield) -> bool:
        """Writes down that an event is done, if it is."""
        failure = yielded.failure
        if isinstance(failure, Unavailable):
            return False
        state = EventState.COMPLETED if failure is None else EventState.FAILED
        await self._events.settle(event, state, None if failure is None else failure.message)
        return True


def _draft(event: Event, statement: Statement) -> Draft:
    return Draft(
        content=statement.text,
        agent=None,
        origin=ORIGIN,
        scope=Scope(
            organization=event.organization,
            user=event.actor,
            session=event.session,
            role=event.role,
            team=event.team,
        ),
        kind=statement.kind,
        tags=statement.tags,
        metadata=event.details,
        occurred_at=event.at,
        level=LEVEL,
        label=event.actor,
        unique=True,
        insight=statement.insight,
    )


def _outcomes(batch: Batch | None) -> tuple[Remembered | CommonplaceError, ...]:
    return () if batch is None else batch.outcomes


def _yielded(outcomes: Sequence[Remembered | CommonplaceError]) -> _Yield:
    """An event is done when all its memories are found; one that cannot be written or found for good makes it fail."""
    memories = tuple(outcome.memory for outcome in outcomes if isinstance(outcome, Remembered))
    for outcome in outcomes:
        if isinstance(outcome, CommonplaceError):
            return _Yield(
                memories,
                outcome if isinstance(outcome, Invalid | NotFound | TooLarge) else Unavailable(outcome.message),
            )
    failed = next((memory for memory in memories if memory.state is State.FAILED), None)
    if failed is not None:
        return _Yield(memories, Invalid(failed.failure or "It cannot be made searchable"))
    if any(not memory.ready for memory in memories):
        return _Yield(memories, Unavailable("Its memories cannot be found yet"))
    return _Yield(memories)
