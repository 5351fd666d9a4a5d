"""Orgs, roles and teams: their rows, how many there are, and which organisations have any to promote knowledge to."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from commonplace.model.directory import Group, GroupKind, PromptSource
from commonplace.model.errors import CommonplaceError, Conflict, NotFound
from commonplace.ports.table import Absent, Delete, Item, Key, Present, Put, Query, RevisionIs, Table, Update, Value
from commonplace.rows import keys
from commonplace.rows.codec import Reader, present
from commonplace.rows.commit import Meaning, Staged, commit
from commonplace.rows.listing import listed, some

EVERY = 10_000
"""Groups of one kind that an organisation has at most: slots have numbers of four digits."""

PROMOTED_TO = (GroupKind.ROLE, GroupKind.TEAM)
"""The kinds of groups that make an organisation one to look at for promotion."""


class Groups:
    """The groups of all organisations of all tenants."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: str, organization: str, kind: GroupKind, id: str) -> Group | None:
        """The group, or None."""
        item = await self._table.get(keys.group(tenant, organization, kind, id))
        return None if item is None else _decoded(item)

    async def taken(self, tenant: str, organization: str, kind: GroupKind) -> set[int]:
        """The slots that the groups of a kind have."""
        partition = keys.group_slot(tenant, organization, kind, 0).partition
        found = await self._table.query(Query(partition=partition, limit=EVERY))
        return {int(key.sort) for key in found.keys}

    async def add(self, group: Group, slot: int) -> None:
        """Writes a new group into a slot, and marks its organisation if it is a role or a team. Raises ``Conflict`` if
        there is a group with its id or the slot is taken."""
        parts = (group.tenant, group.organization, group.kind)
        writes = [
            Staged(Put(keys.group(*parts, group.id), _encoded(group, slot), Absent()), _exists),
            Staged(Put(keys.group_slot(*parts, slot), {"noun": "group-slot", "group": group.id}, Absent())),
        ]
        if group.kind in PROMOTED_TO:
            writes.append(Staged(_marked(group.tenant, group.organization, group.created_at)))
        await commit(self._table, writes)

    async def replace(self, old: Group, new: Group) -> Group:
        """Writes a new revision over ``old``. Raises ``NotFound`` or ``Conflict``."""
        new = replace(new, revision=old.revision + 1)
        key = keys.group(old.tenant, old.organization, old.kind, old.id)
        # An update, because the row knows its slot and the model does not.
        update = Update(key, set=_changing(new), condition=RevisionIs(old.revision))
        await commit(self._table, [Staged(update, _changed(old.kind))])
        return new

    async def remove(self, tenant: str, organization: str, kind: GroupKind, id: str) -> None:
        """Takes a group away, and the mark of its organisation if there is no other role or team. Raises ``NotFound`` or
        ``Conflict``."""
        key = keys.group(tenant, organization, kind, id)
        item = await self._table.get(key)
        if item is None:
            raise NotFound(kind.value)
        row = Reader(item.attributes)
        await commit(
            self._table,
            [
                Staged(Delete(key, RevisionIs(row.whole("revision"))), _changed(kind)),
                Staged(Delete(keys.group_slot(tenant, organization, kind, row.whole("slot")))),
            ],
        )
        if kind in PROMOTED_TO:
            await self._unmarked(tenant, organization)

    async def page(self, tenant: str, organization: str, kind: GroupKind, *, limit: int, offset: int) -> list[Group]:
        """The groups of a kind, newest first."""

        async def load(wanted: Sequence[Key]) -> list[Group | None]:
            items = await self._table.batch_get(wanted)
            return [_decoded(items[key]) if key in items else None for key in wanted]

        query = Query(partition=keys.group(tenant, organization, kind, "").partition, descending=True)
        pages = partial(listed, self._table, query, load, filtered=False)
        return await some(pages, EVERY, limit=limit, offset=offset)

    async def to_promote(self, shard: str, before: datetime, limit: int) -> list[tuple[str, str]]:
        """Tenant and id of the organisations of a shard that have roles or teams and whose turn was at a time or before,
        longest waiting first."""
        query = Query(partition=shard, index="work", high=keys.stamp(before), limit=limit)
        wanted = (await self._table.query(query)).keys
        items = await self._table.batch_get(wanted)
        rows = [Reader(items[key].attributes) for key in wanted if key in items]
        return [(row.string("tenant"), row.string("organization")) for row in rows]

    async def promoted(self, tenant: str, organization: str, again: datetime) -> None:
        """Writes when the organisation's next turn is. One that has no role or team any more has none."""
        update = Update(keys.promotion(tenant, organization), set={"work_at": keys.stamp(again)}, condition=Present())
        with contextlib.suppress(Conflict):
            await commit(self._table, [Staged(update)])

    async def _unmarked(self, tenant: str, organization: str) -> None:
        mark = await self._table.get(keys.promotion(tenant, organization))
        if mark is None or any([await self.taken(tenant, organization, kind) for kind in PROMOTED_TO]):
            return
        revision = Reader(mark.attributes).whole("revision")
        with contextlib.suppress(Conflict):  # a group was added meanwhile
            await commit(self._table, [Staged(Delete(keys.promotion(tenant, organization), RevisionIs(revision)))])


def _exists(_: Item | None) -> CommonplaceError:
    return Conflict("This record exists")


def _changed(kind: GroupKind) -> Meaning:
    def meaning(item: Item | None) -> CommonplaceError:
        return NotFound(kind.value) if item is None else Conflict(f"The {kind} was changed at the same time")

    return meaning


def _marked(tenant: str, organization: str, now: datetime) -> Update:
    mark = present(
        {
            "noun": "promotion",
            "tenant": tenant,
            "organization": organization,
            "work_key": keys.promoting(keys.joined(tenant, organization)),
            "work_at": now,
        }
    )
    return Update(keys.promotion(tenant, organization), set=mark, add={"revision": 1})


def _changing(group: Group) -> dict[str, Value]:
    return present(
        {
            "name": group.name,
            "focus": group.focus,
            "prompt": group.prompt,
            "prompt_source": group.prompt_source.value,
            "prompted_at": group.prompted_at,
            "updated_at": group.updated_at,
            "revision": group.revision,
        }
    )


def _encoded(group: Group, slot: int) -> dict[str, Value]:
    kept = present(
        {
            "noun": "group",
            "id": group.id,
            "kind": group.kind.value,
            "tenant": group.tenant,
            "organization": group.organization,
            "created_at": group.created_at,
            "slot": slot,
        }
    )
    return {**kept, **_changing(group)}


def _decoded(item: Item) -> Group:
    row = Reader(item.attributes)
    return Group(
        id=row.string("id"),
        kind=GroupKind(row.string("kind")),
        tenant=row.string("tenant"),
        organization=row.string("organization"),
        name=row.string("name"),
        focus=row.string("focus"),
        prompt=row.string("prompt"),
        prompt_source=PromptSource(row.string("prompt_source")),
        prompted_at=row.moment("prompted_at"),
        created_at=row.moment("created_at"),
        updated_at=row.moment("updated_at"),
        revision=row.whole("revision"),
    )
