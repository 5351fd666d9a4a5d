"""What template.yaml says of the deployment: which function serves what, and how it is set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from cloudformation import Choices, TemplateLoader


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """A route of the HTTP API. The path ``$default`` is for whatever has no route of its own."""

    function: str
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class QueueSource:
    """A queue that feeds a function."""

    function: str
    queue: str
    batch_size: int


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How a queue treats its messages; times in seconds."""

    name: str
    visibility: int
    max_receives: int


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A function that runs on a schedule; the period in seconds."""

    function: str
    period: int


@dataclass(frozen=True, slots=True)
class Template:
    """The deployment. Functions are named by their package, as in ``create``."""

    routes: tuple[HttpRoute, ...]
    sources: tuple[QueueSource, ...]
    queues: tuple[QueuePolicy, ...]
    schedules: tuple[Scheduled, ...]
    variables: Mapping[str, str]

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions that serve HTTP."""
        return tuple(dict.fromkeys(route.function for route in self.routes))


_UNITS = {"minute": 60, "minutes": 60, "hour": 3600, "hours": 3600}


def load(path: Path) -> Template:
    """Reads a template, with the defaults of its parameters. Raises ``KeyError`` or ``ValueError`` for what it does not
    understand: better no start than half a service.
    """
    document = yaml.load(path.read_text(encoding="utf-8"), TemplateLoader)  # noqa: S506 - a subclass of the safe loader
    choices = Choices(document)
    routes: list[HttpRoute] = []
    sources: list[QueueSource] = []
    queues: list[QueuePolicy] = []
    schedules: list[Scheduled] = []
    for name, resource in document["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            function = properties["Handler"].partition(".")[0]
            for event in properties.get("Events", {}).values():
                of_event = event["Properties"]
                match event["Type"]:
                    case "HttpApi":
                        routes.append(HttpRoute(function, of_event["Method"], of_event["Path"]))
                    case "SQS":
                        sources.append(QueueSource(function, of_event["Queue"].name, of_event["BatchSize"]))
                    case "Schedule":
                        schedules.append(Scheduled(function, _period(of_event["Schedule"])))
                    case other:
                        raise ValueError(f"{name}: no event of the type {other} can be run here")
        if resource["Type"] == "AWS::SQS::Queue" and "RedrivePolicy" in properties:
            redrive = properties["RedrivePolicy"]
            queues.append(
                QueuePolicy(
                    name,
                    properties["VisibilityTimeout"],
                    int(choices.value(redrive["maxReceiveCount"])),
                )
            )
    given = document["Globals"]["Function"]["Environment"]["Variables"]
    variables = {name: str(choices.value(setting)) for name, setting in given.items()}
    return Template(tuple(routes), tuple(sources), tuple(queues), tuple(schedules), variables)


def _period(rate: str) -> int:
    """Seconds of ``rate(1 minute)``."""
    count, unit = rate.removeprefix("rate(").removesuffix(")").split()
    return int(count) * _UNITS[unit]
