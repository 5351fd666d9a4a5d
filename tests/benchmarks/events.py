"""Measures Memsy's way on a service of its own: events in, memories found by what they were made of.

Part of ``make bench``; by itself ``python tests/benchmarks/events.py CONVERSATIONS``.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.load import CONNECTIONS, CUTS, WORDS, Client, Conversation, conversations, share
from service import Service

MANY = 1_000
"""Events of one request: as many as it may have."""

RUNS = 5
ALONE = 100
ASKED_AFTER = 50
"""Events whose status is asked in one request."""

POLL_SECONDS = 0.02


@dataclass(slots=True)
class Told:
    """What telling events measured; times in seconds. ``ids`` are the events' ids in the order of the events."""

    ids: list[str]
    telling: float
    until_done: float
    lags: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Found:
    """What searching measured: the time of each search in seconds, and each question's recall at each cut."""

    times: list[float] = field(default_factory=list)
    recalls: list[dict[int, float]] = field(default_factory=list)

    def said(self) -> str:
        recalls = "/".join(f"{100 * statistics.fmean(each[cut] for each in self.recalls):.1f}" for cut in CUTS)
        return (
            f"{len(self.times)} questions to all actors; search p50 {1000 * share(self.times, 50):.1f} ms, "
            f"p95 {1000 * share(self.times, 95):.1f} ms; recall@5/10/20 by source event {recalls}"
        )


def synthetic(count: int, draw: random.Random) -> list[dict[str, Any]]:
    """Made-up events of about 15 words, no two the same."""
    return [
        {
            "actor_id": f"actor-{number % 20}",
            "session_id": f"session-{number % 50}",
            "kind": "user_message",
            "content": " ".join(["I told you of the", *draw.choices(WORDS, k=10), f"number {draw.getrandbits(64)}"]),
        }
        for number in range(count)
    ]


def events_of(conversation: Conversation) -> list[dict[str, Any]]:
    """What was said in a conversation: the speaker is the actor."""
    return [
        {
            "actor_id": memory["speaker"],
            "session_id": memory["session"],
            "kind": "user_message",
            "content": memory["content"],
            "ts": memory["occurred_at"],
        }
        for memory in conversation.memories
    ]


async def ingest(client: Client, events: Sequence[dict[str, Any]]) -> list[str]:
    """The ids of events that are kept now."""
    ids: list[str] = (await client("POST", "/v1/ingest", {"events": list(events)}))["event_ids"]
    return ids


async def finish(client: Client, sent: "asyncio.Queue[tuple[str, float] | None]", bar: "tqdm[Any]") -> list[float]:
    """How long each event took from being sent to being completed, in seconds, until the queue says that there are no more.

    Raises ``RuntimeError`` if one fails.
    """
    lags: list[float] = []
    waiting: dict[str, float] = {}
    more = True
    while more or waiting:
        while more and (not waiting or not sent.empty()):
            following = await sent.get()
            if following is None:
                more = False
            else:
                waiting[following[0]] = following[1]
        if not waiting:
            continue
        status = await client("POST", "/v1/status", {"event_ids": list(waiting)[:ASKED_AFTER]})
        now = time.perf_counter()
        if status["failedIds"]:
            raise RuntimeError(f"{len(status['failedIds'])} events failed")
        for id in status["completedIds"]:
            lags.append(now - waiting.pop(id))
            bar.update()
        if status["pendingIds"]:
            await asyncio.sleep(POLL_SECONDS)
    return lags


async def tell(client: Client, events: Sequence[dict[str, Any]], name: str) -> Told:
    """Tells events one by one from several connections, and waits until all of them are completed."""
    sent: asyncio.Queue[tuple[str, float] | None] = asyncio.Queue()
    ids: list[str] = [""] * len(events)
    todo = iter(enumerate(events))
    known: set[str] = set()
    began = time.perf_counter()

    async def write(bar: "tqdm[Any]") -> None:
        for number, event in todo:
            at = time.perf_counter()
            (ids[number],) = await ingest(client, [event])
            if ids[number] not in known:  # what somebody says twice in a session within a minute is one event
                known.add(ids[number])
                sent.put_nowait((ids[number], at))
            bar.update()

    with (
        tqdm(total=len(events), desc=f"{name}: told     ", unit="") as told,
        tqdm(total=len(events), desc=f"{name}: completed", unit="") as completed,
    ):
        finishing = asyncio.create_task(finish(client, sent, completed))
        await asyncio.gather(*(write(told) for _ in range(CONNECTIONS)))
        telling = time.perf_counter() - began
        sent.put_nowait(None)
        lags = await finishing
    return Told(ids, telling, time.perf_counter() - began, lags)


