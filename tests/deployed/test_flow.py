"""The MemoryRelay flow over the deployed API, step by step, with plain HTTP and with the vendor's client; and Memsy's."""

import base64
import hashlib
import hmac
import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from memoryrelay import MemoryRelay
from memoryrelay.exceptions import NotFoundError
from memoryrelay.models import MemoryContextRequest, MemoryCreate, MemorySearchRequest

from deployed.deployment import Deployment
from deployed.patience import awaited
from deployed.traces import CONTENT
from receiver import Receiver

READY_SECONDS = 60
FERRY = {"query": "where does the night ferry leave?", "agent_id": "timetable"}


@pytest.fixture(scope="module")
def memory(api: httpx.Client) -> dict[str, Any]:
    """The answer to an asynchronous write."""
    answer = api.post("/v2/memories", json={"agent_id": "timetable", "content": CONTENT})
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_create_is_accepted_before_the_memory_is_searchable(memory: dict[str, Any]) -> None:
    assert UUID(memory["id"])
    assert memory["status"] == "pending"
    assert memory["job_id"]


def test_status_becomes_ready_through_the_queue_and_the_worker(api: httpx.Client, memory: dict[str, Any]) -> None:
    assert ready(api, memory["id"])["error"] is None


def test_search_finds_the_memory(api: httpx.Client, memory: dict[str, Any]) -> None:
    ready(api, memory["id"])
    answer = api.post("/v1/memories/search", json=FERRY)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [hit["id"] for hit in found["data"]] == [memory["id"]]
    assert "degraded" not in found


def test_a_context_is_built_of_the_memory(api: httpx.Client, memory: dict[str, Any]) -> None:
    ready(api, memory["id"])
    answer = api.post("/v2/context/build", json=FERRY)
    assert answer.status_code == 200, answer.text
    built = answer.json()
    assert CONTENT in built["context"]
    assert [each["memory_id"] for each in built["memories"]] == [memory["id"]]


def test_a_session_is_created_and_listed(api: httpx.Client) -> None:
    made = api.post("/v1/sessions", json={"agent_id": "deployed", "title": "Timetables"})
    assert made.status_code == 201, made.text
    listed = api.get("/v1/sessions", params={"agent_id": "deployed"})
    assert listed.status_code == 200, listed.text
    assert made.json()["id"] in [session["id"] for session in listed.json()["data"]]


def test_a_webhook_is_received_and_signed_with_its_secret(api: httpx.Client, receiver: Receiver) -> None:
    secret = b"twenty-four bytes or more"
    text = "whsec_" + base64.b64encode(secret).decode()
    hook = api.post("/v1/webhooks", json={"url": f"{receiver.url}/hook", "secret": text})
    assert hook.status_code == 201, hook.text
    memory = api.post("/v2/memories", json={"agent_id": "deployed", "content": "The bridge opens at nine"}).json()

    told = {json.loads(event.body)["event"]: event for event in (receiver.next("/hook"), receiver.next("/hook"))}
    assert told.keys() == {"memory.created", "embedding.completed"}
    for name, event in told.items():
        assert json.loads(event.body)["data"]["memory_id"] == memory["id"]
        assert event.headers["x-memoryrelay-event"] == name
        ours = hmac.new(text.encode(), event.body, hashlib.sha256).hexdigest()
        assert event.headers["x-memoryrelay-signature"] == f"sha256={ours}"
        signed = f"{event.headers['webhook-id']}.{event.headers['webhook-timestamp']}.".encode() + event.body
        digest = hmac.new(secret, signed, hashlib.sha256).digest()
        assert event.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert api.delete(f"/v1/webhooks/{hook.json()['id']}").status_code == 200


def test_the_published_client_writes_finds_reads_and_deletes(deployment: Deployment, key: str) -> None:
    with MemoryRelay(key, deployment.url, trust_env=False) as client:
        memory = client.memories.create(MemoryCreate(agent_id="vendor", content="The cat is called Miso"))
        assert memory.extraction_status == "ready"
        assert client.memories.get(memory.id).content == "The cat is called Miso"
        request = MemorySearchRequest(query="what is the cat called?", agent_id=memory.agent_id)
        assert [hit.memory.id for hit in client.memories.search(request).data] == [memory.id]
        asked = MemoryContextRequest(query="what is the cat called?", agent_id=memory.agent_id)
        assert "Miso" in client.memories.context(asked).context

        accepted = client.memories.create_async(MemoryCreate(agent_id="vendor", content="The dog is called Udon"))
        assert accepted.status == "pending"
        assert client.memories.wait_until_ready(accepted.id, poll_interval=0.1).content == "The dog is called Udon"

        client.memories.delete(memory.id)
        with pytest.raises(NotFoundError):
            client.memories.get(memory.id)
        assert memory.id not in [hit.memory.id for hit in client.memories.search(request).data]


def test_the_service_says_that_it_is_well(deployment: Deployment, api: httpx.Client) -> None:
    answer = api.get("/v1/health")
    assert answer.status_code == 200, answer.text
    health = answer.json()
    assert (health["status"], health["environment"]) == ("ok", "test")
    answer = httpx.get(f"{deployment.url}/v1/health", trust_env=False, timeout=60)
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")


def test_what_is_told_through_memsys_api_becomes_a_memory_of_a_role_and_is_found(api: httpx.Client) -> None:
    role = api.post("/v1/roles", json={"name": "Keepers", "focus": "The lighthouse"})
    assert role.status_code == 200, role.text
    event = {
        "actor_id": "keeper",
        "session_id": "night",
        "kind": "user_message",
        "content": "I prefer to light the lantern before dusk",
        "role_id": role.json()["role_id"],
    }
    told = api.post("/v1/ingest", json={"events": [event]})
    assert told.status_code == 200, told.text
    ids = told.json()["event_ids"]

    def completed() -> Any:
        return api.post("/v1/status", json={"event_ids": ids}).json()["completedIds"]

    awaited(completed, lambda seen: seen == ids, READY_SECONDS)
    found = api.post("/v1/search", json={"query": "when is the lantern lit?", "actor_id": "keeper"})
    assert found.status_code == 200, found.text
    assert found.json()["results"][0]["content"] == event["content"]
    assert found.headers["x-usage-eventsingested"] == "1"
    # Without roles no sweep asks for promotion, in the middle of tests that break the worker.
    assert api.delete(f"/v1/roles/{event['role_id']}").status_code == 204


def test_an_unknown_path_is_a_404_in_the_dialects_words(api: httpx.Client) -> None:
    answer = api.get("/v1/nothing/here")
    assert answer.status_code == 404
    body = answer.json()
    assert (body["type"], body["status"]) == ("not_found", 404)
    assert answer.headers["x-request-id"] == body["request_id"]


def test_a_request_without_a_key_is_a_401_in_the_dialects_words(deployment: Deployment) -> None:
    answer = httpx.get(f"{deployment.url}/v1/memories", trust_env=False, timeout=30)
    assert answer.status_code == 401
    assert answer.json()["type"] == "unauthorized"


def ready(api: httpx.Client, id: str) -> dict[str, Any]:
    """The status of a memory once it is no longer pending, which has to be ``ready``."""

    def status() -> dict[str, Any]:
        answer = api.get(f"/v2/memories/{id}/status")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    settled = awaited(status, lambda seen: seen["status"] != "pending", READY_SECONDS)
    assert settled["status"] == "ready", settled
    return settled
