"""Somebody else's embedding models, over real sockets: Titan on Bedrock and OpenAI's ``/embeddings``, with their rules.

In a test: ``async with serving(words) as server``. As a process, with a real model behind it, until it is ended:
``python tests/embedding_server.py PORT`` (0: any free one), which says its URL on the first line that it prints.
"""

import asyncio
import hashlib
import json
import math
import re
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

Vector = Sequence[float]
Model = Callable[[Sequence[str]], Awaitable[Sequence[Vector]]]
"""From texts to vectors of any one length; they are cut or filled up with zeros to what is asked for."""

TITAN: Final = "amazon.titan-embed-text-v2:0"
MODELS: Final = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "all-minilm": 384, "nomic:v1.5": 768}
"""What the OpenAI side has, and the dimension of each."""

KEY: Final = "sk-test-0123456789abcdef"

MOST_TOKENS: Final = 8192
MOST_TOKENS_AT_ONCE: Final = 300_000

_WORD: Final = re.compile(r"\w+")
_PIECE: Final = re.compile(r"\w{1,4}|\W")


async def words(texts: Sequence[str]) -> list[Vector]:
    """Hashed bags of words: quick, and texts that share words are close."""
    return [_bag(text) for text in texts]


def _bag(text: str) -> Vector:
    vector = [0.0] * 256
    for word in _WORD.findall(text.lower()) or [text]:
        vector[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4]) % 256] += 1.0
    return vector


@dataclass(frozen=True)
class Fault:
    """An answer other than the right one. Without a ``body`` it is an error as each API writes it."""

    status: int
    kind: str = "error"
    message: str = "It failed."
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


class Hang:
    """No answer while the server lives."""


class Cut:
    """The connection breaks in the middle of the answer."""


@dataclass(frozen=True)
class Call:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    question: Any

    @property
    def texts(self) -> list[str]:
        """What was to be embedded."""
        if "inputText" in self.question:
            return [self.question["inputText"]]
        asked = self.question["input"]
        return [asked] if isinstance(asked, str) else asked


class EmbeddingServer:
    """The two APIs, with all that they refuse. ``next`` are the faults of the next requests (None: none), ``always`` of
    all after those; ``refuses`` are words that no text may have; ``most_texts`` goes into one request to the OpenAI side."""

    def __init__(self, model: Model, *, key: str | None = KEY) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.next: deque[Fault | Hang | Cut | None] = deque()
        self.always: Fault | Hang | Cut | None = None
        self.refuses: set[str] = set()
        self.most_texts = 2048
        self.key = key
        self.most_at_once = 0
        self.gate: asyncio.Event | None = None
        self._at_once = 0
        self._arrival = asyncio.Condition()
        self._model = model
        self._ended = asyncio.Event()

    @property
    def asked(self) -> list[list[str]]:
        """The texts of each request."""
        return [call.texts for call in self.calls]

    async def reached(self, count: int) -> None:
        """Waits until so many requests have come."""
        async with asyncio.timeout(10), self._arrival:
            await self._arrival.wait_for(lambda: len(self.calls) >= count)

    def application(self) -> web.Application:
        """What answers."""
        application = web.Application(client_max_size=2**26)
        application.router.add_post("/model/{model}/invoke", self._bedrock)
        application.router.add_post("/v1/embeddings", self._openai)
        application.router.add_get("/served", self._served)
        return application

    def end(self) -> None:
        """Lets go of those who hang."""
        self._ended.set()

    async def _served(self, _: web.Request) -> web.Response:
        texts = sum(len(call.texts) for call in self.calls)
        return web.json_response({"requests": len(self.calls), "texts": texts, "most_at_once": self.most_at_once})

    async def _bedrock(self, request: web.Request) -> web.StreamResponse:
        return await self._watched(request, self._titan, _bedrock_error)

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        return await self._watched(request, self._embeddings, _openai_error)

    async def _watched(
        self,
        request: web.Request,
        answer: Callable[[web.Request, Any], Awaitable[web.Response | Fault]],
        error: Callable[[Fault], web.Response],
    ) -> web.StreamResponse:
        question = json.loads(await request.read())
        async with self._arrival:
            self.calls.append(Call(request.path, dict(request.headers), question))
            self._arrival.notify_all()
        fault = self.next.popleft() if self.next else self.always
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if isinstance(fault, Hang):
                await self._ended.wait()
            if isinstance(fault, Cut):
                return await _cut(request)
            outcome = fault if isinstance(fault, Fault) else await answer(request, question)
        finally:
            self._at_once -= 1
        return error(outcome) if isinstance(outcome, Fault) else outcome

    async def _titan(self, request: web.Request, question: Any) -> web.Response | Fault:
        fault = _unsigned(request) or _refused_by_titan(request.match_info["model"], question)
        if fault is not None:
            return fault
        text = question["inputText"]
        if self._forbids(text):
            return Fault(400, "ValidationException", "Malformed input request: #/inputText: not this one")
        (vector,) = await self._model([text])
        answer = {"embedding": _fitted(vector, question.get("dimensions", 1024)), "inputTextTokenCount": _count(text)}
        return web.json_response(answer)

    async def _embeddings(self, request: web.Request, question: Any) -> web.Response | Fault:
        given = request.headers.get("Authorization")
        if self.key is not None and given != f"Bearer {self.key}":
            return Fault(401, "invalid_api_key", f"Incorrect API key provided: {given}")
        asked = question["input"]
        texts = [asked] if isinstance(asked, str) else asked
        fault = _refused_by_openai(question["model"], texts, self.most_texts, dimensions="dimensions" in question)
        if fault is not None:
            return fault
        if any(map(self._forbids, texts)):
            return Fault(400, "invalid_request_error", f"Not this one,\n says who came with {given}")
        vectors = await self._model(texts)
        dimension = question.get("dimensions", MODELS[question["model"]])
        data = [
            {"object": "embedding", "index": number, "embedding": _fitted(vector, dimension)}
            for number, vector in enumerate(vectors)
        ]
        count = sum(map(_count, texts))
        usage = {"prompt_tokens": count, "total_tokens": count}
        # In no order: only the index says which is which.
        return web.json_response({"object": "list", "data": data[::-1], "model": question["model"], "usage": usage})

    def _forbids(self, text: str) -> bool:
        return not self.refuses.isdisjoint(_WORD.findall(text))


