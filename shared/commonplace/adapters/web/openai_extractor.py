"""The Extractor port on any endpoint that speaks OpenAI's ``/chat/completions`` with a JSON schema for the answer."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Final

from commonplace.adapters import textmodel
from commonplace.adapters.hosted import Patience
from commonplace.adapters.textmodel import (
    DEADLINE,
    MOST_OUTPUT,
    PATIENCE,
    REQUEST_SECONDS,
    Answer,
    Reading,
    count,
    first,
    part,
)
from commonplace.adapters.web.openai_endpoint import Endpoint, Key
from commonplace.model.event import Event
from commonplace.ports.extractor import Extracted

FORM: Final = "statements"
"""The name of the form of an answer."""


class OpenAIExtractor:
    """The text model ``model`` at ``url`` (which ends where ``/chat/completions`` follows, as in
    ``https://api.openai.com/v1`` or ``http://localhost:11434/v1``).

    The endpoint must take ``response_format`` with ``json_schema``: OpenAI since gpt-4o, vLLM, Ollama and llama.cpp do;
    one that refuses it is ``Unavailable``. An answer's length is bounded by ``max_completion_tokens``, which some
    (Ollama) pass over. The model's own settings are left as they are, since not every model takes a temperature. ``key``
    as for ``Endpoint``. ``timeout`` is in seconds for one request; what fails in passing is repeated for ``patience``
    seconds from the start of a call, which waits for nothing after ``deadline`` seconds.

    Not supported: answers in Markdown, several events in one question. An endpoint that reads only the end of a long
    question (Ollama, whose models read 4,096 tokens unless told otherwise) may miss the instructions: its window must
    hold about 30,000 tokens for events of 32,000 characters.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: Key | None = None,
        timeout: float = REQUEST_SECONDS,
        patience: float = PATIENCE,
        deadline: float = DEADLINE,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._endpoint = Endpoint(url, "/chat/completions", model, key=key, timeout=timeout)
        self._model = model
        self._reading = Reading(model, self._ask, patience=patience, deadline=deadline, jitter=jitter)

    async def extract(self, events: Sequence[Event], context: Sequence[Event]) -> list[Extracted]:
        """What came of each event, in order, as ``textmodel.Reading`` says."""
        return await self._reading(events, context)

    async def close(self) -> None:
        """Closes the connections. Nobody may be waiting for an answer."""
        await self._endpoint.close()

    async def _ask(self, question: str, patience: Patience) -> Answer:
        form = {"name": FORM, "strict": True, "schema": textmodel.schema(closed=True)}
        asked = {
            "model": self._model,
            "messages": [{"role": "system", "content": textmodel.prompt()}, {"role": "user", "content": question}],
            "response_format": {"type": "json_schema", "json_schema": form},
            "max_completion_tokens": MOST_OUTPUT,
        }
        return _read(await self._endpoint.ask(asked, patience))


def _read(answer: object) -> Answer:
    """An answer that was cut off is not read: it may be a whole document that says too little. Nor are the words of a
    refusal: they may quote the event."""
    choice = part(first(part(answer).get("choices")))
    message = part(choice.get("message"))
    tokens = count(part(part(answer).get("usage")).get("total_tokens"))
    finish, content = choice.get("finish_reason"), message.get("content")
    if finish == "content_filter" or message.get("refusal"):
        return Answer(tokens, declined="content filter" if finish == "content_filter" else "refusal")
    if finish == "length" or not isinstance(content, str):
        return Answer(tokens)
    try:
        return Answer(tokens, json.loads(content))
    except (ValueError, RecursionError):
        return Answer(tokens)
