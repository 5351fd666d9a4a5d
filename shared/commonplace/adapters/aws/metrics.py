"""The Meter port in CloudWatch's embedded metric format: lines in the log that CloudWatch makes metrics of by itself.

No call to CloudWatch is made and none has to be allowed. The limits are those of the format's specification (Amazon
CloudWatch User Guide, "Specification: Embedded metric format"): a line is one JSON object and nothing else, of 1 MB at
most; a directive has up to 100 metrics and a dimension set up to 30 names; a metric has one number or up to 100.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from commonplace.ports.meter import Measure, Metric
from commonplace.ports.world import Clock

NAMESPACE = "Commonplace"
STACK = "Stack"
"""The dimension that every metric has."""

MAX_VALUES = 100
"""Numbers that one metric may have in one line."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EmbeddedMetrics:
    """Writes measures to ``stream``, which on Lambda is standard output: each of its lines is an event of the log.

    Measures of one ``record`` that share their dimensions share a line, and each line is one ``write``. A line that
    cannot be written is lost without a word. ``stack`` is the name of the stack; CloudWatch drops metrics whose
    dimensions are empty, so it may not be: ``ValueError``.
    """

    def __init__(self, stack: str, clock: Clock, stream: TextIO) -> None:
        if not stack.strip():
            raise ValueError("The name of the stack is empty")
        self._stack = stack
        self._clock = clock
        self._stream = stream

    def record(self, *measures: Measure) -> None:
        """As the port says."""
        # What the stream and a number that JSON cannot say (NaN) can raise.
        with suppress(OSError, ValueError):
            at = (self._clock.now() - _EPOCH) // timedelta(milliseconds=1)
            for dimensions, values in _together(measures):
                for start in range(0, max(map(len, values.values())), MAX_VALUES):
                    part = {name: each[start : start + MAX_VALUES] for name, each in values.items() if each[start:]}
                    line = self._line(at, dimensions, part)
                    self._stream.write(f"{json.dumps(line, separators=(',', ':'), allow_nan=False)}\n")
            self._stream.flush()  # Lambda may freeze the environment, and what is in a buffer, for ever

    def _line(self, at: int, extra: dict[str, str], values: dict[Metric, list[float]]) -> dict[str, Any]:
        directives = [
            {
                "Namespace": NAMESPACE,
                "Dimensions": [[STACK, *extra], *([[STACK]] if whole else [])],
                "Metrics": [{"Name": metric.name, "Unit": metric.unit.value} for metric in metrics],
            }
            for whole in (False, True)
            if (metrics := [metric for metric in values if metric.whole is whole])
        ]
        return {
            "_aws": {"Timestamp": at, "CloudWatchMetrics": directives},
            STACK: self._stack,
            **extra,
            **{metric.name: each[0] if len(each) == 1 else each for metric, each in values.items()},
        }


def _together(measures: Sequence[Measure]) -> Iterable[tuple[dict[str, str], dict[Metric, list[float]]]]:
    """The measures by their dimensions, and there by their metrics, each in the order they came in."""
    groups: dict[tuple[str, str] | None, dict[Metric, list[float]]] = {}
    for measure in measures:
        name, part = measure.metric.dimension, measure.part
        key = None if name is None or part is None else (name, part)
        groups.setdefault(key, {}).setdefault(measure.metric, []).append(measure.value)
    return [({} if key is None else dict([key]), values) for key, values in groups.items()]
