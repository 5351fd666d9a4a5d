"""Promotion: what several members of a role, a team or an organization say becomes knowledge of all of them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from commonplace.core.derived import ORIGIN, gained, stored
from commonplace.core.gather import prompt
from commonplace.core.relevance import stem, telling, words
from commonplace.core.remember import Remember, Remembered, claimed_by
from commonplace.core.survey import Survey
from commonplace.model.directory import Group, GroupKind
from commonplace.model.insight import Nature
from commonplace.model.memory import Draft, Memory, Standing
from commonplace.model.scope import Scope
from commonplace.ports.queue import Message
from commonplace.ports.world import Clock
from commonplace.rows import keys
from commonplace.rows.figures import Count
from commonplace.rows.groups import EVERY, Groups
from commonplace.rows.memories import Memories

LEVEL = "global"
"""What a promoted memory is about: nobody in particular."""

ACTORS = 3
"""Members who have to say the same thing before all of them know it; one fewer if the group's prompt speaks of it."""

GROUPS = 2
"""Roles and teams that have to know something before the whole organization does."""

PAUSE = timedelta(hours=1)
"""How long after one turn an organization has its next."""

AT_ONCE = 100
"""Memories that are written together."""

Owner = tuple[GroupKind, str]
"""What kind of a group, and its id."""


@dataclass(slots=True)
class _Said:
    """A text that was said, by whom of which groups, and in which memories."""

    memories: list[Memory] = field(default_factory=list)
    actors: dict[Owner, set[str]] = field(default_factory=dict)


def message(tenant: str, organization: str) -> Message:
    """The message that asks the worker for an organization's turn."""
    return Message(json.dumps({"kind": "promote", "tenant": tenant, "organization": organization}))


class Promote:
    """Deterministic: the same memories and groups promote the same, and repeating it changes nothing.

    A text (letters and digits of it, in any case) is promoted to a role or a team that is on record once ``ACTORS`` of its
    members say it as knowledge of how things are or are done, or one fewer where the group's prompt shares a word with it;
    and to the organization once ``GROUPS`` of its roles and teams know it. What happened to somebody is never promoted. A
    promoted memory has no session and no user, the words of the earliest member, and the sources of all. What was promoted
    to somebody is not again, once that memory is deleted, archived or says something else.
    """

    def __init__(self, survey: Survey, groups: Groups, memories: Memories, remember: Remember, clock: Clock) -> None:
        self._survey = survey
        self._groups = groups
        self._memories = memories
        self._remember = remember
        self._clock = clock

    async def __call__(self, tenant: str, organization: str) -> int:
        """One turn of an organization; how many memories it made."""
        groups = [
            group
            for kind in (GroupKind.ROLE, GroupKind.TEAM)
            for group in await self._groups.page(tenant, organization, kind, limit=EVERY, offset=0)
        ]
        return await self._promoted(tenant, organization, groups) if groups else 0

    async def _promoted(self, tenant: str, organization: str, groups: Sequence[Group]) -> int:
        now = self._clock.now()
        overview = await self._survey.overview(tenant, organization, wanted=partial(_counts, now=now))
        topics = {group.id: _stems(group.prompt) - _stems(prompt(group.kind, "", "")) for group in groups}
        wanted: list[tuple[Draft, Sequence[Memory]]] = []
        for said in _said(overview.memories).values():
            spoken = _stems(said.memories[0].content)
            knowing = [group for group in groups if _knows(said, group, spoken & topics[group.id])]
            scopes = [Scope(organization=organization, **{group.kind.value: group.id}) for group in knowing]
            if len(knowing) >= GROUPS:
                scopes.append(Scope(organization=organization))
            wanted += [(_draft(said.memories, scope), said.memories) for scope in scopes]
        wanted = await self._welcome(tenant, wanted)
        made = 0
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            batch = await self._remember.now(tenant, [draft for draft, _ in some], partial(_counted, now=now))
            for outcome, (_, memories) in zip(batch.outcomes, some, strict=True):
                # What could not be written now is written in the next turn.
                if isinstance(outcome, Remembered):
                    made += not outcome.duplicate
                    await self._sourced(tenant, outcome.memory.id, memories)
        return made

    async def _welcome(
        self, tenant: str, wanted: Sequence[tuple[Draft, Sequence[Memory]]]
    ) -> list[tuple[Draft, Sequence[Memory]]]:
        """Without what was promoted before and is not known that way any more: somebody did not want it."""
        claims = [claim for draft, _ in wanted if (claim := claimed_by(tenant, draft)) is not None]
        held = await self._memories.claimed(tenant, [*claims, *map(_once, claims)])
        return [each for each, claim in zip(wanted, claims, strict=True) if claim in held or _once(claim) not in held]

    async def _sourced(self, tenant: str, id: str, memories: Sequence[Memory]) -> None:
        sources = await self._memories.sources(tenant, [memory.id for memory in memories])
        events = list(dict.fromkeys(event for of_memory in sources.values() for event in of_memory))
        await gained(self._memories, tenant, id, events)


def _counted(memory: Memory, now: datetime) -> list[Count]:
    """What a promoted memory counts for, and the note that it was promoted, which comes with it and stays."""
    return [*stored(memory, now), Count(keys.claimed(memory.tenant, _once(memory.claim)), "promoted", 1)]


def _once(claim: str | None) -> str:
    """What stands for a memory having claimed this at some time: a claim that nobody lets go of."""
    return keys.joined("promoted", claim)


def _counts(memory: Memory, now: datetime) -> bool:
    return (
        memory.insight is not None
        and memory.insight.nature is not Nature.EPISODIC
        and memory.scope.user is not None
        and memory.standing(now) is Standing.ACTIVE
    )


def _said(memories: Iterable[Memory]) -> dict[str, _Said]:
    """What was said, by its words, the earliest first."""
    by_words: dict[str, _Said] = {}
    for memory in sorted(memories, key=lambda memory: (memory.occurred_at, memory.id)):
        text = " ".join(words(memory.content))
        if not text:
            continue
        said = by_words.setdefault(text, _Said())
        said.memories.append(memory)
        for kind, group in ((GroupKind.ROLE, memory.scope.role), (GroupKind.TEAM, memory.scope.team)):
            if group is not None and memory.scope.user is not None:
                said.actors.setdefault((kind, group), set()).add(memory.scope.user)
    return by_words


def _knows(said: _Said, group: Group, shared: set[str]) -> bool:
    """Whether enough of a group's members said it; ``shared`` are the stems that it has in common with the prompt."""
    members = len(said.actors.get((group.kind, group.id), ()))
    return members >= (ACTORS - 1 if shared else ACTORS)


def _stems(text: str) -> set[str]:
    return {stem(word) for word in telling(text)}


def _draft(memories: Sequence[Memory], scope: Scope) -> Draft:
    first = memories[0]
    return Draft(
        content=first.content,
        agent=None,
        origin=ORIGIN,
        scope=scope,
        kind=first.kind,
        tags=first.tags,
        occurred_at=first.occurred_at,
        level=LEVEL,
        label=scope.role or scope.team,
        unique=True,
        insight=first.insight,
    )
