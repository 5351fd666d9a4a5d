"""The connection to OpenSearch: signed, bounded in time, one pool for each environment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aioboto3
from opensearchpy import AsyncHttpConnection, AsyncOpenSearch, AWSV4SignerAsyncAuth

from commonplace.model.errors import Unavailable

CONNECTIONS = 10
"""Connections to the cluster at once: an environment serves one request at a time, which asks little in parallel."""

RETRIES = 2
"""How often a call is repeated that met a broken connection, 502, 503 or 504. Never after a time-out: that would double
the time, and the next attempt is the worker's."""

CALL_SECONDS = 5.0
"""The longest that a call waits which does not say it itself."""


@asynccontextmanager
async def connected(url: str, session: aioboto3.Session) -> AsyncIterator[AsyncOpenSearch]:
    """A client for the cluster at ``url``, which signs its calls (SigV4, service ``es``) with the credentials of the
    session. A cluster without security takes no notice of that. Raises ``Unavailable`` without credentials."""
    credentials = await session._session.get_credentials()  # noqa: SLF001 - aioboto3 leads to it in no other way
    region = session.region_name
    if credentials is None or region is None:
        raise Unavailable("There are no AWS credentials or no region to sign calls to OpenSearch with")
    client = AsyncOpenSearch(
        hosts=[url],
        http_auth=_Signature(credentials, region),
        connection_class=_SigningConnection,
        timeout=CALL_SECONDS,
        max_retries=RETRIES,
        pool_maxsize=CONNECTIONS,
    )
    try:
        yield client
    finally:
        await client.close()


class _Frozen:
    """Credentials as the signer reads them. It takes those of botocore, whose ``get_frozen_credentials`` returns at once;
    that of aiobotocore is a coroutine, so they are frozen before the call."""

    access_key = ""
    secret_key = ""
    token: str | None = None


class _Signature(AWSV4SignerAsyncAuth):
    """The signer of the library over credentials that are renewed before each call."""

    def __init__(self, credentials: Any, region: str) -> None:
        self._credentials = credentials
        self._frozen = _Frozen()
        super().__init__(self._frozen, region)

    async def renew(self) -> None:
        """Takes over new credentials, if the old ones are near their end."""
        fresh = await self._credentials.get_frozen_credentials()
        self._frozen.access_key, self._frozen.secret_key = fresh.access_key, fresh.secret_key
        self._frozen.token = fresh.token


class _SigningConnection(AsyncHttpConnection):
    """A connection that renews the credentials of its signer before each call."""

    def __init__(self, http_auth: _Signature, **parts: Any) -> None:
        self._signature = http_auth
        super().__init__(http_auth=http_auth, **parts)

    async def perform_request(self, *parts: Any, **more: Any) -> Any:
        """As the library's."""
        await self._signature.renew()
        return await super().perform_request(*parts, **more)
