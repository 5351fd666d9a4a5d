"""Writing memories: durable before anything else, searchable as soon as can be."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from commonplace.core.embed import Embed, message
from commonplace.core.enlist import AgentOrder, Enlist, well_formed
from commonplace.core.gauge import Gauge
from commonplace.core.notify import Notify
from commonplace.core.recognize import Recognize
from commonplace.model.agent import Agent
from commonplace.model.errors import CommonplaceError, Conflict, Invalid, NotFound, Unavailable
from commonplace.model.memory import Draft, Memory, State, Tier, content_hash
from commonplace.model.scope import DEFAULT_STORE, Scope
from commonplace.model.space import direction
from commonplace.model.webhook import Delivery, EventType, Webhook
from commonplace.ports.meter import Meter, memories_written
from commonplace.ports.queue import Queue
from commonplace.ports.world import Clock, Ids
from commonplace.rows import keys
from commonplace.rows.figures import Count
from commonplace.rows.memories import Memories
from commonplace.rows.memory_writes import Duplicate, Entry
from commonplace.rows.sessions import Sessions
from commonplace.rows.webhooks import staged

CLAIM_TRIES = 3
"""How often a content is claimed that another let go of just now."""

WAIT = timedelta(seconds=6)
"""How long after its beginning a write that is waited for still begins to make memories searchable: of the 25 s that a request
has, an embedder that only hangs takes 18 before it is given up. A caller who is cut off would write everything again."""

Counting = Callable[[Memory], Sequence[Count]]
"""What a new memory counts for besides its store and its scope, in the same transaction."""


def nothing(_: Memory) -> Sequence[Count]:
    """Counts nothing more."""
    return ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """A memory as it was written. ``job`` is the message that will make it searchable; None if it was done at once, or
    could not be handed over (then the sweeper will). ``duplicate`` says that it was there before."""

    memory: Memory
    job: str | None = None
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of each draft, and how long the writing and the making searchable took."""

    outcomes: tuple[Remembered | CommonplaceError, ...]
    writing: timedelta
    embedding: timedelta


@dataclass(frozen=True, slots=True)
class _Planned:
    """A memory about to be written."""

    entry: Entry
    deliveries: list[Delivery]


