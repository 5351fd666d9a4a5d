"""Where the key of a request stands."""

from collections.abc import Mapping

from commonplace.model.errors import NoCredentials


def bearer(headers: Mapping[str, str]) -> str:
    """The key in ``Authorization: Bearer <key>``, the scheme in any case. Raises ``NoCredentials``."""
    return _shown(_bearer(headers))


def bearer_or_api_key(headers: Mapping[str, str]) -> str:
    """The key in ``Authorization: Bearer <key>``, else the one in ``X-API-Key``. Raises ``NoCredentials``."""
    return _shown(_bearer(headers) or headers.get("x-api-key", "").strip())


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _shown(token: str) -> str:
    if not token:
        raise NoCredentials
    return token
