"""API keys, and who a request turns out to be."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

PREFIX_LENGTH = 16
"""Of a key, this many letters are kept to recognise it by."""


class Permission(StrEnum):
    """What a key may do. ADMIN implies the others."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    ADMIN = "admin"


def hashed(token: str) -> str:
    """The lower-case hex SHA-256 under which a key is stored; keys are random, so that no salt is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is stored: its hash and its first letters, never the key. With ``organizations`` it is only good for
    these of its tenant. ``seated``: whoever uses it has a seat, which opens a few views that are not for every machine."""

    id: str
    tenant: str
    hash: str
    prefix: str
    permissions: tuple[Permission, ...]
    created_at: datetime
    name: str | None = None
    daily_limit_usd: float | None = None
    monthly_limit_usd: float | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    organizations: tuple[str, ...] = ()
    seated: bool = True

    def good(self, now: datetime) -> bool:
        """Whether it opens anything at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a request comes from: the tenant, which every read and write below takes, and what its key allows.

    ``secret`` signs the webhooks that this key asks for without naming a secret: the stored hash of the key, which the
    holder of the key can work out as well. ``organizations`` are the only ones that the key is for; none: it is for all of
    the tenant. ``seated`` is as the key has it.
    """

    tenant: str
    key: str
    permissions: frozenset[Permission]
    secret: str = field(repr=False)
    organizations: frozenset[str] = frozenset()
    seated: bool = True

    @property
    def organization(self) -> str:
        """The one organisation that a request is about which names none: the only one of the key, or else the tenant's own,
        which is named as the tenant is. Raises ``Forbidden`` for a key that is limited to several."""
        from commonplace.model.errors import Forbidden  # noqa: PLC0415 - errors.py names the permission that is missing

        if len(self.organizations) > 1:
            raise Forbidden("The API key is limited to several organizations, and this API knows one for each key")
        return next(iter(self.organizations), self.tenant)

    def may(self, permission: Permission) -> bool:
        """Whether the key allows this."""
        return permission in self.permissions or Permission.ADMIN in self.permissions

    def within(self, organization: str | None) -> bool:
        """Whether the key is for this organisation; ``None`` is what has none."""
        return not self.organizations or organization in self.organizations

    def governs(self, key: ApiKey) -> bool:
        """Whether an API key is one that an admin with this one may see and revoke: of the tenant, and good for no
        organisation that this one is not for."""
        if key.tenant != self.tenant:
            return False
        return not self.organizations or (bool(key.organizations) and self.organizations.issuperset(key.organizations))
