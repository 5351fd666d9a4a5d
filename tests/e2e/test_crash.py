"""What a SIGKILL in the middle of writing leaves behind: everything that was acknowledged."""

import asyncio
from typing import Any

import httpx
import pytest

from service import Service

pytestmark = pytest.mark.anyio

WRITES = 1_000
KILLED_AFTER = {"one-machine": 200, "real-engines": 60}
"""Acknowledged writes. Engines that are asked over the network take longer to be asked for each."""


async def test_every_acknowledged_write_survives_a_kill_and_becomes_searchable_once(
    service: Service, place: str
) -> None:
    count = KILLED_AFTER[place]
    await asyncio.to_thread(service.start)
    acknowledged: dict[str, str] = {}
    numbers = iter(range(WRITES))
    headers = {"authorization": f"Bearer {service.key}"}

    async with httpx.AsyncClient(base_url=service.url, headers=headers, trust_env=False, timeout=30) as client:

        async def write() -> None:
            for number in numbers:
                content = f"Fact {number}: the locker with the number {number} holds the key to room {number + 7}"
                try:
                    answer = await client.post("/v2/memories", json={"agent_id": "crash", "content": content})
                except httpx.TransportError:
                    return
                assert answer.status_code == 202
                acknowledged[answer.json()["id"]] = content
                if len(acknowledged) == count:
                    service.kill()

        await asyncio.gather(*(write() for _ in range(8)))

    assert count <= len(acknowledged) < WRITES
    await asyncio.to_thread(service.start)

    async with httpx.AsyncClient(base_url=service.url, headers=headers, trust_env=False, timeout=30) as client:
        stored = await _all(client)
        assert acknowledged.keys() <= stored.keys()
        # What was not acknowledged may have been stored too: the answer to it was lost, not the write.
        assert len(stored) <= len(acknowledged) + 8
        for id in acknowledged:
            while (status := (await client.get(f"/v2/memories/{id}/status")).json())["status"] == "pending":  # noqa: ASYNC110 - the service is another process
                await asyncio.sleep(0.02)
            assert status["status"] == "ready"
        for id, content in acknowledged.items():
            answer = await client.post("/v1/memories/search", json={"query": content, "limit": 20})
            found = [hit["id"] for hit in answer.json()["data"]]
            assert found.count(id) == 1
            assert len(found) == len(set(found))


async def _all(client: httpx.AsyncClient) -> dict[str, Any]:
    stored: dict[str, Any] = {}
    cursor = ""
    while True:
        page = (await client.get("/v1/memories", params={"limit": 500, "cursor": cursor})).json()
        stored.update({memory["id"]: memory for memory in page["data"]})
        if not page["has_more"]:
            return stored
        cursor = page["next_cursor"]
