"""What a deployment costs: the arithmetic against numbers that were worked out by hand, and the operations against DynamoDB."""

import json
import math
from dataclasses import replace

import pytest

from benchmarks.capacity import CHARACTERS, DIMENSION, measure, ruled_write, sizes
from commonplace.adapters.aws import bedrock
from commonplace.adapters.aws.bedrock import MAX_CONCURRENT
from commonplace.adapters.hosted import WINDOW
from commonplace.core.passages import OVERLAP
from costs import deployment, operations, prices
from costs.__main__ import main
from costs.domain import (
    COUNTS,
    LEAST_VOLUME,
    LINKS,
    MOST_VOLUME,
    Layout,
    TooLarge,
    disk_needed,
    memory_needed,
    sized,
    usable,
    vector_bytes,
)
from costs.estimate import BEDROCK_AT_ONCE, Bill, Line, Rates, Workload, batches, bill
from costs.operations import Memory, kilobytes, read_units
from costs.prices import GIB, INSTANCES, SECONDS, Price
from template_document import DOCUMENT, of_type

TYPICAL = Memory(300, 1024)
DEPLOYED = deployment.read()
SIZES = (1_000_000, 10_000_000, 100_000_000)
INSTANCE = {instance.name: instance for instance in INSTANCES}


def billed(memories: int, **options: object) -> Bill:
    return bill(replace(Workload(memories, TYPICAL), **options), DEPLOYED)  # type: ignore[arg-type]  # its own fields


def line(of: Bill, service: str, what: str) -> Line:
    (found,) = [each for each in of.lines if (each.service, each.what) == (service, what)]
    return found


# Operations


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (4242, 5)])
def test_a_write_unit_is_a_kilobyte_begun(size: int, units: int) -> None:
    assert kilobytes(size) == units


@pytest.mark.parametrize(("size", "units"), [(0, 1), (4096, 1), (4097, 2)])
def test_a_read_unit_is_four_kilobytes_begun(size: int, units: int) -> None:
    assert read_units(size) == units


def test_a_long_memory_has_a_vector_for_each_passage() -> None:
    assert [Memory(characters, 1024).passages for characters in (1, 2048, 2052, 4000, 4004)] == [1, 1, 2, 2, 3]


def test_the_calculator_cuts_passages_as_the_service_does() -> None:
    assert (operations.WINDOW, operations.OVERLAP) == (WINDOW, OVERLAP)


def test_creating_and_indexing_a_typical_memory_takes_27_write_units() -> None:
    units = operations.operations(TYPICAL)
    # Row of 1,066 bytes: 2 x 2. Counters: 2 x 2. Entries: 3. Then row 2 x 2, vectors of 4,242 bytes 2 x 5, entry 1.
    assert (units["create"].writes, units["index"].writes) == (12, 15)


def test_a_longer_row_costs_more_to_write_and_to_read() -> None:
    longer = operations.operations(Memory(5000, 1024))
    for name, units in operations.operations(TYPICAL).items():
        assert longer[name].writes >= units.writes
        assert longer[name].reads >= units.reads
    assert longer["search"].reads == 20


def test_an_entry_that_moves_in_an_index_is_written_twice_and_never_doubled() -> None:
    key = {"partition": {"S": "memory#a"}, "sort": {"S": "memory"}}
    listed = {**key, "listing_key": {"S": "all"}, "listing_at": {"S": "1"}}
    moved = {**listed, "listing_at": {"S": "2"}}
    assert ruled_write(None, listed, transacted=True) == 2 + 1
    assert ruled_write(listed, moved, transacted=True) == 2 + 2
    assert ruled_write(listed, listed, transacted=True) == 2
    assert ruled_write(listed, None, transacted=False) == 1 + 1


@pytest.mark.anyio
@pytest.mark.parametrize("characters", [CHARACTERS, 1500])
async def test_operations_consume_what_is_measured_on_dynamodb(dynamodb_local_url: str, characters: int) -> None:
    found = await measure(dynamodb_local_url, characters)
    expected = operations.operations(Memory(characters, DIMENSION))
    assert {name: consumed.ruled for name, consumed in found.items()} == expected


@pytest.mark.anyio
async def test_dynamodb_local_says_the_same_of_reads_that_find_something(dynamodb_local_url: str) -> None:
    found = await measure(dynamodb_local_url)
    for name in ("search", "get", "list"):
        assert found[name].said == found[name].ruled


@pytest.mark.anyio
async def test_items_are_as_large_as_the_calculator_says(dynamodb_local_url: str) -> None:
    kept = {"row": operations.ROW_BYTES, "vectors": operations.VECTORS_BYTES, "entries": operations.ENTRY_BYTES}
    assert await sizes(dynamodb_local_url) == kept


# The domain


def test_a_vector_takes_a_tenth_more_than_its_numbers_and_links() -> None:
    assert vector_bytes(1024) == pytest.approx(1.1 * (4096 + 128)) == pytest.approx(4646.4)


