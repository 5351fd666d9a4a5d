"""The connection to OpenSearch: signed, bounded in time, one pool for each environment."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import aioboto3
from botocore.exceptions import BotoCoreError, ClientError
from opensearchpy import AsyncHttpConnection, AsyncOpenSearch, AWSV4SignerAsyncAuth, TransportError
from opensearchpy.exceptions import HTTP_EXCEPTIONS

from commonplace.adapters.aws.opensearch_query import own_words
from commonplace.model.errors import Unavailable

CONNECTIONS = 10
"""Connections to the cluster at once: an environment serves one request at a time, which asks little in parallel."""

RETRIES = 2
"""How often a call is repeated that met a broken connection, 502, 503 or 504. Never after a time-out: that would double
the time, and the next attempt is the worker's."""

CALL_SECONDS = 5.0
"""The longest that a call waits which does not say it itself."""

# The library logs every call at INFO, every attempt that fails with a traceback at WARNING, though the next may succeed,
# and bodies, which are what memories say: at DEBUG in the one log, in the other at INFO, written out at length even if
# nobody reads it. Whoever asks is told of failures by an error.
for _log in ("opensearch", "opensearchpy.trace"):
    logging.getLogger(_log).setLevel(logging.ERROR)


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
        """Takes over new credentials, if the old ones are near their end. Raises ``Unavailable``."""
        try:
            fresh = await self._credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise Unavailable("There are no AWS credentials to sign calls to OpenSearch with") from error
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

    def _raise_error(self, status_code: int, raw_data: str | bytes, content_type: str | None = None) -> NoReturn:  # noqa: ARG002 - the library's signature
        """The library's errors, with the type of OpenSearch's error and its own words about it. The library's would quote
        the whole answer, since its asynchronous connection does not tell it that this is JSON."""
        kind, reason = "", ""
        try:
            said = json.loads(raw_data)["error"]
            kind, reason = str(said["type"]), own_words(said["reason"])
        except (ValueError, TypeError, KeyError):
            pass  # somebody on the way has answered, or OpenSearch said no more than the status
        raise HTTP_EXCEPTIONS.get(status_code, TransportError)(status_code, kind, reason)
