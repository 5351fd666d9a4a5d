"""The Embedder port: texts to vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from commonplace.model.space import Space


@dataclass(frozen=True, slots=True)
class Calibration:
    """How this model's cosines read as relevance: a logistic curve with its middle (relevance 0.5) and its slope."""

    middle: float
    slope: float


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