def test_memory_counts_every_copy_and_the_headroom() -> None:
    one = memory_needed(1_000_000, TYPICAL, Layout(replicas=0, headroom=1))
    assert one >= 1_000_000 * 4646.4
    assert memory_needed(1_000_000, TYPICAL, Layout(replicas=1, headroom=1)) == pytest.approx(2 * one)
    assert memory_needed(1_000_000, TYPICAL, Layout(replicas=1, headroom=1.5)) == pytest.approx(3 * one)


def test_disk_holds_a_rebuilt_index_beside_the_old_one_before_it_is_merged() -> None:
    # A document: 4,646.4 bytes of vector, 250 + 1.15 x 300 of words; fresh also 21 x 1,024 of JSON.
    assert disk_needed(1, TYPICAL, Layout(replicas=1)) == pytest.approx((2 * 5241.4 + 21504) * 2 * 1.45)


@pytest.mark.parametrize(
    ("name", "gibibytes"), [("t3.small.search", 1), ("r7g.2xlarge.search", 32), ("r7g.4xlarge.search", 96)]
)
def test_the_heap_takes_half_of_the_memory_up_to_32_gibibytes(name: str, gibibytes: int) -> None:
    assert usable(INSTANCE[name], "lucene") == gibibytes * GIB
    assert usable(INSTANCE[name], "faiss") == gibibytes * GIB / 2


@pytest.mark.parametrize("replicas", [0, 1, 2])
@pytest.mark.parametrize("memories", [1, 100_000, *SIZES[:2], 50_000_000])
def test_a_domain_holds_its_index_within_what_the_template_takes(memories: int, replicas: int) -> None:
    layout = Layout(replicas=replicas)
    domain = sized(memories, TYPICAL, layout)
    assert domain.count * usable(domain.instance, "lucene") >= memory_needed(memories, TYPICAL, layout)
    assert domain.count * domain.volume * GIB >= disk_needed(memories, TYPICAL, layout)
    assert LEAST_VOLUME <= domain.volume <= MOST_VOLUME
    assert domain.count > replicas
    assert domain.count in DOCUMENT["Parameters"]["OpenSearchInstanceCount"]["AllowedValues"]


def test_no_cheaper_domain_would_hold_it() -> None:
    layout = Layout()
    domain = sized(10_000_000, TYPICAL, layout)
    needed = memory_needed(10_000_000, TYPICAL, layout)
    for instance in INSTANCES:
        for count in COUNTS:
            if count * instance.usd < domain.hourly and count > layout.replicas and not instance.name.startswith("t"):
                assert count * usable(instance, "lucene") < needed


def test_copies_do_not_stand_on_burstable_instances() -> None:
    assert sized(1, TYPICAL, Layout(replicas=1)).instance.name.startswith("r7g")
    assert sized(1, TYPICAL, Layout(replicas=0)).instance.name == "t3.small.search"


def test_what_no_domain_holds_is_refused() -> None:
    with pytest.raises(TooLarge, match="10,000,000,000 memories"):
        sized(10_000_000_000, TYPICAL, Layout())


def test_the_sizing_follows_the_index_and_the_template() -> None:
    method = json.loads((deployment.TEMPLATE.parent / "infra/index/v1.json").read_text("utf-8"))
    assert method["mappings"]["properties"]["vector"]["method"]["parameters"]["m"] == LINKS
    volume = DOCUMENT["Parameters"]["OpenSearchVolumeGiB"]
    assert (volume["MinValue"], volume["MaxValue"]) == (LEAST_VOLUME, MOST_VOLUME)


# The deployment


def test_the_deployment_is_what_the_template_says() -> None:
    alarms = of_type("AWS::CloudWatch::Alarm").values()
    watched = sum(
        sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1 for alarm in alarms
    )
    assert DEPLOYED.alarm_metrics + DEPLOYED.domain_alarm_metrics == watched
    assert DEPLOYED.queues == 2
    assert DEPLOYED.sweep_period == 60
    assert DEPLOYED.dimension in bedrock.DIMENSIONS
    assert DEPLOYED.instance in INSTANCE


def test_the_worker_embeds_as_many_at_once_as_the_adapter_does() -> None:
    assert BEDROCK_AT_ONCE == MAX_CONCURRENT


# The bill


def test_a_price_of_a_million_is_for_a_million() -> None:
    assert Price(0.625, "write units", "", 1_000_000).of(26_000_000) == pytest.approx(16.25)
    assert Price(0.25, "GB-month", "").of(6.107) == pytest.approx(1.52675)


@pytest.mark.parametrize("memories", [0, *SIZES])
def test_every_line_is_its_quantity_times_its_price_and_the_total_is_their_sum(memories: int) -> None:
    made = billed(memories)
    for each in made.lines:
        assert each.usd == pytest.approx(each.quantity * each.price.usd / each.price.per)
    assert made.usd == pytest.approx(sum(each.usd for each in made.lines))


