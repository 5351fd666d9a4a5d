"""Embedding models that somebody else runs: what all of them have in common, whatever API they speak."""

import asyncio
import hashlib
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.space import Space
from commonplace.ports.embedder import Calibration, Knots

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Vector = tuple[float, ...]

WINDOW: Final = 512
"""Tokens in a passage. The models read 8,191 (OpenAI) or 8,192 (Titan), but one vector for so much says little of each
part, and AWS itself advises paragraphs or sections for retrieval. 512 of ``tokens`` are a long paragraph: about 1,700
characters of English, as much as relevance judges in one piece. Bedrock's own knowledge bases cut at 300 tokens,
OpenAI's vector stores at 800."""

MOST_BYTES: Final = 8_191
"""Bytes of a text that no model here finds too long: none makes more tokens than there are bytes. 512 of ``tokens``, four
bytes each at most, stay below it with a space between all of them."""

PLAIN: Final = "."
"""Stands for a text without tokens, since the vendors refuse the empty one, and for any text that nobody can refuse."""

WORDS: Final[Knots] = ((0.0, 0.0), (0.35, 0.3), (0.45, 0.5), (1.0, 0.85))
"""How shared words alone read as relevance. No model has a part in it; fitted on tests/data/pairs.json."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 2.0

_LONGEST_SLUG = 100
_UNFIT = re.compile("[^a-z0-9.-]+")
_TOKEN = re.compile(r"[A-Za-z]{1,4}|[0-9]{1,3}|[^\sA-Za-z0-9\x00-\x1f\x7f-\x9f]")
_GAPS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_SHORTEST_VECTOR = 1e-12
_DOUBLINGS = 10


class Refused(Exception):
    """The model refused what it was asked; ``str()`` is what it said."""


class HostedModel:
    """What there is to say of an embedding model without asking it. ``window`` is in ``tokens``."""

    def __init__(self, model: str, dimension: int, window: int, calibration: Calibration) -> None:
        self._space = space(model, dimension)
        self._window = window
        self._calibration = calibration

    @property
    def space(self) -> Space:
        """Where its vectors live: one space for each model and dimension."""
        return self._space

    @property
    def window(self) -> int:
        """How many tokens of a text are sent."""
        return self._window

    @property
    def calibration(self) -> Calibration:
        """How its cosines read as relevance."""
        return self._calibration

    def tokens(self, text: str) -> list[tuple[int, int]]:
        """The character spans of the text's tokens, as ``tokens`` approximates them."""
        return tokens(text)


def space(model: str, dimension: int) -> Space:
    """The space of a hosted model, named so that the name of an index can hold it: lower case, ``[a-z0-9.-]``, no sign in
    front, at most 109 characters. A name that had to be changed for that ends with eight digits of its hash, so that two
    models do not share a space."""
    slug = _UNFIT.sub("-", model.lower()).strip("-.")[:_LONGEST_SLUG]
    if slug == model:
        return Space(model, dimension)
    digest = hashlib.sha256(model.encode()).hexdigest()[:8]
    return Space(f"{slug}-{digest}".lstrip("-"), dimension)


def tokens(text: str) -> list[tuple[int, int]]:
    """The character spans of a text's tokens, near enough to cut passages. Raises ``Invalid`` for what is not Unicode.

    An approximation that would rather count too many: the vendors' tokenizers are not here (Titan's is not public). Four
    letters of a-z, three digits, or any other character that is not blank make a token. AWS counts 4.7 characters of
    English to a token of Titan's. Measured against MiniLM's 30,000 word pieces (tests/contract/test_embedder.py): 1.28
    times as many on tests/data/pairs.json, and for a sentence never under 0.7; 0.45 on Korean, which MiniLM spells out.
    A token has never more than four bytes, so no vocabulary of byte pairs makes more than four times as many.
    """
    _check(text)
    return [match.span() for match in _TOKEN.finditer(text)]


def readable(text: str, window: int) -> str:
    """What is sent for a text: its first ``window`` tokens. Where blanks make it longer than any model reads, each run of
    them is one space. A text without tokens is sent as ``PLAIN``. Raises ``Invalid`` for what is not Unicode."""
    _check(text)
    if len(text) > window:  # there are no more tokens than characters
        spans = tokens(text)
        if len(spans) > window:
            text = text[: spans[window - 1][1]]
    if len(text.encode()) > MOST_BYTES:
        text = _GAPS.sub(" ", text)
    return text if _TOKEN.search(text) else PLAIN


def unit(answer: object, dimension: int, model: str) -> Vector:
    """An answer as a vector of length 1. Raises ``Unavailable`` when it is not ``dimension`` finite numbers, or all 0."""
    if not isinstance(answer, list) or not all(type(part) in {int, float} for part in answer):
        raise Unavailable(f"{model} answered something else than a vector")
    if len(answer) != dimension:
        raise Unavailable(f"{model} answered a vector of {len(answer)} numbers and not of {dimension}")
    try:
        length = math.hypot(*answer)
    except OverflowError:  # an integer beyond all floats
        length = math.inf
    if not _SHORTEST_VECTOR < length < math.inf:  # also false for what is not a number
        raise Unavailable(f"{model} answered a vector without a direction")
    return tuple(part / length for part in answer)


class Patience:
    """For how long one call repeats what fails in passing: ``seconds`` from now, all its parts together."""

    def __init__(self, seconds: float, jitter: Callable[[], float]) -> None:
        self._now = asyncio.get_running_loop().time
        self._end = self._now() + seconds
        self._jitter = jitter

    def pause(self, attempt: int, least: float = 0.0) -> float | None:
        """The seconds to wait after the attempt of this number (the first is 0), growing, jittered and at least
        ``least``; None when the patience would end before."""
        grown = min(SHORTEST_PAUSE * 2 ** min(attempt, _DOUBLINGS), LONGEST_PAUSE)
        pause = max(least, grown * (0.5 + self._jitter() / 2))
        return None if self._now() + pause > self._end else pause


async def each(work: Callable[[Item], Awaitable[Outcome]], items: Sequence[Item], most: int) -> list[Outcome]:
    """The outcomes in the order of the items, at most ``most`` at a time. The first failure ends the others before it is
    raised, so nothing goes on that nobody waits for."""
    turns = asyncio.Semaphore(most)

    async def one(item: Item) -> Outcome:
        async with turns:
            return await work(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid("The text is not Unicode") from error
