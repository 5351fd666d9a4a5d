"""Relevance as the wire shows it, with the embedder that one machine uses."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from commonplace.adapters.embedded.onnx import OnnxEmbedder
from commonplace.core.relevance import Question

pytestmark = pytest.mark.anyio

PAIRS = json.loads((Path(__file__).parents[1] / "data" / "pairs.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
async def embedder() -> AsyncIterator[OnnxEmbedder]:
    embedder = OnnxEmbedder()
    yield embedder
    embedder.close()


async def relevances(embedder: OnnxEmbedder, pairs: str, label: str) -> list[float]:
    chosen = [pair for pair in PAIRS if pair["set"] == pairs and pair["label"] == label]
    found = []
    for pair in chosen:
        query, memory = await embedder.embed([pair["query"], pair["memory"]])
        cosine = sum(a * b for a, b in zip(query, memory, strict=True))
        found.append(Question(pair["query"], embedder.calibration).relevance(pair["memory"], cosine))
    return found


@pytest.mark.parametrize(
    ("pairs", "label", "low", "high", "at_least"),
    [
        ("fitted", "relevant", 0.5, 1.0, 0.94),
        ("fitted", "related", 0.3, 1.0, 0.78),
        ("fitted", "unrelated", 0.0, 0.3, 0.94),
        ("held out", "relevant", 0.5, 1.0, 0.94),
        ("held out", "related", 0.3, 1.0, 0.78),
        ("held out", "unrelated", 0.0, 0.3, 0.94),
    ],
)
async def test_relevant_related_and_unrelated_texts_lie_where_the_wire_promises(
    embedder: OnnxEmbedder, pairs: str, label: str, low: float, high: float, at_least: float
) -> None:
    found = await relevances(embedder, pairs, label)
    assert len(found) >= 20
    inside = sum(low <= relevance <= high for relevance in found) / len(found)
    assert inside >= at_least