def _unsigned(request: web.Request) -> Fault | None:
    signature = request.headers.get("Authorization", "")
    if not signature.startswith("AWS4-HMAC-SHA256 ") or "/bedrock/aws4_request" not in signature:
        return Fault(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    if "X-Amz-Date" not in request.headers:
        return Fault(403, "IncompleteSignatureException", "Missing X-Amz-Date")
    return None


def _refused_by_titan(model: str, question: Any) -> Fault | None:
    text, count = question["inputText"], _count(question["inputText"])
    strange = set(question) - {"inputText", "dimensions", "normalize"}
    said = None
    if model != TITAN:
        said = "The provided model identifier is invalid."
    elif strange or question.get("dimensions", 1024) not in {256, 512, 1024}:
        said = "Malformed input request, please reformat your input and try again."
    elif not 1 <= len(text) <= 50_000:
        said = "Malformed input request: #/inputText: expected minLength: 1, maxLength: 50000"
    elif count > MOST_TOKENS:
        said = f"400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: {count}"
    return None if said is None else Fault(400, "ValidationException", said)


def _refused_by_openai(model: str, texts: Sequence[object], most: int, *, dimensions: bool) -> Fault | None:
    if model not in MODELS:
        return Fault(404, "model_not_found", f"The model {model!r} does not exist or you do not have access to it.")
    right = [text for text in texts if isinstance(text, str) and text]
    counts = [_count(text) for text in right]
    said = None
    if dimensions and not model.startswith("text-embedding-3"):
        said = "This model does not support specifying dimensions."
    elif not texts or len(texts) > most or len(right) < len(texts):
        said = "'$.input' is invalid. Please check the API reference."
    elif max(counts) > MOST_TOKENS or sum(counts) > MOST_TOKENS_AT_ONCE:
        said = "This model's maximum context length is 8192 tokens."
    return None if said is None else Fault(400, "invalid_request_error", said)


def _count(text: str) -> int:
    return len(_PIECE.findall(text))


def _fitted(vector: Vector, dimension: int) -> list[float]:
    whole = [*vector[:dimension], *([0.0] * (dimension - len(vector)))]
    length = math.hypot(*whole)
    return [part / length for part in whole] if length > 0 else [1.0, *whole[1:]]


def _bedrock_error(fault: Fault) -> web.Response:
    body = json.dumps({"message": fault.message}).encode() if fault.body is None else fault.body
    headers = {
        "x-amzn-ErrorType": f"{fault.kind}:http://internal.amazon.com/coral/com.amazon.bedrock/",
        **fault.headers,
    }
    return web.Response(status=fault.status, body=body, headers=headers, content_type="application/json")


def _openai_error(fault: Fault) -> web.Response:
    error = {"message": fault.message, "type": fault.kind, "param": None, "code": fault.kind}
    body = json.dumps({"error": error}).encode() if fault.body is None else fault.body
    return web.Response(status=fault.status, body=body, headers=fault.headers, content_type="application/json")


async def _cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"embedding": [')
    if request.transport is not None:
        request.transport.close()
    return response


@asynccontextmanager
async def serving(model: Model, port: int = 0, *, key: str | None = KEY) -> AsyncIterator[EmbeddingServer]:
    """A server on the loopback, on the running event loop."""
    server = EmbeddingServer(model, key=key)
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    server.url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield server
    finally:
        server.end()
        await runner.cleanup()


async def _main(port: int) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "shared"))
    from commonplace.adapters.embedded.onnx import OnnxEmbedder  # noqa: PLC0415 - only now it can be found

    model = OnnxEmbedder()
    await model.load()
    async with serving(model.embed, port, key=None) as server:
        print(server.url, flush=True)  # noqa: T201 - for whoever started it
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
