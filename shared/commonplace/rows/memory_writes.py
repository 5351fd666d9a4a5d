"""The writes that belong together when a memory comes, changes or goes, and what their failure means."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from commonplace.model.errors import CommonplaceError, Conflict, NotFound, RateLimited
from commonplace.model.memory import Memory
from commonplace.model.scope import DEFAULT_STORE
from commonplace.model.space import Embedding, Space
from commonplace.ports.table import (
    MAX_TRANSACTION,
    Absent,
    Check,
    Delete,
    Item,
    Key,
    Present,
    Put,
    RevisionIs,
    Update,
)
from commonplace.rows import keys
from commonplace.rows.codec import Reader, absent, chunks, per_chunk, present, text, unpacked
from commonplace.rows.commit import Meaning, Staged, changed_meanwhile
from commonplace.rows.figures import Count, tallied
from commonplace.rows.memory_items import encoded, living, marked, told
from commonplace.rows.sessions import contribution

MAX_COMMIT_BYTES = 3_000_000
"""Of the 4 MB that a transaction may have."""

FULL_FOR = 60
"""Seconds after which to ask a full store again: something may have been deleted."""


class Duplicate(CommonplaceError):
    """The content is already stored in this scope, as the memory ``id``."""

    def __init__(self, id: str) -> None:
        super().__init__("This content is already stored")
        self.id = id


@dataclass(frozen=True, slots=True)
class Entry:
    """A new memory with what is written in the same breath.

    ``writer`` is the name of the agent that contributes to the memory's session, where that session is a registered
    one (which must still be there); ``vector`` is the one that the memory's writer gave, of length 1; ``also`` are other
    staged rows, such as deliveries; ``counted`` is what the memory counts for besides its store and its scope; ``quota`` is
    how many memories its store may hold, where that is limited.
    """

    memory: Memory
    writer: str | None = None
    vector: tuple[float, ...] | None = None
    also: tuple[Staged, ...] = ()
    counted: tuple[Count, ...] = ()
    quota: int | None = None


def grouped(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries in groups that each fit into one transaction, in which no claim may stand twice."""
    groups: list[list[Entry]] = []
    own, size, shared, claims = 0, 0, set[Key](), set[tuple[str, str]]()
    for entry in entries:
        memory = entry.memory
        writes = 1 + len(entry.also) + (memory.claim is not None) + (entry.vector is not None)
        bytes_ = 4 * (len(memory.content) + len(text(memory.metadata)) + len(entry.vector or ()))
        touched = {count.key for count in _counts(entry)} | {staged.write.key for staged in _around(entry)}
        claim = set() if memory.claim is None else {(memory.tenant, memory.claim)}
        full = own + writes + len(shared | touched) > MAX_TRANSACTION or size + bytes_ > MAX_COMMIT_BYTES
        if full or claim & claims or not groups:
            groups.append([])
            own, size, shared, claims = 0, 0, set(), set()
        groups[-1].append(entry)
        own, size, shared, claims = own + writes, size + bytes_, shared | touched, claims | claim
    return groups


def additions(entries: Sequence[Entry]) -> list[Staged]:
    """The writes of new memories: each with its claim and what else it brings; store and session; the counters added up."""
    writes: list[Staged] = []
    around: dict[Key, Staged] = {}
    for entry in entries:
        memory = entry.memory
        writes.append(Staged(Put(keys.memory(memory.tenant, memory.id), encoded(memory), Absent())))
        if memory.claim is not None:
            writes.append(claiming(memory, memory.claim))
        if entry.vector is not None:
            writes += _vectors(memory, Embedding(Space.given(len(entry.vector)), (entry.vector,)))
        around.update({staged.write.key: staged for staged in _around(entry)})
        writes += entry.also
    counters = tallied(count for entry in entries for count in _counts(entry))
    return [*writes, *around.values(), *counters]


def claiming(memory: Memory, claim: str) -> Staged:
    """The write by which a memory claims its content; what stands in its way is a ``Duplicate``."""
    return Staged(Put(keys.claimed(memory.tenant, claim), {"noun": "claim", "memory": memory.id}, Absent()), _duplicate)


def _counts(entry: Entry) -> list[Count]:
    store, *others = counts(entry.memory, 1)
    if entry.quota is not None:
        store = replace(store, most=entry.quota, meaning=_full(entry.quota))
    return [store, *others, *entry.counted]


def _around(entry: Entry) -> list[Staged]:
    """What is checked and written of the store and the session, once for all entries of a transaction."""
    memory = entry.memory
    store, session = memory.scope.store, memory.scope.session
    staged: list[Staged] = []
    if store != DEFAULT_STORE:
        staged.append(Staged(Check(keys.kept_store(memory.tenant, store), Present()), _no_store))
    if entry.writer is not None and session is not None:
        staged.append(Staged(Check(keys.session(memory.tenant, session), Present()), _no_session))
        staged.append(Staged(contribution(memory.tenant, session, entry.writer), _no_session))
    return staged


