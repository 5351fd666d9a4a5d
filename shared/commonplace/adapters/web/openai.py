"""The Embedder port on any endpoint that speaks OpenAI's ``/embeddings``: OpenAI, Ollama, vLLM, and many others."""

import asyncio
import itertools
import json
import random
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aiohttp

from commonplace.adapters import hosted
from commonplace.adapters.hosted import PLAIN, WINDOW, WORDS, Patience, Refused, Vector, each, readable, unit
from commonplace.adapters.web.retry_after import retry_after
from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.space import Space
from commonplace.ports.embedder import Calibration

Key = Callable[[], Awaitable[str]]
"""Fetches the API key. Raises ``Unavailable``."""

CALIBRATION: Final = Calibration(
    together=((0.0, 0.0), (0.15, 0.05), (0.3, 0.3), (0.38, 0.5), (0.6, 0.75), (1.0, 0.9), (1.6, 1.0)),
    words=WORDS,
)
"""For the text-embedding-3 family. An estimate, not fitted: in one published measurement of text-embedding-3-large
(afurmanov.com/chunk-size-embedding-similarity) questions had cosines of 0.44 with an article that they concern and of 0.08
with one that they do not, and sentences of the article had 0.40. For text-embedding-3-small there is less: vague questions
on a lesson had 0.20 and 0.25 with it (community.openai.com/t/1377685). Other models differ (for some, all texts
have cosines over 0.5) and need a calibration of their own."""

MAX_INPUTS: Final = 2_048
"""Texts in one request (OpenAI's limit)."""

MAX_BATCH_BYTES: Final = 100_000
"""Bytes of text in one request. OpenAI takes 300,000 tokens in one, and no text has more tokens than bytes; a third of
that, so that the answer comes well within the time-out and several requests share the work."""

MAX_CONCURRENT: Final = 4
"""Requests of one call that are on their way at the same time."""

MAX_CONNECTIONS: Final = 16
"""Connections of all calls together."""

CONNECT_SECONDS: Final = 2.0

TIMEOUT: Final = 10.0
"""Seconds for one request, from waiting for a connection to the end of the answer."""

PATIENCE: Final = 8.0
"""Seconds after which a call repeats nothing any more. An endpoint that only hangs is given up after 18 s at most."""

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


