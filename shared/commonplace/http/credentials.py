"""Whom a request comes from, by the key that it shows."""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from commonplace.http.dialect import Dialect
from commonplace.http.host import Authenticate
from commonplace.model.apikey import Permission, Principal
from commonplace.model.errors import Forbidden, NoCredentials


async def visitor(
    headers: Mapping[str, str], dialect: Dialect, authenticate: Authenticate, stranger: Principal | None = None
) -> Principal:
    """Whose key a request in this dialect shows; without any key it is the dialect's stranger, or else ``stranger``.

    Raises ``NoCredentials`` where there is none, and ``Unauthenticated`` for a key that opens nothing, stranger or not. The
    key is in ``Authorization: Bearer <key>``, the scheme in any case, else in ``X-API-Key`` if the dialect looks there.
    """
    token = _bearer(headers)
    if not token and dialect.api_key_header:
        token = headers.get("x-api-key", "").strip()
    if token:
        return await authenticate(token)
    unknown = dialect.stranger or stranger
    if unknown is None:
        raise NoCredentials
    return unknown


class AnyKey(Enum):
    """What opens an endpoint that is for whoever shows a good key, whatever it allows."""

    ANY_KEY = "any key"


ANY_KEY: Final = AnyKey.ANY_KEY


def permit(principal: Principal, dialect: Dialect, permission: Permission | AnyKey) -> None:
    """Raises ``Forbidden`` for a key that lacks the permission, and for one that is limited to organisations where the dialect
    does not know them."""
    if principal.organizations and not dialect.organizations:
        raise Forbidden("The API key is limited to organizations, and this API has none")
    if permission is not ANY_KEY and not principal.may(permission):
        raise Forbidden(f"The API key lacks the scope '{permission}'", permission)


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
