"""Webhooks of the running service, received by a server of the test's own."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator

import pytest

from receiver import Receiver
from service import Service


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_a_registered_endpoint_hears_of_a_memory_from_creation_to_deletion(
    running: Service, receiver: Receiver
) -> None:
    secret = "whsec_" + base64.b64encode(b"twenty-four bytes or more").decode()
    hook = running.ask("POST", "/v1/webhooks", {"url": f"{receiver.url}/all", "secret": secret})
    memory = running.ask("POST", "/v2/memories", {"agent_id": "hooked", "content": "The bridge opens at nine"})
    events = [receiver.next("/all") for _ in range(2)]
    assert {json.loads(event.body)["event"] for event in events} == {"memory.created", "embedding.completed"}
    for event in events:
        body = json.loads(event.body)
        assert body["data"]["memory_id"] == memory["id"]
        signature = hmac.new(secret.encode(), event.body, hashlib.sha256).hexdigest()
        assert event.headers["x-memoryrelay-signature"] == f"sha256={signature}"
        assert event.headers["x-memoryrelay-event"] == body["event"]
        signed = f"{event.headers['webhook-id']}.{event.headers['webhook-timestamp']}.".encode() + event.body
        digest = hmac.new(b"twenty-four bytes or more", signed, hashlib.sha256).digest()
        assert event.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    running.ask("DELETE", f"/v1/memories/{memory['id']}")
    assert json.loads(receiver.next("/all").body)["event"] == "memory.deleted"
    running.ask("DELETE", f"/v1/webhooks/{hook['id']}")


def test_a_requests_own_url_is_told_and_signed_for_with_the_hash_of_the_key(
    running: Service, receiver: Receiver
) -> None:
    body = {"agent_id": "hooked", "content": "The ferry leaves at ten", "webhook_url": f"{receiver.url}/own"}
    memory = running.ask("POST", "/v2/memories", body)
    told = receiver.next("/own")
    assert json.loads(told.body)["data"] == {
        "memory_id": memory["id"],
        "agent_id": running.ask("GET", "/v1/agents/hooked")["id"],
        "status": "ready",
    }
    secret = hashlib.sha256(running.key.encode()).hexdigest()
    signature = hmac.new(secret.encode(), told.body, hashlib.sha256).hexdigest()
    assert told.headers["x-memoryrelay-signature"] == f"sha256={signature}"


def test_a_failed_delivery_comes_again_under_the_same_id(running: Service, receiver: Receiver) -> None:
    receiver.statuses = [500]
    body = {"agent_id": "hooked", "content": "The tram is late", "webhook_url": f"{receiver.url}/flaky"}
    running.ask("POST", "/v2/memories", body)
    first, second = receiver.next("/flaky"), receiver.next("/flaky")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
