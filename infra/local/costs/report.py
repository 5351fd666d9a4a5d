"""Bills as plain text."""

from collections.abc import Iterator, Mapping, Sequence

from costs import prices
from costs.domain import (
    DISK_FACTOR,
    LINKS,
    SOURCE_BYTES,
    Layout,
    disk_needed,
    memory_needed,
    text_bytes,
    usable,
    vector_bytes,
)
from costs.estimate import Bill, Line, Workload
from costs.prices import GIB, Price

RULE = 100
EXACT = 100_000
"""Below this a quantity is printed with three digits after the point."""


def summary(bills: Mapping[str, Bill]) -> Iterator[str]:
    """One column for each bill, one row for each service, dollars a month."""
    yield f"{'US dollars a month':22}" + "".join(f"{name:>18}" for name in bills)
    services = dict.fromkeys(line.service for bill in bills.values() for line in bill.lines)
    for service in services:
        yield f"{service:22}" + "".join(f"{_of(bill, service):18,.2f}" for bill in bills.values())
    yield f"{'total':22}" + "".join(f"{bill.usd:18,.2f}" for bill in bills.values())
    instances = [
        f"{bill.domain.count} x {bill.domain.instance.name.removesuffix('.search')}" for bill in bills.values()
    ]
    yield f"{'OpenSearch instances':22}" + "".join(f"{each:>18}" for each in instances)


def detailed(name: str, workload: Workload, bill: Bill) -> Iterator[str]:
    """A bill with its arithmetic: quantity x price = amount."""
    yield f"{name}: {bill.usd:,.2f} US dollars a month"
    yield "-" * RULE
    for line in bill.lines:
        yield _product(line)
        yield f"{'':11}{line.how}"
    yield "-" * RULE
    if workload.memories:
        yield from _sizing(workload, bill)
    domain = bill.domain
    yield "Its parameters:"
    yield (
        f"  OpenSearchInstanceType={domain.instance.name} OpenSearchInstanceCount={domain.count}"
        f" OpenSearchVolumeGiB={domain.volume}"
    )
    yield (
        f"  OpenSearchShards={domain.shards} OpenSearchReplicas={domain.replicas}"
        f" OpenSearchEngine={workload.layout.engine} EmbeddingDimension={workload.memory.dimension}"
    )
    if workload.memories:
        yield f"To write them all, once: {sum(line.usd for line in bill.once):,.2f} US dollars and the functions' time"
        for line in bill.once:
            yield _product(line)
            yield f"{'':11}{line.how}"


def _sizing(workload: Workload, bill: Bill) -> Iterator[str]:
    memory, layout, domain = workload.memory, workload.layout, bill.domain
    needed = memory_needed(workload.memories, memory, layout) / GIB
    has = domain.count * usable(domain.instance, layout.engine) / GIB
    yield (
        f"Memory of the index: {workload.memories * memory.passages:,} vectors"
        f" x (1.1 x (4 x {memory.dimension} + 8 x {LINKS}) + {text_bytes(memory):,.0f} for words) bytes"
    )
    yield (
        f"  x {1 + layout.replicas} copies x {layout.headroom:g} = {needed:,.1f} GiB; {domain.count} x"
        f" {domain.instance.memory} GiB of RAM have {has:,.1f} GiB {_beside(layout)}"
    )
    index = vector_bytes(memory.dimension) + text_bytes(memory)
    yield (
        f"Disk: {workload.memories * memory.passages:,} x (2 x {index:,.0f} bytes, for a rebuild,"
        f" + {SOURCE_BYTES} x {memory.dimension} until merged)"
    )
    yield (
        f"  x {1 + layout.replicas} copies x {DISK_FACTOR}"
        f" = {disk_needed(workload.memories, memory, layout) / GIB:,.1f} GiB"
    )


def _beside(layout: Layout) -> str:
    return "for Faiss: half of what is beside the heap" if layout.engine == "faiss" else "beside the heap"


def price_list() -> Iterator[str]:
    """Every price with its source."""
    yield f"List prices in {prices.REGION}, US dollars, without free tiers, discounts and taxes"
    for name, price in prices.PRICES.items():
        yield f"  {name:36}{_price(price)} {price.unit if price.per > 1 else 'a ' + price.unit.removesuffix('s')}"
        yield f"    {price.source}"
    for instance in prices.INSTANCES:
        yield f"  {'OpenSearch, ' + instance.name:36}{instance.usd:g} an hour, {instance.memory} GiB"
    yield f"    {prices.INSTANCES_SOURCE}"


def assumptions(workload: Workload) -> Sequence[str]:
    """What is taken for granted, with the options that change it."""
    memory, rates, layout = workload.memory, workload.rates, workload.layout
    text = f"{memory.characters} characters, {memory.passages} vector(s) of {memory.dimension} numbers"
    asked = f"{rates.writes:g} writes, {rates.searches:g} searches, {rates.gets:g} gets, {rates.lists:g} lists"
    index = f"{layout.engine}, {layout.replicas} replica(s), {layout.headroom:g} times the memory that it needs"
    return [
        f"A memory: {text} (--characters, --dimension).",
        f"Each month, for each memory: {asked}, {rates.deletes:g} deletes (--writes ...).",
        f"The index: {index} (--engine, --replicas, --headroom).",
        "DynamoDB's units are measured (tests/benchmarks/capacity.py); how long functions run is estimated (--help).",
        "Not counted: free tiers, cold starts, webhooks, SnapStart, keys of KMS, alarms' mails, idempotency keys, taxes.",
    ]


def _of(bill: Bill, service: str) -> float:
    return sum(line.usd for line in bill.lines if line.service == service)


def _product(line: Line) -> str:
    quantity = f"{_number(line.quantity)} {line.price.unit}"
    return f"{line.service:11}{line.what:17}{quantity:>35}  x {_price(line.price):20}= {line.usd:12,.2f}"


def _price(price: Price) -> str:
    """Dollars for one, or for a million."""
    digits = f"{price.usd:.10f}".rstrip("0")
    whole, _, cents = digits.partition(".")
    per = f" a {price.per:,}" if price.per > 1 else ""
    return f"{whole}.{cents:0<2}{per}"


def _number(quantity: float) -> str:
    return f"{quantity:,.3f}" if quantity < EXACT and quantity != int(quantity) else f"{quantity:,.0f}"