class Remember:
    """The ways of writing."""

    def __init__(
        self,
        memories: Memories,
        sessions: Sessions,
        enlist: Enlist,
        notify: Notify,
        embed: Embed,
        queue: Queue,
        recognize: Recognize,
        gauge: Gauge,
        clock: Clock,
        ids: Ids,
        meter: Meter,
    ) -> None:
        self._memories = memories
        self._sessions = sessions
        self._enlist = enlist
        self._notify = notify
        self._embed = embed
        self._queue = queue
        self._recognize = recognize
        self._gauge = gauge
        self._clock = clock
        self._ids = ids
        self._meter = meter

    async def later(self, tenant: str, draft: Draft) -> Remembered:
        """Writes a memory and leaves its embedding to the worker. If the queue refuses, it is made searchable at once.

        Raises ``NotFound`` for an unknown agent or session, and ``Invalid`` for a vector of one length too many.
        """
        written = await self._written(tenant, [draft])
        outcome = written[0]
        if isinstance(outcome, CommonplaceError):
            raise outcome
        if outcome.duplicate:
            return outcome
        (job,) = await self._queue.send([message(outcome.memory)])
        if job is not None:
            return replace(outcome, job=job)
        (searchable,) = await self._embed([outcome.memory])
        return outcome if isinstance(searchable, CommonplaceError) else Remembered(searchable)

    async def now(self, tenant: str, drafts: Sequence[Draft], counting: Counting = nothing) -> Batch:
        """Writes memories, with what they count for besides, and makes them searchable before it returns.

        What is written but cannot be made searchable now, or within ``WAIT`` if it is much, stays pending, and is finished by
        the worker or the sweeper.
        """
        began = self._clock.now()
        written = await self._written(tenant, drafts, counting)
        stored = self._clock.now()
        # What is said twice at the same moment may be pending: whoever waits for the one waits for the other as well.
        kept = [each.memory for each in written if isinstance(each, Remembered)]
        fresh = list({memory.id: memory for memory in kept if memory.state is State.PENDING}.values())
        made = await self._embed(fresh, began + WAIT) if fresh else []
        searchable = dict(zip((memory.id for memory in fresh), made, strict=True))
        late = [memory for memory in fresh if isinstance(searchable[memory.id], Unavailable)]
        if late:
            await self._queue.send([message(memory) for memory in late])
        outcomes = tuple(_done(each, searchable) for each in written)
        return Batch(outcomes, stored - began, self._clock.now() - stored)

    async def _written(
        self, tenant: str, drafts: Sequence[Draft], counting: Counting = nothing
    ) -> list[Remembered | CommonplaceError]:
        """Writes the rows; two drafts of one call that are duplicates of each other count as such too."""
        gauged, agents, sessions, endpoints = await asyncio.gather(
            self._gauged(tenant, drafts),
            self._agents(tenant, drafts),
            self._known_sessions(tenant, drafts),
            self._notify.endpoints(tenant),
        )
        outcomes: dict[int, Remembered | CommonplaceError] = {}
        planned: dict[int, _Planned] = {}
        for number, draft in enumerate(drafts):
            reference = _registered(draft)
            agent = None if reference is None else agents[reference]
            session = sessions.get(draft.scope.session, False) if draft.scope.session is not None else False
            refusals = (gauged[number], agent, session)
            refusal = next((each for each in refusals if isinstance(each, CommonplaceError)), None)
            if refusal is not None:
                outcomes[number] = refusal
                continue
            memory = self._memory(tenant, draft, agent if isinstance(agent, Agent) else None)
            if draft.duplicate_threshold is not None:
                twin = await self._recognize(memory, draft.duplicate_threshold)
                if twin is not None:
                    outcomes[number] = Remembered(twin, duplicate=True)
                    continue
            planned[number] = self._planned(memory, draft, agent, session is True, endpoints, counting)
        errors = await self._memories.add([plan.entry for plan in planned.values()])
        deliveries: list[Delivery] = []
        count = 0
        for (number, plan), error in zip(planned.items(), errors, strict=True):
            outcome = outcomes[number] = await self._outcome(tenant, plan, error)
            if isinstance(outcome, Remembered) and not outcome.duplicate:
                deliveries += plan.deliveries
                count += 1
        if count:
            self._meter.record(memories_written(count))
        await self._notify.send(deliveries)
        return [outcomes[number] for number in range(len(drafts))]

    async def _outcome(
        self, tenant: str, plan: _Planned, error: CommonplaceError | None
    ) -> Remembered | CommonplaceError:
        memory = plan.entry.memory
        for left in reversed(range(CLAIM_TRIES)):
            if not isinstance(error, Duplicate):
                break
            twin = await self._memories.get(tenant, error.id)
            holds = twin is not None and twin.claim == memory.claim
            if twin is not None and holds and not twin.expired(self._clock.now()):
                return Remembered(twin, duplicate=True)
            # One whose time is over holds its claim until it is swept away: this one does without. One that says something
            # else by now, or is gone, holds it no more.
            if holds or not left:
                memory = replace(memory, claim=None)
            (error,) = await self._memories.add([replace(plan.entry, memory=memory)])
        return Remembered(memory) if error is None else error

    async def _agents(self, tenant: str, drafts: Sequence[Draft]) -> dict[str, Agent | CommonplaceError]:
        """The agents by what they are called, made where they are new; none outside of the store that all dialects share. To
        those who say their level every name is as good as another: an unknown UUID becomes an agent too.
        """
        freely = {draft.agent for draft in drafts if draft.level is not None}

        async def known(reference: str) -> Agent | CommonplaceError | None:
            try:
                return await self._enlist.find(tenant, reference)
            except NotFound as error:
                return None if reference in freely else error

        ordered = sorted({name for name in map(_registered, drafts) if name is not None})
        found: dict[str, Agent | CommonplaceError] = {}
        for reference, agent in zip(ordered, await asyncio.gather(*map(known, ordered)), strict=True):
            # One after the other: one counter counts them, and DynamoDB refuses transactions that meet there.
            order = AgentOrder(name=reference, id=reference if well_formed(reference) else None)
            found[reference] = (await self._enlist.create(tenant, order))[0] if agent is None else agent
        return found

    async def _known_sessions(self, tenant: str, drafts: Sequence[Draft]) -> dict[str, bool | CommonplaceError]:
        """Whether each is registered or a mere label; an error for a UUID that should be registered and is not. Where
        drafts say their level, sessions are labels."""

        async def one(id: str) -> bool | CommonplaceError:
            registered = await self._sessions.exists(tenant, id)
            return registered if registered or not well_formed(id) else NotFound("session")

        named = {draft.scope.session for draft in drafts if draft.level is None}
        ordered = sorted(id for id in named if id is not None)
        return dict(zip(ordered, await asyncio.gather(*map(one, ordered)), strict=True))

    async def _gauged(self, tenant: str, drafts: Sequence[Draft]) -> list[CommonplaceError | None]:
        """For each draft why its vector is refused for its length, or None. Each length of an organisation is asked for
        once, one after the other: they are written to the same rows."""
        refusals: dict[tuple[str | None, int], CommonplaceError | None] = {}
        found: list[CommonplaceError | None] = []
        for draft in drafts:
            if draft.vector is None:
                found.append(None)
                continue
            brought = _at_home(tenant, draft.scope).organization, len(draft.vector)
            if brought not in refusals:
                refusals[brought] = await self._refusal(tenant, *brought)
            found.append(refusals[brought])
        return found

    async def _refusal(self, tenant: str, organization: str | None, length: int) -> CommonplaceError | None:
        try:
            await self._gauge(tenant, organization, length)
        except (Invalid, Conflict) as error:
            return error
        return None

    def _memory(self, tenant: str, draft: Draft, agent: Agent | None) -> Memory:
        now = self._clock.now()
        scope = replace(_at_home(tenant, draft.scope), agent=draft.agent if agent is None else agent.id)
        return Memory(
            id=draft.id or self._ids.new(),
            tenant=tenant,
            scope=scope,
            origin=draft.origin,
            content=draft.content,
            content_hash=content_hash(draft.content),
            kind=draft.kind,
            importance=draft.importance,
            tier=draft.tier or Tier.of(draft.importance),
            tags=draft.tags,
            metadata=draft.metadata,
            confidential=draft.confidential,
            created_at=now,
            updated_at=now,
            occurred_at=draft.occurred_at or now,
            marked_at=now,
            notify=draft.notify,
            claim=claimed_by(tenant, draft, scope.agent),
            level=draft.level or "",
            label=_label(draft, agent),
            agent_name=agent.name if agent is not None and draft.level is None else draft.agent,
            source=draft.source,
            brought=None if draft.vector is None else len(draft.vector),
            insight=draft.insight,
        )

    def _planned(
        self,
        memory: Memory,
        draft: Draft,
        agent: Agent | CommonplaceError | None,
        registered: bool,
        endpoints: list[Webhook],
        counting: Counting,
    ) -> _Planned:
        deliveries = self._notify.deliveries(EventType.MEMORY_CREATED, memory, memory.created_at, endpoints)
        writer = agent.name if isinstance(agent, Agent) and registered else None
        vector = None if draft.vector is None else direction(draft.vector)
        entry = Entry(memory, writer, vector, staged(deliveries), tuple(counting(memory)), draft.quota)
        return _Planned(entry, deliveries)


