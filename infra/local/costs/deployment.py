"""What template.yaml says that costs money."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cloudformation import TemplateLoader

TEMPLATE = Path(__file__).parents[3] / "template.yaml"


@dataclass(frozen=True, slots=True)
class Deployment:
    """The stack with its defaults. Memory in MB by the function's package; times in seconds; logs in days."""

    memory: Mapping[str, int]
    batch: int
    window: int
    queues: int
    sweep_period: int
    alarm_metrics: int
    domain_alarm_metrics: int
    dashboards: int
    log_days: int
    instance: str
    instances: int
    volume: int
    dimension: int


def read(path: Path = TEMPLATE) -> Deployment:
    """The deployment that a template describes."""
    with path.open(encoding="utf-8") as file:
        document: dict[str, Any] = yaml.load(file, TemplateLoader)  # noqa: S506 - a subclass of the safe loader
    resources, parameters = document["Resources"], document["Parameters"]
    functions = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Serverless::Function"]
    usual = document["Globals"]["Function"]["MemorySize"]
    events = [event for function in functions for event in function.get("Events", {}).values()]
    polled = [event["Properties"] for event in events if event["Type"] == "SQS"]
    embedding = next(source for source in polled if source["BatchSize"] == max(each["BatchSize"] for each in polled))
    schedule = next(event["Properties"]["Schedule"] for event in events if event["Type"] == "Schedule")
    alarms = [each for each in resources.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    return Deployment(
        memory={each["Handler"].partition(".")[0]: each.get("MemorySize", usual) for each in functions},
        batch=embedding["BatchSize"],
        window=embedding.get("MaximumBatchingWindowInSeconds", 0),
        queues=len(polled),
        sweep_period=_period(schedule),
        alarm_metrics=sum(_metrics(each) for each in alarms if "Condition" not in each),
        domain_alarm_metrics=sum(_metrics(each) for each in alarms if "Condition" in each),
        dashboards=sum(each["Type"] == "AWS::CloudWatch::Dashboard" for each in resources.values()),
        log_days=parameters["LogRetentionDays"]["Default"],
        instance=parameters["OpenSearchInstanceType"]["Default"],
        instances=parameters["OpenSearchInstanceCount"]["Default"],
        volume=parameters["OpenSearchVolumeGiB"]["Default"],
        dimension=parameters["EmbeddingDimension"]["Default"],
    )


def _period(schedule: str) -> int:
    """Seconds of ``rate(1 minute)``."""
    count, unit = schedule.removeprefix("rate(").removesuffix(")").split()
    return int(count) * {"minute": 60, "hour": 3600, "day": 86400}[unit.removesuffix("s")]


def _metrics(alarm: Mapping[str, Any]) -> int:
    """The metrics that an alarm watches: each is billed, calculated ones are not."""
    return max(1, sum(1 for _ in _watched(alarm["Properties"])))


def _watched(properties: Mapping[str, Any]) -> Iterator[Any]:
    return (each for each in properties.get("Metrics", ()) if "MetricStat" in each)
