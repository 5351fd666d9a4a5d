"""API keys, found by their hash, and the service's own secrets."""

from dataclasses import replace
from datetime import datetime

from commonplace.model.apikey import ApiKey, Permission
from commonplace.model.errors import CommonplaceError, Conflict, NotFound
from commonplace.ports.table import Absent, ConditionFailed, Item, Present, Put, Table, Update, Value
from commonplace.rows import keys
from commonplace.rows.codec import Reader, present, text
from commonplace.rows.commit import Staged, commit


class ApiKeys:
    """The keys of all tenants."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def find(self, hash: str) -> ApiKey | None:
        """The key with this hash, good or not, or None."""
        item = await self._table.get(keys.api_key(hash))
        return None if item is None else _decoded(item)

    async def add(self, key: ApiKey) -> None:
        """Writes a new key. Raises ``Conflict`` if there is one with this hash."""
        await commit(self._table, [Staged(Put(keys.api_key(key.hash), _encoded(key), Absent()), _taken)])

    async def revoke(self, key: ApiKey, now: datetime) -> ApiKey:
        """Writes that the key opens nothing from now on."""
        update = Update(keys.api_key(key.hash), set=present({"revoked_at": now}), condition=Present())
        await commit(self._table, [Staged(update, _gone)])
        return replace(key, revoked_at=now)


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
    )