def _at_home(tenant: str, scope: Scope) -> Scope:
    """The scope, in the store that all dialects share with an organisation: for writers without a word for it the tenant's
    own, whose name is the tenant's."""
    if scope.store != DEFAULT_STORE or scope.organization is not None:
        return scope
    return replace(scope, organization=tenant)


def _registered(draft: Draft) -> str | None:
    """The agent of a draft, where agents are registered: in the store that all dialects share."""
    return draft.agent if draft.scope.store == DEFAULT_STORE else None


def _label(draft: Draft, agent: Agent | None) -> str | None:
    """What the memory is about, by name: as the writer said it, where the writer thinks in levels."""
    if draft.level is not None:
        return draft.label or draft.scope.user or draft.agent or draft.scope.session
    return draft.scope.user or (draft.scope.session if agent is None else agent.name)


def claimed_by(tenant: str, draft: Draft, agent: str | None = None) -> str | None:
    """The key under which a draft claims its content; None if it may be there many times. ``agent`` is the agent's id, where
    the writer does not think in levels."""
    scope, hash = _at_home(tenant, draft.scope), content_hash(draft.content)
    if draft.unique and draft.level is not None:
        return keys.subject_claim(scope, hash, draft.level, _label(draft, None))
    return None if draft.duplicate_threshold is None else keys.claim(replace(scope, agent=agent), hash)


def _done(
    written: Remembered | CommonplaceError, searchable: dict[str, Memory | CommonplaceError]
) -> Remembered | CommonplaceError:
    if isinstance(written, CommonplaceError):
        return written
    now = searchable.get(written.memory.id)
    return replace(written, memory=now) if isinstance(now, Memory) else written
