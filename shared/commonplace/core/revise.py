"""Changing memories."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from commonplace.core.embed import Embed, message
from commonplace.core.merge import merged
from commonplace.core.notify import Notify
from commonplace.core.retry import until_settled
from commonplace.model.errors import CommonplaceError, NotFound, Unavailable
from commonplace.model.filter import Between, Filter
from commonplace.model.insight import Insight
from commonplace.model.memory import HOT_FROM, Change, Memory, Standing, State, Tier, content_hash
from commonplace.model.webhook import EventType
from commonplace.ports.extractor import beginning
from commonplace.ports.queue import Queue
from commonplace.ports.world import Clock
from commonplace.rows import keys
from commonplace.rows.commit import Staged
from commonplace.rows.listing import Reading, weightless
from commonplace.rows.memories import Memories
from commonplace.rows.memory_writes import Duplicate
from commonplace.rows.webhooks import staged

IDLE = timedelta(days=30)
"""A memory that was not written to for so long may be demoted."""

MOST_DEMOTED = 50
"""Memories that one maintenance call demotes at most: each is written, indexed and settled, some 0.3 s on AWS, where a request
has 25."""

MOST_LOOKED_AT = 20_000
"""Rows that one maintenance call looks at, to find those; a page of them more."""

AT_ONCE = 100
"""Rows that it looks at at a time."""


class Revise:
    """Each change raises the revision, writes the row, and then brings the index up to date."""

    def __init__(self, memories: Memories, notify: Notify, embed: Embed, queue: Queue, clock: Clock) -> None:
        self._memories = memories
        self._notify = notify
        self._embed = embed
        self._queue = queue
        self._clock = clock

    async def __call__(self, tenant: str, id: str, change: Change) -> Memory:
        """The memory after the change; a change of nothing changes nothing.

        New content is embedded before this returns, unless the embedder or the index is down: then the memory is
        pending until the worker gets to it. Raises ``NotFound``, and ``Conflict`` if others keep changing it.
        """

        async def attempt() -> Memory:
            memory = await self._memories.get(tenant, id)
            if memory is None or memory.expired(self._clock.now()):
                raise NotFound("memory")
            return memory if change == Change() else await self._changed(memory, change)

        return await until_settled(attempt)

    async def demote(self, tenant: str, store: str, most: int = MOST_DEMOTED) -> int:
        """Makes cold what is neither hot nor was written to for ``IDLE``; how many that were.

        At most ``most`` of them, the oldest first; looks at ``MOST_LOOKED_AT`` rows. Calling again goes on where this ended, and
        begins anew once all were looked at.
        """
        now = self._clock.now()
        filter = Filter(
            store=store, tiers=(Tier.WARM,), importance=Between(high=HOT_FROM), confidential=True, archived=True
        )
        start = await self._memories.kept_up(tenant, store)
        reading, place, demoted = Reading(MOST_LOOKED_AT, start), start, 0
        while reading.goes_on and demoted < most:
            place = reading.place
            listed = await self._memories.page(
                tenant,
                filter,
                limit=AT_ONCE,
                start=reading.place,
                newest_first=False,
                until=now - IDLE,
                weigh=weightless,
            )
            for memory in reading.took(listed):
                if demoted < most and memory.updated_at <= now - IDLE and not memory.expired(now):
                    demoted += await self._demoted(memory)
        if demoted < most:  # else some of the last page may still be to be demoted
            place = reading.place
        if place != start:
            await self._memories.keep_up(tenant, store, place)
        return demoted

    async def _demoted(self, memory: Memory) -> bool:
        try:
            await self(memory.tenant, memory.id, Change(tier=Tier.COLD))
        except NotFound:
            return False
        return True

    async def _changed(self, memory: Memory, change: Change) -> Memory:
        now = self._clock.now()
        revision = memory.revision + 1
        rewritten = change.content is not None and change.content != memory.content
        content = memory.content if change.content is None else change.content
        importance = memory.importance if change.importance is None else change.importance
        tier = change.tier or (memory.tier if change.importance is None else Tier.of(importance))
        new = replace(
            memory,
            content=content,
            content_hash=content_hash(content),
            metadata=merged("metadata", memory.metadata if change.metadata is None else change.metadata, change.merged),
            tags=memory.tags if change.tags is None else change.tags,
            **_stood(memory, change.standing, now),
            importance=importance,
            tier=tier,
            state=State.PENDING if rewritten else memory.state,
            failure=None if rewritten else memory.failure,
            insight=_rethought(memory.insight, content) if rewritten else memory.insight,
            claim=None if rewritten or change.standing not in (None, Standing.ACTIVE) else memory.claim,
            passages=await self._embed.reach(memory),
            revision=revision,
            content_revision=revision if rewritten else memory.content_revision,
            updated_at=now,
            marked_at=now if rewritten or memory.state is not State.FAILED else None,
        )
        endpoints = await self._notify.endpoints(memory.tenant)
        deliveries = self._notify.deliveries(EventType.MEMORY_UPDATED, new, now, endpoints)
        new = await self._replaced(memory, new, staged(deliveries), unique=change.unique)
        await self._notify.send(deliveries)
        if new.marked_at is None:
            return new
        return await self._searchable(new)

    async def _replaced(self, old: Memory, new: Memory, also: Sequence[Staged], *, unique: bool) -> Memory:
        """The memory as it was written; of ``unique`` ones it claims its content, if no other does."""
        if unique and new.claim is None and new.archived_at is None:
            claim = keys.subject_claim(new.scope, new.content_hash, new.level, new.label)
            claiming = replace(new, claim=claim)
            with suppress(Duplicate):
                await self._memories.replace(old, claiming, also)
                return claiming
        await self._memories.replace(old, new, also)
        return new

    async def _searchable(self, memory: Memory) -> Memory:
        (outcome,) = await self._embed([memory])
        if isinstance(outcome, Unavailable):
            await self._queue.send([message(memory)])
        if isinstance(outcome, NotFound):
            raise outcome
        return memory if isinstance(outcome, CommonplaceError) else outcome


def _rethought(insight: Insight | None, content: str) -> Insight | None:
    """What is still true of an insight when its text is another: no summary of the old one, and no names in it."""
    return None if insight is None else replace(insight, title=beginning(content), summary=None, entities=())


def _stood(memory: Memory, standing: Standing | None, now: datetime) -> dict[str, Any]:
    """What a change of its standing means for a memory."""
    match standing:
        case None:
            return {}
        case Standing.ACTIVE:
            return {"archived_at": None, "lapsed": False}
        case _:
            return {"archived_at": memory.archived_at or now, "lapsed": standing is Standing.EXPIRED}
