"""The Embedder port on Amazon Bedrock: Titan Text Embeddings V2."""

import asyncio
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from botocore.config import Config

from commonplace.adapters.aws.bedrock_errors import FAILURES, MEND_SECONDS, passes, translated
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
from commonplace.model.errors import Invalid, Unavailable
from commonplace.ports.embedder import Calibration

MODEL: Final = "amazon.titan-embed-text-v2:0"

DIMENSIONS: Final = (256, 512, 1024)
"""The lengths of a vector that the model offers."""

CALIBRATION: Final = Calibration(
    together=((-0.05, 0.0), (0.09, 0.05), (0.24, 0.3), (0.32, 0.5), (0.54, 0.75), (1.0, 0.9), (1.6, 1.0)),
    words=WORDS,
)
"""An estimate, not fitted: from one published measurement of this model (afurmanov.com/chunk-size-embedding-similarity),
where questions had cosines of 0.38 with an article that they concern and of 0.015 with one that they do not; sentences of
the article had 0.32. text-embedding-3-large had 0.44, 0.08 and 0.40 there, so this is that model's curve, 0.06 lower."""

MAX_CONCURRENT: Final = 8
"""Texts of one call that are on their way at the same time: InvokeModel takes one. Bedrock throttles embedding models by
requests per minute; eight at 100 ms each are 4,800 a minute."""

PATIENCE: Final = 8.0
"""Seconds after which a call repeats nothing any more. A model that only hangs is given up after 14 s at most."""


def client_config() -> Config:
    """The configuration for the client of a ``BedrockEmbedder``: bounded in time, and without retries of its own, because
    those know no patience."""
    return Config(
        connect_timeout=1,
        read_timeout=5,
        max_pool_connections=2 * MAX_CONCURRENT,
        retries={"mode": "standard", "total_max_attempts": 1},
    )


class BedrockEmbedder(HostedModel):
    """Titan Text Embeddings V2 through an aiobotocore client for ``bedrock-runtime`` with ``client_config``, which
    ``connect`` gives, always the same.

    ``dimension`` is one of ``DIMENSIONS``. ``model`` may also be the ARN under which provisioned throughput serves this
    model; that is a space of its own. What fails in passing is repeated for ``patience`` seconds from the start of the call.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        dimension: int = 1024,
        *,
        model: str = MODEL,
        window: int = WINDOW,
        calibration: Calibration = CALIBRATION,
        patience: float = PATIENCE,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if dimension not in DIMENSIONS:
            raise ValueError(f"{model} has vectors of 256, 512 or 1024 numbers and not of {dimension}")
        self._connect = connect
        self._model = model
        super().__init__(model, dimension, window, calibration)
        self._patience = patience
        self._jitter = jitter

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """A vector of length 1 for each text, in order, asked for one by one, ``MAX_CONCURRENT`` at a time.

        Raises ``Invalid`` when the model refuses a text though it takes others. Raises ``Unavailable`` when it throttles,
        fails or cannot be reached for longer than the patience; at once when it refuses every text, may not be used, is
        not there, or answers something else than vectors.
        """
        sent = [readable(text, self._window) for text in texts]
        patience = Patience(self._patience, self._jitter)
        return await each(partial(self._judged, patience=patience), sent, MAX_CONCURRENT)

    async def _judged(self, text: str, patience: Patience) -> Vector:
        try:
            return await self._vector(text, patience)
        except Refused as refusal:
            # Bedrock also refuses a model that the region lacks like this, and that is no reason to give up a memory.
            try:
                await self._vector(PLAIN, patience)
            except Refused as always:
                raise Unavailable(f"{self._model} refuses every text: {always}", MEND_SECONDS) from always
            raise Invalid(f"{self._model} refuses the text: {refusal}") from refusal

    async def _vector(self, text: str, patience: Patience) -> Vector:
        body = json.dumps({"inputText": text, "dimensions": self._space.dimension, "normalize": True})
        for attempt in itertools.count():
            try:
                client = await self._connect()
                answer = await client.invoke_model(
                    modelId=self._model, body=body, contentType="application/json", accept="application/json"
                )
                async with answer["body"] as stream:
                    content = await stream.read()
            except FAILURES as error:
                pause = patience.pause(attempt) if passes(error) else None
                if pause is None:
                    raise translated(error, self._model) from error
            else:
                return self._read(content)
            await asyncio.sleep(pause)
        raise AssertionError  # the count has no end

    def _read(self, content: bytes) -> Vector:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"{self._model} answered something else than JSON") from error
        vector = answer.get("embedding") if isinstance(answer, dict) else None
        return unit(vector, self._space.dimension, self._model)