def test_a_million_memories_consume_what_was_worked_out_by_hand() -> None:
    made = billed(1_000_000)
    # 100,000 x (12 + 15) + 20,000 x 26
    assert line(made, "DynamoDB", "writes").quantity == pytest.approx(3_220_000)
    # 100,000 x (4 + 2) + 500,000 x 10 + 100,000 + 50,000 x 21.5 + 20,000 x 2 + 43,800 x 24 + 770,000 keys
    assert line(made, "DynamoDB", "reads").quantity == pytest.approx(8_636_200)
    # 1,201 + 4,242 + 2 x 100 bytes of items, 604 + 3 x 100 of entries
    assert line(made, "DynamoDB", "storage").quantity == pytest.approx(6.547)
    assert line(made, "DynamoDB", "recovery (PITR)").quantity == pytest.approx(5.643)
    assert line(made, "HTTP API", "requests").usd == pytest.approx(0.77)
    # 100,000 x 75 + 500,000 x 20
    assert line(made, "Bedrock", "tokens").quantity == pytest.approx(17_500_000)
    assert sum(each.usd for each in made.once) == pytest.approx(16.875 + 1.5 + 1)


def test_idle_costs_the_domain_the_watching_the_polls_and_the_sweeps() -> None:
    made = billed(0)
    assert line(made, "OpenSearch", "instances").usd == pytest.approx(730 * 0.036)
    # 2 queues x 5 pollers x 3 polls a minute x 43,800 minutes
    assert line(made, "SQS", "requests").quantity == pytest.approx(1_314_000)
    # A sweep each minute: 43,800 x 24 units
    assert line(made, "DynamoDB", "reads").quantity == pytest.approx(1_051_200)
    assert line(made, "X-Ray", "traces").quantity == pytest.approx(43_800)
    for service, what in (("DynamoDB", "storage"), ("Bedrock", "tokens"), ("HTTP API", "requests")):
        assert line(made, service, what).usd == 0


def test_more_memories_never_cost_less() -> None:
    totals = [billed(memories).usd for memories in (0, 1, 100_000, *SIZES)]
    assert totals == sorted(totals)


@pytest.mark.parametrize("field", ["writes", "searches", "gets", "lists", "deletes"])
def test_more_of_anything_costs_more(field: str) -> None:
    more = replace(Rates(), **{field: 2 * getattr(Rates(), field)})
    assert billed(10_000_000, rates=more).usd > billed(10_000_000).usd


@pytest.mark.parametrize("memories", SIZES[1:])
def test_shorter_vectors_and_fewer_copies_cost_less(memories: int) -> None:
    usual = billed(memories).usd
    assert billed(memories, memory=Memory(300, 256)).usd < usual
    assert billed(memories, layout=Layout(replicas=0)).usd < usual


def test_a_batch_grows_with_the_load_up_to_what_the_queue_hands_over() -> None:
    rare, rare_size = batches(Workload(1_000_000, TYPICAL), DEPLOYED)
    assert (rare, rare_size) == (100_000, 1)
    many = Workload(100_000_000, TYPICAL, Rates(writes=10))
    invoked, size = batches(many, DEPLOYED)
    assert size == DEPLOYED.batch
    assert invoked == pytest.approx(1_000_000_000 / DEPLOYED.batch)


def test_traces_are_one_a_second_and_a_twentieth_of_the_others() -> None:
    made = billed(100_000_000)
    invocations = line(made, "Lambda", "requests").quantity
    assert line(made, "X-Ray", "traces").quantity == pytest.approx(SECONDS + 0.05 * (invocations - SECONDS))
    assert line(billed(100_000_000, traced=False), "X-Ray", "traces").usd == 0


# What is printed


def test_what_is_printed_fits_and_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) < 120
    assert f"100 million: {billed(100_000_000).usd:,.2f} US dollars a month" in printed
    for price in prices.PRICES.values():
        assert price.source in printed


def test_the_products_that_are_printed_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["1000000"]) == 0
    products = [row for row in capsys.readouterr().out.splitlines() if "  x " in row and "= " in row and row[0] != " "]
    assert len(products) == len(billed(1_000_000).lines) + len(billed(1_000_000).once)
    for row in products:
        left, amount = row.rsplit("= ", 1)
        quantity, price = left[28:].split("  x ", 1)
        usd, _, per = price.strip().partition(" a ")
        number = float(quantity.split()[0].replace(",", ""))
        product = number * float(usd) / float(per.replace(",", "") or 1)

        assert math.isclose(product, float(amount.replace(",", "")), abs_tol=0.0051)


def test_one_asks_for_a_deployment_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["5_000_000", "--dimension", "256", "--replicas", "0", "--searches", "0", "--summary"]) == 0
    printed = capsys.readouterr().out
    assert "5 million" in printed
    assert "0 searches" in printed
    assert "Its parameters" not in printed


def test_what_cannot_be_deployed_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["10000000000"]) == 1
    assert "10,000,000,000 memories need" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["-1"], ["many"], ["--headroom", "0.5"], ["--dimension", "0"], ["--writes=nan"]])
def test_nonsense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage" in capsys.readouterr().err
