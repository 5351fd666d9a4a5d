"""Each built function, run as Lambda runs it, on the events that ``sam local invoke`` takes, on real engines."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from artifacts import Artifacts, Tools
from e2e.places import RealEngines
from lambda_environment import LambdaEnvironment
from service import KEY, ROOT
from world import KEY as EVENTS_KEY
from world import TEMPLATE

EVENTS = ROOT / "infra/events"
MODEL, DIMENSION = "all-minilm", "384"
"""What tests/embedding_server.py serves under this name is the model of one machine."""

OWNERS = {
    "$default" if route.path == "$default" else f"{route.method} {route.path}": route.function
    for route in TEMPLATE.routes
}

STATUSES = {
    "agent_create": 201,
    "agent_get": 404,
    "batch": 200,
    "cognipeer_bulk_delete": 200,
    "cognipeer_memory_add": 201,
    "cognipeer_memory_batch": 201,
    "cognipeer_memory_delete": 404,
    "cognipeer_memory_get": 404,
    "cognipeer_memory_list": 200,
    "cognipeer_memory_patch": 404,
    "cognipeer_recall": 200,
    "cognipeer_search": 200,
    "cognipeer_store_create": 201,
    "cognipeer_store_delete": 404,
    "cognipeer_store_get": 200,
    "cognipeer_store_list": 200,
    "cognipeer_store_patch": 200,
    "cognipeer_unknown_route": 404,
    "cognipeer_unknown_store": 404,
    "context": 200,
    "create_v1": 200,
    "create_v1_base64": 200,
    "create_v1_blank": 422,
    "create_v1_broken": 400,
    "create_v2": 202,
    "double_slash": 200,
    "edge_create": 201,
    "edge_get": 404,
    "edge_health": 200,
    "edge_list": 200,
    "edge_search": 200,
    "health": 200,
    "key_create": 201,
    "memory_delete": 404,
    "memory_get": 404,
    "memory_list": 200,
    "memory_patch": 404,
    "memory_status": 404,
    "memsy_actor": 200,
    "memsy_events": 200,
    "memsy_health": 200,
    "memsy_ingest": 200,
    "memsy_keys": 200,
    "memsy_memories": 200,
    "memsy_orgs": 200,
    "memsy_role_create": 200,
    "memsy_role_get": 404,
    "memsy_search": 200,
    "memsy_status": 200,
    "memsy_unknown_route": 404,
    "search": 200,
    "search_no_key": 401,
    "search_query_string": 200,
    "session_create": 201,
    "session_get_or_create": 200,
    "session_get_unknown": 404,
    "unknown_route": 404,
    "webhook_create": 201,
}
"""What an empty tenant's requests are answered with."""

FAILURES = {
    **dict.fromkeys(("clear", "deliver", "embed", "embed_last_try", "extract", "forget", "promote", "recalled"), 0),
    "mixed": 8,
}
"""How many messages of each batch come again: those that cannot be read."""

DEPLOYING = {"provision_create", "provision_delete", "provision_update"}
"""What CloudFormation sends while it deploys, and answers nowhere else."""


class Stack:
    """The built functions of one deployment. An environment starts at the first event for its function, and stays."""

    def __init__(
        self,
        tools: Tools,
        artifacts: Artifacts,
        engines: RealEngines,
        settings: Mapping[str, str],
        logs: Path,
        stack: ExitStack,
    ) -> None:
        self._tools = tools
        self._artifacts = artifacts
        self._engines = engines
        self._settings = settings
        self._logs = logs
        self._stack = stack
        self._environments: dict[str, LambdaEnvironment] = {}

    def invoke(self, name: str, *, path: str | None = None, id: str | None = None) -> Any:
        """What the function that an event is for returns for it; a request with another path, or a message with another
        id."""
        event = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
        if "Records" in event:
            function = "worker"
            for record in event["Records"]:
                record["body"] = record["body"].replace('"acme"', f'"{self._engines.tenant}"')
                if id is not None:
                    record["body"] = json.dumps({**json.loads(record["body"]), "id": id})
        elif "routeKey" in event:
            function = OWNERS[event["routeKey"]]
            for header in {"authorization", "x-api-key"} & event["headers"].keys():
                event["headers"][header] = event["headers"][header].replace(EVENTS_KEY, KEY)
            if path is not None:
                event["rawPath"] = event["requestContext"]["http"]["path"] = path
        else:
            function = "sweeper"
        return self._environment(function).invoke(event)

    def _environment(self, function: str) -> LambdaEnvironment:
        if function not in self._environments:
            log = self._logs / f"{function}.log"
            environment = LambdaEnvironment(self._tools, self._artifacts, function, self._settings, log)
            self._environments[function] = self._stack.enter_context(environment)
        return self._environments[function]


@pytest.fixture(scope="session")
def sqs_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def embedding_url() -> Iterator[str]:
    command = [sys.executable, str(ROOT / "tests" / "embedding_server.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"{process.stdout.readline().strip()}/v1"
        process.terminate()


@pytest.fixture
def stack(
    lambda_tools: Tools,
    made: Callable[[], AbstractContextManager[RealEngines]],
    artifacts: Artifacts,
    sqs_url: str,
    embedding_url: str,
    tmp_path: Path,
) -> Iterator[Stack]:
    with ExitStack() as opened:
        engines = opened.enter_context(made())
        sqs = boto3.client(
            "sqs",
            endpoint_url=sqs_url,
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        opened.callback(sqs.close)
        queues = {name: sqs.create_queue(QueueName=f"{engines.table}-{name}")["QueueUrl"] for name in ("one", "two")}
        settings = {
            **TEMPLATE.variables,
            **engines.settings(),
            "COMMONPLACE_QUEUES": "sqs",
            "AWS_ENDPOINT_URL_SQS": sqs_url,
            "COMMONPLACE_EMBEDDING_QUEUE": queues["one"],
            "COMMONPLACE_DELIVERY_QUEUE": queues["two"],
            "COMMONPLACE_EMBEDDER": "openai",
            "COMMONPLACE_EMBEDDING_MODEL": MODEL,
            "COMMONPLACE_EMBEDDING_DIMENSION": DIMENSION,
            "COMMONPLACE_OPENAI_URL": embedding_url,
        }
        yield Stack(lambda_tools, artifacts, engines, settings, tmp_path, opened)


def body(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer["body"])
    return found


def test_what_one_function_writes_the_worker_makes_searchable_and_others_find(stack: Stack) -> None:
    id = body(stack.invoke("create_v2"))["id"]
    assert stack.invoke("embed", id=id) == {"batchItemFailures": []}
    assert body(stack.invoke("memory_status", path=f"/v2/memories/{id}/status"))["status"] == "ready"
    found = stack.invoke("search")
    assert [hit["id"] for hit in body(found)["data"]] == [id], found
    assert "dark mode" in body(stack.invoke("context"))["context"]


def test_each_event_is_answered_by_the_function_that_it_is_for(stack: Stack) -> None:
    assert {name: stack.invoke(name)["statusCode"] for name in STATUSES} == STATUSES
    assert {name: len(stack.invoke(name)["batchItemFailures"]) for name in FAILURES} == FAILURES
    assert set(stack.invoke("sweep")) == {"pending", "expired", "deliveries", "stores", "events", "promotions"}


def test_each_event_has_its_answer_here() -> None:
    assert {path.stem for path in EVENTS.glob("*.json")} == {*STATUSES, *FAILURES, "sweep", *DEPLOYING}
