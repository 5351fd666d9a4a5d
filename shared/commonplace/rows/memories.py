"""Memories: their rows, their vectors, their tombstones."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from commonplace.model.errors import CommonplaceError, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.memory import Accesses, Memory, Tombstone
from commonplace.model.payload import carried
from commonplace.model.scope import DEFAULT_STORE
from commonplace.model.space import Embedding, Space
from commonplace.ports.table import (
    Absent,
    Delete,
    Key,
    Put,
    Query,
    RevisionIs,
    Table,
    Update,
    Value,
)
from commonplace.rows import keys
from commonplace.rows.codec import Reader, per_chunk, present, text
from commonplace.rows.commit import Staged, commit
from commonplace.rows.figures import counted, tallied
from commonplace.rows.listing import Listed, Place, listed
from commonplace.rows.memory_items import LISTS, buried, decoded, encoded, list_key, living
from commonplace.rows.memory_writes import (
    Entry,
    Settlement,
    additions,
    claiming,
    counts,
    gone_or_changed,
    grouped,
    settled_together,
    settling,
    vectors_of,
    without_given,
    without_vectors,
)

T = TypeVar("T")

MOST_SOURCES = 250
"""Events that a memory names as its sources; more of the same are not told. Ids of 256 characters, of up to 6 bytes each in
JSON, so stay within the 400 KB of an item (DynamoDB)."""

LAST_ID = "\U0010ffff"
"""Stands behind every id, in the order of the lists."""


def weight(memory: Memory) -> int:
    """Bytes of its content and metadata in an answer, all of which show both."""
    return carried(text(memory.content)) + carried(text(memory.metadata))


class Memories:
    """The memories of all tenants. Every method takes the tenant, in the memory or by itself."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: str, id: str) -> Memory | None:
        """The memory, or None."""
        return living(await self._table.get(keys.memory(tenant, id)))

    async def last_seen(self, tenant: str, id: str) -> Memory | Tombstone | None:
        """The memory, or what is left of it."""
        return (await self.last_seen_all([(tenant, id)]))[0]

    async def last_seen_all(self, ids: Sequence[tuple[str, str]]) -> list[Memory | Tombstone | None]:
        """For each pair of a tenant and an id the memory, or what is left of it."""
        wanted = [keys.memory(tenant, id) for tenant, id in ids]
        items = await self._table.batch_get(wanted)
        return [decoded(items[key]) if key in items else None for key in wanted]

    async def many(self, tenant: str, ids: Iterable[str]) -> dict[str, Memory]:
        """Those of the memories that there are, by id."""
        items = await self._table.batch_get([keys.memory(tenant, id) for id in ids])
        found = (living(item) for item in items.values())
        return {memory.id: memory for memory in found if memory is not None}

    async def add(self, entries: Sequence[Entry]) -> list[CommonplaceError | None]:
        """Writes new memories with their counters; for each None, or why it was not written.

        Many share a transaction. If one of them cannot be written the others still are.
        """
        return await self._in_groups(grouped(entries), additions)

    async def _in_groups(
        self, groups: Sequence[Sequence[T]], writes: Callable[[Sequence[T]], list[Staged]]
    ) -> list[CommonplaceError | None]:
        """Writes each group in a transaction, and one by one what cannot be written together, unless the table is down."""
        outcomes: list[CommonplaceError | None] = []
        for group in groups:
            try:
                await commit(self._table, writes(group))
                outcomes += [None] * len(group)
            except CommonplaceError as error:
                if len(group) == 1 or isinstance(error, Unavailable):
                    outcomes += [error] * len(group)
                else:
                    outcomes += await self._in_groups([[each] for each in group], writes)
        return outcomes

    async def replace(self, old: Memory, new: Memory, also: Sequence[Staged] = ()) -> None:
        """Writes a new revision over ``old``, whose claim goes if ``new`` does not hold it any more; a claim that is new is
        taken. Raises ``NotFound`` or ``Conflict``, and ``Duplicate`` if another holds it.
        """
        writes = [Staged(Put(keys.memory(old.tenant, old.id), encoded(new), RevisionIs(old.revision)), gone_or_changed)]
        if old.claim is not None and new.claim != old.claim:
            writes.append(Staged(Delete(keys.claimed(old.tenant, old.claim))))
        if new.claim is not None and new.claim != old.claim:
            writes.append(claiming(new, new.claim))
        if new.given is None:
            writes += without_given(old)
        await commit(self._table, [*writes, *also])

    async def settle(self, settlement: Settlement) -> None:
        """Writes how an attempt to index a revision ended. Raises ``NotFound`` or ``Conflict`` if the row is no longer at
        that revision."""
        await commit(self._table, settling([settlement]))

    async def settle_all(self, settlements: Sequence[Settlement]) -> list[CommonplaceError | None]:
        """As ``settle`` for many different memories, in few transactions; for each None, or why it was not written."""
        return await self._in_groups(settled_together(settlements), settling)

    async def embedding(self, memory: Memory, space: Space) -> Embedding | None:
        """The stored vectors of the present content in a space, or None if they are not there or not all of them."""
        count = -(-memory.passages // per_chunk(space))
        wanted = [keys.vectors(memory.tenant, memory.id, space.name, chunk) for chunk in range(count)]
        items = await self._table.batch_get(wanted)
        found: list[tuple[float, ...]] = []
        for key in wanted:
            item = items.get(key)
            if item is None or Reader(item.attributes).whole("content_revision") != memory.content_revision:
                return None
            found += vectors_of(item, space)
        return Embedding(space, tuple(found)) if found else None

    async def given(self, memory: Memory) -> Embedding | None:
        """The vector that the writer of a memory gave with its present content, or None."""
        if memory.given is None:
            return None
        space = Space.given(memory.given)
        item = await self._table.get(keys.vectors(memory.tenant, memory.id, space.name, 0))
        return None if item is None else Embedding(space, tuple(vectors_of(item, space)))

    async def bury(self, memory: Memory, now: datetime, space: Space, also: Sequence[Staged] = ()) -> Tombstone:
        """Puts a tombstone in the place of this revision of a memory; its content, vectors and claim are gone.

        ``space`` is where somebody may be writing it just now.

        Raises ``NotFound`` or ``Conflict``.
        """
        own = tuple(dict.fromkeys(filter(None, (memory.model, space.name))))
        tombstone = Tombstone(
            id=memory.id,
            tenant=memory.tenant,
            revision=memory.revision + 1,
            passages=memory.passages,
            spaces=(*own, *_given(memory)),
            deleted_at=now,
            marked_at=now,
        )
        put = Put(keys.memory(memory.tenant, memory.id), buried(tombstone), RevisionIs(memory.revision))
        writes = [Staged(put, gone_or_changed)]
        writes += without_vectors(memory, own)
        writes += without_given(memory)
        if memory.claim is not None:
            writes.append(Staged(Delete(keys.claimed(memory.tenant, memory.claim))))
        writes.append(Staged(Delete(keys.accesses(memory.tenant, memory.id))))
        if memory.insight is not None:
            writes.append(Staged(Delete(keys.sources(memory.tenant, memory.id))))
        writes += tallied(counts(memory, -1, now))
        await commit(self._table, [*writes, *also])
        return tombstone

    async def rest(self, tombstone: Tombstone) -> None:
        """Writes that the index has let go of a deleted memory."""
        update = Update(
            keys.memory(tombstone.tenant, tombstone.id),
            remove=("marked_at", "work_key", "work_at"),
            condition=RevisionIs(tombstone.revision),
        )
        await commit(self._table, [Staged(update, gone_or_changed)])

    async def claimed(self, tenant: str, claims: Iterable[str]) -> set[str]:
        """Those of the claims that are held."""
        wanted = {keys.claimed(tenant, claim): claim for claim in claims}
        return {wanted[key] for key in await self._table.batch_get(list(wanted))}

    async def accessed(self, tenant: str, ids: Iterable[str], now: datetime) -> None:
        """Counts an access of each of the memories."""
        updates = [
            Update(keys.accesses(tenant, id), set=present({"noun": "accesses", "last_at": now}), add={"count": 1})
            for id in dict.fromkeys(ids)
        ]
        await asyncio.gather(*(self._table.transact([update]) for update in updates))

    async def accesses(self, tenant: str, ids: Iterable[str]) -> dict[str, Accesses]:
        """How often each of the memories was accessed."""
        wanted = {id: keys.accesses(tenant, id) for id in ids}
        items = await self._table.batch_get(list(wanted.values()))
        rows = {id: Reader(items[key].attributes) if key in items else None for id, key in wanted.items()}
        return {
            id: Accesses() if row is None else Accesses(row.whole("count"), row.maybe_moment("last_at"))
            for id, row in rows.items()
        }

    async def gained(self, tenant: str, id: str, events: Sequence[str]) -> None:
        """Adds events to those that a memory was made of; what is there already is not added again, nor is anything beyond
        ``MOST_SOURCES``. Raises ``Conflict``."""
        key = keys.sources(tenant, id)
        item = await self._table.get(key)
        known = () if item is None else tuple(Reader(item.attributes).json("events"))
        all = tuple(dict.fromkeys([*known, *events]))[:MOST_SOURCES]
        if all == known:
            return
        revision = 0 if item is None else Reader(item.attributes).whole("revision")
        attributes: dict[str, Value] = {"noun": "sources", "events": text(all), "revision": revision + 1}
        await commit(self._table, [Staged(Put(key, attributes, RevisionIs(revision) if revision else Absent()))])

    async def sources(self, tenant: str, ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The events that each of the memories was made of, in the order in which they came."""
        wanted = {id: keys.sources(tenant, id) for id in ids}
        items = await self._table.batch_get(list(wanted.values()))
        rows = {id: items.get(key) for id, key in wanted.items()}
        return {id: () if item is None else tuple(Reader(item.attributes).json("events")) for id, item in rows.items()}

    async def page(
        self,
        tenant: str,
        filter: Filter,
        *,
        limit: int,
        offset: int = 0,
        start: Place | None = None,
        newest_first: bool = True,
        until: datetime | None = None,
        weigh: Callable[[Memory], int] = weight,
    ) -> Listed[Memory]:
        """A page of the memories that the filter means, by when they were written; only those written ``until`` a time, if one
        is given. As many as an answer can show; all, where they are ``weightless`` because they are not shown. ``filter.store``
        must be given."""
        partition, index = _narrowest(tenant, filter)
        high = None if until is None else keys.timed(until, LAST_ID)

        async def load(wanted: Sequence[Key]) -> list[Memory | None]:
            items = await self._table.batch_get(wanted)
            memories = [living(items.get(key)) for key in wanted]
            return [memory if memory and filter.matches(memory) else None for memory in memories]

        return await listed(
            self._table,
            Query(partition=partition, index=index, descending=newest_first, high=high),
            load,
            limit=limit,
            offset=offset,
            filtered=filter != _whole(filter, *LISTS[index]),
            start=start,
            weigh=weigh,
        )

    async def kept_up(self, tenant: str, store: str) -> Place | None:
        """Where the upkeep of a store goes on; None for its oldest memory."""
        item = await self._table.get(keys.upkeep(tenant, store))
        after = None if item is None else Reader(item.attributes).maybe("after")
        return None if after is None else Place(after)

    async def keep_up(self, tenant: str, store: str, place: Place | None) -> None:
        """Writes where the upkeep of a store goes on. Of two at the same time one is kept: both are places of it."""
        after = None if place is None else place.after
        await self._table.transact([Put(keys.upkeep(tenant, store), present({"noun": "upkeep", "after": after}))])

    async def total(self, tenant: str, filter: Filter) -> int | None:
        """How many memories the filter means, where a counter knows it; else None."""
        for name in ("store", "agent", "session", "user", "level"):
            if filter == _whole(filter, name) and (name not in ("user", "level") or filter.store != DEFAULT_STORE):
                scope = filter.scope()
                part = filter.level if name == "level" else scope.get(name)
                within = (scope["store"],) if part is None or name == "store" else (scope["store"], part)
                return await counted(self._table, keys.figures(tenant, name, *within), "memories")
        return None

    async def marked(self, shard: str, before: datetime, limit: int) -> list[Memory | Tombstone]:
        """Memories and tombstones of a shard that the index has not caught up with since before a time, oldest first."""
        query = Query(partition=shard, index="work", high=keys.stamp(before), limit=limit)
        return await self._of_all_tenants(query)

    async def expired(self, shard: str, before: datetime, limit: int) -> list[Memory]:
        """Memories of a shard whose time is over, oldest first."""
        query = Query(partition=shard, index="expiring", high=keys.stamp(before), limit=limit)
        return [memory for memory in await self._of_all_tenants(query) if isinstance(memory, Memory)]

    async def everything(self, after: str | None, limit: int) -> tuple[list[Memory], str | None]:
        """The memories among the next ``limit`` items of the whole table, and where to go on; None at the end."""
        scanned = await self._table.scan(after, limit)
        found = [decoded(item) for item in scanned.items if item.attributes.get("noun") in ("memory", "tombstone")]
        return [each for each in found if isinstance(each, Memory)], scanned.next

    async def _of_all_tenants(self, query: Query) -> list[Memory | Tombstone]:
        wanted = (await self._table.query(query)).keys
        items = await self._table.batch_get(wanted)
        return [decoded(items[key]) for key in wanted if key in items]


def _given(memory: Memory) -> list[str]:
    """The space in which the index may hold the vector that came with a memory, even if the row has let go of it."""
    return [] if memory.brought is None else [Space.given(memory.brought).name]


def _narrowest(tenant: str, filter: Filter) -> tuple[str, str]:
    """The partition in which the memories that are meant are listed, with the fewest others, and its index."""
    lists = ((list_key(tenant, filter.scope(), index), index) for index in LISTS)
    return next((partition, index) for partition, index in lists if partition is not None)


def _whole(filter: Filter, *parts: str) -> Filter:
    """The filter that means everything of these parts of the scope: an index of them answers it without looking at a row."""
    meant = {part: getattr(filter, part) for part in ("store", *parts)}
    return Filter(**meant, confidential=True, archived=True)
