"""What every embedder promises: the Embedder port, once for each adapter."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import aioboto3
import pytest

from commonplace.adapters import hosted
from commonplace.adapters.aws import bedrock
from commonplace.adapters.aws.bedrock import BedrockEmbedder
from commonplace.adapters.embedded.onnx import OnnxEmbedder
from commonplace.adapters.web.openai import OpenAIEmbedder
from commonplace.core.relevance import Question
from commonplace.model.errors import Invalid
from commonplace.ports.embedder import Embedder
from contract.consumers import kept
from embedding_server import KEY, serving

pytestmark = pytest.mark.anyio

SENTENCES = (
    "The cat sleeps on the warm window sill.",
    "A kitten is napping by the window.",
    "Quarterly revenue grew by eleven percent.",
    "Our deployment failed because the certificate had expired.",
    "Caroline went to a support group yesterday.",
    "Tea.",
    "She has been painting sunsets since the summer that they spent in the north, and still sells some of them.",
    "Please restart the database after the migration.",
    "The soup needs more salt and a little patience.",
    "Nobody knows who left the lantern burning.",
)
ODD = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "🫖🫖🫖",
    "שלום עולם",
    "\u202eright to left\u202c",
    "x" * 5000,
    "e\u0301" * 50,
    "\ufeff",
    "茶壶",
    "\n\t",
)


PAIRS = json.loads((Path(__file__).parents[1] / "data" / "pairs.json").read_text(encoding="utf-8"))
ADAPTERS = ("onnx", "bedrock", "openai")


@pytest.fixture(scope="module")
async def onnx(anyio_backend: str) -> AsyncIterator[OnnxEmbedder]:  # noqa: ARG001 - a fixture of the module needs the backend of the module
    embedder = OnnxEmbedder()
    await embedder.load()
    yield embedder
    embedder.close()


@pytest.fixture(scope="module", params=ADAPTERS)
async def embedder(request: pytest.FixtureRequest, onnx: OnnxEmbedder) -> AsyncIterator[Embedder]:
    """The hosted ones ask a server that speaks their API and has the real model of ``onnx`` behind it."""
    if request.param == "onnx":
        yield onnx
        return
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(onnx.embed))
        if request.param == "bedrock":
            session = aioboto3.Session(
                aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1"
            )
            config = bedrock.client_config()
            made = session.client("bedrock-runtime", endpoint_url=server.url, config=config)
            yield BedrockEmbedder(kept(await stack.enter_async_context(made)), 512)
            return
        assert request.param == "openai"

        async def key() -> str:
            return KEY

        hosted_embedder = OpenAIEmbedder(f"{server.url}/v1", "text-embedding-3-small", 512, key=key)
        stack.push_async_callback(hosted_embedder.close)
        yield hosted_embedder


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_every_vector_has_the_dimension_of_the_space_and_length_one(embedder: Embedder) -> None:
    for vector in await embedder.embed([*SENTENCES, *ODD]):
        assert len(vector) == embedder.space.dimension
        assert all(type(part) is float for part in vector)
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-4)


async def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert await embedder.embed([]) == []


async def test_a_text_has_the_same_vector_whatever_it_is_asked_with(embedder: Embedder) -> None:
    together = await embedder.embed(SENTENCES)
    for sentence, vector in zip(SENTENCES, together, strict=True):
        assert cosine((await embedder.embed([sentence]))[0], vector) == pytest.approx(1, abs=1e-2)


async def test_vectors_come_in_the_order_of_the_texts(embedder: Embedder) -> None:
    texts = [f"{sentence} {'And so on. ' * (n % 7)}" for n, sentence in enumerate(SENTENCES * 3)]
    forward, backward = await embedder.embed(texts), await embedder.embed(texts[::-1])
    for one, other in zip(forward, backward[::-1], strict=True):
        assert cosine(one, other) == pytest.approx(1, abs=1e-2)


async def test_what_is_related_is_closer_than_what_is_not(embedder: Embedder) -> None:
    cat, kitten, revenue = await embedder.embed(SENTENCES[:3])
    assert cosine(cat, kitten) > cosine(cat, revenue) + 0.2


async def test_a_text_that_is_longer_than_the_window_is_read_up_to_there(embedder: Embedder) -> None:
    long = "The lantern burns in the window. " * 200
    spans = embedder.tokens(long)
    assert len(spans) > embedder.window
    cut = long[: spans[embedder.window - 1][1]]
    one, other = await embedder.embed([long, cut])
    assert cosine(one, other) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("text", [*SENTENCES, "naïve café", "a🫖b", "שלום עולם", "don't stop-me", "The End. " * 400])
async def test_the_spans_of_the_tokens_cover_the_text_in_order(embedder: Embedder, text: str) -> None:
    spans = embedder.tokens(text)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] or one == other for one, other in pairwise(spans))
    covered = {at for start, end in spans for at in range(start, end)}
    assert all(at in covered for at, letter in enumerate(text) if not letter.isspace())
    assert max(covered) < len(text)


@pytest.mark.parametrize("text", ["", "   ", "\x00"])
async def test_a_text_without_words_has_no_tokens(embedder: Embedder, text: str) -> None:
    assert embedder.tokens(text) == []


async def test_a_text_that_is_not_unicode_is_refused(embedder: Embedder) -> None:
    with pytest.raises(Invalid):
        await embedder.embed(["half a pair: \ud83e"])
    with pytest.raises(Invalid):
        embedder.tokens("half a pair: \ud83e")


async def test_a_query_overtakes_a_long_batch(embedder: Embedder) -> None:
    order: list[str] = []

    async def ask(name: str, texts: list[str]) -> None:
        await embedder.embed(texts)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(ask("batch", list(SENTENCES) * 20))
        await asyncio.sleep(0)  # the batch is asked for first
        group.create_task(ask("query", ["What does the cat do?"]))
    assert order == ["query", "batch"]


async def test_the_event_loop_goes_on_while_a_batch_is_embedded(embedder: Embedder) -> None:
    batch = asyncio.ensure_future(embedder.embed(list(SENTENCES) * 5))
    turns = 0
    while not batch.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


async def test_the_name_of_the_space_fits_the_name_of_an_index(embedder: Embedder) -> None:
    assert re.fullmatch("[a-z0-9][a-z0-9.-]{0,119}", embedder.space.name)


async def test_relevance_rises_with_the_evidence_from_nothing_to_all(embedder: Embedder) -> None:
    calibration = embedder.calibration
    for knots in (calibration.together, calibration.words):
        assert all(one[0] < other[0] and one[1] <= other[1] for one, other in pairwise(knots))
        assert knots[0][1] == 0
    question = Question("Where does the lantern burn?", calibration)
    assert question.relevance("Quarterly revenue grew.", -1.0) == 0
    assert question.relevance("Where does the lantern burn?", 1.0) == 1


async def test_hosted_tokens_are_more_than_those_of_a_real_tokenizer_on_the_whole(onnx: OnnxEmbedder) -> None:
    texts = sorted({pair[part] for pair in PAIRS for part in ("query", "memory")})
    counts = [(len(hosted.tokens(text)), len(onnx.tokens(text))) for text in texts]
    assert 1.2 <= sum(ours for ours, _ in counts) / sum(real for _, real in counts) <= 1.5
    assert all(ours >= 0.7 * real for ours, real in counts if real > 2)
    assert all(ours >= 0.5 * real for ours, real in counts)


@pytest.mark.parametrize(
    "text",
    [
        "Привет, как дела? Завтра встречаемся в шесть.",
        "明日の朝、駅で会いましょう。",
        "שלום עולם, מה שלומך היום?",
        "안녕하세요, 내일 만나요.",
        "Größenordnungsmäßig überwältigend",
        "def f(x): return {k: v**2 for k, v in x.items() if v != 0}",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "https://example.org/a/b?c=d&e=f#g",
    ],
)
async def test_hosted_tokens_are_not_far_fewer_outside_of_english_prose(onnx: OnnxEmbedder, text: str) -> None:
    assert len(hosted.tokens(text)) >= 0.45 * len(onnx.tokens(text))
    assert 4 * len(hosted.tokens(text)) >= len("".join(text.split()).encode())
