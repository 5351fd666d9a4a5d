"""Cold starts of the built functions beside a bare handler: make coldstart

Each start is a fresh process of Lambda's own runtime client, which talks to the runtime API as in Lambda; here the API is
this program. INIT ends when the client asks for the first event, the first answer when it has posted it. The events have
no key, and are refused without asking any engine. The bare handler makes a boto3 client for DynamoDB and nothing else; its
boto3 is of the same version and compiled in the same way. All take turns, so that a busy machine is so for all of them;
processor time is what such a machine disturbs least.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from artifacts import Artifacts, Tools, tools
from benchmarks.sizes import SETTINGS
from lambda_environment import variables
from template_document import ROOT
from world import TEMPLATE

START_SECONDS = 30
BARE = """
import boto3

client = boto3.client("dynamodb")


def handler(event, context):
    return {"statusCode": 200}
"""


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of the process, and seconds of processor time in all."""

    init: float
    answer: float
    processor: float


class RuntimeApi(ThreadingHTTPServer):
    """Lambda's runtime API, for one event."""

    daemon_threads = True

    def __init__(self, event: object) -> None:
        super().__init__(("127.0.0.1", 0), _Invocations)
        self.event = json.dumps(event).encode()
        self.asked = 0.0
        self.answered = 0.0
        self.answer = b""
        self.done = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was ended breaks its connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Invocations(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RuntimeApi

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.server.asked:
            self.server.done.wait(START_SECONDS)  # there is no second event
            return
        self.server.asked = time.perf_counter()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.event)))
        self.send_header("Lambda-Runtime-Aws-Request-Id", "00000000-0000-0000-0000-000000000001")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + START_SECONDS) * 1000)))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:000000000000:function:f")
        self.end_headers()
        self.wfile.write(self.server.event)

    def do_POST(self) -> None:
        self.server.answer = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.answered = time.perf_counter()
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.done.set()


def started(python: Path, environment: Mapping[str, str], event: object) -> Start:
    """One cold start. Raises ``RuntimeError`` if the function does not start or fails."""
    with RuntimeApi(event) as api, tempfile.TemporaryFile() as log:
        address = f"127.0.0.1:{api.server_port}"
        command = [str(python), "-m", "awslambdaric", environment["_HANDLER"]]
        used = processor_seconds()
        began = time.perf_counter()
        with subprocess.Popen(
            command,
            cwd=environment["LAMBDA_TASK_ROOT"],
            env={**environment, "AWS_LAMBDA_RUNTIME_API": address},
            stdout=log,
            stderr=log,
        ) as process:
            api.done.wait(START_SECONDS)
            process.kill()
        api.shutdown()
        if not api.asked or b"errorType" in api.answer:
            log.seek(0)
            raise RuntimeError(log.read().decode() + api.answer.decode())
        return Start(api.asked - began, api.answered - began, processor_seconds() - used)


def processor_seconds() -> float:
    """What the processes that this one started have used, if they have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def bare(made: Tools, artifacts: Artifacts, folder: Path) -> dict[str, str]:
    """The environment of the bare handler, whose files are put into ``folder``."""
    base = [str(made.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    constraints = ROOT / "infra/local/constraints.txt"
    subprocess.run([*base, "--target", str(folder), "--constraint", str(constraints), "boto3"], check=True)
    (folder / "bare.py").write_text(BARE, encoding="utf-8")
    compiled = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(folder)]
    subprocess.run([str(made.python), *compiled], check=True)
    own = {"PYTHONPATH": str(folder), "LAMBDA_TASK_ROOT": str(folder), "_HANDLER": "bare.handler"}
    return {**variables(artifacts, "create", {}), **own}


def refused(function: str) -> dict[str, Any]:
    """An event that the function answers without asking an engine: a request without a key to its first route, or an
    empty batch."""
    routes = [route for route in TEMPLATE.routes if route.function == function]
    if not routes:
        return {"Records": []}
    event: dict[str, Any] = json.loads((ROOT / "infra/events/search_no_key.json").read_text(encoding="utf-8"))
    event["routeKey"] = f"{routes[0].method} {routes[0].path}"
    event["rawPath"] = event["requestContext"]["http"]["path"] = routes[0].path
    event["requestContext"]["http"]["method"] = routes[0].method
    return event


def main() -> None:
    """Builds, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="starts of each")
    rounds = parser.parse_args().rounds
    made = tools()
    with tempfile.TemporaryDirectory() as folder:
        artifacts = made.build(Path(folder) / "build")
        environments = {"bare": bare(made, artifacts, Path(folder) / "bare")}
        # The others have no event that asks nothing.
        functions = dict.fromkeys((*TEMPLATE.functions, *(source.function for source in TEMPLATE.sources)))
        environments |= {name: variables(artifacts, name, SETTINGS) for name in functions}
        starts: dict[str, list[Start]] = {name: [] for name in environments}
        for _ in range(rounds):
            for name, environment in environments.items():
                starts[name].append(started(made.python, environment, refused(name)))
    print(f"{f'Medians of {rounds} starts':20}" + "".join(f"{part.name:>20}" for part in fields(Start)))
    for name in starts:
        line = f"{name:20}"
        for part in fields(Start):
            own, its = (median(getattr(start, part.name) for start in starts[of]) for of in (name, "bare"))
            line += f"{own * 1000:9.0f} ms {own / its:5.2f} x"
        print(line)


if __name__ == "__main__":
    main()
