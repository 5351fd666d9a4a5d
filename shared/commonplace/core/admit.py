"""API keys: who may come in, and as whom."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from commonplace.model.apikey import PREFIX_LENGTH, ApiKey, Permission, Principal, hashed
from commonplace.model.errors import Expired, NotFound, Unauthenticated
from commonplace.ports.world import Clock, Ids
from commonplace.rows.apikeys import ApiKeys

CACHED = timedelta(seconds=60)
"""How long a key is believed without looking: the longest that a revocation takes to be felt everywhere."""

MOST_CACHED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOrder:
    """A key as it is ordered."""

    tenant: str
    environment: str
    permissions: tuple[Permission, ...] = (Permission.READ, Permission.WRITE)
    name: str | None = None
    expires_at: datetime | None = None
    daily_limit_usd: float | None = None
    monthly_limit_usd: float | None = None
    organizations: tuple[str, ...] = ()


class Admit:
    """Looks keys up by their hash, and mints them."""

    def __init__(self, keys: ApiKeys, clock: Clock, ids: Ids) -> None:
        self._keys = keys
        self._clock = clock
        self._ids = ids
        self._cache: dict[str, tuple[datetime, ApiKey]] = {}

    async def __call__(self, token: str) -> Principal:
        """Whom this key belongs to. Raises ``Unauthenticated`` for an unknown or revoked one, ``Expired`` for one that
        only its age makes bad."""
        hash, now = hashed(token), self._clock.now()
        seen, key = self._cache.get(hash, (None, None))
        if seen is None or now - seen >= CACHED:
            key = await self._keys.find(hash)
            if key is not None:
                if len(self._cache) >= MOST_CACHED:
                    self._cache.clear()
                self._cache[hash] = (now, key)
        if key is None or key.revoked_at is not None:
            raise Unauthenticated
        if not key.good(now):
            raise Expired
        organizations = frozenset(key.organizations)
        return Principal(key.tenant, key.id, frozenset(key.permissions), key.hash, organizations)

    async def mint(self, order: KeyOrder) -> tuple[str, ApiKey]:
        """A new key: the key itself, which nothing can show again, and its record."""
        token = f"mem_{order.environment}_{self._ids.token()}"
        return token, await self.accept(token, order)

    async def accept(self, token: str, order: KeyOrder) -> ApiKey:
        """Makes a given key good. Raises ``Conflict`` if it is known already."""
        key = ApiKey(
            id=f"key_{self._ids.new()}",
            tenant=order.tenant,
            hash=hashed(token),
            prefix=token[:PREFIX_LENGTH],
            permissions=order.permissions,
            name=order.name,
            daily_limit_usd=order.daily_limit_usd,
            monthly_limit_usd=order.monthly_limit_usd,
            created_at=self._clock.now(),
            expires_at=order.expires_at,
            organizations=order.organizations,
        )
        await self._keys.add(key)
        return key

    async def revoke(self, token: str) -> ApiKey:
        """Makes a key open nothing, at once here and within ``CACHED`` elsewhere. Raises ``NotFound``."""
        key = await self._keys.find(hashed(token))
        if key is None:
            raise NotFound("key")
        self._cache.pop(key.hash, None)
        return await self._keys.revoke(key, self._clock.now())
