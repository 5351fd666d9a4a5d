"""An endpoint for webhooks on this machine, in a thread of the test's own."""

import queue
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Received:
    """A request: its path, its headers by their names in lower case, its body."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """An endpoint on this machine. It answers with the statuses it is given, then 200."""

    def __init__(self) -> None:
        self.received: queue.Queue[Received] = queue.Queue()
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.received.put(Received(self.path, headers, body))

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next(self, path: str) -> Received:
        """The next request to a path; others are passed over. Raises ``queue.Empty`` if none comes."""
        while True:
            found = self.received.get(timeout=PATIENCE_SECONDS)
            if found.path == path:
                return found
