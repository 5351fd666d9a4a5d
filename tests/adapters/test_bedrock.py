import asyncio
import json
import logging
import math
import socket
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aioboto3
import pytest
from botocore.config import Config

from commonplace.adapters.aws.bedrock import DIMENSIONS, MAX_CONCURRENT, BedrockEmbedder, client_config
from commonplace.model.errors import Invalid, Unavailable
from commonplace.ports.embedder import Calibration
from contract.consumers import kept
from embedding_server import TITAN, Cut, EmbeddingServer, Fault, Hang, serving, words

pytestmark = pytest.mark.anyio

SECRET = "wJalrXUtnFEMI-secret-of-the-tests"
TEXTS = [f"text number {number}" for number in range(40)]
THROTTLED = Fault(429, "ThrottlingException", "Too many requests, please wait before trying again.")
PASSING = [
    THROTTLED,
    Fault(400, "ThrottlingException"),
    Fault(429, "ModelNotReadyException"),
    Fault(408, "ModelTimeoutException"),
    Fault(424, "ModelErrorException"),
    Fault(500, "InternalServerException"),
    Fault(503, "ServiceUnavailableException"),
    Fault(502, body=b"<html>Bad gateway</html>"),
    Cut(),
]


@asynccontextmanager
async def client(url: str, config: Config | None = None, secret: str = SECRET) -> AsyncIterator[Any]:
    session = aioboto3.Session(aws_access_key_id="test", aws_secret_access_key=secret, region_name="eu-central-1")
    config = config or client_config()
    async with session.client("bedrock-runtime", endpoint_url=url, config=config) as client:
        yield client


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with serving(words) as server:
        yield server


@pytest.fixture
async def bedrock(server: EmbeddingServer) -> AsyncIterator[Any]:
    async with client(server.url) as made:
        yield made


@pytest.fixture
def embedder(bedrock: Any) -> BedrockEmbedder:
    return BedrockEmbedder(kept(bedrock), 256, jitter=lambda: 0.0)


def whole(failure: BaseException) -> str:
    """What anybody could log of a failure."""
    texts = traceback.format_exception(failure)
    cause: BaseException | None = failure
    while cause is not None:
        texts.append(repr(cause))
        cause = cause.__cause__ or cause.__context__
    return "\n".join(texts)


async def test_each_text_is_asked_for_as_the_model_wants_it(server: EmbeddingServer, embedder: BedrockEmbedder) -> None:
    await embedder.embed(["The lantern burns."])
    (call,) = server.calls
    assert call.path == f"/model/{TITAN}/invoke"
    assert call.question == {"inputText": "The lantern burns.", "dimensions": 256, "normalize": True}
    assert call.headers["Content-Type"] == call.headers["Accept"] == "application/json"


async def test_many_texts_are_on_their_way_at_once_but_not_too_many(
    server: EmbeddingServer, embedder: BedrockEmbedder
) -> None:
    server.gate = asyncio.Event()
    asked = asyncio.ensure_future(embedder.embed(TEXTS))
    await server.reached(MAX_CONCURRENT)
    server.gate.set()
    assert len(await asked) == len(server.calls) == len(TEXTS)
    assert server.most_at_once == MAX_CONCURRENT


async def test_vectors_have_length_one_whatever_the_model_says(
    server: EmbeddingServer, embedder: BedrockEmbedder
) -> None:
    server.always = Fault(200, body=json.dumps({"embedding": [3] + [0] * 254 + [4.0]}).encode())
    (vector,) = await embedder.embed(["The lantern burns."])
    assert vector[0] == pytest.approx(0.6)
    assert vector[-1] == pytest.approx(0.8)
    assert math.hypot(*vector) == pytest.approx(1)


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: getattr(fault, "kind", "Cut"))
async def test_what_passes_is_asked_for_again(
    server: EmbeddingServer, embedder: BedrockEmbedder, fault: Fault | Cut
) -> None:
    server.next.extend([fault, fault])
    (vector,) = await embedder.embed(["The lantern burns."])
    assert server.asked == [["The lantern burns."]] * 3
    assert len(vector) == 256


