"""API keys, found by their hash, and the service's own secrets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from commonplace.model.apikey import ApiKey, Permission
from commonplace.model.errors import CommonplaceError, Conflict, NotFound
from commonplace.ports.table import (
    TTL_ATTRIBUTE,
    Absent,
    ConditionFailed,
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
from commonplace.rows.codec import Reader, present, text
from commonplace.rows.commit import Staged, commit
from commonplace.rows.listing import listed, some

MOST_READ = 20_000
"""Keys of a tenant that one list looks at."""

MOST_LIVE = 1_000
"""Places of good keys that are looked at: no limit on keys can be higher, and beyond it nobody counts."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place among the good keys of a tenant. ``revision`` counts those that had it, and is 0 before the first; who has
    it now is good until ``expires_at``, or until it is revoked."""

    name: str
    revision: int = 0
    expires_at: datetime | None = None

    def free(self, now: datetime) -> bool:
        """Whether another key may have it."""
        return self.revision == 0 or (self.expires_at is not None and self.expires_at <= now)


class ApiKeys:
    """The keys of all tenants."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def find(self, hash: str) -> ApiKey | None:
        """The key with this hash, good or not, or None."""
        item = await self._table.get(keys.api_key(hash))
        return None if item is None else _decoded(item)

    async def known(self, tenant: str, id: str) -> ApiKey | None:
        """The key of a tenant with this id, good or not, or None."""
        item = await self._table.get(keys.known_key(tenant, id))
        return None if item is None else await self.find(Reader(item.attributes).string("hash"))

    async def all(self, tenant: str, wanted: Callable[[ApiKey], bool], limit: int) -> list[ApiKey]:
        """The keys of a tenant that are wanted, good or not, newest first."""

        async def load(places: Sequence[Key]) -> list[ApiKey | None]:
            known = await self._table.batch_get(places)
            hashes = {place: keys.api_key(Reader(item.attributes).string("hash")) for place, item in known.items()}
            items = await self._table.batch_get(list(hashes.values()))
            rows = [items.get(hashes[place]) if place in hashes else None for place in places]
            found = [None if item is None else _decoded(item) for item in rows]
            return [key if key is not None and wanted(key) else None for key in found]

        query = Query(partition=keys.known_key(tenant, "").partition, descending=True)
        return await some(partial(listed, self._table, query, load), MOST_READ, limit=limit)

    async def slots(self, tenant: str) -> list[Slot]:
        """The places that the keys of a tenant have; those of expired ones may be among them."""
        partition = keys.live_key(tenant, "").partition
        found = await self._table.query(Query(partition=partition, limit=MOST_LIVE))
        items = await self._table.batch_get(found.keys)
        rows = [Reader(item.attributes) for item in items.values()]
        return [Slot(row.string("slot"), row.whole("revision"), row.maybe_moment("expires_at")) for row in rows]

    async def add(self, key: ApiKey, slot: Slot | None = None) -> None:
        """Writes a new key into a slot as it was read, or into one of its own. Raises ``Conflict`` if there is a key with
        this hash, or the slot was taken meanwhile."""
        own = slot or Slot(key.id)
        live = present(
            {
                "noun": "live-key",
                "slot": own.name,
                "key": key.id,
                "expires_at": key.expires_at,
                TTL_ATTRIBUTE: None if key.expires_at is None else int(key.expires_at.timestamp()),
                "revision": own.revision + 1,
            }
        )
        free = RevisionIs(own.revision) if own.revision else Absent()
        known = {"noun": "known-key", "hash": key.hash, "slot": own.name}
        await commit(
            self._table,
            [
                Staged(Put(keys.api_key(key.hash), _encoded(key), Absent()), _taken),
                Staged(Put(keys.known_key(key.tenant, key.id), known, Absent())),
                Staged(Put(keys.live_key(key.tenant, own.name), live, free)),
            ],
        )

    async def revoke(self, key: ApiKey, now: datetime) -> ApiKey:
        """Writes that the key opens nothing from now on, and frees its slot. Raises ``NotFound``, or ``Conflict`` if the
        slot changed hands meanwhile."""
        update = Update(keys.api_key(key.hash), set=present({"revoked_at": now}), condition=Present())
        await commit(self._table, [Staged(update, _gone), *await self._freed(key)])
        return replace(key, revoked_at=now)

    async def _freed(self, key: ApiKey) -> list[Staged]:
        """The write that frees the slot of a key, if it still has one."""
        known = await self._table.get(keys.known_key(key.tenant, key.id))
        if known is None:  # it was made before keys had slots
            return []
        place = keys.live_key(key.tenant, Reader(known.attributes).string("slot"))
        live = await self._table.get(place)
        if live is None or Reader(live.attributes).string("key") != key.id:
            return []
        return [Staged(Delete(place, RevisionIs(Reader(live.attributes).whole("revision"))))]


class Secrets:
    """Secrets that the service made for itself on first use."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def find(self, name: str) -> str | None:
        """The secret of this name, or None if there is none yet."""
        item = await self._table.get(keys.secret(name))
        return None if item is None else Reader(item.attributes).string("value")

    async def get(self, name: str, fresh: str) -> str:
        """The secret of this name; ``fresh`` becomes it if there is none yet, for every process that asks."""
        item = await self._table.get(keys.secret(name))
        if item is None:
            try:
                await self._table.transact([Put(keys.secret(name), {"noun": "secret", "value": fresh}, Absent())])
            except ConditionFailed as failed:
                item = failed.items[0]
        return fresh if item is None else Reader(item.attributes).string("value")


def _taken(_: Item | None) -> CommonplaceError:
    return Conflict("This key exists")


def _gone(_: Item | None) -> CommonplaceError:
    return NotFound("key")


def _encoded(key: ApiKey) -> dict[str, Value]:
    return present(
        {
            "noun": "api-key",
            "id": key.id,
            "tenant": key.tenant,
            "hash": key.hash,
            "prefix": key.prefix,
            "permissions": text(key.permissions),
            "name": key.name,
            "daily_limit_usd": key.daily_limit_usd,
            "monthly_limit_usd": key.monthly_limit_usd,
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
            "organizations": text(key.organizations) if key.organizations else None,
            "seated": key.seated,
        }
    )


def _decoded(item: Item) -> ApiKey:
    row = Reader(item.attributes)
    return ApiKey(
        id=row.string("id"),
        tenant=row.string("tenant"),
        hash=row.string("hash"),
        prefix=row.string("prefix"),
        permissions=tuple(Permission(name) for name in row.json("permissions")),
        name=row.maybe("name"),
        daily_limit_usd=row.number("daily_limit_usd"),
        monthly_limit_usd=row.number("monthly_limit_usd"),
        created_at=row.moment("created_at"),
        expires_at=row.maybe_moment("expires_at"),
        revoked_at=row.maybe_moment("revoked_at"),
        organizations=tuple(row.json("organizations")) if row.maybe("organizations") else (),
        seated=row.flag("seated", default=True),
    )
