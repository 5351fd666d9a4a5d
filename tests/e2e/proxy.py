"""A way to an engine that can be cut, left to hang, and restored."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

from service import free_port

T = TypeVar("T")

CHUNK = 65_536
PATIENCE_SECONDS = 10


class Proxy:
    """TCP connections to the host of ``url``, handed on by a thread of its own until it is closed. ``swallowed`` are the
    bytes that did not arrive."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname, target.port or 80)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.swallowed = 0
        self._hanging = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.restore()

    def cut(self) -> None:
        """Breaks all connections, and refuses new ones."""
        self._do(self._closed)

    def hang(self) -> None:
        """Takes new connections and keeps those that there are, but nothing that is sent arrives any more."""
        self._hanging = True

    def restore(self) -> None:
        """Everything passes again. Connections that hung are broken: their ends would wait for ever."""
        self._do(self._opened)

    def close(self) -> None:
        """Ends it."""
        self._do(self._closed)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def _do(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE_SECONDS)

    async def _opened(self) -> None:
        await self._closed()
        self._hanging = False
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)

    async def _closed(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        while self._writers:
            self._writers.pop().transport.abort()
        current = asyncio.current_task()
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not current), return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(far_writer)
        await asyncio.gather(self._passed(reader, far_writer), self._passed(far_reader, writer))

    async def _passed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                if self._hanging:
                    self.swallowed += len(data)
                else:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
