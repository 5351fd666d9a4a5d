"""Making memories searchable: the one way from a row to the index."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TypeVar

from commonplace.core.notify import Notify
from commonplace.core.passages import passages
from commonplace.model.document import Document, Removal
from commonplace.model.errors import CommonplaceError, Conflict, Invalid, NotFound, Unavailable
from commonplace.model.memory import Memory, State, Tombstone
from commonplace.model.space import Embedding, Space
from commonplace.model.webhook import Delivery, EventType
from commonplace.ports.embedder import Embedder
from commonplace.ports.index import Index, Outcome
from commonplace.ports.meter import Meter, lag_to_searchable, memory_failed
from commonplace.ports.queue import Message
from commonplace.ports.world import Clock
from commonplace.rows.memories import Memories
from commonplace.rows.memory_writes import Settlement
from commonplace.rows.webhooks import staged

_Asked = TypeVar("_Asked", Document, Removal)

AT_ONCE = 4_000
"""Characters whose tokens are counted on the event loop itself (under a millisecond)."""

PORTION = 128
"""Passages that are embedded, indexed and written before the next ones are begun: more than the 100 memories of a batch, if
they are short. Titan needs 1.6 s for them (eight texts at a time, 100 ms each), OpenSearch three bulks."""

DOWN = 3
"""Portions that fail one after the other before a part of the service counts as down. Where one text makes its portion fail,
two do: the portion, and the half in which the text is."""


def message(memory: Memory | Tombstone) -> Message:
    """The message that asks the worker to bring the index up to date with a memory, whatever its revision is by then."""
    return Message(json.dumps({"kind": "embed", "tenant": memory.tenant, "id": memory.id}))


class Refused(Unavailable):
    """The index answered, and did not take this very memory. It may the next time; but it is not down."""


@dataclass(frozen=True, slots=True)
class _Work:
    """A memory on its way: its passages, the vector that its writer gave and, once known, the vectors of the passages
    (``stored``: they were in the row)."""

    memory: Memory
    texts: list[str]
    given: Embedding | None
    embedding: Embedding | None = None
    stored: bool = False


class Embed:
    """Embeds, indexes and marks as ready. Repeating it changes nothing, and each memory fails alone.

    A memory that came with a vector stands in two spaces: in that of the vector, and, by its text, in the service's own,
    unless ``embed_given`` is False. It is ready when both have it.
    """

    def __init__(
        self,
        memories: Memories,
        index: Index,
        embedder: Embedder,
        notify: Notify,
        clock: Clock,
        meter: Meter,
        *,
        embed_given: bool,
    ) -> None:
        self._memories = memories
        self._index = index
        self._embedder = embedder
        self._notify = notify
        self._clock = clock
        self._meter = meter
        self._embed_given = embed_given

    async def __call__(
        self, memories: Sequence[Memory], until: datetime | None = None
    ) -> list[Memory | CommonplaceError]:
        """Makes these revisions searchable. For each memory what it is now, or why it is not searchable yet.

        It works in portions of ``PORTION`` passages, or of one memory that has more, and each is finished before the next is
        begun. One that fails because of the embedder is tried again in halves, after the others. After ``until`` no portion
        is begun but the first, and none after ``DOWN`` failures in a row; what was not begun is ``Unavailable``.

        ``Unavailable`` is to be tried again until it is done, ``Refused`` a few times. A text that the embedder refuses
        is refused for good: its memory is failed now. A memory that was changed meanwhile is left to whoever changed it
        and is returned as it was; one that was deleted meanwhile is ``NotFound``, and has left the index again. What is
        ready already is put into the index again, with the vectors of its row if they are of this space.
        """
        work = await asyncio.gather(*(self._prepared(memory) for memory in memories))
        # First, because it needs no embedder, which may be down.
        left = await self._given_indexed(work)
        outcomes: dict[str, Memory | CommonplaceError] = {}
        waiting = deque(_portions(work))
        failed = 0
        while waiting and failed < DOWN and (not outcomes or until is None or self._clock.now() < until):
            portion = waiting.popleft()
            embedded = await self._embedded(portion)
            done = await self._finished(portion, embedded, left)
            outcomes |= done
            failed = failed + 1 if all(map(_tells_of_an_outage, done.values())) else 0
            if len(portion) > 1 and all(isinstance(each, Unavailable) for each in embedded):
                half = len(portion) // 2
                waiting += portion[:half], portion[half:]
        late = Unavailable("A part of the service is down" if failed == DOWN else "There was no time for it yet")
        return [outcomes.get(memory.id, late) for memory in memories]

    async def give_up(self, memory: Memory, reason: str) -> Memory:
        """Writes that a memory could not be made searchable, and why; what it is now.

        A memory that was changed or deleted is left alone. One that is found already, and whose index entry only lags
        behind its facts, stays marked for the sweeper: it is better found with old facts than not at all.
        """
        current = await self._memories.get(memory.tenant, memory.id)
        if current is None or current.ready or current.revision != memory.revision:
            return memory if current is None else current
        failed = replace(memory, state=State.FAILED, failure=reason, marked_at=None)
        try:
            await self._memories.settle(Settlement(failed, None, memory))
        except (NotFound, Conflict):
            return memory
        self._meter.record(memory_failed())
        return failed

    async def reach(self, memory: Memory) -> int:
        """How many passages of a memory the index holds or may hold, counting those that another is writing just now."""
        if memory.ready:
            return memory.passages
        return max(memory.passages, len(await self._texts(memory)))

    async def clear(self, tombstone: Tombstone) -> None:
        """Takes a deleted memory out of the index. Raises ``Unavailable``; repeating it changes nothing."""
        for name in tombstone.spaces:
            space = Space.named(name)
            await self._removed(tombstone, range(1 if space.is_given else tombstone.passages), space)
        if tombstone.marked_at is not None:
            try:
                await self._memories.rest(tombstone)
            except NotFound:
                return

    async def _prepared(self, memory: Memory) -> _Work:
        return _Work(memory, await self._texts(memory), await self._memories.given(memory))

    async def _texts(self, memory: Memory) -> list[str]:
        if memory.given is not None and not self._embed_given:
            return []
        if len(memory.content) <= AT_ONCE:
            return passages(memory, self._embedder.tokens, self._embedder.window)
        return await asyncio.to_thread(passages, memory, self._embedder.tokens, self._embedder.window)

    async def _embedded(self, work: Sequence[_Work]) -> list[_Work | CommonplaceError]:
        """With their vectors, from the rows where they are there."""
        try:
            known = await asyncio.gather(*map(self._recalled, work))
        except Unavailable as error:
            return [error for _ in work]
        missing = [each for each in known if not each.stored]
        outcomes: dict[str, _Work | CommonplaceError] = {}
        for each, outcome in zip(missing, await self._vectors(missing), strict=True):
            outcomes[each.memory.id] = outcome
        return [outcomes.get(each.memory.id, each) for each in known]

    async def _recalled(self, work: _Work) -> _Work:
        memory, space = work.memory, self._embedder.space
        if memory.model != space.name or not (memory.ready or memory.content_revision < memory.revision):
            return work
        embedding = await self._memories.embedding(memory, space)
        if embedding is None or len(embedding.vectors) != len(work.texts):
            return work
        return replace(work, embedding=embedding, stored=True)

    async def _finished(
        self, work: Sequence[_Work], embedded: Sequence[_Work | CommonplaceError], left: Mapping[str, CommonplaceError]
    ) -> dict[str, Memory | CommonplaceError]:
        """Puts into the index what has its vectors, and writes that it is found; what became of each memory. ``left`` is what
        could not be done about the vectors that came with them."""
        ready = [each for each in embedded if isinstance(each, _Work)]
        try:
            indexed = dict(zip((each.memory.id for each in ready), await self._indexed(ready), strict=True))
            outcomes = await self._settled(ready, {**indexed, **left})
            for each, outcome in zip(work, embedded, strict=True):
                if not isinstance(outcome, _Work):
                    id = each.memory.id
                    outcomes[id] = await self._without(each.memory, left.get(id, outcome))
        except Unavailable as error:
            return {each.memory.id: error for each in work}
        return outcomes

    async def _without(self, memory: Memory, error: CommonplaceError) -> Memory | CommonplaceError:
        return await self.give_up(memory, error.message) if isinstance(error, Invalid) else error

    async def _vectors(self, work: Sequence[_Work]) -> list[_Work | CommonplaceError]:
        texts = [text for each in work for text in each.texts]
        try:
            vectors = iter(await self._embedder.embed(texts) if texts else [])
        except Invalid as error:
            if len(work) == 1:
                return [error]
            half = len(work) // 2
            return [*await self._vectors(work[:half]), *await self._vectors(work[half:])]
        except Unavailable as error:
            return [error for _ in work]
        space = self._embedder.space
        return [replace(each, embedding=Embedding(space, tuple(next(vectors) for _ in each.texts))) for each in work]

    async def _indexed(self, work: Sequence[_Work]) -> list[CommonplaceError | None]:
        documents = [document for each in work for document in _documents(each)]
        try:
            outcomes = iter(await self._index.upsert(self._embedder.space, documents) if documents else [])
        except Unavailable as error:
            return [error for _ in work]
        errors = [[error for error in islice(outcomes, len(each.texts)) if error is not None] for each in work]
        return [await self._trimmed(each, of_one) for each, of_one in zip(work, errors, strict=True)]

    async def _given_indexed(self, work: Sequence[_Work]) -> dict[str, CommonplaceError]:
        """Puts the vectors that the memories' writers gave into their spaces, and takes those out whose memories have a
        new content, all of a space at once; by memory, what could not be done."""
        put: dict[Space, list[Document]] = {}
        taken: dict[Space, list[Removal]] = {}
        for each in work:
            memory = each.memory
            if each.given is not None:
                document = Document.of(memory, 0, "", each.given.vectors[0])
                put.setdefault(each.given.space, []).append(document)
            elif memory.brought is not None:
                removal = Removal(memory.tenant, memory.id, 0, memory.revision)
                taken.setdefault(Space.given(memory.brought), []).append(removal)
        failures = await asyncio.gather(
            *(_failures(documents, self._index.upsert(space, documents)) for space, documents in put.items()),
            *(_failures(removals, self._index.delete(space, removals)) for space, removals in taken.items()),
        )
        return {id: error for each in failures for id, error in each.items()}

    async def _trimmed(self, work: _Work, errors: list[CommonplaceError]) -> CommonplaceError | None:
        """Removes the passages that the memory no longer has, unless the index refused those that it has: the last ones,
        or, after a change of the model, all those of the old one."""
        if errors:
            return next((error for error in errors if isinstance(error, Unavailable)), None) or _index_said(errors[0])
        memory, space = work.memory, self._embedder.space
        old = space if memory.model is None else Space.named(memory.model)
        try:
            await self._removed(memory, range(len(work.texts) if old == space else 0, memory.passages), old)
        except Unavailable as error:
            return error
        return None

    async def _settled(
        self, work: Sequence[_Work], failures: Mapping[str, CommonplaceError | None]
    ) -> dict[str, Memory | CommonplaceError]:
        """Writes that memories are found, of those that the index has taken; by their ids what they are now, or why not."""
        outcomes: dict[str, Memory | CommonplaceError] = {}
        open: list[_Work] = []
        for each in work:
            memory, failure = each.memory, failures[each.memory.id]
            if failure is not None:
                outcomes[memory.id] = failure
            elif memory.ready and memory.marked_at is None and each.stored:
                outcomes[memory.id] = memory  # its row says all this already
            else:
                open.append(each)
        try:
            settlements = await self._settlements(open)
        except Unavailable as error:
            return outcomes | {each.memory.id: error for each in open}
        errors = await self._memories.settle_all([settlement for settlement, _ in settlements])
        told: list[Delivery] = []
        for each, (settlement, deliveries), refusal in zip(open, settlements, errors, strict=True):
            memory = each.memory
            if refusal is None:
                outcomes[memory.id] = settlement.memory
                told += deliveries
                if not memory.ready:
                    self._meter.record(lag_to_searchable(self._clock.now() - _asked_at(memory)))
            elif isinstance(refusal, NotFound):
                outcomes[memory.id] = await self._forgotten(memory, len(each.texts), self._clock.now()) or refusal
            else:
                outcomes[memory.id] = memory if isinstance(refusal, Conflict) else refusal
        await self._notify.send(told)
        return outcomes

    async def _settlements(self, work: Sequence[_Work]) -> list[tuple[Settlement, list[Delivery]]]:
        """What is to be written of memories that are found now, and who is to be told of it."""
        now = self._clock.now()
        fresh = {each.memory.tenant for each in work if not each.memory.ready}
        endpoints = dict(zip(fresh, await asyncio.gather(*map(self._notify.endpoints, fresh)), strict=True))
        settlements: list[tuple[Settlement, list[Delivery]]] = []
        for each in work:
            memory = each.memory
            ready = replace(
                memory,
                state=State.READY,
                failure=None,
                model=self._embedder.space.name,
                passages=len(each.texts),
                marked_at=None,
                ready_at=memory.ready_at if memory.ready else now,
            )
            deliveries: list[Delivery] = []
            if not memory.ready:
                of_tenant = endpoints[memory.tenant]
                deliveries = self._notify.deliveries(EventType.EMBEDDING_COMPLETED, ready, now, of_tenant)
            ready = replace(ready, notify=None)  # who asked with the write is told of it, and not of later changes
            embedding = None if each.stored else each.embedding
            settlements.append((Settlement(ready, embedding, memory, staged(deliveries)), deliveries))
        return settlements

    async def _forgotten(self, memory: Memory, count: int, now: datetime) -> Unavailable | None:
        """Undoes what a late message did to the index after its memory was deleted; or why that is still to be done."""
        left = await self._memories.last_seen(memory.tenant, memory.id)
        revision = left.revision if isinstance(left, Tombstone) else memory.revision + 1
        spaces = (self._embedder.space.name, *([] if memory.brought is None else [Space.given(memory.brought).name]))
        late = Tombstone(
            id=memory.id,
            tenant=memory.tenant,
            revision=revision,
            passages=count,
            spaces=spaces,
            deleted_at=now,
            marked_at=None,
        )
        try:
            await self.clear(late)
        except Unavailable as error:
            return error
        return None

    async def _removed(self, memory: Memory | Tombstone, numbers: range, space: Space) -> None:
        removals = [Removal(memory.tenant, memory.id, number, memory.revision) for number in numbers]
        if not removals:
            return
        outcomes = await self._index.delete(space, removals)
        if any(outcome is not None for outcome in outcomes):
            raise Unavailable("The index did not let go of a memory")


def _portions(work: Sequence[_Work]) -> list[list[_Work]]:
    """The work in its order, in portions of at most ``PORTION`` passages; what has more is a portion of its own."""
    portions: list[list[_Work]] = []
    room = 0
    for each in work:
        if not portions or len(each.texts) > room:
            portions.append([])
            room = PORTION
        portions[-1].append(each)
        room -= len(each.texts)
    return portions


def _tells_of_an_outage(outcome: Memory | CommonplaceError) -> bool:
    return isinstance(outcome, Unavailable) and not isinstance(outcome, Refused)


async def _failures(asked: Sequence[_Asked], answer: Awaitable[list[Outcome]]) -> dict[str, CommonplaceError]:
    """By memory, why the index did not do what it was asked."""
    try:
        outcomes = await answer
    except Unavailable as error:
        return {each.memory: error for each in asked}
    said = zip(asked, outcomes, strict=True)
    return {each.memory: _index_said(outcome) for each, outcome in said if outcome is not None}


def _index_said(error: CommonplaceError) -> CommonplaceError:
    """Why the index did not take a memory."""
    return error if isinstance(error, Unavailable) else Refused(f"The index refused it: {error.message}")


def _asked_at(memory: Memory) -> datetime:
    """When the present content was asked for: at the memory's creation, or by the change that brought it.

    If other facts of a changed memory were changed too before it could be found, the row only knows of the last change.
    ``marked_at`` would not do: every change moves it, and a memory that was given up has none.
    """
    return memory.created_at if memory.content_revision == 1 else memory.updated_at


def _documents(work: _Work) -> list[Document]:
    vectors = () if work.embedding is None else work.embedding.vectors
    return [
        Document.of(work.memory, number, text, vector)
        for number, (text, vector) in enumerate(zip(work.texts, vectors, strict=True))
    ]
