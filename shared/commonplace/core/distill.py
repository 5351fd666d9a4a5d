"""Making memories of events."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from commonplace.core.derived import ORIGIN, gained, stored
from commonplace.core.remember import Batch, Remember, Remembered
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
from commonplace.rows.usage import Usages

LEVEL = "user"
"""What every memory that is made of an event is about: its actor."""

EARLIER = 10
"""Earlier events of a session that an event is read in the light of."""


@dataclass(frozen=True, slots=True)
class _Yield:
    """What became of an event: the memories made of it, and why it is not done; None: it is."""

    memories: tuple[Memory, ...] = ()
    failure: CommonplaceError | None = None


class Distill:
    """Extracts statements from events, writes them as memories, and says when an event is done.

    Repeating it changes nothing: a statement that is a memory already, in this scope, gains the event as a source.
    ``fallback`` is what reads an event when the ``extractor`` cannot, and there is no other attempt to come.
    """

    def __init__(
        self,
        events: Events,
        memories: Memories,
        remember: Remember,
        extractor: Extractor,
        fallback: Extractor,
        usages: Usages,
        clock: Clock,
    ) -> None:
        self._events = events
        self._memories = memories
        self._remember = remember
        self._extractor = extractor
        self._fallback = fallback
        self._usages = usages
        self._clock = clock

    async def __call__(self, tenant: str, organization: str, ids: Sequence[str], *, last: bool = False) -> int:
        """Makes memories of those of the events that have none yet; how many of them are not done now.

        An event is done when a search finds its memories, be it none, or when it cannot be read for good. Those that are
        not done wait for a part of the service that is down. With ``last`` there is no other attempt soon.
        """
        found = await self._events.many(tenant, organization, ids)
        # In the order in which they happened: each is read in the light of those before it.
        open = sorted((event for event in found.values() if event.state is EventState.PENDING), key=place)
        if not open:
            return 0
        extracted = await self._extracted(open, last=last)
        tokens = sum(each.tokens for each in extracted)
        if tokens:
            now = self._clock.now()
            await self._usages.count(tenant, organization, {Dimension.LLM_TOKENS: tokens}, now)
        yields = await self._written(tenant, open, extracted)
        await self._linked(tenant, open, yields)
        left = 0
        for event, yielded in zip(open, yields, strict=True):
            left += not await self._settled(event, yielded)
        return left

    async def _extracted(self, events: Sequence[Event], *, last: bool) -> list[Extracted]:
        context = [] if self._extractor is self._fallback else await self._context(events)
        extracted = await self._extractor.extract(events, context)
        for number, each in enumerate(extracted):
            if last and isinstance(each.outcome, Unavailable):
                (other,) = await self._fallback.extract([events[number]], [])
                extracted[number] = Extracted(other.outcome, each.tokens)
        return extracted

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
        metadata=event.metadata or {},
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
