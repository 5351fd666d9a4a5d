"""What happens to a message that cannot be handled: tried again, dead, and put back once the cause is mended."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deployed.deployment import Deployment
from deployed.patience import awaited

VISIBILITY_SECONDS = 5
"""The template's 365 s are right for the worker's timeout and too long for a test, so the queue that it deployed is given
less while these tests run, by SetQueueAttributes. How often a message comes and where it ends is the template's."""

DEAD_SECONDS = 120


@pytest.fixture(autouse=True)
def impatient(deployment: Deployment) -> Iterator[None]:
    queue = deployment.resources["EmbeddingQueue"]
    sqs = deployment.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)})
    yield
    sqs.set_queue_attributes(QueueUrl=queue, Attributes=attributes)


def test_a_message_that_cannot_be_read_ends_in_the_dead_letter_queue(deployment: Deployment) -> None:
    sqs = deployment.client("sqs")
    sent = sqs.send_message(QueueUrl=deployment.resources["EmbeddingQueue"], MessageBody="this is not JSON")
    (dead,) = awaited(lambda: dead_letters(deployment), bool, DEAD_SECONDS)
    assert (dead["MessageId"], dead["Body"]) == (sent["MessageId"], "this is not JSON")
    tries = int(deployment.variables("Worker")["COMMONPLACE_MAX_RECEIVES"])
    looks = 1
    assert int(dead["Attributes"]["ApproximateReceiveCount"]) == tries + looks
    sqs.delete_message(QueueUrl=deployment.resources["EmbeddingDeadLetters"], ReceiptHandle=dead["ReceiptHandle"])


def test_a_message_that_died_of_a_mistaken_setting_is_put_back_and_done(
    deployment: Deployment, api: httpx.Client
) -> None:
    right = deployment.variables("Worker")["COMMONPLACE_TABLE"]
    deployment.set_variables({"COMMONPLACE_TABLE": f"{right}-mistaken"}, ["Worker"])
    answer = api.post("/v2/memories", json={"agent_id": "redriven", "content": "The lighthouse is painted red"})
    assert answer.status_code == 202, answer.text
    id = answer.json()["id"]
    dead = awaited(lambda: dead_letters(deployment), bool, DEAD_SECONDS)
    assert {json.loads(message["Body"])["id"] for message in dead} == {id}
    assert api.get(f"/v2/memories/{id}/status").json()["status"] == "pending"

    deployment.set_variables({"COMMONPLACE_TABLE": right}, ["Worker"])
    assert re.match(r"embedding: [1-9]\d* messages? put back", deployment.operate("redrive"))
    awaited(lambda: api.get(f"/v2/memories/{id}/status").json()["status"], lambda seen: seen == "ready", DEAD_SECONDS)
    found = api.post("/v1/memories/search", json={"query": "lighthouse painted red", "agent_id": "redriven"}).json()
    assert [hit["id"] for hit in found["data"]] == [id]
    assert dead_letters(deployment) == []


def dead_letters(deployment: Deployment) -> list[dict[str, Any]]:
    """The messages of the embedding queue's dead-letter queue. They stay in it, and visible."""
    answer = deployment.client("sqs").receive_message(
        QueueUrl=deployment.resources["EmbeddingDeadLetters"],
        MessageSystemAttributeNames=["ApproximateReceiveCount"],
        MaxNumberOfMessages=10,
        VisibilityTimeout=0,
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages
