"""Memories inside a store: put in, read, listed, found, changed and taken out by the store's own rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from commonplace.core.browse import Browse, everything
from commonplace.core.enlist import Enlist
from commonplace.core.forget import Forget
from commonplace.core.furnish import Furnish
from commonplace.core.relevance import stem, words
from commonplace.core.remember import Remember, claimed_by
from commonplace.core.revise import Revise
from commonplace.core.search import Search, Wanted
from commonplace.model.errors import CommonplaceError, NotFound
from commonplace.model.filter import Filter, Period
from commonplace.model.hit import Results
from commonplace.model.memory import Accesses, Change, Draft, Memory, Standing
from commonplace.model.scope import DEFAULT_STORE
from commonplace.model.store import Store
from commonplace.ports.world import Clock
from commonplace.rows.memories import Memories
from commonplace.rows.memory_writes import full


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which memories of a store are meant. ``name`` is what the level is about (the user, the agent, ...). ``text`` is
    words that must all be there, or a piece of the content to the letter."""

    level: str | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()
    standing: Standing | None = None
    text: str | None = None
    created: Period = field(default_factory=Period)


@dataclass(frozen=True, slots=True)
class Shelved:
    """A memory of a store, with how often it was read before."""

    store: Store
    memory: Memory
    accesses: Accesses


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a batch, in numbers."""

    added: int
    duplicates: int
    failed: int


class Shelve:
    """The memories of stores. Every method names the store by its key and raises ``NotFound`` if there is none."""

    def __init__(
        self,
        furnish: Furnish,
        memories: Memories,
        enlist: Enlist,
        remember: Remember,
        browse: Browse,
        search: Search,
        revise: Revise,
        forget: Forget,
        clock: Clock,
    ) -> None:
        self._furnish = furnish
        self._memories = memories
        self._enlist = enlist
        self._remember = remember
        self._browse = browse
        self._search = search
        self._revise = revise
        self._forget = forget
        self._clock = clock

    async def add(self, tenant: str, store: Store, draft: Draft) -> Shelved:
        """Writes a memory and makes it searchable; or the one that is there already, which counts as an access to it.

        ``store`` must be active. Raises ``RateLimited`` if it is full, and what the writing raises.
        """
        (draft,) = await self._placed(tenant, store, [draft])
        (outcome,) = (await self._remember.now(tenant, [draft])).outcomes
        if isinstance(outcome, CommonplaceError):
            raise outcome
        before = Accesses()
        if outcome.duplicate:
            before = (await self._memories.accesses(tenant, [outcome.memory.id]))[outcome.memory.id]
            await self._memories.accessed(tenant, [outcome.memory.id], self._clock.now())
        return Shelved(store, outcome.memory, before)

    async def add_all(self, tenant: str, store: Store, drafts: Sequence[Draft]) -> Added:
        """Writes memories in order; those that are there already, or stand before in the batch, are passed over.

        Raises ``RateLimited``, with nothing written, if they would overfill the store (what others write at the same moment
        may still fill it first, and make some of them fail); ``NotFound`` if it was deleted at the same time, with all that
        was written.
        """
        placed = await self._placed(tenant, store, drafts)
        outcomes = (await self._remember.now(tenant, placed)).outcomes
        for outcome in outcomes:
            if isinstance(outcome, NotFound) and outcome.noun == "store":
                raise outcome
        failed = sum(isinstance(outcome, CommonplaceError) for outcome in outcomes)
        duplicates = sum(not isinstance(outcome, CommonplaceError) and outcome.duplicate for outcome in outcomes)
        return Added(len(outcomes) - failed - duplicates, duplicates, failed)

    async def read(self, tenant: str, key: str, id: str) -> Shelved:
        """A memory, as it was before this access. Raises ``NotFound``."""
        shelved = await self._one(tenant, await self._furnish.find(tenant, key), id)
        await self._memories.accessed(tenant, [id], self._clock.now())
        return shelved

    async def page(self, tenant: str, key: str, part: Part, limit: int, skip: int) -> tuple[list[Shelved], int]:
        """Memories of a part, newest first, and how many it has (see ``Browse.counted``). It is no access."""
        store = await self._furnish.find(tenant, key)
        filter = await self._filter(tenant, store, part)
        now, sought = self._clock.now(), None if part.text is None else _Sought(part.text)

        def meant(memory: Memory) -> bool:
            standing = part.standing is None or memory.standing(now) is part.standing
            return standing and (sought is None or sought.stands_in(memory.content))

        wanted = everything if part.standing is None and sought is None else meant
        memories, total = await self._browse.counted(tenant, filter, wanted, limit=limit, skip=skip)
        accesses = await self._memories.accesses(tenant, [memory.id for memory in memories])
        return [Shelved(store, memory, accesses[memory.id]) for memory in memories], total

    async def change(self, tenant: str, key: str, id: str, change: Change) -> Shelved:
        """A memory after a change. It is no access. Raises ``NotFound``."""
        store = await self._furnish.find(tenant, key)
        shelved = await self._one(tenant, store, id)
        wanted = change if change == Change() else replace(change, unique=store.unique)
        return replace(shelved, memory=await self._revise(tenant, id, wanted))

    async def remove(self, tenant: str, key: str, id: str) -> None:
        """Deletes a memory. Raises ``NotFound``."""
        await self._one(tenant, await self._furnish.find(tenant, key), id)
        await self._forget(tenant, id)

    async def remove_all(self, tenant: str, key: str, part: Part) -> int:
        """Deletes the memories of a part, of every standing; how many there were."""
        store = await self._furnish.find(tenant, key)
        return await self._forget.matching(tenant, await self._filter(tenant, store, part))

    async def find(self, tenant: str, store: Store, query: str, part: Part, limit: int, floor: float) -> Results:
        """The active memories of a part that answer the query, best first, and none that are confidential; each of them
        counts as accessed. If vectors or words could not be asked, ``degraded`` says so.

        ``store`` must be active. Raises ``Unavailable``.
        """
        filter = replace(await self._filter(tenant, store, part), confidential=False, archived=False)
        wanted = Wanted(query=query, filter=filter, limit=limit, floor=floor)
        results = await self._search(tenant, wanted)
        await self._memories.accessed(tenant, [hit.memory.id for hit in results.hits], self._clock.now())
        return results

    async def _placed(self, tenant: str, store: Store, drafts: Sequence[Draft]) -> list[Draft]:
        """The drafts in their store, if there is room for them."""
        placed = [
            replace(draft, scope=replace(draft.scope, store=store.id), unique=store.unique, quota=store.quota)
            for draft in drafts
        ]
        if store.quota is not None:
            (figures,) = await self._furnish.figures([store])
            new = await self._new(tenant, placed)
            if new and figures.memories + new > store.quota:
                raise full(figures.memories, store.quota)
        return placed

    async def _new(self, tenant: str, drafts: Sequence[Draft]) -> int:
        """How many of the drafts are not there yet."""
        claims = [claimed_by(tenant, draft) for draft in drafts]
        named = {claim for claim in claims if claim is not None}
        return claims.count(None) + len(named) - len(await self._memories.claimed(tenant, named))

    async def _one(self, tenant: str, store: Store, id: str) -> Shelved:
        memory = await self._memories.get(tenant, id)
        if memory is None or memory.scope.store != store.id:
            raise NotFound("memory")
        return Shelved(store, memory, (await self._memories.accesses(tenant, [id]))[id])

    async def _filter(self, tenant: str, store: Store, part: Part) -> Filter:
        """The filter for a part, with what is archived or confidential.

        In the store that all dialects share others write memories of several parts: there a name means all that have it as
        that part, whatever else they are about.
        """
        whole = Filter(store=store.id, tags=part.tags, created=part.created, confidential=True, archived=True)
        match part.level, part.name:
            case None, name:
                return replace(whole, label=name)
            case "user", str(name):
                return replace(whole, user=name)
            case "session", str(name):
                return replace(whole, session=name)
            case "agent", str(name) if store.id != DEFAULT_STORE:
                return replace(whole, agent=name)
            case "agent", str(name) if (agent := await self._registered(tenant, name)) is not None:
                return replace(whole, agent=agent)
            case _:
                return replace(whole, level=part.level, label=part.name)

    async def _registered(self, tenant: str, name: str) -> str | None:
        try:
            found = await self._enlist.find(tenant, name)
        except NotFound:
            return None
        return None if found is None else found.id


class _Sought:
    """A text that is looked for in contents."""

    def __init__(self, text: str) -> None:
        self._letters = text.casefold()
        self._stems = {stem(word) for word in words(text)}

    def stands_in(self, content: str) -> bool:
        """Whether the content has it to the letter, or has all of its words."""
        if self._letters in content.casefold():
            return True
        return bool(self._stems) and self._stems <= {stem(word) for word in words(content)}
