"""What a use of every function leaves in the log groups: metrics, and nothing that was said."""

import json
from typing import Any

import httpx
import pytest

from deployed.deployment import STACK, Deployment
from deployed.patience import awaited
from deployed.traces import CONTENT

QUERY = "Which pier does the ferry to Mola use?"
READY_SECONDS = 60


@pytest.fixture(scope="module")
def logs(deployment: Deployment, api: httpx.Client) -> dict[str, list[str]]:
    """The lines in each function's log group after all of them were used."""
    agent = {"agent_id": "traces"}
    written = api.post("/v2/memories", json={**agent, "content": CONTENT}).json()
    status = f"/v2/memories/{written['id']}/status"
    awaited(lambda: api.get(status).json()["status"], lambda seen: seen == "ready", READY_SECONDS)
    for path in ("/v1/memories/search", "/v2/context/build"):
        assert api.post(path, json={**agent, "query": QUERY}).status_code == 200
    assert api.post("/v1/sessions", json=agent).status_code == 201
    assert api.post("/v1/memories", json={**agent, "content": " "}).status_code == 422
    assert api.get("/v1/agents/traces").status_code == 200
    deployment.invoke("Sweeper", {})
    return {function: deployment.logged(f"{function}Logs") for function in deployment.functions}


def test_each_function_writes_into_its_own_log_group(logs: dict[str, list[str]]) -> None:
    assert all(logs.values()), {function: len(lines) for function, lines in logs.items()}


def test_no_log_has_a_content_a_query_or_a_key(logs: dict[str, list[str]], key: str) -> None:
    everything = "\n".join(line for lines in logs.values() for line in lines)
    assert [said for said in (CONTENT, QUERY, key) if said in everything] == []


def test_the_logs_carry_the_metrics_of_the_stack(logs: dict[str, list[str]]) -> None:
    assert "MemoriesWritten" in metrics(logs["Create"])
    assert "LagToSearchable" in metrics(logs["Worker"])
    assert "SearchLatency" in metrics(logs["Search"])


def metrics(lines: list[str]) -> set[str]:
    """The names of the metrics that CloudWatch would make of the lines, all of this stack."""
    found: set[str] = set()
    for line in lines:
        if '"_aws"' in line:
            event: dict[str, Any] = json.loads(line)
            assert event["Stack"] == STACK
            for directive in event["_aws"]["CloudWatchMetrics"]:
                assert directive["Namespace"] == "Commonplace"
                found |= {metric["Name"] for metric in directive["Metrics"]}
    return found
