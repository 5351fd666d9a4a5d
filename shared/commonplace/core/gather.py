"""Orgs, roles and teams: made, found, changed, taken away. What is known of their members is kept elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from commonplace.core.retry import until_settled
from commonplace.model.directory import Group, GroupChange, GroupKind, PromptSource
from commonplace.model.errors import LimitReached, NotFound
from commonplace.ports.world import Clock, Ids
from commonplace.rows import keys
from commonplace.rows.groups import EVERY, Groups


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOrder:
    """A group as a caller asks for it."""

    kind: GroupKind
    name: str
    focus: str


class Gather:
    """The groups of an organisation: at most one org, which has the organisation's id, and at most ``most`` roles and as
    many teams."""

    def __init__(self, groups: Groups, clock: Clock, ids: Ids, most: int) -> None:
        if not 0 <= most <= EVERY:
            raise ValueError(f"there can be up to {EVERY} groups of a kind")
        self._groups = groups
        self._clock = clock
        self._ids = ids
        self._most = most

    async def create(self, tenant: str, organization: str, order: GroupOrder) -> Group:
        """A new group, with a prompt made of its name and focus. Raises ``Conflict`` for a second org, and
        ``LimitReached`` for a role or team too many, however many are made at once."""
        now, kind = self._clock.now(), order.kind
        group = Group(
            id=organization if kind is GroupKind.ORG else f"{kind}_{self._ids.new()}",
            kind=kind,
            tenant=tenant,
            organization=organization,
            name=order.name,
            focus=order.focus,
            prompt=prompt(kind, order.name, order.focus),
            prompt_source=PromptSource.GENERATED,
            prompted_at=now,
            created_at=now,
            updated_at=now,
        )
        if kind is GroupKind.ORG:
            await self._groups.add(group, 0)
        else:
            await until_settled(lambda: self._added(group))
        return group

    async def get(self, tenant: str, organization: str, kind: GroupKind, id: str) -> Group:
        """The group. Raises ``NotFound``."""
        group = await self._groups.get(tenant, organization, kind, id)
        if group is None:
            raise NotFound(kind.value)
        return group

    async def page(
        self, tenant: str, organization: str, kind: GroupKind, *, limit: int, offset: int = 0
    ) -> list[Group]:
        """The groups of a kind, newest first."""
        return await self._groups.page(tenant, organization, kind, limit=limit, offset=offset)

    async def change(self, tenant: str, organization: str, kind: GroupKind, id: str, change: GroupChange) -> Group:
        """The group after the change. A new name or focus leaves the prompt as it is. Raises ``NotFound``."""

        def changed(old: Group) -> Group:
            if change == GroupChange():
                return old
            now = self._clock.now()
            new = replace(
                old,
                name=old.name if change.name is None else change.name,
                focus=old.focus if change.focus is None else change.focus,
                updated_at=now,
            )
            if change.prompt is None:
                return new
            return replace(new, prompt=change.prompt, prompt_source=PromptSource.MANUAL, prompted_at=now)

        return await self._replaced(tenant, organization, kind, id, changed)

    async def regenerate(self, tenant: str, organization: str, kind: GroupKind, id: str) -> Group:
        """The group with a prompt made anew of its name and focus as they are now. Raises ``NotFound``."""

        def changed(old: Group) -> Group:
            now = self._clock.now()
            made = prompt(kind, old.name, old.focus)
            return replace(old, prompt=made, prompt_source=PromptSource.GENERATED, prompted_at=now, updated_at=now)

        return await self._replaced(tenant, organization, kind, id, changed)

    async def remove(self, tenant: str, organization: str, kind: GroupKind, id: str) -> None:
        """Takes the record away; memories that name the group stay and go on naming it. Raises ``NotFound``."""
        await until_settled(lambda: self._groups.remove(tenant, organization, kind, id))

    async def _added(self, group: Group) -> None:
        taken = await self._groups.taken(group.tenant, group.organization, group.kind)
        if len(taken) >= self._most:
            raise LimitReached(group.kind.value, self._most, len(taken))
        free = [number for number in range(self._most) if number not in taken]
        # No more of them than there may be groups: after a limit was lowered, slots beyond it may be taken.
        await self._groups.add(group, keys.spread(group.id, free[: self._most - len(taken)]))

    async def _replaced(
        self, tenant: str, organization: str, kind: GroupKind, id: str, changed: Callable[[Group], Group]
    ) -> Group:
        async def attempt() -> Group:
            old = await self.get(tenant, organization, kind, id)
            new = changed(old)
            return old if new is old else await self._groups.replace(old, new)

        return await until_settled(attempt)


_MEMBERS = {
    GroupKind.ORG: "everyone in the organization",
    GroupKind.ROLE: "everyone in the role",
    GroupKind.TEAM: "everyone in the team",
}


def prompt(kind: GroupKind, name: str, focus: str) -> str:
    """What is worth promoting to a group: always the same for the same name and focus."""
    return (
        f"Capture what helps {_MEMBERS[kind]} “{name}”. The focus: {focus}\n\n"
        "Promote what several members know or any of them could use: facts, decisions, norms and ways of working that "
        "bear on this focus and will still hold later. Leave out what concerns one person alone, what mattered in one "
        "conversation only, and everything personal or secret."
    )
