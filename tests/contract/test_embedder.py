"""What every embedder promises: the Embedder port, once for each adapter."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest

from commonplace.adapters.embedded.onnx import OnnxEmbedder
from commonplace.model.errors import Invalid
from commonplace.ports.embedder import Embedder

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


@pytest.fixture(scope="module", params=["onnx"])
async def embedder(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Embedder]:  # noqa: ARG001 - a fixture of the module needs the backend of the module
    assert request.param == "onnx"
    embedder = OnnxEmbedder()
    await embedder.load()
    yield embedder
    embedder.close()


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
