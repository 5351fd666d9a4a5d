"""Loading conversations through the v2 API, and asking the questions that belong to them."""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tqdm import tqdm

CONNECTIONS = 8
POLL_SECONDS = 0.02
CUTS = (5, 10, 20)

WORDS = [
    "garden",
    "bridge",
    "invoice",
    "violin",
    "harbour",
    "recipe",
    "mountain",
    "printer",
    "window",
    "ticket",
    "orchard",
    "lantern",
    "meeting",
    "river",
    "blanket",
    "camera",
    "doctor",
    "engine",
    "festival",
    "glacier",
    "hotel",
    "island",
    "jacket",
    "kitchen",
    "ladder",
    "market",
    "needle",
    "office",
    "piano",
    "quarry",
    "railway",
    "school",
    "tunnel",
    "umbrella",
    "valley",
    "winter",
    "yoghurt",
    "anchor",
    "bakery",
    "candle",
    "desert",
    "elbow",
    "forest",
    "guitar",
    "hammer",
    "insect",
    "jungle",
]
"""What made-up texts are made of."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One line of a conversation file."""

    name: str
    memories: Sequence[dict[str, Any]]
    questions: Sequence[dict[str, Any]]


@dataclass(slots=True)
class Loaded:
    """What loading measured; times in seconds."""

    count: int
    writing: float
    until_ready: float
    lags: list[float] = field(default_factory=list)


def conversations(path: Path) -> Iterator[Conversation]:
    """The conversations of a file: one JSON object per line with ``name``, ``memories`` and ``questions``."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            yield Conversation(record["name"], record["memories"], record["questions"])


class Client:
    """Requests to a service over at most ``CONNECTIONS`` connections."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            headers={"authorization": f"Bearer {key}"}, connector=aiohttp.TCPConnector(limit=CONNECTIONS + 1)
        )

    async def __call__(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The JSON answer. Raises ``RuntimeError`` for any but a 2xx."""
        data = None if body is None else json.dumps(body).encode()
        async with self._session.request(method, self._url + path, data=data) as response:
            text = await response.text()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {text[:300]}")
            found: dict[str, Any] = json.loads(text)
            return found

    async def close(self) -> None:
        """Closes the connections."""
        await self._session.close()


async def bodies_of(client: Client, conversation: Conversation) -> list[dict[str, Any]]:
    """The memories of a conversation as bodies: the agent is the conversation, the user the speaker."""
    names = dict.fromkeys(memory["session"] for memory in conversation.memories)
    sessions: dict[str, str] = {}
    for name in names:
        order = {"external_id": f"{conversation.name}/{name}", "agent_id": conversation.name}
        sessions[name] = (await client("POST", "/v1/sessions/get-or-create", order))["id"]
    return [
        {
            "agent_id": conversation.name,
            "content": memory["content"],
            "user_id": memory["speaker"],
            "session_id": sessions[memory["session"]],
            "metadata": {"id": memory["id"], "occurred_at": memory["occurred_at"]},
        }
        for memory in conversation.memories
    ]


async def load(client: Client, bodies: Sequence[dict[str, Any]], name: str) -> Loaded:
    """Writes the bodies through v2 and waits until all of them are searchable."""
    waiting: asyncio.Queue[tuple[str, float] | None] = asyncio.Queue()
    todo = iter(bodies)
    began = time.perf_counter()
    lags: list[float] = []

    async def write(bar: "tqdm[Any]") -> None:
        for body in todo:
            sent = time.perf_counter()
            accepted = await client("POST", "/v2/memories", body)
            waiting.put_nowait((accepted["id"], sent))
            bar.update()

    async def watch(bar: "tqdm[Any]") -> None:
        while (following := await waiting.get()) is not None:
            id, sent = following
            while (await client("GET", f"/v2/memories/{id}/status"))["status"] != "ready":  # noqa: ASYNC110 - the service is another process
                await asyncio.sleep(POLL_SECONDS)
            lags.append(time.perf_counter() - sent)
            bar.update()

    with (
        tqdm(total=len(bodies), desc=f"{name}: written", unit="") as written,
        tqdm(total=len(bodies), desc=f"{name}: ready  ", unit="") as ready,
    ):
        watching = asyncio.create_task(watch(ready))
        await asyncio.gather(*(write(written) for _ in range(CONNECTIONS)))
        writing = time.perf_counter() - began
        waiting.put_nowait(None)
        await watching
    return Loaded(len(bodies), writing, time.perf_counter() - began, lags)


@dataclass(slots=True)
class Asked:
    """What asking measured: the time of each search in seconds, and each question's recall at each cut."""

    times: list[float]
    recalls: list[dict[int, float]]


async def ask(client: Client, conversation: Conversation) -> Asked:
    """Asks the questions one after the other, within the conversation's memories."""
    times: list[float] = []
    recalls: list[dict[int, float]] = []
    for question in tqdm(conversation.questions, desc=f"{conversation.name}: asked  ", unit=""):
        body = {"query": question["query"], "agent_id": conversation.name, "limit": max(CUTS)}
        began = time.perf_counter()
        found = await client("POST", "/v1/memories/search", body)
        times.append(time.perf_counter() - began)
        ids = [hit["memory"]["metadata"]["id"] for hit in found["data"]]
        wanted = set(question["relevant"])
        recalls.append({cut: len(wanted & set(ids[:cut])) / len(wanted) for cut in CUTS})
    return Asked(times, recalls)


def share(values: Sequence[float], percent: int) -> float:
    """The percentile of the values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
