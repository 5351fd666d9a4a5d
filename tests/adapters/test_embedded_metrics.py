import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commonplace.adapters.aws.metrics import EmbeddedMetrics
from commonplace.ports.meter import (
    LAG_TO_SEARCHABLE,
    METRICS,
    Measure,
    Metric,
    Unit,
    degraded_answer,
    delivery,
    lag_to_searchable,
    memories_written,
    memory_failed,
    search_latency,
)
from fakes import FakeClock

UNITS = {
    "Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits",
    "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second",
    "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second",
    "Gigabits/Second", "Terabits/Second", "Count/Second", "None",
}  # fmt: skip


class Log(io.StringIO):
    """A stream that keeps each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.flushed = 0

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)

    def flush(self) -> None:
        self.flushed = len(self.writes)


def recorded(*measures: Measure) -> list[dict[str, Any]]:
    """What is written for one record of these measures; each line is a valid document of the format."""
    log = Log()
    EmbeddedMetrics("prod", FakeClock(), log).record(*measures)
    assert log.flushed == len(log.writes)
    assert all(write.endswith("\n") and write.count("\n") == 1 for write in log.writes)
    documents: list[dict[str, Any]] = [json.loads(write, parse_constant=pytest.fail) for write in log.writes]
    for write, document in zip(log.writes, documents, strict=True):
        assert len(write.encode()) <= 1_048_576
        conforms(document)
    return documents


def conforms(document: dict[str, Any]) -> None:
    """The JSON schema of the embedded metric format, and what its specification says besides, rule by rule."""
    metadata = document["_aws"]
    assert metadata.keys() == {"Timestamp", "CloudWatchMetrics"}
    assert type(metadata["Timestamp"]) is int
    assert metadata["CloudWatchMetrics"]
    named: set[str] = set()
    for directive in metadata["CloudWatchMetrics"]:
        assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
        assert 1 <= len(directive["Namespace"]) <= 1024
        assert directive["Dimensions"]
        for names in directive["Dimensions"]:
            assert len(set(names)) == len(names) <= 30
            for name in names:
                assert 1 <= len(name) <= 250
                assert isinstance(document[name], str)
                assert 1 <= len(document[name]) <= 1024
                named.add(name)
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert metric.keys() == {"Name", "Unit"}
            assert 1 <= len(metric["Name"]) <= 1024
            assert metric["Unit"] in UNITS
            assert metric["Name"] not in named
            named.add(metric["Name"])
            value = document[metric["Name"]]
            numbers = value if isinstance(value, list) else [value]
            assert 1 <= len(numbers) <= 100
            assert all(type(number) in {int, float} for number in numbers)
    assert document.keys() == {"_aws", *named}  # and nothing that nobody asked for


def kept(document: dict[str, Any]) -> set[tuple[str, str, tuple[str, ...]]]:
    """The metrics that CloudWatch makes of a line: name, unit, and the names of the dimensions."""
    return {
        (metric["Name"], metric["Unit"], tuple(names))
        for directive in document["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
        for names in directive["Dimensions"]
    }


def test_a_line_is_what_the_format_asks_for() -> None:
    (document,) = recorded(memories_written(3))
    assert document == {
        "_aws": {
            "Timestamp": 1_767_323_045_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Commonplace",
                    "Dimensions": [["Stack"]],
                    "Metrics": [{"Name": "MemoriesWritten", "Unit": "Count"}],
                }
            ],
        },
        "Stack": "prod",
        "MemoriesWritten": 3,
    }


@pytest.mark.parametrize(
    ("measure", "metrics", "members"),
    [
        (memory_failed(), {("MemoriesFailed", "Count", ("Stack",))}, {"MemoriesFailed": 1}),
        (
            lag_to_searchable(timedelta(seconds=1.5)),
            {("LagToSearchable", "Milliseconds", ("Stack",))},
            {"LagToSearchable": 1500.0},
        ),
        (
            search_latency("total", timedelta(milliseconds=2.5)),
            {("SearchLatency", "Milliseconds", ("Stack", "Arm"))},
            {"SearchLatency": 2.5, "Arm": "total"},
        ),
        (
            degraded_answer("words"),
            {("DegradedAnswers", "Count", ("Stack", "Arm")), ("DegradedAnswers", "Count", ("Stack",))},
            {"DegradedAnswers": 1, "Arm": "words"},
        ),
        (
            delivery("retried"),
            {("Deliveries", "Count", ("Stack", "Outcome")), ("Deliveries", "Count", ("Stack",))},
            {"Deliveries": 1, "Outcome": "retried"},
        ),
    ],
)
def test_each_metric_has_its_dimensions(
    measure: Measure, metrics: set[tuple[str, str, tuple[str, ...]]], members: dict[str, object]
) -> None:
    (document,) = recorded(measure)
    assert kept(document) == metrics
    assert document.pop("_aws")
    assert document == {"Stack": "prod", **members}


def test_measures_that_share_their_dimensions_share_a_line_and_others_do_not() -> None:
    lines = recorded(
        search_latency("total", timedelta(milliseconds=9)),
        search_latency("words", timedelta(milliseconds=3)),
        memories_written(1),
        degraded_answer("vectors"),
        memory_failed(),
        degraded_answer("words"),
    )
    assert [(line.get("Arm"), line.keys() & {metric.name for metric in METRICS}) for line in lines] == [
        ("total", {"SearchLatency"}),
        ("words", {"SearchLatency", "DegradedAnswers"}),
        (None, {"MemoriesWritten", "MemoriesFailed"}),
        ("vectors", {"DegradedAnswers"}),
    ]
    assert kept(lines[1]) == {
        ("SearchLatency", "Milliseconds", ("Stack", "Arm")),
        ("DegradedAnswers", "Count", ("Stack", "Arm")),
        ("DegradedAnswers", "Count", ("Stack",)),
    }


def test_more_values_of_a_metric_than_a_line_may_have_go_on_in_the_next() -> None:
    lags = [float(number) for number in range(250)]
    lines = recorded(memory_failed(), *(Measure(LAG_TO_SEARCHABLE, lag) for lag in lags))
    assert [number for line in lines for number in line["LagToSearchable"]] == lags
    assert [line.get("MemoriesFailed") for line in lines] == [1, None, None]
    assert recorded(memory_failed(), memory_failed())[0]["MemoriesFailed"] == [1, 1]


def test_no_measures_are_no_line() -> None:
    assert recorded() == []


def test_the_time_is_that_of_the_clock_to_the_millisecond() -> None:
    log = Log()
    clock = FakeClock(datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC))
    EmbeddedMetrics("prod", clock, log).record(memory_failed())
    assert json.loads(log.writes[0])["_aws"]["Timestamp"] == 1_767_323_045_678


def test_all_names_together_stay_far_below_the_limits() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS) <= 100
    assert all(metric.unit.value in UNITS for metric in METRICS)


def test_a_stream_that_breaks_harms_nobody() -> None:
    class Broken(Log):
        def write(self, text: str) -> int:
            raise BrokenPipeError(text)

    EmbeddedMetrics("prod", FakeClock(), Broken()).record(memory_failed())
    closed = Log()
    closed.close()
    EmbeddedMetrics("prod", FakeClock(), closed).record(memory_failed())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_say_is_not_written(value: float) -> None:
    assert recorded(Measure(Metric("Odd", Unit.COUNT), value)) == []


@pytest.mark.parametrize("stack", ["", " "])
def test_a_stack_needs_a_name(stack: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        EmbeddedMetrics(stack, FakeClock(), io.StringIO())
