"""Somebody else's text models, over real sockets: Converse on Bedrock and OpenAI's ``/chat/completions``, with their rules.

In a test: ``async with answering(mind) as server``.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from embedding_server import KEY, EmbeddingServer, Fault, words

Mind = Callable[[Mapping[str, Any]], Any]
"""From the document between the marks of a question to the ``statements`` that the model makes of it."""

NOVA: Final = "amazon.nova-lite-v1:0"
LLAMA: Final = "meta.llama3-8b-instruct-v1:0"
GPT: Final = "gpt-4o-mini"
OLD: Final = "gpt-3.5-turbo"
"""A model that knows no schema, as ``LLAMA`` on Bedrock."""

QUESTION_TOKENS, ANSWER_TOKENS = 100, 20
"""What every answer cost."""


def said(text: str, **fields: Any) -> dict[str, Any]:
    """A statement as a model fills it in."""
    return {
        "text": text,
        "nature": "semantic",
        "kind": "fact",
        "title": "",
        "summary": "",
        "confidence": 0.9,
        "entities": [],
        "tags": [],
    } | fields


def echo(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A model that believes the content to the letter, and makes nothing of a greeting."""
    content = document["event"]["content"].strip(" \n!?.")
    return [] if content.lower() in {"", "hi", "thanks", "ok"} else [said(f"The user said: {content}")]


def converse(*blocks: Any, stop: object = "tool_use") -> dict[str, Any]:
    """Converse's answer with these blocks of content."""
    return {
        "output": {"message": {"role": "assistant", "content": list(blocks)}},
        "stopReason": stop,
        "usage": {
            "inputTokens": QUESTION_TOKENS,
            "outputTokens": ANSWER_TOKENS,
            "totalTokens": QUESTION_TOKENS + ANSWER_TOKENS,
        },
        "metrics": {"latencyMs": 1},
    }


def used(statements: object, tool: str = "remember") -> dict[str, Any]:
    """A block in which the model uses a tool."""
    return {"toolUse": {"toolUseId": "tooluse_1", "name": tool, "input": {"statements": statements}}}


def completion(content: object, *, finish: str = "stop", refusal: str | None = None) -> dict[str, Any]:
    """The answer of ``/chat/completions`` with this content."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": GPT,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": QUESTION_TOKENS,
            "completion_tokens": ANSWER_TOKENS,
            "total_tokens": QUESTION_TOKENS + ANSWER_TOKENS,
        },
    }


def answered(answer: object) -> Fault:
    """An answer that is not the mind's."""
    return Fault(200, body=json.dumps(answer).encode())


class TextModelServer(EmbeddingServer):
    """The two APIs, beside those of the embedder. ``refuses`` are words of which no content may have any."""

    def __init__(self, mind: Mind, *, key: str | None = KEY) -> None:
        super().__init__(words, key=key)
        self.mind = mind

    @property
    def questions(self) -> list[str]:
        """What was asked, without the instructions, each as it was sent."""
        return [_question(call.question) for call in self.calls]

    @property
    def documents(self) -> list[Any]:
        """The data of each question."""
        return [_document(question) for question in self.questions]

    @property
    def instructions(self) -> set[str]:
        """What the model was told to do, over all questions."""
        return {_instructions(call.question) for call in self.calls}

    def application(self) -> web.Application:
        """What answers."""
        application = super().application()
        application.router.add_post("/model/{model}/converse", self._converse)
        application.router.add_post("/v1/chat/completions", self._chat)
        return application

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        return await self._watched(request, self._bedrock_mind, _bedrock_fault)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._watched(request, self._openai_mind, _openai_fault)

    async def _bedrock_mind(self, request: web.Request, question: Any) -> web.Response | Fault:
        if not request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
            return Fault(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        model, tools = request.match_info["model"], question["toolConfig"]
        if model == LLAMA:
            return Fault(400, "ValidationException", "This model doesn't support the toolConfig.toolChoice.tool field.")
        form = tools["tools"][0]["toolSpec"]["inputSchema"]["json"]
        strange = set(form) - {"type", "properties", "required"}  # what Nova says of other keys
        if strange:
            return Fault(400, "ValidationException", f"extraneous key {strange} is not permitted")
        if model != NOVA:
            return Fault(400, "ValidationException", "The provided model identifier is invalid.")
        document = _document(_question(question))
        if self._forbids(document["event"]["content"]):
            return Fault(400, "ValidationException", f"Not this one: {document['event']['content']}")
        chosen = tools["toolChoice"]["tool"]["name"]
        return web.json_response(converse(used(self.mind(document), chosen)))

    async def _openai_mind(self, request: web.Request, question: Any) -> web.Response | Fault:
        given = request.headers.get("Authorization")
        if self.key is not None and given != f"Bearer {self.key}":
            return Fault(401, "invalid_api_key", f"Incorrect API key provided: {given}")
        if question["model"] == OLD:
            return Fault(400, "invalid_request_error", "'response_format' of type 'json_schema' is not supported")
        if question["model"] != GPT:
            return Fault(404, "model_not_found", "The model does not exist or you do not have access to it.")
        form = question["response_format"]["json_schema"]
        if not form["strict"] or not _closed(form["schema"]):
            return Fault(
                400, "invalid_request_error", "'additionalProperties' is required to be supplied and to be false"
            )
        document = _document(_question(question))
        if self._forbids(document["event"]["content"]):
            return Fault(400, "content_filter", f"Not this one: {document['event']['content']}, says {given}")
        return web.json_response(completion(json.dumps({"statements": self.mind(document)})))


def _closed(schema: Any) -> bool:
    """Whether every object in a schema demands all that it knows and allows nothing else, as OpenAI's strict mode wants."""
    if schema["type"] == "array":
        return _closed(schema["items"])
    if schema["type"] != "object":
        return True
    whole = schema["additionalProperties"] is False and set(schema["required"]) == set(schema["properties"])
    return whole and all(map(_closed, schema["properties"].values()))


def _question(asked: Any) -> str:
    (*_, message) = asked["messages"]
    assert message["role"] == "user"
    content = message["content"]
    text: str = content if isinstance(content, str) else content[0]["text"]
    return text


def _instructions(asked: Any) -> str:
    if "system" in asked:
        (block,) = asked["system"]
        text: str = block["text"]
        return text
    system, _ = asked["messages"]
    assert system["role"] == "system"
    return str(system["content"])


def _document(question: str) -> Any:
    head, data, tail = question.split("\n")
    assert (head, tail) == ("<data>", "</data>")
    return json.loads(data)


def _bedrock_fault(fault: Fault) -> web.Response:
    body = json.dumps({"message": fault.message}).encode() if fault.body is None else fault.body
    headers = {"x-amzn-ErrorType": fault.kind, **fault.headers}
    return web.Response(status=fault.status, body=body, headers=headers, content_type="application/json")


def _openai_fault(fault: Fault) -> web.Response:
    error = {"message": fault.message, "type": fault.kind, "param": None, "code": fault.kind}
    body = json.dumps({"error": error}).encode() if fault.body is None else fault.body
    return web.Response(status=fault.status, body=body, headers=fault.headers, content_type="application/json")


@asynccontextmanager
async def answering(mind: Mind = echo, *, key: str | None = KEY) -> AsyncIterator[TextModelServer]:
    """A server on the loopback, on the running event loop."""
    server = TextModelServer(mind, key=key)
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield server
    finally:
        server.end()
        await runner.cleanup()