def counts(memory: Memory, by: int, now: datetime | None = None) -> list[Count]:
    """What a memory counts for: first its store, and when something last came or went there; its agent and its session;
    outside of the store that all dialects share also its user and its level."""
    at = memory.created_at if by > 0 else None
    store = memory.scope.store
    within = [("store", None), ("agent", memory.scope.agent), ("session", memory.scope.session)]
    if store != DEFAULT_STORE:
        within += [("user", memory.scope.user), ("level", memory.level)]
    return [
        Count(
            keys.figures(memory.tenant, noun, store, *([] if id is None else [id])),
            "memories",
            by,
            at or now if noun == "store" else at,
        )
        for noun, id in within
        if noun == "store" or id is not None
    ]


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an attempt to index a revision of a memory ended: its state, its vectors, its mark.

    ``embedding`` is None where the stored vectors are still right; ``before`` is the memory as its row was until now;
    ``also`` are other staged rows, such as deliveries.
    """

    memory: Memory
    embedding: Embedding | None
    before: Memory
    also: tuple[Staged, ...] = ()


def settled_together(settlements: Sequence[Settlement]) -> list[list[Settlement]]:
    """The settlements in groups that each fit into one transaction."""
    groups: list[list[Settlement]] = []
    count = size = 0
    for settlement in settlements:
        writes = len(settling([settlement]))
        embedding = settlement.embedding
        bytes_ = 0 if embedding is None else 4 * embedding.space.dimension * len(embedding.vectors)
        if not groups or count + writes > MAX_TRANSACTION or size + bytes_ > MAX_COMMIT_BYTES:
            groups.append([])
            count = size = 0
        groups[-1].append(settlement)
        count, size = count + writes, size + bytes_
    return groups


def settling(settlements: Sequence[Settlement]) -> list[Staged]:
    """The writes of settlements of different memories."""
    return [staged for settlement in settlements for staged in _settling(settlement)]


def _settling(settlement: Settlement) -> list[Staged]:
    memory = settlement.memory
    outcome = {
        "state": memory.state.value,
        "failure": memory.failure,
        "model": memory.model,
        "passages": memory.passages,
        "ready_at": memory.ready_at,
        "marked_at": memory.marked_at,
        **marked(memory.marked_at, memory.id),
        **told(memory.notify),
    }
    update = Update(
        keys.memory(memory.tenant, memory.id),
        set=present(outcome),
        remove=absent(outcome),
        condition=RevisionIs(memory.revision),
    )
    writes = [Staged(update, gone_or_changed)]
    if settlement.embedding is not None:
        writes += vectors(memory, settlement.embedding, settlement.before)
    return [*writes, *settlement.also]


def vectors(memory: Memory, embedding: Embedding, before: Memory) -> list[Staged]:
    """The writes of a memory's vectors over those that it had ``before``, in this space or in another one."""
    writes = _vectors(memory, embedding)
    old = [] if before.model is None else [before.model]
    kept = {write.write.key for write in writes}
    return writes + [each for each in without_vectors(before, old) if each.write.key not in kept]


def without_vectors(memory: Memory, spaces: Iterable[str]) -> list[Staged]:
    """The writes that leave a memory without vectors of as many passages as its row speaks of, in the spaces named."""
    return [
        Staged(Delete(keys.vectors(memory.tenant, memory.id, name, number)))
        for name in spaces
        for number in range(-(-memory.passages // per_chunk(Space.named(name))))
    ]


def without_given(memory: Memory) -> list[Staged]:
    """The writes that leave a memory without the vector that its writer gave."""
    if memory.given is None:
        return []
    return [Staged(Delete(keys.vectors(memory.tenant, memory.id, Space.given(memory.given).name, 0)))]


def vectors_of(item: Item, space: Space) -> list[tuple[float, ...]]:
    """The vectors of one item that holds some."""
    return unpacked(Reader(item.attributes).data("vectors"), space.dimension)


def _vectors(memory: Memory, embedding: Embedding) -> list[Staged]:
    return [
        Staged(
            Put(
                keys.vectors(memory.tenant, memory.id, embedding.space.name, number),
                {"noun": "vectors", "content_revision": memory.content_revision, "vectors": data},
            )
        )
        for number, data in enumerate(chunks(embedding))
    ]


def gone_or_changed(item: Item | None) -> CommonplaceError:
    """What it means that a memory is not at the revision that was expected."""
    if living(item) is None:
        return NotFound("memory")
    return Conflict("The memory was changed at the same time")


def _no_store(_: Item | None) -> CommonplaceError:
    return NotFound("store")


def _full(quota: int) -> Meaning:
    def meaning(item: Item | None) -> CommonplaceError:
        return full(0 if item is None else Reader(item.attributes).whole("memories"), quota)

    return meaning


def full(memories: int, quota: int) -> RateLimited:
    """What it means that a store of so many memories has no room for more."""
    return RateLimited(f"memories limit reached ({memories}/{quota})", FULL_FOR)


def _no_session(_: Item | None) -> CommonplaceError:
    return NotFound("session")


def _duplicate(item: Item | None) -> CommonplaceError:
    return changed_meanwhile(item) if item is None else Duplicate(Reader(item.attributes).string("memory"))
