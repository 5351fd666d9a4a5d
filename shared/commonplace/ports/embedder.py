"""The Embedder port: texts to vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from commonplace.model.space import Space

Knots: TypeAlias = tuple[tuple[float, float], ...]
"""A rising curve of straight lines through these points; flat before the first and after the last."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How evidence for this model reads as relevance in [0,1].

    ``together``: from a passage's cosine, raised by the words that it shares with the query (core/relevance.py).
    ``words``: from the share of the query's words alone, where there is no cosine.
    """

    together: Knots
    words: Knots


class Embedder(Protocol):
    """One embedding model. Vectors have length 1."""

    @property
    def space(self) -> Space:
        """Where its vectors live."""

    @property
    def window(self) -> int:
        """How many tokens of a text it reads; the rest it would not see."""

    @property
    def calibration(self) -> Calibration:
        """How its cosines read as relevance."""

    def tokens(self, text: str) -> list[tuple[int, int]]:
        """The character spans of the text's tokens (without any marks of the model's own). Pure and quick."""

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """A vector for each text, in order. Raises ``Unavailable`` when the model cannot be asked now, ``Invalid``
        when it refuses a text."""
