"""The whole service in one process, composed from template.yaml. README.md lists its settings."""

import asyncio
import ctypes
import importlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import uvicorn

import logs
from commonplace.adapters.embedded.onnx import OnnxEmbedder
from commonplace.adapters.embedded.queue import SqliteQueue
from commonplace.adapters.embedded.table import SqliteTable
from commonplace.adapters.system import RandomIds, SystemClock
from commonplace.engines import Engines, opened
from commonplace.rows.apikeys import Secrets
from commonplace.settings import SettingError, Settings, read
from commonplace.wiring import Services
from gateway import Gateway, applications
from keys import FirstKey, bootstrap
from pollers import CONCURRENCY, poll, run_on_schedule
from template import Scheduled, Template, load

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
HOST = "127.0.0.1"
DEFAULT_PORT = "8787"
M_ARENA_MAX = -8  # malloc.h
LAST_PORT = 65_535
KEEP_ALIVE_SECONDS = 75
"""Longer than the pools of the published clients keep a connection."""

FROM_TEMPLATE = ("COMMONPLACE_EMBEDDING_QUEUE", "COMMONPLACE_DELIVERY_QUEUE", "COMMONPLACE_MAX_RECEIVES")
"""The settings that one machine takes from the template; the others name what only AWS has."""

log = logging.getLogger("commonplace.local")


def listening(port: int) -> socket.socket:
    """A socket on the port. Raises ``SettingError`` if the port cannot be had."""
    # Without the protocol's number the event loop would not see TCP in it, and would leave Nagle's algorithm on: each
    # small answer would then wait 40 ms for the client to acknowledge its headers.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise SettingError(f"port {port} cannot be used ({error.strerror}); set PORT to another") from error
    return listener


async def serve(template: Template, settings: Settings, listener: socket.socket, given_key: str | None) -> None:
    """Serves until SIGINT or SIGTERM."""
    clock, ids = SystemClock(), RandomIds()
    async with opened(settings, clock) as engines:
        await _serve(template, Services(settings, engines, clock, ids), listener, given_key)


async def _serve(template: Template, services: Services, listener: socket.socket, given_key: str | None) -> None:
    settings, ids = services.settings, services.ids
    fresh = f"mem_{settings.environment}_{ids.token()}"
    key = await bootstrap(services.admit, Secrets(services.engines.table), fresh, given_key)
    config = uvicorn.Config(
        Gateway(template, applications(template, services)),
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal that ended it once more, for whoever was there before: the files are still to be closed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    beside = [asyncio.create_task(work) for work in background(template, services)]
    serving = asyncio.create_task(server.serve([listener]))
    while not (server.started or serving.done()):  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    if server.started:
        print(greeting(f"http://{HOST}:{listener.getsockname()[1]}", key, settings), flush=True)
    await serving
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)


def background(template: Template, services: Services) -> list[Coroutine[Any, Any, None]]:
    """What runs beside the requests: the pollers of the queues, the schedule, and what the last run left."""
    policies = {policy.name: policy for policy in template.queues}
    queues = {queue.name: queue for queue in _queues(services.engines)}
    work: list[Coroutine[Any, Any, None]] = [caught_up(services)]
    for source in template.sources:
        policy, queue = policies[source.queue], queues[source.queue]
        work += [poll(source, policy, queue, services) for _ in range(CONCURRENCY)]
    return work + [run_on_schedule(each, _scheduled(each, services)) for each in template.schedules]


def _queues(engines: Engines) -> list[SqliteQueue]:
    queues = (engines.embedding_queue, engines.delivery_queue)
    return [queue for queue in queues if isinstance(queue, SqliteQueue)]


def _scheduled(schedule: Scheduled, services: Services) -> Callable[[], Awaitable[None]]:
    sweep = importlib.import_module(f"{schedule.function}.app").sweep

    async def run() -> None:
        await sweep(services)
        if isinstance(services.engines.table, SqliteTable):
            await services.engines.table.purge(int(time.time()))

    return run


async def caught_up(services: Services) -> None:
    """Takes on at once what the last run left undone, and loads the model."""
    swept = await services.sweep(services.clock.now() - services.started)
    if swept.pending or swept.deliveries:
        log.warning("taking up %d memories and %d deliveries that were left", swept.pending, swept.deliveries)
    if isinstance(services.embedder, OnnxEmbedder):
        await services.embedder.load()


def greeting(url: str, key: FirstKey, settings: Settings) -> str:
    """What a new user wants to know first."""
    shown = key.token or "$COMMONPLACE_API_KEY"
    if key.token is None:
        about = f"{key.prefix}… (shown on the first start; see README.md for making another)"
    else:
        about = key.token
    return f"""
Commonplace is at {url}
API key:          {about}
Data:             {settings.data.resolve()}

Write a memory:
  curl -s {url}/v1/memories -H 'Authorization: Bearer {shown}' \\
    -d '{{"agent_id": "my-assistant", "content": "The user prefers dark mode"}}'

Find it:
  curl -s {url}/v1/memories/search -H 'Authorization: Bearer {shown}' \\
    -d '{{"query": "which theme does the user like?"}}'

Ctrl-C stops the service; the data stays."""


def _few_arenas() -> None:
    """Has the threads share memory: glibc gives each an arena of its own, which keeps what its thread once used."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)


def _settings(template: Template) -> Settings:
    settings = read({**{name: template.variables[name] for name in FROM_TEMPLATE}, **os.environ})
    if settings.queues != "sqlite":
        raise SettingError("COMMONPLACE_QUEUES must be sqlite here: nothing on one machine feeds functions from SQS")
    return settings


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= LAST_PORT:
        raise SettingError(f"PORT must be a number between 1 and {LAST_PORT}, not {text!r}")
    return int(text)


def main() -> int:
    """Reads the settings and serves; the exit status."""
    _few_arenas()
    logs.start()
    template = load(TEMPLATE)
    try:
        settings = _settings(template)
        listener = listening(_port(os.environ.get("PORT") or DEFAULT_PORT))
    except SettingError as error:
        print(f"commonplace: {error}", file=sys.stderr)
        return 2
    asyncio.run(serve(template, settings, listener, os.environ.get("COMMONPLACE_API_KEY")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
