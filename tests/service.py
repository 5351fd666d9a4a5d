"""The whole service as a process of its own, started and stopped by a test or a benchmark."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KEY = "mem_local_0123456789abcdefghijklmnopqrstuvwxyz"
START_SECONDS = 60
COMMAND_SECONDS = 60
PATIENCE_SECONDS = 60
"""A message is tried five times in 50 seconds."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Service:
    """A service on a folder of data. It can be killed and started again on the same folder."""

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = KEY
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """What it is started with."""
        return {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT / 'functions'}",
            "COMMONPLACE_DATA": str(self.data),
            "COMMONPLACE_API_KEY": self.key,
            "PORT": str(self.port),
            **self._settings,
        }

    def start(self) -> float:
        """Starts it and returns once it answers; after how many seconds."""
        began = time.perf_counter()
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "service.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "infra" / "local")], env=self.environment, stdout=log, stderr=log
            )
        while not self._answers():
            if self._process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                raise RuntimeError((self.data / "service.log").read_text())
        return time.perf_counter() - began

    def kill(self) -> None:
        """Ends it as a power cut would: SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Ends it as a user would; the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The JSON answer to a request. Raises ``HTTPError`` for an error."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            found: dict[str, Any] = json.loads(response.read())
            return found

    def wait(self, condition: Callable[[], bool]) -> None:
        """Returns once it is so, which it asks again and again. Fails with what the service said if it never is."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def operate(self, *arguments: str) -> str:
        """What ``python -m commonplace.cli`` prints that is told this, with the settings of the service."""
        command = [sys.executable, "-m", "commonplace.cli", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def log(self) -> str:
        """What it said."""
        return (self.data / "service.log").read_text()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/v1/health", timeout=1) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False
