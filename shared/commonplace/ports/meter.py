"""What the service measures of itself: a few numbers for whoever runs it, without content, ids or tenants."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal, Protocol

ArmName = Literal["vectors", "words"]
"""An arm of a search."""

Outcome = Literal["delivered", "retried", "failed"]
"""What became of an attempt to deliver: the endpoint took it, it will be tried again, or it never will be."""


class Unit(StrEnum):
    """What a value counts."""

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that is measured for a deployment. With a ``dimension`` it is kept apart by that, and with ``whole`` it
    is kept for the deployment as a whole besides."""

    name: str
    unit: Unit
    dimension: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """One value of a metric. ``part`` is the value of the metric's dimension; None if it has none."""

    metric: Metric
    value: float
    part: str | None = None


MEMORIES_WRITTEN = Metric("MemoriesWritten", Unit.COUNT)
"""Memories that are new in the rows: neither duplicates nor changes."""

MEMORIES_FAILED = Metric("MemoriesFailed", Unit.COUNT)
"""Memories that were given up: no search will find them unless somebody changes them or sends their message again."""

LAG_TO_SEARCHABLE = Metric("LagToSearchable", Unit.MILLISECONDS)
"""From the write that brought a memory's content until a search can find it; not for changes of its other facts."""

SEARCH_LATENCY = Metric("SearchLatency", Unit.MILLISECONDS, "Arm")
"""How long a search that was answered took: ``total`` is all of it, an arm is what the engine says of itself."""

DEGRADED_ANSWERS = Metric("DegradedAnswers", Unit.COUNT, "Arm", whole=True)
"""Searches that were answered without the arm."""

DELIVERIES = Metric("Deliveries", Unit.COUNT, "Outcome", whole=True)
"""What became of attempts to deliver webhooks, as recorded; a delivery to an endpoint that is gone is ``failed``."""

METRICS = (MEMORIES_WRITTEN, MEMORIES_FAILED, LAG_TO_SEARCHABLE, SEARCH_LATENCY, DEGRADED_ANSWERS, DELIVERIES)
"""All of them."""


class Meter(Protocol):
    """Takes measures. It never raises and never waits: a number that is lost is a smaller harm than a request."""

    def record(self, *measures: Measure) -> None:
        """Takes measures that were made at this moment; none is fine too."""


def memories_written(count: int) -> Measure:
    """``count`` memories were written."""
    return Measure(MEMORIES_WRITTEN, count)


def memory_failed() -> Measure:
    """A memory was given up."""
    return Measure(MEMORIES_FAILED, 1)


def lag_to_searchable(lag: timedelta) -> Measure:
    """A memory can be found, ``lag`` after it was asked for."""
    return Measure(LAG_TO_SEARCHABLE, _milliseconds(lag))


def search_latency(arm: ArmName | Literal["total"], taken: timedelta) -> Measure:
    """A search, or an arm of it, took this long."""
    return Measure(SEARCH_LATENCY, _milliseconds(taken), arm)


def degraded_answer(arm: ArmName) -> Measure:
    """A search was answered without an arm that it had asked."""
    return Measure(DEGRADED_ANSWERS, 1, arm)


def delivery(outcome: Outcome) -> Measure:
    """An attempt to deliver ended."""
    return Measure(DELIVERIES, 1, outcome)


def _milliseconds(span: timedelta) -> float:
    """Never less than none: clocks are set back, and two machines' clocks differ."""
    return max(0.0, span / timedelta(milliseconds=1))
