"""Answers that Lambda could not carry are refused in the words of each dialect."""

import asyncio
import json
from typing import Any

import pytest
from mangum import Mangum

from commonplace.dialects.cognipeer.errors import Cognipeer
from commonplace.dialects.edge.errors import Edge
from commonplace.dialects.memsy.errors import Memsy
from commonplace.dialects.relay.errors import Relay
from commonplace.http.dialect import Dialect
from commonplace.http.endpoint import Call, Operation, Reply, Spoken, application
from commonplace.http.host import Host
from commonplace.http.shared_path import RELAY, SharedPath
from commonplace.model.errors import Invalid
from commonplace.model.payload import LARGEST, demand_carried
from world import Client, World

pytestmark = pytest.mark.anyio

SAID = "The answer would be larger than 6 MB; ask for less at once, as with a smaller limit"


async def refusing(tenant: str, id: str) -> str | None:
    raise AssertionError((tenant, id))


def app(world: World, dialect: Dialect, body: object) -> Any:
    """An application with one endpoint, open to all, that answers this."""

    async def act(_: Call) -> Reply:
        return Reply(body)

    services = world.services
    host = Host(services.admit, services.once, world.ids, (), SharedPath(RELAY, refusing))
    return application([Spoken(dialect, [Operation("GET", "/things", None, act)])], host)


async def carried(world: World, dialect: Dialect, body: object) -> tuple[int, dict[str, Any], int]:
    """Status and body of an answer, and the bytes of what Lambda has to carry for it."""
    path = f"{dialect.prefixes[0]}/things"
    http = {"sourceIp": "203.0.113.7", "path": path, "method": "GET"}
    event: Any = {"version": "2.0", "headers": {}, "requestContext": {"http": http}}

    def handled() -> dict[str, Any]:
        with asyncio.Runner() as runner:
            runner.get_loop()
            return Mangum(app(world, dialect, body), lifespan="off")(event, None)  # type: ignore[arg-type]  # nothing here reads the context

    answer = await asyncio.to_thread(handled)
    return answer["statusCode"], json.loads(answer["body"]), len(json.dumps(answer, ensure_ascii=False).encode())


@pytest.mark.parametrize("letter", ["a", '"', "\\", "\n", "é", "日", "💡", "\0", "\x7f", "\u2028"])
async def test_an_answer_is_as_large_as_lambda_carries_and_no_larger(world: World, letter: str) -> None:
    each = len(json.dumps(json.dumps(letter, ensure_ascii=False), ensure_ascii=False).encode()) - len(r'"\"\""')
    most = (LARGEST - 20_000) // each
    status, _, size = await carried(world, Relay(), letter * most)
    assert status == 200
    assert LARGEST - 22_000 < size <= LARGEST
    status, body, size = await carried(world, Relay(), letter * (LARGEST // each))
    assert (status, body["detail"]) == (422, SAID)
    assert size < 1000


@pytest.mark.parametrize(
    ("dialect", "status", "word"),
    [(Relay(), 422, "error"), (Cognipeer(), 400, "error"), (Edge(), 422, "error"), (Memsy(), 422, "message")],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_an_answer_that_is_too_large_is_refused_in_the_words_of_its_dialect(
    world: World, dialect: Dialect, status: int, word: str
) -> None:
    told, body, _ = await carried(world, dialect, ["日" * 1_000_000] * 3)
    assert (told, body[word]) == (status, SAID)


def test_what_is_small_even_at_its_worst_is_not_looked_at() -> None:
    class Counted(str):
        __slots__ = ()

        def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
            raise AssertionError((encoding, errors))

    demand_carried(Counted("💡" * 1_000_000))
    with pytest.raises(AssertionError):
        demand_carried(Counted("a" * 2_000_000))
    with pytest.raises(Invalid):
        demand_carried("💡" * 2_000_000)


async def test_a_list_of_large_events_can_be_had_in_smaller_pieces(client: Client) -> None:
    events = [
        {"actor_id": "a", "session_id": "s", "kind": "user_message", "content": f"{number} " + "日本" * 15_990}
        for number in range(80)
    ]
    for start in range(0, len(events), 20):
        await client("POST", "/v1/ingest", {"events": events[start : start + 20]})
    refused = await client("GET", "/api/console/events?limit=80", expect=422)
    assert refused == {"error": "validation_error", "message": SAID, "detail": SAID}
    assert len((await client("GET", "/api/console/events"))["items"]) == 50


async def test_a_list_of_large_memories_is_cut_where_an_answer_ends_and_goes_on_by_its_cursor(client: Client) -> None:
    large = {"agent_id": "a", "content": '"' * 50_000}
    ids = [(await client("POST", "/v1/memories", large))["id"] for _ in range(30)]
    page = await client("GET", "/v1/memories?limit=1000")
    assert page["has_more"]
    assert page["total_count"] == 30
    rest = await client("GET", f"/v1/memories?limit=1000&cursor={page['next_cursor']}")
    assert [each["id"] for each in page["data"] + rest["data"]] == ids[::-1]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)


async def test_with_a_session_are_shown_as_many_of_its_newest_memories_as_an_answer_can_carry(client: Client) -> None:
    session = (await client("POST", "/v1/sessions", {"agent_id": "a"}, expect=201))["id"]
    large = {"agent_id": "a", "session_id": session, "content": '"' * 50_000}
    ids = [(await client("POST", "/v1/memories", large))["id"] for _ in range(40)]
    shown = (await client("GET", f"/v1/sessions/{session}?include_memories=true"))["memories"]
    assert 15 <= len(shown) < 30
    assert [each["id"] for each in shown] == ids[-len(shown) :]
