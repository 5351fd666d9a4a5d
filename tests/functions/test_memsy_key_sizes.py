"""The longest names and ids that Memsy's API takes fit into the keys of DynamoDB, which SQLite would not mind."""

import pytest

from measured_table import measure
from world import World

pytestmark = pytest.mark.anyio

NAMES = ["\U0001f98a" * 256, "#" * 256, "%" * 256, "é#%" * 85, "x" * 256]
PARTS = ["event_id", "actor_id", "session_id", "role_id", "team_id"]


@pytest.mark.parametrize("name", NAMES, ids=["four bytes", "hashes", "percents", "mixed", "plain"])
@pytest.mark.parametrize("part", PARTS)
async def test_the_longest_names_can_be_told_listed_and_found(world: World, part: str, name: str) -> None:
    measure(world)
    told = {"actor_id": "ada", "session_id": "s", "kind": "user_message", "content": "I prefer tea"}
    async with world.client() as client:
        (id,) = (await client("POST", "/v1/ingest", {"events": [{**told, part: name}]}))["event_ids"]
        world.clock.advance(61)
        assert (await world.services.sweep()).events == 1
        await world.work()
        assert (await client("POST", "/v1/status", {"event_ids": [id]}))["completedIds"] == [id]
        own = {key: name for key in ("actor_id", "session_id") if key == part}
        listed = await client("GET", "/api/console/events", params=own)
        assert [each["event_id"] for each in listed["items"]] == [id]
        found = await client("POST", "/v1/search", {"query": "tea", "actor_id": name if part == "actor_id" else "ada"})
        assert [each["content"] for each in found["results"]] == ["I prefer tea"]
