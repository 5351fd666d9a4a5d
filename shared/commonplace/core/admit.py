"""API keys: who may come in, and as whom."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from commonplace.core.retry import until_settled
from commonplace.model.apikey import PREFIX_LENGTH, ApiKey, Permission, Principal, hashed
from commonplace.model.errors import Expired, LimitReached, NotFound, Unauthenticated
from commonplace.ports.world import Clock, Ids
from commonplace.rows import keys
from commonplace.rows.apikeys import MOST_LIVE, ApiKeys, Slot

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
    seated: bool = True


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
                key = self._remembered(hash, now, key)
        if key is None or key.revoked_at is not None:
            raise Unauthenticated
        if not key.good(now):
            raise Expired
        organizations = frozenset(key.organizations)
        return Principal(key.tenant, key.id, frozenset(key.permissions), key.hash, organizations, key.seated)

    async def all(self, caller: Principal, limit: int) -> list[ApiKey]:
        """The keys that the caller governs, good or not, newest first: at most ``limit``, and where the caller is limited to
        organisations, of the tenant's newest ``rows.apikeys.MOST_READ``."""
        return await self._keys.all(caller.tenant, caller.governs, limit)

    async def get(self, caller: Principal, id: str) -> ApiKey:
        """The key with this id. Raises ``NotFound``, also where the caller does not govern it."""
        key = await self._keys.known(caller.tenant, id)
        if key is None or not caller.governs(key):
            raise NotFound("key")
        return key

    async def active(self, tenant: str) -> int:
        """How many keys of a tenant are good now, up to ``MOST_LIVE``."""
        now = self._clock.now()
        return sum(not slot.free(now) for slot in await self._keys.slots(tenant))

    async def mint(self, order: KeyOrder, most: int | None = None) -> tuple[str, ApiKey]:
        """A new key: the key itself, which nothing can show again, and its record. With ``most`` it raises
        ``LimitReached`` if so many keys of the tenant are good already, however many are minted at once."""
        token = f"mem_{order.environment}_{self._ids.token()}"
        key = self._key(token, order)
        if most is None:
            await self._keys.add(key)
        else:
            await until_settled(lambda: self._placed(key, min(most, MOST_LIVE)))
        return token, key

    async def accept(self, token: str, order: KeyOrder) -> ApiKey:
        """Makes a given key good. Raises ``Conflict`` if it is known already."""
        key = self._key(token, order)
        await self._keys.add(key)
        return key

    async def revoke(self, token: str) -> ApiKey:
        """Makes a key open nothing, at once here and within ``CACHED`` elsewhere. Raises ``NotFound``."""

        async def attempt() -> ApiKey:
            key = await self._keys.find(hashed(token))
            if key is None:
                raise NotFound("key")
            return await self._revoked(key)

        return await until_settled(attempt)

    async def withdraw(self, caller: Principal, id: str) -> ApiKey:
        """As ``revoke``, for a key by its id. Raises ``NotFound``, also where the caller does not govern it."""

        async def attempt() -> ApiKey:
            return await self._revoked(await self.get(caller, id))

        return await until_settled(attempt)

    async def _revoked(self, key: ApiKey) -> ApiKey:
        if key.revoked_at is None:
            key = await self._keys.revoke(key, self._clock.now())
        return self._remembered(key.hash, self._clock.now(), key)

    def _remembered(self, hash: str, now: datetime, key: ApiKey) -> ApiKey:
        """What is known of a key: a revocation is not forgotten for one that was read before it."""
        _, known = self._cache.get(hash, (None, None))
        if known is not None and known.revoked_at is not None:
            key = known
        if len(self._cache) >= MOST_CACHED:
            self._cache.clear()
        self._cache[hash] = (now, key)
        return key

    async def _placed(self, key: ApiKey, most: int) -> None:
        slots = {slot.name: slot for slot in await self._keys.slots(key.tenant)}
        current = sum(not slot.free(key.created_at) for slot in slots.values())
        if current >= most:
            raise LimitReached("key", most, current)
        numbered = [slots.get(name, Slot(name)) for name in (f"{number:04d}" for number in range(most))]
        free = [slot for slot in numbered if slot.free(key.created_at)]
        # No more of them than there may be keys, so that all who choose at once choose from as many.
        await self._keys.add(key, keys.spread(key.id, free[: most - current]))

    def _key(self, token: str, order: KeyOrder) -> ApiKey:
        return ApiKey(
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
            seated=order.seated,
        )