class OpenAIEmbedder:
    """The embedding model ``model`` with vectors of ``dimension`` numbers, at ``url`` (which ends where ``/embeddings``
    follows, as in ``https://api.openai.com/v1`` or ``http://localhost:11434/v1``).

    ``sends_dimension``: whether to ask for that dimension; the text-embedding-3 family can shorten its vectors, and is
    asked unless told otherwise, while most others refuse or ignore it. ``key`` is called at the first use, and again
    after the endpoint refused the key that it gave; none is sent without it. ``window`` is in ``hosted.tokens``: for a
    model that reads less than 2,048 tokens of its own, a quarter of what it reads is always safe. ``timeout`` is in
    seconds for one request; what fails in passing is repeated for ``patience`` seconds from the start of the call.

    Its connections belong to the event loop of the first use.
    """

    def __init__(
        self,
        url: str,
        model: str,
        dimension: int,
        *,
        sends_dimension: bool | None = None,
        key: Key | None = None,
        window: int = WINDOW,
        calibration: Calibration = CALIBRATION,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if not _URL.fullmatch(url):
            raise ValueError("the URL of an embedding endpoint begins with http:// or https:// and a host")
        if dimension < 1 or window < 1:
            raise ValueError("a vector has at least one number, and a window at least one token")
        self._url = url.rstrip("/") + "/embeddings"
        self._model = model
        self._space = hosted.space(model, dimension)
        family = model.rpartition("/")[2].startswith("text-embedding-3")
        self._sends_dimension = family if sends_dimension is None else sends_dimension
        self._fetch_key = key
        self._key: str | None = None
        self._key_turn = asyncio.Lock()
        self._window = window
        self._calibration = calibration
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, CONNECT_SECONDS))
        self._patience = patience
        self._jitter = jitter
        self._session: aiohttp.ClientSession | None = None

    @property
    def space(self) -> Space:
        """Where its vectors live: one space for each model and dimension."""
        return self._space

    @property
    def window(self) -> int:
        """How many tokens of a text are sent."""
        return self._window

    @property
    def calibration(self) -> Calibration:
        """How its cosines read as relevance."""
        return self._calibration

    def tokens(self, text: str) -> list[tuple[int, int]]:
        """The character spans of the text's tokens, as ``hosted.tokens`` approximates them."""
        return hosted.tokens(text)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """A vector of length 1 for each text, in order.

        A batch that the endpoint refuses is asked for again in halves, since it may take fewer texts at once than OpenAI.
        Raises ``Invalid`` when it refuses a text alone, though it takes others. Raises ``Unavailable`` when it fails, has
        too much to do or cannot be reached for longer than the patience, or says itself that it will; at once when it
        refuses every text or the key, does not know the model, or answers something else than vectors.
        """
        sent = [readable(text, self._window) for text in texts]
        patience = Patience(self._patience, self._jitter)
        parts = await each(partial(self._judged, patience=patience), list(_batches(sent)), MAX_CONCURRENT)
        return list(itertools.chain(*parts))

    async def close(self) -> None:
        """Closes the connections. Nobody may be waiting for an answer."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _judged(self, texts: Sequence[str], patience: Patience) -> list[Vector]:
        try:
            return await self._vectors(texts, patience)
        except Refused as error:
            refusal = error
        if len(texts) > 1:
            half = len(texts) // 2
            return [*await self._judged(texts[:half], patience), *await self._judged(texts[half:], patience)]
        try:
            await self._vectors([PLAIN], patience)
        except Refused as always:
            raise Unavailable(f"{self._model} refuses every text: {always}", MEND_SECONDS) from always
        raise Invalid(f"{self._model} refuses the text: {refusal}") from refusal

    async def _vectors(self, texts: Sequence[str], patience: Patience) -> list[Vector]:
        question: dict[str, Any] = {"model": self._model, "input": list(texts)}
        if self._sends_dimension:
            question["dimensions"] = self._space.dimension
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
                    return self._read(reply.content, len(texts))
                failure, passes = self._translated(reply, key)
                wait = reply.retry_after or 0
            pause = patience.pause(attempt, wait) if passes else None
            if pause is None:
                raise failure from cause
            await asyncio.sleep(pause)
        raise AssertionError  # the count has no end

    async def _post(self, body: bytes, key: str | None) -> _Reply:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        # A redirect is not followed: it would carry the texts, and perhaps the key, to another host.
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

    def _read(self, content: bytes, count: int) -> list[Vector]:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"{self._model} answered something else than JSON") from error
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
            raise Unavailable(f"{self._model} answered something else than vectors")
        numbered = {entry.get("index"): entry.get("embedding") for entry in data if type(entry.get("index")) is int}
        if len(data) != count or set(numbered) != set(range(count)):
            raise Unavailable(f"{self._model} answered {len(data)} vectors for {count} texts, or did not number them")
        return [unit(numbered[number], self._space.dimension, self._model) for number in range(count)]

    def _translated(self, reply: _Reply, key: str | None) -> tuple[Exception, bool]:
        """What a reply without vectors means, and whether it may pass."""
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
            message = f"The embedding endpoint has no model {self._model}, or its URL is not the one before /embeddings"
            return Unavailable(message, MEND_SECONDS), False
        if "insufficient_quota" in (error.get("code"), error.get("type")):
            return Unavailable(f"There is no credit left for {self._model}", MEND_SECONDS), False
        passes = reply.status in _OVERLOADED or reply.status >= 500  # noqa: PLR2004 - HTTP's own limit
        later = 5 if reply.retry_after is None else min(max(1, reply.retry_after), MOST_WAIT)
        return Unavailable(f"{self._model} cannot be used now (HTTP {reply.status})", later), passes


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    room = MAX_BATCH_BYTES
    for text in texts:
        size = len(text.encode())
        if batch and (len(batch) == MAX_INPUTS or size > room):
            yield batch
            batch, room = [], MAX_BATCH_BYTES
        batch.append(text)
        room -= size
    if batch:
        yield batch


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
