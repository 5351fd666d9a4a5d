import asyncio
import json
import logging
import math
import socket
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from commonplace.adapters import hosted
from commonplace.adapters.web.openai import MAX_BATCH_BYTES, MAX_CONCURRENT, MAX_INPUTS, OpenAIEmbedder
from commonplace.model.errors import Invalid, Unavailable
from commonplace.ports.embedder import Calibration
from embedding_server import KEY, Cut, EmbeddingServer, Fault, Hang, serving, words

pytestmark = pytest.mark.anyio

SMALL = "text-embedding-3-small"
PASSING = [
    *(Fault(status, body=b"<html>") for status in (408, 429, 500, 502, 503, 504)),
    Fault(429, "rate_limit_exceeded", "Rate limit reached"),
    Cut(),
]
LONG = "word " * 400
"""A text of which fifty go into one request."""


class Keyring:
    """Where the API key comes from."""

    def __init__(self, *keys: str) -> None:
        self._keys = list(keys)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        await asyncio.sleep(0)
        return self._keys.pop(0) if len(self._keys) > 1 else self._keys[0]


class Clients:
    """Embedders that are closed in the end."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    def __call__(self, url: str, model: str = SMALL, dimension: int = 256, **more: Any) -> OpenAIEmbedder:
        embedder = OpenAIEmbedder(url, model, dimension, **{"key": Keyring(KEY), "jitter": lambda: 0.0, **more})
        self._stack.push_async_callback(embedder.close)
        return embedder


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack:
        yield Clients(stack)


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with serving(words) as server:
        yield server


@pytest.fixture
def url(server: EmbeddingServer) -> str:
    return f"{server.url}/v1"


@pytest.fixture
def embedder(clients: Clients, url: str) -> OpenAIEmbedder:
    return clients(url)


def answer(*vectors: object, **more: object) -> Fault:
    data = [{"index": number, "embedding": vector} for number, vector in enumerate(vectors)]
    return Fault(200, body=json.dumps({"data": data, **more}).encode())


def whole(failure: BaseException) -> str:
    """What anybody could log of a failure."""
    texts = traceback.format_exception(failure)
    cause: BaseException | None = failure
    while cause is not None:
        texts.append(repr(cause))
        cause = cause.__cause__ or cause.__context__
    return "\n".join(texts)


async def test_all_texts_go_into_one_request(server: EmbeddingServer, embedder: OpenAIEmbedder) -> None:
    await embedder.embed(["The lantern burns.", "The kettle sings."])
    (call,) = server.calls
    assert call.path == "/v1/embeddings"
    assert call.question == {
        "model": SMALL,
        "input": ["The lantern burns.", "The kettle sings."],
        "dimensions": 256,
    }
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert call.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("ending", ["", "/"])
async def test_the_url_may_end_with_a_slash(server: EmbeddingServer, clients: Clients, url: str, ending: str) -> None:
    await clients(url + ending).embed(["The lantern burns."])
    assert server.calls[0].path == "/v1/embeddings"


@pytest.mark.parametrize(
    ("model", "dimension", "sends_dimension", "sent"),
    [
        (SMALL, 1536, None, True),
        ("text-embedding-3-large", 256, None, True),
        (SMALL, 1536, False, False),
        ("all-minilm", 384, None, False),
    ],
)
async def test_a_dimension_is_asked_for_where_the_model_offers_several(
    server: EmbeddingServer,
    clients: Clients,
    url: str,
    model: str,
    dimension: int,
    sends_dimension: bool | None,
    sent: bool,
) -> None:
    (vector,) = await clients(url, model, dimension, sends_dimension=sends_dimension).embed(["The lantern burns."])
    assert len(vector) == dimension
    assert server.calls[0].question.get("dimensions") == (dimension if sent else None)


async def test_no_key_is_sent_where_there_is_none(server: EmbeddingServer, clients: Clients, url: str) -> None:
    server.key = None
    await clients(url, key=None).embed(["The lantern burns."])
    assert "Authorization" not in server.calls[0].headers


async def test_the_key_is_fetched_once_and_not_before_the_first_use(
    server: EmbeddingServer, clients: Clients, url: str
) -> None:
    keys = Keyring(f"{KEY}\n")
    embedder = clients(url, key=keys)
    assert keys.asked == 0
    await asyncio.gather(*(embedder.embed([f"text {number}"]) for number in range(5)))
    assert keys.asked == 1
    assert {call.headers["Authorization"] for call in server.calls} == {f"Bearer {KEY}"}


async def test_a_key_that_was_refused_is_fetched_again(clients: Clients, url: str) -> None:
    keys = Keyring("sk-of-yesterday", KEY)
    embedder = clients(url, key=keys)
    with pytest.raises(Unavailable, match="API key"):
        await embedder.embed(["The lantern burns."])
    assert len(await embedder.embed(["The lantern burns."])) == 1
    assert keys.asked == 2


@pytest.mark.parametrize("key", ["", " ", "sk two words", "sk-\r\nHost: elsewhere", "schlüssel"])
async def test_a_key_that_no_header_can_carry_is_not_sent_and_not_told(
    server: EmbeddingServer, clients: Clients, url: str, key: str
) -> None:
    with pytest.raises(Unavailable, match="API key") as failure:
        await clients(url, key=Keyring(key)).embed(["The lantern burns."])
    assert server.calls == []
    assert not key.strip() or key not in whole(failure.value)


async def test_a_key_that_cannot_be_fetched_is_unavailable(clients: Clients, url: str) -> None:
    async def locked() -> str:
        raise Unavailable("The secret cannot be read")

    with pytest.raises(Unavailable, match="secret cannot be read"):
        await clients(url, key=locked).embed(["The lantern burns."])


async def test_vectors_are_put_in_order_by_their_number(server: EmbeddingServer, embedder: OpenAIEmbedder) -> None:
    one, other = [1.0] + [0.0] * 255, [0.0] * 255 + [2.0]
    data = [{"index": 1, "embedding": other}, {"index": 0, "embedding": one}]
    server.always = Fault(200, body=json.dumps({"data": data}).encode())
    assert await embedder.embed(["one", "other"]) == [tuple(one), (*[0.0] * 255, 1.0)]


async def test_many_short_texts_go_by_the_number_that_the_vendor_takes(
    server: EmbeddingServer, clients: Clients, url: str
) -> None:
    texts = [f"t{number}" for number in range(2 * MAX_INPUTS + 1)]
    embedder = clients(url, patience=0)
    vectors = await embedder.embed(texts)
    assert sorted(map(len, server.asked)) == [1, MAX_INPUTS, MAX_INPUTS]
    assert vectors[::MAX_INPUTS] == await embedder.embed(texts[::MAX_INPUTS])


async def test_long_texts_go_by_their_size_and_not_all_at_once(
    server: EmbeddingServer, embedder: OpenAIEmbedder
) -> None:
    server.gate = asyncio.Event()
    texts = [f"{number} {LONG}" for number in range(400)]
    asked = asyncio.ensure_future(embedder.embed(texts))
    await server.reached(MAX_CONCURRENT)
    server.gate.set()
    assert len(await asked) == len(texts)
    assert server.most_at_once == MAX_CONCURRENT
    sizes = [sum(len(text.encode()) for text in texts) for texts in server.asked]
    assert max(sizes) <= MAX_BATCH_BYTES < 2 * min(sizes[:-1])
    assert [text.split()[0] for texts in server.asked for text in texts] == [str(number) for number in range(400)]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: str(getattr(fault, "status", "Cut")))
async def test_what_passes_is_asked_for_again(
    server: EmbeddingServer, embedder: OpenAIEmbedder, fault: Fault | Cut
) -> None:
    server.next.extend([fault, fault])
    assert len(await embedder.embed(["The lantern burns."])) == 1
    assert len(server.calls) == 3


@pytest.mark.parametrize("fault", [Fault(429), Fault(503, body=b"<html>"), Cut()])
async def test_what_does_not_pass_in_time_is_unavailable(
    server: EmbeddingServer, clients: Clients, url: str, fault: Fault | Cut
) -> None:
    server.always = fault
    with pytest.raises(Unavailable, match=SMALL):
        await clients(url, patience=1).embed(["The lantern burns."])
    assert 1 < len(server.calls) < 6


async def test_a_retry_after_within_the_patience_is_waited_for(
    server: EmbeddingServer, clients: Clients, url: str
) -> None:
    server.next.append(Fault(429, headers={"Retry-After": "1"}))
    began = asyncio.get_running_loop().time()
    await clients(url, patience=5).embed(["The lantern burns."])
    assert asyncio.get_running_loop().time() - began >= 1


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("120", 120, 120),
        ("86400", 300, 300),
        ("999999999999", 5, 5),
        (timedelta(seconds=200), 30, 200),
        (timedelta(days=200), 300, 300),
        (-timedelta(days=1), 1, 1),
        ("0", 1, 1),
        ("-1", 5, 5),
        ("soon", 5, 5),
        ("Mon, 99 Foo 2026", 5, 5),
    ],
)
async def test_a_retry_after_beyond_the_patience_is_passed_on_but_not_every_one(
    server: EmbeddingServer, clients: Clients, url: str, value: str | timedelta, least: int, most: int
) -> None:
    if isinstance(value, timedelta):
        value = format_datetime(datetime.now(UTC) + value, usegmt=True)
    server.always = Fault(503, headers={"Retry-After": value})
    with pytest.raises(Unavailable) as failure:
        await clients(url, patience=0.0).embed(["The lantern burns."])
    assert least <= failure.value.retry_after <= most
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("fault", "words_of_it"),
    [
        (Fault(401, message=f"Incorrect API key provided: {KEY}"), "API key"),
        (Fault(403, message=f"{KEY} may not use it"), "API key"),
        (Fault(404), "has no model"),
        (Fault(429, "insufficient_quota", "You exceeded your current quota"), "credit"),
        (Fault(301, headers={"Location": "http://127.0.0.1:9/"}), "301"),
        (Fault(405), "405"),
        (Fault(200, body=b"<html>"), "JSON"),
        (Fault(200, body=b"\xff"), "JSON"),
        (Fault(200, body=b"[" * 100_000), "JSON"),
        (Fault(200, body=b"[]"), "vectors"),
        (Fault(200, body=b'{"data": {}}'), "vectors"),
        (Fault(200, body=b'{"data": [1]}'), "vectors"),
        (answer(), "0 vectors for 1 texts"),
        (answer([1.0] * 256, [1.0] * 256), "2 vectors for 1 texts"),
        (Fault(200, body=json.dumps({"data": [{"embedding": [1.0] * 256}]}).encode()), "number"),
        (Fault(200, body=json.dumps({"data": [{"index": 1, "embedding": [1.0] * 256}]}).encode()), "number"),
        (Fault(200, body=json.dumps({"data": [{"index": [], "embedding": [1.0] * 256}]}).encode()), "number"),
        (answer("AACA"), "vector"),
        (answer(None), "vector"),
        (answer([1.0] * 384), "384"),
        (answer([None] * 256), "vector"),
        (answer([math.nan] * 256), "direction"),
        (answer([math.inf] * 256), "direction"),
        (answer([0] * 256), "direction"),
    ],
)
async def test_what_will_not_pass_is_told_at_once(
    server: EmbeddingServer, embedder: OpenAIEmbedder, fault: Fault, words_of_it: str
) -> None:
    server.always = fault
    with pytest.raises(Unavailable) as failure:
        await embedder.embed(["The lantern burns."])
    assert SMALL in failure.value.message
    assert words_of_it in failure.value.message
    assert KEY not in whole(failure.value)
    assert len(server.calls) == 1


async def test_a_redirect_is_not_followed(server: EmbeddingServer, clients: Clients, url: str) -> None:
    async with serving(words) as elsewhere:
        server.always = Fault(307, headers={"Location": f"{elsewhere.url}/v1/embeddings"})
        with pytest.raises(Unavailable, match="307"):
            await clients(url).embed(["The lantern burns."])
        assert elsewhere.calls == []


async def test_a_text_that_is_refused_is_invalid_and_its_neighbours_are_not(
    server: EmbeddingServer, embedder: OpenAIEmbedder
) -> None:
    server.refuses = {"lantern"}
    with pytest.raises(Invalid, match="Not this one") as failure:
        await embedder.embed(["The kettle sings.", "The lantern burns.", "The rain has stopped."])
    assert "\n" not in failure.value.message
    assert len(await embedder.embed(["The kettle sings."])) == 1
    assert len(await embedder.embed(["The rain has stopped."])) == 1


async def test_the_words_of_a_refusal_are_bounded(server: EmbeddingServer, embedder: OpenAIEmbedder) -> None:
    server.next.append(Fault(422, message="no " * 10_000))
    with pytest.raises(Invalid) as failure:
        await embedder.embed(["The lantern burns."])
    assert len(failure.value.message) < 300


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"error": "plain words"}', "plain words"),
        (b'{"detail": "of another framework"}', "of another framework"),
        (b'{"error": {"message": {"not": "words"}}}', "no reason given"),
        (b"[1]", "no reason given"),
        (b"<html>", "no reason given"),
    ],
)
async def test_a_refusal_is_told_in_the_words_of_whoever_refused(
    server: EmbeddingServer, embedder: OpenAIEmbedder, body: bytes, told: str
) -> None:
    server.next.append(Fault(400, body=body))
    with pytest.raises(Invalid, match=told):
        await embedder.embed(["The lantern burns."])


async def test_an_endpoint_that_takes_fewer_texts_at_once_gets_them_in_smaller_batches(
    server: EmbeddingServer, embedder: OpenAIEmbedder
) -> None:
    server.most_texts = 4
    texts = [f"text number {number}" for number in range(13)]
    vectors = await embedder.embed(texts)
    server.most_texts = MAX_INPUTS
    assert vectors == await embedder.embed(texts)


@pytest.mark.parametrize("count", [1, 30])
async def test_an_endpoint_that_refuses_every_text_is_unavailable_and_no_text_invalid(
    server: EmbeddingServer, clients: Clients, url: str, count: int
) -> None:
    with pytest.raises(Unavailable, match="does not support specifying dimensions"):
        await clients(url, "all-minilm", 384, sends_dimension=True).embed(["The lantern burns."] * count)
    assert len(server.calls) < 10


async def test_the_key_stands_in_no_error_and_no_log(
    server: EmbeddingServer, clients: Clients, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.refuses = {"lantern"}
    faults = [None, Fault(401), Fault(429), Fault(400, message=f"Bad: {KEY}"), Fault(200, body=b"{}"), Cut()]
    for fault in faults:
        server.always = fault
        with pytest.raises((Invalid, Unavailable)) as failure:
            await clients(url, patience=0).embed(["The lantern burns."])
        assert KEY not in whole(failure.value)
    assert len(server.calls) >= len(faults)
    assert KEY not in caplog.text


async def test_the_key_stands_in_no_error_when_the_answer_is_not_http(clients: Clients) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable, match="cannot be reached") as failure:
            await clients(f"http://127.0.0.1:{port}/v1", patience=0).embed(["The lantern burns."])
    assert KEY not in whole(failure.value)


async def test_an_endpoint_that_hangs_is_given_up(server: EmbeddingServer, clients: Clients, url: str) -> None:
    server.always = Hang()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await clients(url, timeout=0.05, patience=1).embed(["The lantern burns."])
    assert len(server.calls) > 1


async def test_nobody_there_is_unavailable(clients: Clients) -> None:
    with socket.socket() as bound:  # bound, but not listening
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="cannot be reached"):
            await clients(f"http://127.0.0.1:{bound.getsockname()[1]}/v1", patience=0.2).embed(["The lantern burns."])


async def test_a_proxy_of_the_environment_is_not_used(
    clients: Clients, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert len(await clients(url).embed(["The lantern burns."])) == 1


async def test_a_failure_leaves_nothing_on_its_way(server: EmbeddingServer, embedder: OpenAIEmbedder) -> None:
    server.next.append(Fault(403))
    server.always = Hang()
    with pytest.raises(Unavailable, match="API key"):
        async with asyncio.timeout(10):
            await embedder.embed([LONG] * 400)
    assert len(server.calls) <= MAX_CONCURRENT


async def test_it_can_be_used_again_after_it_was_closed(clients: Clients, url: str) -> None:
    embedder = clients(url)
    await embedder.close()
    await embedder.embed(["The lantern burns."])
    await embedder.close()
    assert len(await embedder.embed(["The lantern burns."])) == 1


async def test_a_smaller_window_is_kept(server: EmbeddingServer, clients: Clients, url: str) -> None:
    embedder = clients(url, window=3)
    assert embedder.window == 3
    await embedder.embed(["The lantern burns.", "\n"])
    assert server.asked == [["The lantern", "."]]


@pytest.mark.parametrize("url", ["", "api.openai.com/v1", "ftp://example.org", "http://", "https:///v1"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        OpenAIEmbedder(url, SMALL, 256)


@pytest.mark.parametrize(("dimension", "window"), [(0, 512), (256, 0)])
def test_a_vector_and_a_window_of_nothing_are_refused(dimension: int, window: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        OpenAIEmbedder("http://localhost/v1", SMALL, dimension, window=window)


def test_its_calibration_can_be_replaced() -> None:
    own = Calibration(together=((0.0, 0.0), (1.0, 1.0)), words=((0.0, 0.0), (1.0, 1.0)))
    assert OpenAIEmbedder("http://localhost/v1", SMALL, 256, calibration=own).calibration is own
    assert OpenAIEmbedder("http://localhost/v1", SMALL, 256).calibration is not own


def test_two_models_or_two_dimensions_are_two_spaces() -> None:
    models = [
        SMALL,
        "text-embedding-3-large",
        "nomic:v1.5",
        "nomic-v1.5",
        "nomic/v1.5",
        "NOMIC-v1.5",
        "nomic-v1.5-",
        "_nomic-v1.5",
        "模型",
        "model",
        ":",
        "x" * 300,
        "x" * 301,
    ]
    spaces = [
        OpenAIEmbedder("http://localhost/v1", model, dimension).space for model in models for dimension in (256, 512)
    ]
    assert len(set(spaces)) == len({space.name for space in spaces}) == len(spaces)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (SMALL, SMALL),
        ("all-MiniLM-L6-v2", "all-minilm-l6-v2-"),
        ("amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v2-0-"),
        ("BAAI/bge-m3", "baai-bge-m3-"),
        ("-_+x", "x-"),
    ],
)
def test_the_name_of_a_space_stays_readable(model: str, named: str) -> None:
    found = hosted.space(model, 256).model
    assert found == named if named == model else found.startswith(named) and len(found) == len(named) + 8
