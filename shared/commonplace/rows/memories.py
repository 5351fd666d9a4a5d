"""Memories: their rows, their vectors, their tombstones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from commonplace.model.errors import CommonplaceError, Conflict, NotFound
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory, Notify, State, Tier, Tombstone
from commonplace.model.scope import SCOPE_PARTS, Scope
from commonplace.model.space import Embedding, Space
from commonplace.ports.table import (
    MAX_TRANSACTION,
    TTL_ATTRIBUTE,
    Absent,
    Check,
    Delete,
    Item,
    Key,
    Present,
    Put,
    Query,
    RevisionIs,
    Table,
    Update,
    Value,
)
from commonplace.rows import keys
from commonplace.rows.codec import Reader, absent, chunks, per_chunk, present, text, unpacked
from commonplace.rows.commit import Staged, changed_meanwhile, commit
from commonplace.rows.figures import Count, counted, tallied
from commonplace.rows.listing import Listed, Place, listed
from commonplace.rows.sessions import contribution

TOMBSTONE_LIFE = timedelta(days=30)
"""How long a tombstone stays: longer than any message can be late (SQS keeps one for at most 14 days)."""

MAX_COMMIT_BYTES = 3_000_000
"""Of the 4 MB that a transaction may have."""


class Duplicate(CommonplaceError):
    """The content is already stored in this scope, as the memory ``id``."""

    def __init__(self, id: str) -> None:
        super().__init__("This content is already stored")
        self.id = id


@dataclass(frozen=True, slots=True)
class Entry:
    """A new memory with what is written in the same breath.

    ``writer`` is the name of the agent that contributes to the memory's session, where that session is a registered
    one (which must still be there); ``also`` are other staged rows, such as deliveries.
    """

    memory: Memory
    writer: str | None = None
    also: tuple[Staged, ...] = ()


class Memories:
    """The memories of all tenants. Every method takes the tenant, in the memory or by itself."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: str, id: str) -> Memory | None:
        """The memory, or None."""
        return _living(await self._table.get(keys.memory(tenant, id)))

    async def last_seen(self, tenant: str, id: str) -> Memory | Tombstone | None:
        """The memory, or what is left of it."""
        return (await self.last_seen_all([(tenant, id)]))[0]

    async def last_seen_all(self, ids: Sequence[tuple[str, str]]) -> list[Memory | Tombstone | None]:
        """For each pair of a tenant and an id the memory, or what is left of it."""
        wanted = [keys.memory(tenant, id) for tenant, id in ids]
        items = await self._table.batch_get(wanted)
        return [_decoded(items[key]) if key in items else None for key in wanted]

    async def many(self, tenant: str, ids: Iterable[str]) -> dict[str, Memory]:
        """Those of the memories that there are, by id."""
        items = await self._table.batch_get([keys.memory(tenant, id) for id in ids])
        found = (_living(item) for item in items.values())
        return {memory.id: memory for memory in found if memory is not None}

    async def add(self, entries: Sequence[Entry]) -> list[CommonplaceError | None]:
        """Writes new memories with their counters; for each None, or why it was not written.

        Many share a transaction. If one of them cannot be written the others still are.
        """
        outcomes: list[CommonplaceError | None] = []
        for group in _grouped(entries):
            try:
                await commit(self._table, _new(group))
                outcomes += [None] * len(group)
            except CommonplaceError as error:
                outcomes += [error] if len(group) == 1 else [await self._add_alone(entry) for entry in group]
        return outcomes

    async def _add_alone(self, entry: Entry) -> CommonplaceError | None:
        try:
            await commit(self._table, _new([entry]))
        except CommonplaceError as error:
            return error
        return None

    async def replace(self, old: Memory, new: Memory, also: Sequence[Staged] = ()) -> None:
        """Writes a new revision over ``old``, whose claim goes if ``new`` does not hold it any more.

        Raises ``NotFound`` or ``Conflict``.
        """
        writes = [
            Staged(Put(keys.memory(old.tenant, old.id), _encoded(new), RevisionIs(old.revision)), _gone_or_changed)
        ]
        if old.claim is not None and new.claim != old.claim:
            writes.append(Staged(Delete(keys.claimed(old.tenant, old.claim))))
        await commit(self._table, [*writes, *also])

    async def settle(
        self, memory: Memory, embedding: Embedding | None, before: int, also: Sequence[Staged] = ()
    ) -> None:
        """Writes how an attempt to index this revision ended: its state, its vectors, its mark.

        ``embedding`` is None where the stored vectors are still right; ``before`` is the number of passages that were
        stored until now. Raises ``NotFound`` or ``Conflict`` if the row is no longer at this revision.
        """
        outcome = {
            "state": memory.state.value,
            "failure": memory.failure,
            "model": memory.model,
            "passages": memory.passages,
            "ready_at": memory.ready_at,
            "marked_at": memory.marked_at,
            **_marked(memory.marked_at, memory.id),
            **_told(memory.notify),
        }
        update = Update(
            keys.memory(memory.tenant, memory.id),
            set=present(outcome),
            remove=absent(outcome),
            condition=RevisionIs(memory.revision),
        )
        writes = [Staged(update, _gone_or_changed)]
        if embedding is not None:
            writes += _vectors(memory, embedding, before)
        await commit(self._table, [*writes, *also])

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
            found += unpacked(Reader(item.attributes).data("vectors"), space.dimension)
        return Embedding(space, tuple(found)) if found else None

    async def bury(self, memory: Memory, now: datetime, space: Space, also: Sequence[Staged] = ()) -> Tombstone:
        """Puts a tombstone in the place of this revision of a memory; its content, vectors and claim are gone.

        Raises ``NotFound`` or ``Conflict``.
        """
        tombstone = Tombstone(
            id=memory.id,
            tenant=memory.tenant,
            revision=memory.revision + 1,
            passages=memory.passages,
            spaces=(space.name,) if memory.model is None else (memory.model,),
            deleted_at=now,
            marked_at=now,
        )
        put = Put(keys.memory(memory.tenant, memory.id), _buried(tombstone), RevisionIs(memory.revision))
        writes = [Staged(put, _gone_or_changed)]
        count = -(-memory.passages // per_chunk(space))
        writes += [Staged(Delete(keys.vectors(memory.tenant, memory.id, space.name, chunk))) for chunk in range(count)]
        if memory.claim is not None:
            writes.append(Staged(Delete(keys.claimed(memory.tenant, memory.claim))))
        writes += tallied(_counts(memory, -1))
        await commit(self._table, [*writes, *also])
        return tombstone

    async def rest(self, tombstone: Tombstone) -> None:
        """Writes that the index has let go of a deleted memory."""
        update = Update(
            keys.memory(tombstone.tenant, tombstone.id),
            remove=("marked_at", "work_key", "work_at"),
            condition=RevisionIs(tombstone.revision),
        )
        await commit(self._table, [Staged(update, _gone_or_changed)])

    async def page(
        self, tenant: str, filter: Filter, *, limit: int, offset: int = 0, start: Place | None = None
    ) -> Listed[Memory]:
        """The memories that the filter means, newest first. ``filter.store`` must be given."""
        index, name = _narrowest(filter)

        async def load(wanted: Sequence[Key]) -> list[Memory | None]:
            items = await self._table.batch_get(wanted)
            memories = [_living(items.get(key)) for key in wanted]
            return [memory if memory and filter.matches(memory) else None for memory in memories]

        return await listed(
            self._table,
            Query(partition=_list_key(tenant, filter.scope(), name), index=index, descending=True),
            load,
            limit=limit,
            offset=offset,
            filtered=filter != _whole(filter, name),
            start=start,
        )

    async def total(self, tenant: str, filter: Filter) -> int | None:
        """How many memories the filter means, where a counter knows it; else None."""
        for name in ("store", "agent", "session"):
            if filter == _whole(filter, name):
                scope = filter.scope()
                within = (scope["store"],) if name == "store" else (scope["store"], scope[name])
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

    async def _of_all_tenants(self, query: Query) -> list[Memory | Tombstone]:
        wanted = (await self._table.query(query)).keys
        items = await self._table.batch_get(wanted)
        return [_decoded(items[key]) for key in wanted if key in items]


_INDEXES = (("session", "by_session"), ("user", "by_user"), ("agent", "by_agent"), ("project", "by_project"))
"""The scope parts that have an index of their own, the narrowest first."""


def _narrowest(filter: Filter) -> tuple[str, str]:
    scope = filter.scope()
    return next(((index, name) for name, index in _INDEXES if name in scope), ("listing", "store"))


def _whole(filter: Filter, name: str) -> Filter:
    """The filter that an index by ``name`` answers without looking at a row: everything of that part of the scope."""
    return Filter(
        store=filter.store,
        session=filter.session if name == "session" else None,
        user=filter.user if name == "user" else None,
        agent=filter.agent if name == "agent" else None,
        project=filter.project if name == "project" else None,
        confidential=True,
        archived=True,
    )


def _list_key(tenant: str, scope: dict[str, str], name: str) -> str:
    if name == "store":
        return keys.members("memories", tenant, scope["store"])
    return keys.members("memories", tenant, scope["store"], name, scope[name])


def _marked(moment: datetime | None, id: str) -> dict[str, str | None]:
    """The place in the ``work`` index of what the index has not caught up with since ``moment``."""
    if moment is None:
        return {"work_key": None, "work_at": None}
    return {"work_key": keys.pending(id), "work_at": _work_at(moment, id)}


def _told(notify: Notify | None) -> dict[str, str | None]:
    if notify is None:
        return {"notify_url": None, "notify_secret": None}
    return {"notify_url": notify.url, "notify_secret": notify.secret}


def _work_at(moment: datetime, id: str) -> str:
    return f"{keys.stamp(moment)}#{id}"


def _encoded(memory: Memory) -> dict[str, Value]:
    scope = {part: getattr(memory.scope, part) for part in SCOPE_PARTS}
    listing = {f"{name}_key": _list_key(memory.tenant, scope, name) for name, _ in _INDEXES if scope[name] is not None}
    return present(
        {
            "noun": "memory",
            "id": memory.id,
            "tenant": memory.tenant,
            **{f"scope_{part}": value for part, value in scope.items()},
            "origin": memory.origin,
            "content": memory.content,
            "content_hash": memory.content_hash,
            "kind": memory.kind,
            "importance": memory.importance,
            "tier": memory.tier.value,
            "created_at": memory.created_at,
            "updated_at": memory.updated_at,
            "occurred_at": memory.occurred_at,
            "tags": text(memory.tags),
            "metadata": text(memory.metadata),
            "confidential": memory.confidential,
            "state": memory.state.value,
            "failure": memory.failure,
            "revision": memory.revision,
            "content_revision": memory.content_revision,
            "model": memory.model,
            "passages": memory.passages,
            "ready_at": memory.ready_at,
            "marked_at": memory.marked_at,
            "expires_at": memory.expires_at,
            "archived_at": memory.archived_at,
            **_told(memory.notify),
            "claim": memory.claim,
            "listing_key": _list_key(memory.tenant, scope, "store"),
            "listing_at": f"{keys.stamp(memory.created_at)}#{memory.id}",
            **listing,
            **_marked(memory.marked_at, memory.id),
            "expiring_key": None if memory.expires_at is None else keys.expiring(memory.id),
            "expiring_at": None if memory.expires_at is None else _work_at(memory.expires_at, memory.id),
        }
    )


def _buried(tombstone: Tombstone) -> dict[str, Value]:
    return present(
        {
            "noun": "tombstone",
            "id": tombstone.id,
            "tenant": tombstone.tenant,
            "revision": tombstone.revision,
            "passages": tombstone.passages,
            "spaces": text(tombstone.spaces),
            "deleted_at": tombstone.deleted_at,
            "marked_at": tombstone.marked_at,
            **_marked(tombstone.marked_at, tombstone.id),
            TTL_ATTRIBUTE: int((tombstone.deleted_at + TOMBSTONE_LIFE).timestamp()),
        }
    )


def _living(item: Item | None) -> Memory | None:
    decoded = None if item is None else _decoded(item)
    return decoded if isinstance(decoded, Memory) else None


def _decoded(item: Item) -> Memory | Tombstone:
    row = Reader(item.attributes)
    if row.string("noun") == "tombstone":
        return Tombstone(
            id=row.string("id"),
            tenant=row.string("tenant"),
            revision=row.whole("revision"),
            passages=row.whole("passages"),
            spaces=tuple(row.json("spaces")),
            deleted_at=row.moment("deleted_at"),
            marked_at=row.maybe_moment("marked_at"),
        )
    return Memory(
        id=row.string("id"),
        tenant=row.string("tenant"),
        scope=Scope(store=row.string("scope_store"), **{p: row.maybe(f"scope_{p}") for p in SCOPE_PARTS[1:]}),
        origin=row.string("origin"),
        content=row.string("content"),
        content_hash=row.string("content_hash"),
        kind=row.string("kind"),
        importance=row.number("importance") or 0.0,
        tier=Tier(row.string("tier")),
        created_at=row.moment("created_at"),
        updated_at=row.moment("updated_at"),
        occurred_at=row.moment("occurred_at"),
        tags=tuple(row.json("tags")),
        metadata=row.json("metadata"),
        confidential=row.flag("confidential"),
        state=State(row.string("state")),
        failure=row.maybe("failure"),
        revision=row.whole("revision"),
        content_revision=row.whole("content_revision"),
        model=row.maybe("model"),
        passages=row.whole("passages"),
        ready_at=row.maybe_moment("ready_at"),
        marked_at=row.maybe_moment("marked_at"),
        expires_at=row.maybe_moment("expires_at"),
        archived_at=row.maybe_moment("archived_at"),
        notify=_notify(row),
        claim=row.maybe("claim"),
    )


def _notify(row: Reader) -> Notify | None:
    url = row.maybe("notify_url")
    return None if url is None else Notify(url, row.string("notify_secret"))


def _gone_or_changed(item: Item | None) -> CommonplaceError:
    if _living(item) is None:
        return NotFound("memory")
    return Conflict("The memory was changed at the same time")


def _counts(memory: Memory, by: int) -> list[Count]:
    """What a memory counts for: its store, and its agent and its session there."""
    at = memory.created_at if by > 0 else None
    store = memory.scope.store
    within = [("store", None), ("agent", memory.scope.agent), ("session", memory.scope.session)]
    return [
        Count(keys.figures(memory.tenant, noun, store, *([] if id is None else [id])), "memories", by, at)
        for noun, id in within
        if noun == "store" or id is not None
    ]


def _grouped(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries in groups that each fit into one transaction, in which no claim may stand twice."""
    groups: list[list[Entry]] = []
    own, size, shared, claims = 0, 0, set[Key](), set[tuple[str, str]]()
    for entry in entries:
        memory = entry.memory
        writes = 1 + len(entry.also) + (memory.claim is not None)
        bytes_ = 4 * len(memory.content) + len(text(memory.metadata)) * 4
        touched = {count.key for count in _counts(memory, 1)} | {write.key for write in _session_writes(entry)}
        claim = set() if memory.claim is None else {(memory.tenant, memory.claim)}
        full = own + writes + len(shared | touched) > MAX_TRANSACTION or size + bytes_ > MAX_COMMIT_BYTES
        if full or claim & claims or not groups:
            groups.append([])
            own, size, shared, claims = 0, 0, set(), set()
        groups[-1].append(entry)
        own, size, shared, claims = own + writes, size + bytes_, shared | touched, claims | claim
    return groups


def _new(entries: Sequence[Entry]) -> list[Staged]:
    writes: list[Staged] = []
    sessions: dict[Key, Staged] = {}
    for entry in entries:
        memory = entry.memory
        writes.append(Staged(Put(keys.memory(memory.tenant, memory.id), _encoded(memory), Absent())))
        if memory.claim is not None:
            claim = Put(keys.claimed(memory.tenant, memory.claim), {"noun": "claim", "memory": memory.id}, Absent())
            writes.append(Staged(claim, _duplicate))
        sessions.update({write.key: Staged(write, _no_session) for write in _session_writes(entry)})
        writes += entry.also
    counts = [count for entry in entries for count in _counts(entry.memory, 1)]
    return [*writes, *sessions.values(), *tallied(counts)]


def _session_writes(entry: Entry) -> list[Check | Put]:
    memory = entry.memory
    if entry.writer is None or memory.scope.session is None:
        return []
    return [
        Check(keys.session(memory.tenant, memory.scope.session), Present()),
        contribution(memory.tenant, memory.scope.session, entry.writer),
    ]


def _no_session(_: Item | None) -> CommonplaceError:
    return NotFound("session")


def _duplicate(item: Item | None) -> CommonplaceError:
    return changed_meanwhile(item) if item is None else Duplicate(Reader(item.attributes).string("memory"))


def _vectors(memory: Memory, embedding: Embedding, before: int) -> list[Staged]:
    parts = chunks(embedding)
    name = embedding.space.name
    writes = [
        Staged(
            Put(
                keys.vectors(memory.tenant, memory.id, name, number),
                {"noun": "vectors", "content_revision": memory.content_revision, "vectors": data},
            )
        )
        for number, data in enumerate(parts)
    ]
    surplus = range(len(parts), -(-before // per_chunk(embedding.space)))
    return writes + [Staged(Delete(keys.vectors(memory.tenant, memory.id, name, number))) for number in surplus]