@pytest.mark.parametrize("fault", [THROTTLED, Fault(500, "InternalServerException"), Cut()])
async def test_what_does_not_pass_in_time_is_unavailable(
    server: EmbeddingServer, bedrock: Any, fault: Fault | Cut
) -> None:
    server.always = fault
    with pytest.raises(Unavailable) as failure:
        await BedrockEmbedder(kept(bedrock), 256, patience=1, jitter=lambda: 0.0).embed(["The lantern burns."])
    assert TITAN in failure.value.message
    assert failure.value.__cause__ is not None
    assert 1 < len(server.calls) < 6


async def test_who_is_throttled_is_told_to_come_back_with_the_next_quota(server: EmbeddingServer, bedrock: Any) -> None:
    server.always = THROTTLED
    with pytest.raises(Unavailable, match="quota") as failure:
        await BedrockEmbedder(kept(bedrock), 256, patience=0).embed(["The lantern burns."])
    assert failure.value.retry_after == 30


async def test_a_throttled_text_keeps_its_place(server: EmbeddingServer, embedder: BedrockEmbedder) -> None:
    server.next.extend([None, THROTTLED, None, THROTTLED])
    vectors = await embedder.embed(TEXTS)
    assert vectors == [tuple(vector) for vector in await embedder.embed(TEXTS)]
    assert len(server.calls) == 2 * len(TEXTS) + 2


@pytest.mark.parametrize(
    ("fault", "words_of_it"),
    [
        (
            Fault(403, "AccessDeniedException", f"User: arn:aws:sts::1:x is not authorized {SECRET}"),
            "bedrock:InvokeModel",
        ),
        (Fault(403, "UnrecognizedClientException"), "UnrecognizedClientException"),
        (Fault(404, "ResourceNotFoundException"), "region"),
        (Fault(400, "ServiceQuotaExceededException"), "quota"),
        (Fault(418, "TeapotException"), "TeapotException"),
        (Fault(200, body=b"<html>"), "JSON"),
        (Fault(200, body=b"\xff"), "JSON"),
        (Fault(200, body=b"[" * 100_000), "JSON"),
        (Fault(200, body=b"[]"), "vector"),
        (Fault(200, body=b"{}"), "vector"),
        (Fault(200, body=b'{"embedding": "AACA"}'), "vector"),
        (Fault(200, body=json.dumps({"embedding": [True] * 256}).encode()), "vector"),
        (Fault(200, body=json.dumps({"embedding": [1.0] * 512}).encode()), "512"),
        (Fault(200, body=json.dumps({"embedding": []}).encode()), "of 0 numbers"),
        (Fault(200, body=json.dumps({"embedding": [math.nan] * 256}).encode()), "direction"),
        (Fault(200, body=json.dumps({"embedding": [1.0] * 255 + [math.inf]}).encode()), "direction"),
        (Fault(200, body=json.dumps({"embedding": [0.0] * 256}).encode()), "direction"),
        (Fault(200, body=json.dumps({"embedding": [10**400] * 256}).encode()), "direction"),
    ],
)
async def test_what_will_not_pass_is_told_at_once(
    server: EmbeddingServer, embedder: BedrockEmbedder, fault: Fault, words_of_it: str
) -> None:
    server.always = fault
    with pytest.raises(Unavailable) as failure:
        await embedder.embed(["The lantern burns."])
    assert TITAN in failure.value.message
    assert words_of_it in failure.value.message
    assert SECRET not in failure.value.message
    assert len(server.calls) == 1


