"""From a workload to what it costs a month, line by line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from costs import prices
from costs.deployment import Deployment
from costs.domain import Domain, Layout, sized
from costs.operations import CHARACTERS_PER_TOKEN, Memory, operations
from costs.prices import GB, HOURS, SECONDS, Instance, Price

BEDROCK_AT_ONCE = 8
"""Texts that the worker has embedded at the same time."""

POLLERS, POLL_SECONDS = 5, 20
"""How Lambda listens to a queue in which nothing is: so many long polls at a time, each so long."""

MESSAGES_AT_ONCE = 10
"""Messages that one call of SQS takes or deletes at most."""

API_LOG, FUNCTION_LOG, SEARCH_LOG, WRITE_LOG = 400, 900, 1000, 350
"""Bytes of log with CloudWatch's 26 for each line: the access log of a request, Lambda's own lines of an invocation, the
metrics of a search, and a metric of a write."""

LOG_COMPRESSION = 0.15
"""Of what was taken in, what is kept (CloudWatch's own example)."""

ROUTE_METRICS = 6
"""Metrics that the HTTP API publishes for each route that is used (DetailedMetricsEnabled): count, two kinds of errors, two
latencies, bytes."""

OWN_METRICS = 13
"""All that the service publishes of itself: writes, failures and lag (3), latencies (3), degraded answers by arm and in all
(3), deliveries by outcome and in all (4)."""

ROUTES = 5
"""Routes that are used: create, search, get, list, delete."""

TRACED = 0.05
"""Of the requests after the first of each second, what X-Ray records by its default rule."""

QUESTION = 80
"""Characters of a question."""

ANSWER_BASE = 700
"""Bytes of an answer for each memory in it, without its text, with its share of headers."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each month, for each memory there is."""

    writes: float = 0.1
    searches: float = 0.5
    gets: float = 0.1
    lists: float = 0.05
    deletes: float = 0.02


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds that functions run, billed; nobody measured them on AWS. ``batch`` is the worker's without Bedrock."""

    create: float = 40
    search: float = 160
    get: float = 15
    list: float = 30
    delete: float = 60
    batch: float = 150
    bedrock: float = 100
    sweep: float = 60


@dataclass(frozen=True, slots=True)
class Workload:
    """What is asked of the service."""

    memories: int
    memory: Memory
    rates: Rates = field(default_factory=Rates)
    times: Times = field(default_factory=Times)
    layout: Layout = field(default_factory=Layout)
    traced: bool = True

    def monthly(self, rate: float) -> float:
        """How often something happens in a month that happens ``rate`` times for each memory."""
        return self.memories * rate


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the bill. ``how`` is where the quantity comes from."""

    service: str
    what: str
    quantity: float
    price: Price
    how: str

    @property
    def usd(self) -> float:
        """Dollars a month."""
        return self.price.of(self.quantity)


@dataclass(frozen=True, slots=True)
class Bill:
    """What a workload costs a month, the domain that it needs, and what it costs once to write all memories."""

    lines: tuple[Line, ...]
    domain: Domain
    once: tuple[Line, ...]

    @property
    def usd(self) -> float:
        """Dollars a month."""
        return sum(line.usd for line in self.lines)


def bill(workload: Workload, deployment: Deployment) -> Bill:
    """The bill of a month. Raises ``TooLarge``."""
    domain = sized(workload.memories, workload.memory, workload.layout) if workload.memories else _given(deployment)
    lines = [
        *_index(domain),
        *_table(workload, deployment),
        *_functions(workload, deployment),
        *_gateway(workload),
        *_queues(workload, deployment),
        *_model(workload),
        *_watching(workload, deployment),
    ]
    return Bill(tuple(lines), domain, tuple(_once(workload)))


def _given(deployment: Deployment) -> Domain:
    """The domain that the template creates if nobody says otherwise."""
    instance = next(each for each in prices.INSTANCES if each.name == deployment.instance)
    return Domain(instance, deployment.instances, deployment.volume, 1, 0)


def hours(instance: Instance) -> Price:
    """The price of an instance."""
    return Price(instance.usd, "hours", prices.INSTANCES_SOURCE)


def _index(domain: Domain) -> Sequence[Line]:
    instances = f"{domain.count} x {domain.instance.name} x {HOURS} hours"
    volumes = f"{domain.count} x {domain.volume} GiB gp3"
    return [
        Line("OpenSearch", "instances", domain.count * HOURS, hours(domain.instance), instances),
        Line("OpenSearch", "disks", domain.count * domain.volume, prices.INDEX_STORAGE, volumes),
    ]


def _table(workload: Workload, deployment: Deployment) -> Sequence[Line]:
    units, rates, memory = operations(workload.memory), workload.rates, workload.memory
    done = {
        "create": workload.monthly(rates.writes),
        "index": workload.monthly(rates.writes),
        "search": workload.monthly(rates.searches),
        "get": workload.monthly(rates.gets),
        "list": workload.monthly(rates.lists),
        "delete": workload.monthly(rates.deletes),
        "sweep": SECONDS / deployment.sweep_period,
    }
    writes = sum(count * units[name].writes for name, count in done.items())
    # A read for the API key of each request, which is found in the memory of an environment if that saw it a minute ago.
    reads = sum(count * units[name].reads for name, count in done.items()) + requests(workload)
    each = ", ".join(f"{name} {units[name].writes:g}" for name in ("create", "index", "delete"))
    read = ", ".join(f"{name} {units[name].reads:g}" for name in ("create", "index", "search", "get", "list", "sweep"))
    gigabytes = workload.memories * memory.stored / GB
    listed = workload.memories * memory.listed / GB
    size = f"(row {memory.row} + vectors {memory.vectors} + lists {memory.listed - 200} + 4 x 100) bytes a memory"
    return [
        Line("DynamoDB", "writes", writes, prices.WRITE_UNITS, f"units each: {each}"),
        Line("DynamoDB", "reads", reads, prices.READ_UNITS, f"units each: {read}, key 1"),
        Line("DynamoDB", "storage", gigabytes + listed, prices.TABLE_STORAGE, size),
        Line("DynamoDB", "recovery (PITR)", gigabytes, prices.RECOVERY, "the same without the lists"),
    ]


def requests(workload: Workload) -> float:
    """HTTP requests a month."""
    rates = workload.rates
    return workload.monthly(rates.writes + rates.searches + rates.gets + rates.lists + rates.deletes)


def batches(workload: Workload, deployment: Deployment) -> tuple[float, float]:
    """How often the worker is invoked in a month, and how many memories it gets each time.

    It gets what comes in the batching window, as if memories came evenly.
    """
    writes = workload.monthly(workload.rates.writes)
    size = min(deployment.batch, max(1.0, writes / SECONDS * deployment.window))
    return writes / size, size


def _functions(workload: Workload, deployment: Deployment) -> Sequence[Line]:
    rates, times, memory = workload.rates, workload.times, deployment.memory
    invoked, size = batches(workload, deployment)
    rounds = math.ceil(size * workload.memory.passages / BEDROCK_AT_ONCE)
    sweeps = SECONDS / deployment.sweep_period
    runs = [
        (workload.monthly(rates.writes), times.create, memory["create"]),
        (workload.monthly(rates.searches), times.search, memory["search"]),
        (workload.monthly(rates.gets), times.get, memory["memories"]),
        (workload.monthly(rates.lists), times.list, memory["memories"]),
        (workload.monthly(rates.deletes), times.delete, memory["memories"]),
        (invoked, times.batch + rounds * times.bedrock, memory["worker"]),
        (sweeps, times.sweep, memory["sweeper"]),
    ]
    seconds = sum(count * milliseconds / 1000 * megabytes / 1024 for count, milliseconds, megabytes in runs)
    count = sum(count for count, _, _ in runs)
    how = f"ms: create {times.create:g}, search {times.search:g}, worker {runs[-2][1]:g} for {size:.3g} memories"
    return [
        Line("Lambda", "time", seconds, prices.LAMBDA_TIME, how),
        Line("Lambda", "requests", count, prices.LAMBDA_REQUESTS, f"{sweeps:,.0f} of them are sweeps"),
    ]


def _gateway(workload: Workload) -> Sequence[Line]:
    rates, one = workload.rates, ANSWER_BASE + workload.memory.characters
    answered = workload.monthly(rates.writes + 10 * rates.searches + rates.gets + 20 * rates.lists) * one
    return [
        Line(
            "HTTP API", "requests", requests(workload), prices.HTTP_REQUESTS, "writes, searches, gets, lists, deletes"
        ),
        Line("Transfer", "answers", answered / GB, prices.TRANSFER, f"{one} bytes for each memory in an answer"),
    ]


def _queues(workload: Workload, deployment: Deployment) -> Sequence[Line]:
    polls = deployment.queues * POLLERS * SECONDS / POLL_SECONDS
    invoked, size = batches(workload, deployment)
    calls = invoked * math.ceil(size / MESSAGES_AT_ONCE)
    how = f"{polls:,.0f} empty polls; a memory sends 1; a batch receives and deletes by tens"
    sent = workload.monthly(workload.rates.writes)
    return [Line("SQS", "requests", polls + sent + 2 * calls, prices.QUEUE_REQUESTS, how)]


def _model(workload: Workload) -> Sequence[Line]:
    question = -(-QUESTION // CHARACTERS_PER_TOKEN)
    rates, tokens = workload.rates, workload.memory.tokens
    total = workload.monthly(rates.writes) * tokens + workload.monthly(rates.searches) * question
    return [Line("Bedrock", "tokens", total, prices.TOKENS, f"{tokens} of a memory, {question} of a question")]


def _watching(workload: Workload, deployment: Deployment) -> Sequence[Line]:
    rates = workload.rates
    invoked, _ = batches(workload, deployment)
    asked, sweeps = requests(workload), SECONDS / deployment.sweep_period
    invocations = asked + invoked + sweeps
    logged = asked * API_LOG + invocations * FUNCTION_LOG
    logged += workload.monthly(rates.searches) * SEARCH_LOG + workload.monthly(rates.writes) * 2 * WRITE_LOG
    kept = logged * LOG_COMPRESSION * deployment.log_days / 30
    recorded = min(invocations, SECONDS) + TRACED * max(0.0, invocations - SECONDS) if workload.traced else 0
    metrics = OWN_METRICS + ROUTES * ROUTE_METRICS if asked else 0
    alarms = deployment.alarm_metrics + deployment.domain_alarm_metrics
    of_metrics = f"{OWN_METRICS} of its own, {ROUTE_METRICS} for each of {ROUTES} routes, while they are used"
    share = f"{deployment.log_days} days, compressed to {LOG_COMPRESSION:.0%}"
    traces = f"one a second, and {TRACED:.0%} of the others" if workload.traced else "Tracing=PassThrough"
    return [
        Line("CloudWatch", "logs taken in", logged / GB, prices.LOGS, f"{invocations:,.0f} invocations"),
        Line("CloudWatch", "logs kept", kept / GB, prices.LOG_STORAGE, share),
        Line("CloudWatch", "metrics", metrics, prices.METRICS, of_metrics),
        Line("CloudWatch", "alarms", alarms, prices.ALARMS, "metrics that the alarms of template.yaml watch"),
        Line("CloudWatch", "dashboard", deployment.dashboards, prices.DASHBOARDS, "in template.yaml"),
        Line("X-Ray", "traces", recorded, prices.TRACES, traces),
    ]


def _once(workload: Workload) -> Sequence[Line]:
    """What the first writing of all memories adds; the functions' time is nothing beside it."""
    units, count, tokens = operations(workload.memory), workload.memories, workload.memory.tokens
    each = units["create"].writes + units["index"].writes
    return [
        Line("DynamoDB", "writes", count * each, prices.WRITE_UNITS, f"{each:g} units each"),
        Line("Bedrock", "tokens", count * tokens, prices.TOKENS, f"{tokens} each"),
        Line("HTTP API", "requests", count, prices.HTTP_REQUESTS, "1 each"),
    ]
