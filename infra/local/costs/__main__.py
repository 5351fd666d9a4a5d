"""``make costs``: prints what a Commonplace on AWS costs, with the arithmetic."""

import argparse
import sys
from collections.abc import Sequence

from costs import deployment, report
from costs.domain import Layout, TooLarge
from costs.estimate import Bill, Rates, Times, Workload, bill
from costs.operations import Memory
from costs.prices import MILLION

DEFAULT_SIZES = (0, 1_000_000, 10_000_000, 100_000_000)
CHARACTERS = 300


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    deployed = deployment.read()
    given = _parser(deployed.dimension).parse_args(arguments)
    if given.prices:
        print("\n".join(report.price_list()))
        return 0
    memory = Memory(given.characters, given.dimension)
    rates = Rates(given.writes, given.searches, given.gets, given.lists, given.deletes)
    layout = Layout(given.engine, given.replicas, given.headroom)
    times = Times(create=given.create_ms, search=given.search_ms, bedrock=given.bedrock_ms)
    bills: dict[str, tuple[Workload, Bill]] = {}
    for memories in given.memories:
        workload = Workload(memories, memory, rates, times, layout, not given.no_tracing)
        try:
            bills[_name(memories)] = workload, bill(workload, deployed)
        except TooLarge as error:
            print(error, file=sys.stderr)
            return 1
    print("\n".join(report.summary({name: made for name, (_, made) in bills.items()})), end="\n\n")
    print("\n".join(report.assumptions(workload)), end="\n\n")
    if not given.summary:
        for name, (asked, made) in bills.items():
            print("\n".join(report.detailed(name, asked, made)), end="\n\n")
        print("\n".join(report.price_list()))
    return 0


def _name(memories: int) -> str:
    if memories == 0:
        return "idle"
    return f"{memories / MILLION:g} million" if memories >= MILLION else f"{memories:,}"


def _parser(dimension: int) -> argparse.ArgumentParser:
    rates, times, layout = Rates(), Times(), Layout()
    parser = argparse.ArgumentParser(
        prog="make costs OPTIONS=...",
        description="What a Commonplace on AWS costs a month, by list prices in us-east-1, with the arithmetic.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("memories", nargs="*", type=_count, default=list(DEFAULT_SIZES), help="how many; 0 is idle")
    parser.add_argument("--characters", type=_count, default=CHARACTERS, help="of a memory's text")
    parser.add_argument("--dimension", type=_positive, default=dimension, help="numbers of a vector")
    for name, what in (
        ("writes", "asynchronous writes"),
        ("searches", "searches that return 10 memories"),
        ("gets", "reads of one memory"),
        ("lists", "pages of 20 of a list"),
        ("deletes", "deletions"),
    ):
        help_ = f"{what} a month for each memory there is"
        parser.add_argument(f"--{name}", type=_amount, default=getattr(rates, name), help=help_)
    parser.add_argument("--engine", choices=("lucene", "faiss"), default=layout.engine, help="what searches vectors")
    parser.add_argument("--replicas", type=int, choices=(0, 1, 2), default=layout.replicas, help="copies of the index")
    parser.add_argument(
        "--headroom", type=_headroom, default=layout.headroom, help="memory, times what the index needs"
    )
    parser.add_argument("--create-ms", type=_amount, default=times.create, help="how long the function of a write runs")
    parser.add_argument("--search-ms", type=_amount, default=times.search, help="how long that of a search runs")
    parser.add_argument("--bedrock-ms", type=_amount, default=times.bedrock, help="how long Bedrock takes for a text")
    parser.add_argument("--no-tracing", action="store_true", help="deployed with Tracing=PassThrough")
    parser.add_argument("--summary", action="store_true", help="without the arithmetic")
    parser.add_argument("--prices", action="store_true", help="only the prices and where they are from")
    return parser


def _count(text: str) -> int:
    count = int(text.replace("_", "").replace(",", ""))
    if count < 0:
        raise argparse.ArgumentTypeError("a number below 0")
    return count


def _positive(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("a number below 1")
    return count


def _amount(text: str) -> float:
    amount = float(text)
    if not 0 <= amount < float("inf"):
        raise argparse.ArgumentTypeError("not an amount")
    return amount


def _headroom(text: str) -> float:
    factor = _amount(text)
    if factor < 1:
        raise argparse.ArgumentTypeError("less than it needs")
    return factor


if __name__ == "__main__":
    sys.exit(main())
