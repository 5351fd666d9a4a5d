"""Measures a service: make bench CONVERSATIONS=file.jsonl

Without a file the conversations are left out. Everything goes over HTTP to a service that is started for it on a folder
of its own (or, with --url and --key, to one that runs already; then nothing is said of its memory, and events are left
out, for which it would need other keys). With COMMONPLACE_INDEX=opensearch its searches are compared with the same
searches asked of OpenSearch itself. Events, Memsy's way, go to another service of their own.
"""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import events
from benchmarks.load import CUTS, WORDS, Asked, Client, Loaded, ask, bodies_of, conversations, load, share
from benchmarks.raw import RawSearch
from benchmarks.scale import pages
from commonplace.adapters.embedded.onnx import OnnxEmbedder
from commonplace.settings import read
from service import Service

SEARCHED_AT = 3_000
MEASURED_AT = 10_000
SEARCHES = 200


def synthetic(count: int, seed: int) -> list[dict[str, Any]]:
    """Bodies of made-up memories of about 25 words."""
    draw = random.Random(seed)
    return [
        {
            "agent_id": f"agent-{number % 20}",
            "content": " ".join(["The user mentioned the", *draw.choices(WORDS, k=20), f"number {number}"]),
        }
        for number in range(count)
    ]


def report(label: str, loaded: Loaded) -> None:
    """Prints what loading measured."""
    print(
        f"{label}: {loaded.count} memories; {loaded.count / loaded.writing:.0f} acknowledged writes/s from 8 connections; "
        f"{loaded.count / loaded.until_ready:.0f} memories/s until searchable; "
        f"write to searchable p50 {share(loaded.lags, 50):.2f} s, p95 {share(loaded.lags, 95):.2f} s"
    )


def report_answers(label: str, asked: Asked) -> None:
    """Prints what asking measured."""
    recalls = "/".join(f"{100 * statistics.fmean(each[cut] for each in asked.recalls):.1f}" for cut in CUTS)
    print(
        f"{label}: {len(asked.times)} questions; search p50 {1000 * share(asked.times, 50):.1f} ms, "
        f"p95 {1000 * share(asked.times, 95):.1f} ms; recall@5/10/20 {recalls}"
    )


def resident(pid: int) -> float | None:
    """The resident memory of a process in MB, where the system says it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


async def measure(client: Client, files: list[Path]) -> int:
    """Loads and asks the conversations of the files; how many memories there are then."""
    count = 0
    everything = Asked([], [])
    for path in files:
        for conversation in conversations(path):
            loaded = await load(client, await bodies_of(client, conversation), conversation.name)
            asked = await ask(client, conversation)
            report(conversation.name, loaded)
            report_answers(conversation.name, asked)
            everything.times += asked.times
            everything.recalls += asked.recalls
            count += loaded.count
    if everything.times:
        report_answers("all conversations", everything)
    return count


async def searched(client: Client, count: int, raw: RawSearch | None) -> None:
    """Prints how long searches over all memories of the tenant take, and by turns the same searches ``raw``."""
    draw = random.Random(7)
    times: list[float] = []
    bare_times: list[float] = []
    for _ in range(SEARCHES):
        query = f"what about the {' '.join(draw.choices(WORDS, k=3))}?"
        began = time.perf_counter()
        await client("POST", "/v1/memories/search", {"query": query})
        times.append(time.perf_counter() - began)
        if raw is not None:
            bare_times.append(await raw(query))
    p50 = share(times, 50)
    print(f"search over {count} memories: p50 {1000 * p50:.1f} ms, p95 {1000 * share(times, 95):.1f} ms")
    if bare_times:
        bare_p50 = share(bare_times, 50)
        print(
            f"embedding and a raw _msearch: p50 {1000 * bare_p50:.1f} ms; the service takes {p50 / bare_p50:.2f} times that"
        )


async def bare() -> None:
    """Prints what the embedder does by itself on this machine now, which bounds everything else."""
    embedder = OnnxEmbedder()
    await embedder.load()
    texts = [body["content"] for body in synthetic(640, 1)]
    await embedder.embed(texts[:64])
    began = time.perf_counter()
    await asyncio.gather(*(embedder.embed(texts[start : start + 64]) for start in range(0, len(texts), 64)))
    rate = len(texts) / (time.perf_counter() - began)
    times: list[float] = []
    for text in texts[:100]:
        began = time.perf_counter()
        await embedder.embed([" ".join(text.split()[:8])])
        times.append(time.perf_counter() - began)
    embedder.close()
    print(f"the bare embedder: {rate:.0f} texts/s; one query {1000 * share(times, 50):.1f} ms")


async def run(url: str, key: str, files: list[Path], pid: int | None) -> None:
    """Everything that goes over HTTP."""
    client = Client(url, key)
    settings = read(os.environ)
    raw = RawSearch(settings.opensearch) if settings.index == "opensearch" else None
    count = await measure(client, files)
    for goal in (SEARCHED_AT, MEASURED_AT):
        if count < goal:
            report("synthetic", await load(client, synthetic(goal - count, goal), f"to {goal}"))
            count = goal
        await searched(client, count, raw)
    size = None if pid is None else resident(pid)
    if size is not None:
        print(f"resident memory with {count} memories: {size:.0f} MB")
    await client.close()
    if raw is not None:
        await raw.close()


def main() -> None:
    """Reads the arguments and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="conversations, one JSON object per line")
    parser.add_argument("--url", help="a service that runs already, as in http://127.0.0.1:8787")
    parser.add_argument("--key", help="its API key")
    parser.add_argument("--no-scale", action="store_true", help="leave out the pages at 1,000 and 100,000 rows")
    arguments = parser.parse_args()
    if arguments.url:
        asyncio.run(run(arguments.url, arguments.key, arguments.files, None))
    else:
        asyncio.run(bare())
        with tempfile.TemporaryDirectory() as folder:
            service = Service(Path(folder))
            print(f"first start: {service.start():.2f} s")
            try:
                asyncio.run(run(service.url, service.key, arguments.files, service.pid))
                service.stop()
                print(f"second start: {service.start():.2f} s")
            finally:
                service.kill()
        events.measured(arguments.files)
    if not arguments.no_scale:
        asyncio.run(pages())


if __name__ == "__main__":
    main()
