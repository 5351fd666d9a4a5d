"""A built function as Lambda runs it, behind Lambda's own runtime interface emulator."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from artifacts import IDS, Artifacts, Tools
from service import free_port
from template_document import setting

START_SECONDS = 30


def variables(artifacts: Artifacts, function: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a function: Lambda's own, and ``settings``. Nothing of this process."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "LAMBDA_TASK_ROOT": str(artifacts.function(function)),
        "PYTHONPATH": artifacts.python_path(function),
        "_HANDLER": f"{function}.handler.handler",
        "AWS_LAMBDA_FUNCTION_NAME": IDS[function],
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(setting(function, "MemorySize")),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(setting(function, "Timeout")),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **settings,
    }


class LambdaEnvironment:
    """One environment of one function: its module is loaded at the first event, and serves one event after the other."""

    def __init__(
        self, tools: Tools, artifacts: Artifacts, function: str, settings: Mapping[str, str], log: Path
    ) -> None:
        self._address = ("127.0.0.1", free_port())
        self._log = log
        self._tools = tools
        self._function = function
        self._folder = artifacts.function(function)
        self._variables = variables(artifacts, function, settings)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [
            str(self._tools.emulator),
            "--runtime-interface-emulator-address",
            f"127.0.0.1:{self._address[1]}",
            "--runtime-api-address",
            f"127.0.0.1:{free_port()}",
            str(self._tools.python),
            "-m",
            "awslambdaric",
            self._variables["_HANDLER"],
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=self._variables, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise RuntimeError(self.log())
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def invoke(self, event: object) -> Any:
        """What the function returns for an event. Raises ``RuntimeError`` with its log if it fails."""
        url = f"http://127.0.0.1:{self._address[1]}/2015-03-31/functions/function/invocations"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        patience = int(self._variables["AWS_LAMBDA_FUNCTION_TIMEOUT"]) + START_SECONDS
        with opener.open(url, data=json.dumps(event).encode(), timeout=patience) as response:
            payload = json.loads(response.read())
        if isinstance(payload, dict) and "errorType" in payload:
            raise RuntimeError(f"{self._function}: {payload}\n{self.log()}")
        return payload

    def log(self) -> str:
        """What the emulator and the function wrote."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _listens(self) -> bool:
        try:
            socket.create_connection(self._address, timeout=1).close()
        except OSError:
            return False
        return True

    def _end(self) -> None:
        """The emulator and the runtime, which is a process of its own, are one group."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
