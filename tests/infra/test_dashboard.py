"""What whoever runs the service looks at."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cloudformation import Choices
from commonplace.adapters.aws.metrics import NAMESPACE, STACK
from commonplace.ports.meter import METRICS, Metric
from template_document import DOCUMENT, ELSEWHERE, FUNCTIONS, RESOURCES, written

OURS: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}
WIDTH = 24
"""Columns of a dashboard of CloudWatch."""


def widgets(**parameters: str) -> list[dict[str, Any]]:
    """The widgets as CloudWatch would get them, with the names of resources for their values."""
    body = written(RESOURCES["Dashboard"]["Properties"]["DashboardBody"], Choices(DOCUMENT, parameters))
    found: list[dict[str, Any]] = json.loads(body)["widgets"]
    return found


def shown(**parameters: str) -> Iterator[tuple[str, str, dict[str, str], dict[str, str]]]:
    """The metrics on it: namespace, name, dimensions, and how they are shown."""
    for widget in widgets(**parameters):
        for space, name, *dimensions, options in widget["properties"]["metrics"]:
            yield space, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True)), options


@pytest.mark.parametrize("parameters", [{}, ELSEWHERE], ids=["own domain", "given domain"])
def test_it_shows_metrics_that_there_are(parameters: dict[str, str]) -> None:
    for space, name, dimensions, options in shown(**parameters):
        assert set(options) == {"stat", "label"}
        if space == NAMESPACE:
            assert dimensions.pop(STACK) == "${AWS::StackName}"
            assert list(dimensions) == ([OURS[name].dimension] if OURS[name].dimension else [])
        for value in dimensions.values():
            for resource in re.findall(r"\$\{([A-Za-z]+)(?:\.\w+)?\}", value):
                assert resource in RESOURCES or resource == "Environment"


def test_it_shows_everything_that_the_service_reports_and_what_the_platform_says_of_it() -> None:
    names = {(space, name) for space, name, *_ in shown()}
    assert names >= {(NAMESPACE, name) for name in OURS}
    assert names >= {("AWS/Lambda", name) for name in ("Invocations", "Errors", "Throttles", "Duration")}
    assert names >= {("AWS/ApiGateway", name) for name in ("Count", "5xx", "Latency")}
    queues = ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage")
    assert names >= {("AWS/SQS", name) for name in queues}
    table = ("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ThrottledRequests")
    assert names >= {("AWS/DynamoDB", name) for name in table}
    assert names >= {("AWS/ES", name) for name in ("CPUUtilization", "JVMMemoryPressure", "SearchLatency")}


def test_a_domain_that_is_not_the_stacks_own_is_not_on_it() -> None:
    assert "AWS/ES" not in {space for space, *_ in shown(**ELSEWHERE)}


def test_every_function_that_serves_is_on_it() -> None:
    invoked = {dimensions["FunctionName"] for _, name, dimensions, _ in shown() if name == "Invocations"}
    assert invoked == {f"${{{name.capitalize()}}}" for name in FUNCTIONS if name != "provision"}


def test_no_two_widgets_overlap() -> None:
    cells = [
        (x, y)
        for widget in widgets()
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < WIDTH


def test_every_widget_has_a_title_and_asks_the_region_of_the_stack() -> None:
    for widget in widgets():
        assert widget["properties"]["title"]
        assert widget["properties"]["region"] == "${AWS::Region}"
