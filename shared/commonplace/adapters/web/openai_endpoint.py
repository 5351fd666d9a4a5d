"""An endpoint that speaks OpenAI's protocol: one question, one answer, whatever it is about."""

import asyncio
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from commonplace.adapters.hosted import Patience, Refused
from commonplace.adapters.web.retry_after import retry_after
from commonplace.model.errors import Unavailable

Key = Callable[[], Awaitable[str]]
"""Fetches the API key. Raises ``Unavailable``."""

MAX_CONNECTIONS: Final = 16
"""Connections of all calls together."""

CONNECT_SECONDS: Final = 2.0

MEND_SECONDS: Final = 60
"""When to come back if somebody has to change something first."""

MOST_WAIT: Final = 300
"""The longest time in seconds that is asked of a caller, whatever Retry-After says."""

MOST_SAID: Final = 200
"""Characters of the endpoint's own words in an error."""

_REFUSALS = {400, 413, 422}
_OVERLOADED = {408, 429}
_URL = re.compile(r"https?://[^\s/]+\S*")
_SENDABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    retry_after: int | None
    content: bytes


class Endpoint:
    """The operation ``path`` (as in ``/embeddings``) at ``url``, which ends where it follows; ``model`` is its name in
    errors.

    ``key`` is called at the first use, and again after the endpoint refused the key that it gave; none is sent without
    it. ``timeout`` is in seconds for one request, from waiting for a connection to the end of the answer. Redirects are
    not followed, and no proxy of the environment is used: they would carry what is sent, and perhaps the key, elsewhere.

    Its connections belong to the event loop of the first use.
    """

    def __init__(self, url: str, path: str, model: str, *, key: Key | None, timeout: float) -> None:
        if not _URL.fullmatch(url):
            raise ValueError("the URL of an endpoint begins with http:// or https:// and a host")
        self._url = url.rstrip("/") + path
        self._path = path
        self._model = model
        self._fetch_key = key
        self._key: str | None = None
        self._key_turn = asyncio.Lock()
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, CONNECT_SECONDS))
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, question: Mapping[str, Any], patience: Patience) -> Any:
        """The JSON that it answers.

        Raises ``Refused`` when it refuses the question, with its own words. Raises ``Unavailable`` when it fails, has too
        much to do or cannot be reached for longer than the patience, or says itself that it will; at once when it refuses
        the key, does not know the model, or answers something else than JSON.
        """
        body = json.dumps(question).encode()
        for attempt in itertools.count():
            key = await self._current_key()
            cause: Exception | None = None
            wait = 0
            try:
                reply = await self._post(body, key)
            except (aiohttp.ClientError, TimeoutError) as error:
                failure: Exception = Unavailable(f"{self._model} cannot be reached ({type(error).__name__})")
                # That one holds the headers of the request, and so the key.
                cause = None if isinstance(error, aiohttp.ClientResponseError) else error
                passes = True
            else:
                if reply.status == 200:  # noqa: PLR2004 - HTTP's own number
                    return self._read(reply.content)
                failure, passes = self._translated(reply, key)
                wait = reply.retry_after or 0
            pause = patience.pause(attempt, wait) if passes else None
            if pause is None:
                raise failure from cause
            await asyncio.sleep(pause)
        raise AssertionError  # the count has no end

    async def close(self) -> None:
        """Closes the connections. Nobody may be waiting for an answer."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, body: bytes, key: str | None) -> _Reply:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        session = self._open_session()
        async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            content = await response.read()
            return _Reply(response.status, retry_after(response.headers.get("Retry-After")), content)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                trust_env=False,
            )
        return self._session

    async def _current_key(self) -> str | None:
        if self._fetch_key is None:
            return None
        async with self._key_turn:
            if self._key is None:
                key = (await self._fetch_key()).strip()
                if not _SENDABLE.fullmatch(key):
                    raise Unavailable(f"The API key for {self._model} is empty or has characters that no key has")
                self._key = key
            return self._key

    def _read(self, content: bytes) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"{self._model} answered something else than JSON") from error

    def _translated(self, reply: _Reply, key: str | None) -> tuple[Exception, bool]:
        """What a reply without an answer means, and whether it may pass."""
        error = _error(reply.content)
        if reply.status in _REFUSALS:
            return Refused(_said(error, key)), False
        if reply.status in {401, 403}:
            if reply.status == 401 and self._key == key:  # noqa: PLR2004 - HTTP's own number
                self._key = None  # it may have been replaced where it comes from
            return Unavailable(
                f"The API key for {self._model} is missing, wrong or not allowed it", MEND_SECONDS
            ), False
        if reply.status == 404:  # noqa: PLR2004 - HTTP's own number
            message = f"The endpoint has no model {self._model}, or its URL is not the one before {self._path}"
            return Unavailable(message, MEND_SECONDS), False
        if "insufficient_quota" in (error.get("code"), error.get("type")):
            return Unavailable(f"There is no credit left for {self._model}", MEND_SECONDS), False
        passes = reply.status in _OVERLOADED or reply.status >= 500  # noqa: PLR2004 - HTTP's own limit
        later = 5 if reply.retry_after is None else min(max(1, reply.retry_after), MOST_WAIT)
        return Unavailable(f"{self._model} cannot be used now (HTTP {reply.status})", later), passes


def _error(content: bytes) -> dict[str, Any]:
    """The endpoint's own account of what went wrong: OpenAI's ``error``, or what stands in the answer itself."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(answer, dict):
        return {}
    error = answer.get("error", answer)
    return error if isinstance(error, dict) else {"message": error}


def _said(error: dict[str, Any], key: str | None) -> str:
    message = next(
        (error[name] for name in ("message", "detail") if isinstance(error.get(name), str)), "no reason given"
    )
    if key is not None:
        message = message.replace(key, "[key]")
    return " ".join(message.split())[:MOST_SAID]