async def at_once(client: Client) -> None:
    """Prints how long a request with as many events as it may have takes, and what is made of them."""
    draw = random.Random(1)
    requests: list[float] = []
    rates: list[float] = []
    with tqdm(total=RUNS * MANY, desc=f"{MANY} events at once", unit="") as bar:
        for _ in range(RUNS):
            events = synthetic(MANY, draw)
            sent: asyncio.Queue[tuple[str, float] | None] = asyncio.Queue()
            began = time.perf_counter()
            ids = await ingest(client, events)
            requests.append(time.perf_counter() - began)
            for following in [*((id, began) for id in ids), None]:
                sent.put_nowait(following)
            rates.append(MANY / max(await finish(client, sent, bar)))
    print(
        f"{MANY} events in one request: {statistics.median(requests):.2f} s (median of {RUNS}; "
        f"{min(requests):.2f} to {max(requests):.2f} s); {statistics.median(rates):.0f} events/s until completed"
    )


async def alone(client: Client) -> None:
    """Prints how long an event takes to be told, and to be completed, when nothing else goes on."""
    draw = random.Random(2)
    requests: list[float] = []
    lags: list[float] = []
    with tqdm(total=ALONE, desc="one event alone", unit="") as bar:
        for event in synthetic(ALONE, draw):
            sent: asyncio.Queue[tuple[str, float] | None] = asyncio.Queue()
            began = time.perf_counter()
            (id,) = await ingest(client, [event])
            requests.append(time.perf_counter() - began)
            sent.put_nowait((id, began))
            sent.put_nowait(None)
            lags += await finish(client, sent, bar)
    print(
        f"one event alone: {ALONE} requests; p50 {1000 * share(requests, 50):.1f} ms, p95 {1000 * share(requests, 95):.1f} ms; "
        f"until completed p50 {1000 * share(lags, 50):.0f} ms, p95 {1000 * share(lags, 95):.0f} ms"
    )


async def search(client: Client, conversation: Conversation, ids: Sequence[str]) -> Found:
    """Asks the questions one after the other of the whole organization; right is a memory made of a relevant event."""
    event_of = {memory["id"]: id for memory, id in zip(conversation.memories, ids, strict=True)}
    found = Found()
    for question in tqdm(conversation.questions, desc=f"{conversation.name}: asked    ", unit=""):
        body = {"query": question["query"], "limit": max(CUTS)}
        began = time.perf_counter()
        results = (await client("POST", "/v1/search", body))["results"]
        found.times.append(time.perf_counter() - began)
        sources = [set(result["metadata"]["source_event_ids"]) for result in results]
        wanted = {event_of[id] for id in question["relevant"]}
        found.recalls.append({cut: len(wanted & set().union(*sources[:cut])) / len(wanted) for cut in CUTS})
    return found


async def measure(service: Service, files: Sequence[Path]) -> None:
    """Everything that goes over HTTP. Each conversation is an organization of its own."""
    client = Client(service.url, service.key)
    await alone(client)
    await at_once(client)
    await client.close()
    everything = Found()
    for path in files:
        for conversation in conversations(path):
            key = service.operate("create-key", "--tenant", conversation.name, "--scopes", "read,write,admin").strip()
            client = Client(service.url, key)
            events = events_of(conversation)
            told = await tell(client, events, conversation.name)
            memories = (await client("GET", "/v1/console/memories?limit=1"))["total"]
            print(
                f"{conversation.name}: {len(events)} events; {len(events) / told.telling:.0f} events/s from {CONNECTIONS} "
                f"connections; {len(events) / told.until_done:.0f} events/s until completed; event to completed "
                f"p50 {share(told.lags, 50):.2f} s, p95 {share(told.lags, 95):.2f} s; "
                f"{memories / len(events):.2f} memories per event"
            )
            found = await search(client, conversation, told.ids)
            print(f"{conversation.name}: {found.said()}")
            everything.times += found.times
            everything.recalls += found.recalls
            await client.close()
    if everything.times:
        print(f"all conversations as events: {everything.said()}")


def measured(files: Sequence[Path]) -> None:
    """Starts a service, and measures it."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder))
        service.start()
        try:
            asyncio.run(measure(service, files))
            service.stop()
        finally:
            service.kill()


if __name__ == "__main__":
    measured([Path(each) for each in sys.argv[1:]])
