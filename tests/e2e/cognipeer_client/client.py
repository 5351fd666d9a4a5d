"""The vendor's published client (npm @cognipeer/console-sdk 1.6.0), unchanged: installed by npm from the lockfile beside
this module, and driven from Python through ``drive.mjs``.

It needs Node.js 20 or later, which nothing else here does.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

FOLDER = Path(__file__).parent
NODE = 20
"""The oldest major version that the client's dependencies run on."""

INSTALL_SECONDS = 600
ANSWER_SECONDS = 120
"""For one line of calls; the client itself gives a request up after 60."""

TAIL = 30
"""Lines of npm's output that are shown when it failed."""


class NotInstalled(Exception):
    """The client cannot be had on this machine; why, and what would help."""


class Thrown(Exception):
    """What the client threw."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error.get('name')} {error.get('statusCode')}: {error.get('message')}")
        self.name: str = error["name"]
        self.message: str = error["message"]
        self.status: int | None = error.get("statusCode")
        self.type: str | None = error.get("errorType")
        self.response: Any = error.get("response")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the client's ``method``, such as ``memory.stores.get``."""

    method: str
    args: tuple[object, ...] = ()


def node() -> str:
    """The program. Raises ``NotInstalled`` where there is none, or an older one than the client runs on."""
    found = shutil.which("node")
    if found is None:
        raise NotInstalled(f"there is no Node.js (node) on the PATH; it takes {NODE} or later")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout.strip()
    version = re.match(r"v(\d+)\.", said)
    if version is None or int(version[1]) < NODE:
        raise NotInstalled(f"{found} is Node.js {said or 'of an unknown version'}; it takes {NODE} or later")
    return found


def install() -> None:
    """Has npm install the client beside the driver, unless it did before from the same lockfile. Raises ``NotInstalled``.

    Of several processes one does the work, and the others wait for it. The mark is written last, and npm begins by
    removing what there is, so an interrupted run leaves nothing that looks whole.
    """
    locked = b"\0".join((FOLDER / name).read_bytes() for name in ("package.json", "package-lock.json"))
    modules = FOLDER / "node_modules"
    mark, key = modules / ".installed", hashlib.sha256(locked).hexdigest()
    with _alone():
        if mark.is_file() and mark.read_text(encoding="utf-8") == key:
            return
        npm = shutil.which("npm")
        if npm is None:
            raise NotInstalled("there is no npm on the PATH")
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                command,
                cwd=FOLDER,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=INSTALL_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise NotInstalled(f"npm was not done after {INSTALL_SECONDS} seconds") from error
        if done.returncode:
            raise NotInstalled("npm could not install it:\n" + "\n".join(done.stdout.splitlines()[-TAIL:]))
        mark.write_text(key, encoding="utf-8")


@contextmanager
def _alone() -> Iterator[None]:
    """Only one process at a time is in here; the lock ends with the process, whatever happens to it."""
    descriptor = os.open(FOLDER, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Client:
    """A client of its own, in a process that ends with the context that made it."""

    def __init__(self, process: "subprocess.Popen[str]", requests: IO[str], answers: IO[str]) -> None:
        self._process = process
        self._requests = requests
        self._answers = answers

    def call(self, method: str, *args: object) -> Any:
        """What the client returned. Raises ``Thrown`` for what it threw."""
        (found,) = self.together([Call(method, args)])
        if isinstance(found, Thrown):
            raise found
        return found

    def refused(self, method: str, *args: object) -> tuple[int, str]:
        """Status and message of the ``CognipeerAPIError`` that the client threw."""
        (found,) = self.together([Call(method, args)])
        assert isinstance(found, Thrown), found
        assert (found.name, found.type) == ("CognipeerAPIError", None), found
        assert found.response["error"] == found.message
        assert found.status is not None
        return found.status, found.message

    def together(self, calls: Sequence[Call]) -> list[Any]:
        """What the client returned or threw for each of the calls, which are made at the same time.

        Each took one request: the client repeats one that is answered with success and no JSON, and would hide that.
        """
        self.tell([{"method": call.method, "args": call.args} for call in calls])
        outcomes = json.loads(self._line())
        found = []
        for call, outcome in zip(calls, outcomes, strict=True):
            assert outcome["requests"] == 1, (call, outcome)
            if "error" in outcome:
                found.append(Thrown(outcome["error"]))
            else:
                assert "ok" in outcome, f"{call.method} returned undefined: the answer lacks its envelope"
                found.append(outcome["ok"])
        return found

    def tell(self, message: object) -> None:
        """A line for the driver."""
        self._requests.write(json.dumps(message) + "\n")
        self._requests.flush()

    def _line(self) -> str:
        """The driver's next line. A driver that says nothing is ended, which ends its output."""
        overdue = threading.Timer(ANSWER_SECONDS, self._process.kill)
        overdue.start()
        try:
            line = self._answers.readline()
        finally:
            overdue.cancel()
        assert line, "the driver ended without an answer"
        return line


@contextmanager
def client(program: str, options: dict[str, object]) -> Iterator[Client]:
    """The client with these options (``apiKey``, ``baseURL``), run by ``program``."""
    with subprocess.Popen(
        [program, str(FOLDER / "drive.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        driven = Client(process, process.stdin, process.stdout)
        driven.tell(options)
        yield driven
