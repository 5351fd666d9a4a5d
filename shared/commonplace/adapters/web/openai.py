"""The Embedder port on any endpoint that speaks OpenAI's ``/embeddings``: OpenAI, Ollama, vLLM, and many others."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from commonplace.adapters.hosted import (
    PLAIN,
    WINDOW,
    WORDS,
    HostedModel,
    Patience,
    Refused,
    Vector,
    each,
    readable,
    unit,
)
from commonplace.adapters.web.openai_endpoint import MEND_SECONDS, Endpoint, Key
from commonplace.model.errors import Invalid, Unavailable
from commonplace.ports.embedder import Calibration

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

TIMEOUT: Final = 10.0
"""Seconds for one request, from waiting for a connection to the end of the answer."""

PATIENCE: Final = 8.0
"""Seconds after which a call repeats nothing any more. An endpoint that only hangs is given up after 18 s at most."""


class OpenAIEmbedder(HostedModel):
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
        if dimension < 1 or window < 1:
            raise ValueError("a vector has at least one number, and a window at least one token")
        self._endpoint = Endpoint(url, "/embeddings", model, key=key, timeout=timeout)
        self._model = model
        super().__init__(model, dimension, window, calibration)
        family = model.rpartition("/")[2].startswith("text-embedding-3")
        self._sends_dimension = family if sends_dimension is None else sends_dimension
        self._patience = patience
        self._jitter = jitter

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
        await self._endpoint.close()

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
        return self._read(await self._endpoint.ask(question, patience), len(texts))

    def _read(self, answer: Any, count: int) -> list[Vector]:
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
            raise Unavailable(f"{self._model} answered something else than vectors")
        numbered = {entry.get("index"): entry.get("embedding") for entry in data if type(entry.get("index")) is int}
        if len(data) != count or set(numbered) != set(range(count)):
            raise Unavailable(f"{self._model} answered {len(data)} vectors for {count} texts, or did not number them")
        return [unit(numbered[number], self._space.dimension, self._model) for number in range(count)]


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
