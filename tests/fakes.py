"""The small ports, as tests want them."""

from datetime import UTC, datetime, timedelta

from commonplace.ports.world import Clock, Ids

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


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

    def token(self) -> str:
        self._tokens += 1
        return f"token{self._tokens:035d}"

    def jitter(self) -> float:
        return 0.5