async def test_the_secret_key_stands_in_no_error_and_no_log(
    server: EmbeddingServer, bedrock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    embedder = BedrockEmbedder(kept(bedrock), 256, patience=0)
    faults: list[Fault | Cut] = [
        THROTTLED,
        Fault(403, "AccessDeniedException"),
        Fault(400, "ValidationException"),
        Cut(),
    ]
    for fault in faults:
        server.always = fault
        with pytest.raises(Unavailable) as failure:
            await embedder.embed(["The lantern burns."])
        assert SECRET not in whole(failure.value)
    assert len(server.calls) >= len(faults)
    assert SECRET not in caplog.text


async def test_a_text_that_the_model_refuses_is_invalid_and_its_neighbours_are_not(
    server: EmbeddingServer, embedder: BedrockEmbedder
) -> None:
    server.refuses = {"lantern"}
    with pytest.raises(Invalid, match="not this one") as failure:
        await embedder.embed(["The kettle sings.", "The lantern burns."])
    assert TITAN in failure.value.message
    assert len(await embedder.embed(["The kettle sings."])) == 1


async def test_a_model_that_refuses_every_text_is_unavailable_and_no_text_invalid(
    server: EmbeddingServer, bedrock: Any
) -> None:
    elsewhere = BedrockEmbedder(kept(bedrock), 256, model="amazon.titan-embed-text-v9:0")
    with pytest.raises(Unavailable, match="identifier is invalid"):
        await elsewhere.embed(["The lantern burns."])
    assert server.asked == [["The lantern burns."], ["."]]


async def test_a_failure_leaves_nothing_on_its_way(server: EmbeddingServer, embedder: BedrockEmbedder) -> None:
    server.next.append(Fault(403, "AccessDeniedException"))
    server.always = Hang()
    with pytest.raises(Unavailable):
        async with asyncio.timeout(10):
            await embedder.embed(TEXTS)
    assert len(server.calls) <= MAX_CONCURRENT


async def test_texts_no_longer_than_the_model_reads_are_sent_whatever_they_are_made_of(
    server: EmbeddingServer, embedder: BedrockEmbedder
) -> None:
    texts = ["🫖" * 60_000, "\u2003" * 60_000 + "a", "word " * 20_000, "\x00" * 60_000 + "a", "x" * 60_000]
    await embedder.embed(texts)
    sent = {text for (text,) in server.asked}
    assert all(len(text.encode()) <= 8192 for text in sent)
    assert all(len(embedder.tokens(text)) <= embedder.window for text in sent)


async def test_a_text_without_words_has_a_vector_though_the_model_takes_no_empty_one(
    server: EmbeddingServer, embedder: BedrockEmbedder
) -> None:
    empty, blank = await embedder.embed(["", " \n\x00"])
    assert empty == blank
    assert server.asked == [["."], ["."]]


async def test_a_model_that_hangs_is_given_up(server: EmbeddingServer) -> None:
    server.always = Hang()
    hasty = client_config().merge(Config(read_timeout=0.05))
    async with client(server.url, hasty) as made:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await BedrockEmbedder(kept(made), 256, patience=1).embed(["The lantern burns."])
    assert len(server.calls) > 1


async def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as bound:  # bound, but not listening
        bound.bind(("127.0.0.1", 0))
        async with client(f"http://127.0.0.1:{bound.getsockname()[1]}") as made:
            with pytest.raises(Unavailable, match="cannot be reached"):
                await BedrockEmbedder(kept(made), 256, patience=0.2).embed(["The lantern burns."])


async def test_two_dimensions_are_two_spaces(bedrock: Any) -> None:
    spaces = [BedrockEmbedder(kept(bedrock), dimension).space for dimension in DIMENSIONS]
    assert len({space.name for space in spaces}) == len(DIMENSIONS)
    assert [space.dimension for space in spaces] == list(DIMENSIONS)


async def test_a_dimension_that_the_model_does_not_have_is_refused(bedrock: Any) -> None:
    with pytest.raises(ValueError, match="384"):
        BedrockEmbedder(kept(bedrock), 384)


async def test_its_calibration_can_be_replaced(bedrock: Any) -> None:
    own = Calibration(together=((0.0, 0.0), (1.0, 1.0)), words=((0.0, 0.0), (1.0, 1.0)))
    assert BedrockEmbedder(kept(bedrock), calibration=own).calibration is own
    assert BedrockEmbedder(bedrock).calibration is not own
