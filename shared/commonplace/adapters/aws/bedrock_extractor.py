"""The Extractor port on Amazon Bedrock: any model that Converse can oblige to use a tool."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from botocore.config import Config

from commonplace.adapters import textmodel
from commonplace.adapters.aws.bedrock_errors import FAILURES, UNREADABLE, passes, translated
from commonplace.adapters.hosted import Patience
from commonplace.adapters.textmodel import (
    DEADLINE,
    MAX_CONCURRENT,
    MOST_OUTPUT,
    PATIENCE,
    REQUEST_SECONDS,
    Answer,
    Reading,
    count,
    first,
    part,
)
from commonplace.model.event import Event
from commonplace.ports.extractor import Extracted

MODEL: Final = "amazon.nova-lite-v1:0"
"""Amazon's own, as the embedder is, and cheap. Most regions offer it only through an inference profile, whose name has a
prefix (``eu.amazon.nova-lite-v1:0``)."""

TOOL: Final = "remember"

_DECLINED = {"content_filtered", "guardrail_intervened", "refusal", "model_context_window_exceeded"}
_COMPLETE = {"tool_use", "end_turn", "stop_sequence"}


def client_config() -> Config:
    """The configuration for the client of a ``BedrockExtractor``: bounded in time, and without retries of its own,
    because those know no patience. An embedder's gives up too early for a text model."""
    return Config(
        connect_timeout=1,
        read_timeout=REQUEST_SECONDS,
        max_pool_connections=MAX_CONCURRENT,
        retries={"mode": "standard", "total_max_attempts": 1},
    )


class BedrockExtractor:
    """A text model through Converse, by an aiobotocore client for ``bedrock-runtime`` with ``client_config``, which
    ``connect`` gives, always the same.

    ``model`` is the id or the ARN of a model or of an inference profile. It must take ``toolChoice``: Anthropic's Claude
    since 3 and Amazon's Nova do, Llama, Titan and DeepSeek do not, and are ``Unavailable``. The model's own settings
    are left as they are, since not every model takes a temperature. What fails in passing is repeated for ``patience``
    seconds from the start of a call, which waits for nothing after ``deadline`` seconds.

    Not supported: guardrails, thinking, prompt caches, several events in one question.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        model: str = MODEL,
        *,
        patience: float = PATIENCE,
        deadline: float = DEADLINE,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._connect = connect
        self._model = model
        self._reading = Reading(model, self._ask, patience=patience, deadline=deadline, jitter=jitter)

    async def extract(self, events: Sequence[Event], context: Sequence[Event]) -> list[Extracted]:
        """What came of each event, in order, as ``textmodel.Reading`` says."""
        return await self._reading(events, context)

    async def _ask(self, question: str, patience: Patience) -> Answer:
        asked = {
            "modelId": self._model,
            "system": [{"text": textmodel.prompt()}],
            "messages": [{"role": "user", "content": [{"text": question}]}],
            "inferenceConfig": {"maxTokens": MOST_OUTPUT},
            "toolConfig": {"tools": [{"toolSpec": _tool()}], "toolChoice": {"tool": {"name": TOOL}}},
        }
        for attempt in itertools.count():
            try:
                client = await self._connect()
                answer = await client.converse(**asked)
            except FAILURES as error:
                pause = patience.pause(attempt) if passes(error) else None
                failure, cause = translated(error, self._model), None if isinstance(error, UNREADABLE) else error
            else:
                return _read(answer)
            if pause is None:
                raise failure from cause
            await asyncio.sleep(pause)
        raise AssertionError  # the count has no end


def _tool() -> dict[str, Any]:
    return {
        "name": TOOL,
        "description": "Keeps the statements that were made of the event.",
        "inputSchema": {"json": textmodel.schema(closed=False)},
    }


def _read(answer: Mapping[str, Any]) -> Answer:
    """An answer that was cut off is not read: it may be a whole document that says too little."""
    stop = str(answer.get("stopReason"))
    tokens = count(part(answer.get("usage")).get("totalTokens"))
    if stop in _DECLINED:
        return Answer(tokens, declined=stop)
    blocks = part(part(answer.get("output")).get("message")).get("content") if stop in _COMPLETE else None
    used = [part(part(block).get("toolUse")) for block in blocks or ()]
    return Answer(tokens, first([use.get("input") for use in used if use.get("name") == TOOL]))
