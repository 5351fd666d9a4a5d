"""The small ports, as tests want them."""

import hashlib
import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.event import Event, EventKind
from commonplace.model.space import Space
from commonplace.model.webhook import Answer
from commonplace.ports.embedder import Calibration, Embedder
from commonplace.ports.meter import Measure, Meter, Metric
from commonplace.ports.world import Clock, Ids, Refused, Sender

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

PRIVATE = "The lantern of Mrs. Quimby burns."
"""What an event says that is nobody else's business."""


def event(content: str = PRIVATE, number: int = 0, kind: EventKind = EventKind.USER) -> Event:
    """An event that an extractor may read."""
    return Event(
        id=f"{number:04}",
        tenant="acme",
        organization="acme",
        actor="ada",
        session="s",
        kind=kind,
        content=content,
        at=START,
        ingested_at=START,
    )


class FakeClock(Clock):
    """Stands still until it is advanced."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class FakeIds(Ids):
    """Counts: every run makes the same ids, each sorting after those before it."""

    def __init__(self) -> None:
        self._ids = 0
        self._tokens = 0

    def new(self) -> str:
        self._ids += 1
        return f"019b7c00-0000-7000-8000-{self._ids:012x}"

    def unordered(self) -> str:
        self._ids += 1
        return f"019b7c00-0000-4000-8000-{self._ids:012x}"

    def token(self) -> str:
        self._tokens += 1
        return f"token{self._tokens:035d}"

    def jitter(self) -> float:
        return 0.5


class FakeMeter(Meter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.measures: list[Measure] = []

    def record(self, *measures: Measure) -> None:
        self.measures += measures

    def of(self, metric: Metric) -> list[Measure]:
        """The measures of a metric, in order."""
        return [measure for measure in self.measures if measure.metric == metric]


class FakeEmbedder(Embedder):
    """Texts are near each other as far as they share words. A text with REFUSED in it is refused; ``down`` refuses all.

    ``meanwhile`` is what happens, once, while texts are being embedded.
    """

    def __init__(self) -> None:
        self.down = False
        self.model = "fake"
        self.texts: list[str] = []
        self.batches: list[int] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    @property
    def space(self) -> Space:
        return Space(self.model, 64)

    @property
    def window(self) -> int:
        return 64

    @property
    def calibration(self) -> Calibration:
        return Calibration(together=((0.0, 0.0), (1.0, 1.0)), words=((0.0, 0.0), (1.0, 0.9)))

    def tokens(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        if self.down:
            raise Unavailable("The embedder cannot be asked now")
        if any("REFUSED" in text for text in texts):
            raise Invalid("The embedder refused a text")
        self.texts += texts
        self.batches.append(len(texts))
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> tuple[float, ...]:
        vector = [0.0] * 64
        for word in re.findall(r"\w+", text.lower()) or [text]:
            vector[int.from_bytes(hashlib.sha256(word.encode()).digest()[:2], "big") % 64] += 1.0
        length = math.sqrt(sum(number * number for number in vector))
        return tuple(number / length for number in vector)


@dataclass(frozen=True, slots=True)
class Posted:
    """A request that a webhook got."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class FakeSender(Sender):
    """Keeps what it is asked to send. Answers from ``answers`` first, then 200; an error in it is raised.

    Refuses every URL that has "refused" in it. ``meanwhile`` is what happens, once, while a request is under way.
    """

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self.answers: list[Answer | Exception] = []

    async def check(self, url: str) -> None:
        if "refused" in url:
            raise Refused("The URL may not be called")

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        await self.check(url)
        self.posted.append(Posted(url, headers, body))
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        answer = self.answers.pop(0) if self.answers else Answer(200)
        if isinstance(answer, Exception):
            raise answer
        return answer
