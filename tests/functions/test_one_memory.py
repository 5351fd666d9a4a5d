"""One memory behind all APIs: what is written through one is found, read, changed and deleted through each other.

Another API is another entry of ``APIS``, and of ``WAYS`` for each of its ways of writing. What an API has no word for is
not asked of it: the edge API cannot look for a user, an agent or a session, and neither changes nor deletes. To it a memory
of an API without organizations belongs to the one that has the tenant's name. Memsy's API is told events, of which the worker
makes memories; it neither changes nor deletes them, and who looks for an actor or a session there finds what has none, too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import product
from typing import Any, Protocol
from urllib.parse import urlencode

import pytest

from commonplace.rows.listing import BUDGET
from commonplace.rows.memory_writes import Entry
from steps import UNKNOWN, documents, row
from world import OTHER_KEY, TENANT, Client, World

pytestmark = pytest.mark.anyio

COGNIPEER = "/api/client/v1/memory/stores"
METADATA = {"source": "crm", "nested": {"deep": [1, 2.5, None, "é"]}, "count": 3, "flag": True}
PARTS = ("user", "agent", "session")
NAMES = ["u-1", "Ünï 🫖", "a/b#c%d", "0b8f6f0e-7f7e-4b55-9d0c-7f2f6b1a2c3d", "0"]
UUID = NAMES[3]
PLAIN = 0.5
"""The importance of what was written by an API without a word for it."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """A memory as it is written: ``part`` is the part of the scope and its name. A way of writing that knows no tags
    leaves them out."""

    content: str = "The red kettle whistles"
    part: tuple[str, str] | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: METADATA)
    tags: tuple[str, ...] = ("kitchen", "Ünï,code")
    importance: float = 0.75


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A memory as an API shows it; None is what it has no word for."""

    id: str
    content: str
    metadata: Mapping[str, Any] | None = None
    importance: float | None = None
    tags: tuple[str, ...] | None = None
    created: int | None = None
    updated: int | None = None
    """Seconds of the epoch, cut off."""


class Api(Protocol):
    """An API, as far as it knows memories of the store that all share. ``parts`` are those that it can look for."""

    has_tags: bool
    has_importance: bool
    parts: Sequence[str]
    changes: bool
    """Whether it can change and delete."""

    async def search(self, client: Client, query: str, part: tuple[str, str] | None = None) -> list[Seen]:
        """What a search finds, best first."""

    async def listed(self, client: Client, part: tuple[str, str] | None = None) -> list[Seen]:
        """The memories, newest first."""

    async def read(self, client: Client, id: str) -> Seen | None:
        """One memory; None if it is not there."""

    async def change(self, client: Client, id: str, content: str) -> None:
        """Gives a memory another content."""

    async def delete(self, client: Client, id: str) -> None:
        """Deletes a memory."""

    async def count(self, client: Client) -> int:
        """How many memories it says that there are."""


async def answered(client: Client, path: str) -> dict[str, Any] | None:
    response = await client.http.get(path)
    assert response.status_code in (200, 404), response.text
    return None if response.status_code == 404 else response.json()


class Relay:
    """MemoryRelay."""

    has_tags = False
    has_importance = True
    parts: Sequence[str] = PARTS
    changes = True

    async def search(self, client: Client, query: str, part: tuple[str, str] | None = None) -> list[Seen]:
        body = {"query": query, **self.where(part)}
        return [self._seen(hit["memory"]) for hit in (await client("POST", "/v1/memories/search", body))["data"]]

    async def listed(self, client: Client, part: tuple[str, str] | None = None) -> list[Seen]:
        found = await client("GET", f"/v1/memories?{urlencode(self.where(part))}")
        return [self._seen(each) for each in found["data"]]

    async def read(self, client: Client, id: str) -> Seen | None:
        body = await answered(
            client, f"/relay/v1/memories/{id}"
        )  # the shared path shows a memory of edge's as edge does
        return None if body is None else self._seen(body)

    async def change(self, client: Client, id: str, content: str) -> None:
        await client("PATCH", f"/v1/memories/{id}", {"content": content})

    async def delete(self, client: Client, id: str) -> None:
        await client("DELETE", f"/v1/memories/{id}")

    async def count(self, client: Client) -> int:
        return int((await client("GET", "/v1/memories"))["total_count"])

    @staticmethod
    def where(part: tuple[str, str] | None) -> dict[str, str]:
        return {} if part is None else {f"{part[0]}_id": part[1]}

    @staticmethod
    def _seen(memory: dict[str, Any]) -> Seen:
        return Seen(
            id=memory["id"],
            content=memory["content"],
            metadata=memory["metadata"],
            importance=memory["importance"],
            created=memory["created_at"],
            updated=memory["updated_at"],
        )


class Cognipeer:
    """Cognipeer's store ``default``."""

    has_tags = True
    has_importance = True
    parts: Sequence[str] = PARTS
    changes = True

    def __init__(self, store: str = "default") -> None:
        self.memories = f"{COGNIPEER}/{store}/memories"
        self.store = f"{COGNIPEER}/{store}"

    async def search(self, client: Client, query: str, part: tuple[str, str] | None = None) -> list[Seen]:
        found = await client("POST", f"{self.store}/search", {"query": query, **self.where(part)})
        return [self._seen(match) for match in found["memories"]]

    async def listed(self, client: Client, part: tuple[str, str] | None = None) -> list[Seen]:
        return [self._seen(item) for item in await self.items(client, part)]

    async def read(self, client: Client, id: str) -> Seen | None:
        body = await answered(client, f"{self.memories}/{id}")
        return None if body is None else self._seen(body)

    async def change(self, client: Client, id: str, content: str) -> None:
        await client("PATCH", f"{self.memories}/{id}", {"content": content})

    async def delete(self, client: Client, id: str) -> None:
        await client("DELETE", f"{self.memories}/{id}")

    async def count(self, client: Client) -> int:
        count = (await client("GET", self.store))["store"]["memoryCount"]
        assert (await client("GET", f"{self.memories}?limit=0"))["total"] == count
        return int(count)

    async def items(self, client: Client, part: tuple[str, str] | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await client("GET", f"{self.memories}?{urlencode(self.where(part))}"))["items"]
        return found

    @staticmethod
    def where(part: tuple[str, str] | None) -> dict[str, str]:
        return {} if part is None else {"scope": part[0], "scopeId": part[1]}

    @staticmethod
    def _seen(item: dict[str, Any]) -> Seen:
        return Seen(
            id=item["id"],
            content=item["content"],
            metadata=item["metadata"],
            importance=item["importance"],
            tags=tuple(item["tags"]),
            created=_seconds(item["createdAt"]),
            updated=_seconds(item["updatedAt"]) if "updatedAt" in item else None,
        )


class Edge:
    """The edge API, in one organization."""

    has_tags = False
    has_importance = False
    parts: Sequence[str] = ()
    changes = False

    def __init__(self, organization: str = TENANT, prefix: str = "/edge") -> None:
        self.organization = organization
        self.memories = f"{prefix}/v1/memories"

    async def search(self, client: Client, query: str, part: tuple[str, str] | None = None) -> list[Seen]:
        """The most recent: this API searches by its callers' own vectors."""
        assert part is None
        body = {"organizationId": self.organization, "query": query, "limit": 100}
        found = await client("POST", f"{self.memories}/search", body)
        assert found["mode"] == "d1"
        return [self._seen(match["memory"]) for match in found["matches"]]

    async def listed(self, client: Client, part: tuple[str, str] | None = None) -> list[Seen]:
        assert part is None
        where = urlencode({"organizationId": self.organization, "limit": 100})
        return [self._seen(each) for each in (await client("GET", f"{self.memories}?{where}"))["memories"]]

    async def read(self, client: Client, id: str) -> Seen | None:
        body = await answered(client, f"{self.memories}/{id}")
        return None if body is None else self._seen(body["memory"])

    async def change(self, client: Client, id: str, content: str) -> None:
        await client("PATCH", f"{self.memories}/{id}", {"content": content}, expect=404)

    async def delete(self, client: Client, id: str) -> None:
        await client("DELETE", f"{self.memories}/{id}", expect=404)

    async def count(self, client: Client) -> int:
        return len(await self.listed(client))

    @staticmethod
    def _seen(memory: dict[str, Any]) -> Seen:
        return Seen(
            id=memory["id"],
            content=memory["content"],
            metadata=memory["metadata"],
            created=_seconds(memory["created_at"]),
            updated=_seconds(memory["updated_at"]),
        )


class Memsy:
    """Memsy, in the organization that has the tenant's name."""

    has_tags = False
    has_importance = False
    parts: Sequence[str] = ()
    changes = False
    memories = "/v1/console/memories"

    async def search(self, client: Client, query: str, part: tuple[str, str] | None = None) -> list[Seen]:
        assert part is None
        return await self.found(client, query)

    async def listed(self, client: Client, part: tuple[str, str] | None = None) -> list[Seen]:
        """The memories that are in use."""
        assert part is None
        found = await client("GET", f"{self.memories}?sort=created_at_desc&limit=200")
        assert found["total"] == len(found["items"])
        return [self._seen(item) for item in found["items"]]

    async def read(self, client: Client, id: str) -> Seen | None:
        body = await answered(client, f"{self.memories}/{id}")
        return None if body is None else self._seen(body)

    async def change(self, client: Client, id: str, content: str) -> None:
        await client("PATCH", f"{self.memories}/{id}", {"text": content}, expect=405)

    async def delete(self, client: Client, id: str) -> None:
        await client("DELETE", f"{self.memories}/{id}", expect=405)

    async def count(self, client: Client) -> int:
        return int((await client("GET", f"{self.memories}/stats"))["total"])

    @staticmethod
    async def found(client: Client, query: str, **options: str) -> list[Seen]:
        """What a search finds, best first. It tells when what it found was observed: here that is when it was written."""
        results = (await client("POST", "/v1/search", {"query": query, **options}))["results"]
        return [
            Seen(
                id=result["id"],
                content=result["content"],
                metadata=Memsy._metadata(result["metadata"]),
                tags=tuple(result["metadata"]["tags"]),
                created=_seconds(result["metadata"]["observed_at"]),
            )
            for result in results
        ]

    @staticmethod
    def _metadata(facts: dict[str, Any]) -> Mapping[str, Any] | None:
        """An event's metadata stands beside its memory, another writer's in the payload."""
        told = [source["metadata"] for source in facts["source_metadata"]]
        found: Mapping[str, Any] | None = told[0] if told else facts.get("payload")
        return found

    @staticmethod
    def _seen(item: dict[str, Any]) -> Seen:
        return Seen(
            id=item["memory_id"],
            content=item["text"],
            metadata=item["payload"],
            tags=tuple(item["tags"]),
            created=_seconds(item["created_at"]),
            updated=_seconds(item["updated_at"]),
        )


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


class Way(Protocol):
    """A way of writing one memory; returns its id. ``parts`` are those that it has words for."""

    api: Api
    parts: Sequence[str]

    async def __call__(self, world: World, client: Client, said: Said) -> str:
        """Writes."""


class RelayNow:
    """MemoryRelay, searchable when it answers."""

    api: Api = Relay()
    parts: Sequence[str] = PARTS

    async def __call__(self, world: World, client: Client, said: Said) -> str:  # noqa: ARG002 - a way takes a world
        return str((await client("POST", "/v1/memories", self.body(said)))["id"])

    @staticmethod
    def body(said: Said) -> dict[str, Any]:
        facts = {"content": said.content, "metadata": said.metadata, "importance": said.importance}
        return {"agent_id": "my-assistant", **facts, **Relay.where(said.part)}


class RelayLater(RelayNow):
    """MemoryRelay, made searchable by the worker."""

    async def __call__(self, world: World, client: Client, said: Said) -> str:
        id = str((await client("POST", "/v2/memories", self.body(said), expect=202))["id"])
        assert await world.work() == [{"batchItemFailures": []}]
        return id


class RelayBatch(RelayNow):
    """MemoryRelay's batch."""

    async def __call__(self, world: World, client: Client, said: Said) -> str:  # noqa: ARG002 - a way takes a world
        (result,) = (await client("POST", "/v1/memories/batch", {"memories": [self.body(said)]}))["results"]
        return str(result["memory_id"])


class CognipeerOne:
    """Cognipeer's add."""

    api: Api = Cognipeer()
    parts: Sequence[str] = PARTS

    async def __call__(self, world: World, client: Client, said: Said) -> str:  # noqa: ARG002 - a way takes a world
        body = self.body(said)
        return str((await client("POST", f"{COGNIPEER}/default/memories", body, expect=201))["memory"]["_id"])

    @staticmethod
    def body(said: Said) -> dict[str, Any]:
        facts = {"content": said.content, "metadata": said.metadata, "importance": said.importance}
        return {**facts, "tags": said.tags, **Cognipeer.where(said.part)}


class CognipeerBatch(CognipeerOne):
    """Cognipeer's batch, which tells no ids."""

    async def __call__(self, world: World, client: Client, said: Said) -> str:  # noqa: ARG002 - a way takes a world
        body = {"memories": [self.body(said)]}
        counts = await client("POST", f"{COGNIPEER}/default/memories/batch", body, expect=201)
        assert counts == {"added": 1, "duplicates": 0}
        return str((await client("GET", f"{COGNIPEER}/default/memories?limit=1"))["items"][0]["_id"])


class EdgeOne:
    """The edge API's create, made searchable by the worker."""

    api: Api = Edge()
    parts: Sequence[str] = ("user", "agent")
    vector: Sequence[float] | None = None

    async def __call__(self, world: World, client: Client, said: Said) -> str:
        id = str((await client("POST", "/edge/v1/memories", self.body(said), expect=201))["memory"]["id"])
        assert await world.work() == [{"batchItemFailures": []}]
        return id

    def body(self, said: Said) -> dict[str, Any]:
        parts = {"user": "somebody", "agent": "an-agent", **({} if said.part is None else dict([said.part]))}
        names = {"subjectId": parts["user"], "agentId": parts["agent"], "namespace": "n"}
        facts = {"content": said.content, "metadata": said.metadata, "embedding": self.vector}
        return {"organizationId": TENANT, **names, **facts}


class EdgeVector(EdgeOne):
    """The edge API's create, with a vector of the caller's."""

    vector = (0.012, 0.034, 0.056)


class MemsyEvent:
    """Memsy's ingest: the worker makes a memory of the event."""

    api: Api = Memsy()
    parts: Sequence[str] = ("user", "session")

    async def __call__(self, world: World, client: Client, said: Said) -> str:
        (event,) = (await client("POST", "/v1/ingest", {"events": [self.body(said)]}))["event_ids"]
        assert all(answer == {"batchItemFailures": []} for answer in await world.work())
        items = (await client("GET", "/v1/console/memories"))["items"]
        (id,) = [item["memory_id"] for item in items if event in item["source_event_ids"]]
        return str(id)

    @staticmethod
    def body(said: Said) -> dict[str, Any]:
        parts = {"user": "somebody", "session": "a-talk", **({} if said.part is None else dict([said.part]))}
        place = {"actor_id": parts["user"], "session_id": parts["session"]}
        return {**place, "kind": "user_message", "content": said.content, "metadata": json.dumps(said.metadata)}


APIS: list[Api] = [Relay(), Cognipeer(), Edge(), Memsy()]
ASKED: list[Api] = [api for api in APIS if api.parts]
WAYS: list[Way] = [
    *(RelayNow(), RelayLater(), RelayBatch()),
    *(CognipeerOne(), CognipeerBatch()),
    *(EdgeOne(), EdgeVector()),
    MemsyEvent(),
]


def name(thing: object) -> str:
    return type(thing).__name__


PAIRS = [pytest.param(way, api, id=f"{name(way)} to {name(api)}") for way, api in product(WAYS, APIS)]
CHANGES = [pytest.param(way, api, id=f"{name(way)} by {name(api)}") for way, api in product(WAYS, APIS) if api.changes]
PLACES = [
    pytest.param(way, api, part, id=f"{name(way)} to {name(api)} of a {part}")
    for way, api, part in product(WAYS, APIS, PARTS)
    if part in way.parts and part in api.parts
]


def shown(said: Said, way: Way, seen: Seen, at: int) -> Seen:
    """What an API has to show of what was said, in the words that it has."""
    tags = None if seen.tags is None else said.tags if way.api.has_tags else ()
    importance = said.importance if way.api.has_importance else PLAIN
    return Seen(
        id=seen.id,
        content=said.content,
        metadata=None if seen.metadata is None and isinstance(way.api, Memsy) else said.metadata,
        importance=None if seen.importance is None else importance,
        tags=tags,
        created=at,
        updated=None if seen.updated is None else at,
    )


def asked_of(api: Api, part: tuple[str, str] | None) -> tuple[str, str] | None:
    """The part that can be asked of an API: all that it has, if it has no word for it."""
    return part if part is not None and part[0] in api.parts else None


@pytest.mark.parametrize(("way", "api"), PAIRS)
async def test_what_is_written_through_one_is_found_listed_and_read_through_each(
    world: World, client: Client, way: Way, api: Api
) -> None:
    await way(world, client, Said(content="Something about herrings"))
    world.clock.advance(61.789)
    at = int(world.clock.now().timestamp())
    said = Said()
    id = await way(world, client, said)
    world.clock.advance(5)
    for seen in (
        (await api.search(client, "red kettle"))[0],
        (await api.listed(client))[0],
        await api.read(client, id),
    ):
        assert seen is not None
        assert seen.id == id
        assert seen == shown(said, way, seen, at)
    memory = await row(world, id)
    assert memory.ready
    assert (memory.created_at, memory.occurred_at) == (memory.updated_at, memory.created_at)
    assert await api.count(client) == len(await api.listed(client)) == 2


@pytest.mark.parametrize("name", NAMES[:3])
@pytest.mark.parametrize(("way", "api", "part"), PLACES)
async def test_a_part_of_the_scope_is_the_same_in_all_apis(
    world: World, client: Client, way: Way, api: Api, part: str, name: str
) -> None:
    mine = await way(world, client, Said(part=(part, name)))
    other = await way(world, client, Said(part=(part, f"{name}x")))
    nobody = await way(world, client, Said(content="The red kettle of nobody"))
    for find in (partial(api.search, client, "red kettle"), partial(api.listed, client)):
        assert [seen.id for seen in await find((part, name))] == [mine]
        assert [seen.id for seen in await find((part, f"{name}x"))] == [other]
        assert await find((part, f"{name}y")) == []
        for another in PARTS:
            if another != part:
                assert await find((another, name)) == []
        assert {seen.id for seen in await find(None)} == {mine, other, nobody}


@pytest.mark.parametrize(("way", "api", "part"), [place for place in PLACES if place.values[2] != "agent"])
async def test_a_user_and_a_session_may_be_named_by_a_uuid(
    world: World, client: Client, way: Way, api: Api, part: str
) -> None:
    session = (await client("POST", "/v1/sessions", {}, expect=201))["id"]
    place = (part, UUID if part == "user" else session)
    id = await way(world, client, Said(part=place))
    assert [seen.id for seen in await api.search(client, "red kettle", place)] == [id]
    assert [seen.id for seen in await api.listed(client, place)] == [id]


@pytest.mark.parametrize("reader", ASKED, ids=name)
async def test_an_agent_named_by_a_uuid_is_known_to_all_from_its_first_memory_on(
    world: World, client: Client, reader: Api
) -> None:
    first = await CognipeerOne()(world, client, Said(part=("agent", UUID)))
    second = await RelayNow()(world, client, Said(part=("agent", UUID), content="The kettle is hot"))
    assert {seen.id for seen in await reader.listed(client, ("agent", UUID))} == {first, second}
    (agent,) = (await client("GET", "/v1/agents"))["data"]
    assert (agent["id"], agent["name"]) == (UUID, UUID)
    assert (await client("GET", f"/v1/agents/{UUID}/stats"))["memory_count"] == 2


async def test_relay_shows_a_scope_id_as_what_it_is(world: World, client: Client) -> None:
    ids = {part: await CognipeerOne()(world, client, Said(part=(part, "x1"))) for part in PARTS}
    (agent,) = (await client("GET", "/v1/agents"))["data"]
    assert agent["name"] == "x1"
    for part, id in ids.items():
        memory = await client("GET", f"/v1/memories/{id}")
        named = {"user": memory["user_id"], "agent": memory["agent_id"] or None, "session": memory["session_id"]}
        assert named == {**dict.fromkeys(PARTS), part: agent["id"] if part == "agent" else "x1"}


async def test_cognipeer_shows_the_first_part_of_a_scope_that_says_whose_it_is(client: Client) -> None:
    cognipeer = Cognipeer()
    body = {"agent_id": "a1", "content": "The red kettle"}
    for parts, scope in (
        ({"user_id": "u1", "session_id": "s1"}, ("user", "u1")),
        ({"session_id": "s1"}, ("agent", "a1")),
        ({}, ("agent", "a1")),
    ):
        id = (await client("POST", "/v1/memories", {**body, **parts}))["id"]
        item = await client("GET", f"{cognipeer.memories}/{id}")
        assert (item["scope"], item["scopeId"], item["source"], item["tags"]) == (*scope, "api", [])
        found = await client("POST", f"{cognipeer.store}/search", {"query": "kettle"})
        (match,) = [match for match in found["memories"] if match["id"] == id]
        assert (match["scope"], match["scopeId"]) == scope


async def test_a_memory_of_many_parts_is_found_by_each_of_them(client: Client) -> None:
    parts = {"user_id": "u1", "session_id": "s1"}
    id = (await client("POST", "/v1/memories", {"agent_id": "a1", "content": "The red kettle", **parts}))["id"]
    for part in (("user", "u1"), ("agent", "a1"), ("session", "s1")):
        for api in ASKED:
            assert [seen.id for seen in await api.search(client, "kettle", part)] == [id]
            assert [seen.id for seen in await api.listed(client, part)] == [id]


@pytest.mark.parametrize(("way", "api"), CHANGES)
async def test_a_change_through_one_is_seen_through_all(world: World, client: Client, way: Way, api: Api) -> None:
    id = await way(world, client, Said(part=("user", "u1")))
    created = int(world.clock.now().timestamp())
    world.clock.advance(9)
    await api.change(client, id, "The herring is blue")
    for reader in APIS:
        seen = await reader.read(client, id)
        assert seen is not None
        assert (seen.content, seen.created, seen.updated) == ("The herring is blue", created, created + 9)
        assert seen.metadata == METADATA or (seen.metadata is None and isinstance(way.api, Memsy))
        assert seen.tags in (None, Said().tags if way.api.has_tags else ())
        found = await reader.search(client, "blue herring", asked_of(reader, ("user", "u1")))
        assert [each.id for each in found] == [id]


@pytest.mark.parametrize(("way", "api"), CHANGES)
async def test_what_is_deleted_through_one_is_gone_for_all(world: World, client: Client, way: Way, api: Api) -> None:
    place = (way.parts[-1], "s1")
    id = await way(world, client, Said(part=place))
    kept = await way(world, client, Said(content="The red kettle stays", part=place))
    await api.delete(client, id)
    for reader in APIS:
        assert await reader.read(client, id) is None
        for part in (None, asked_of(reader, place)):
            assert [seen.id for seen in await reader.search(client, "red kettle", part)] == [kept]
            assert [seen.id for seen in await reader.listed(client, part)] == [kept]
        assert await reader.count(client) == 1
    assert {memory for memory, _ in await documents(world)} == {kept}


@pytest.mark.parametrize("way", [way for way in WAYS if "session" in way.parts], ids=name)
async def test_a_session_that_relay_deletes_takes_everybodys_memories_with_it(
    world: World, client: Client, way: Way
) -> None:
    session = (await client("POST", "/v1/sessions", {}, expect=201))["id"]
    id = await way(world, client, Said(part=("session", session)))
    await client("DELETE", f"/v1/sessions/{session}?cascade_memories=true")
    await world.work()
    for reader in APIS:
        assert await reader.read(client, id) is None
        assert await reader.search(client, "red kettle") == []


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_a_bulk_deletion_takes_everybodys_memories_of_a_scope(world: World, client: Client, way: Way) -> None:
    id = await way(world, client, Said(part=("user", "u1")))
    kept = await way(world, client, Said(part=("user", "u2")))
    where = urlencode({"scope": "user", "scopeId": "u1"})
    assert await client("DELETE", f"{COGNIPEER}/default/memories?{where}") == {"deleted": 1}
    for reader in APIS:
        assert await reader.read(client, id) is None
        assert [seen.id for seen in await reader.search(client, "red kettle")] == [kept]


@pytest.mark.parametrize("status", ["archived", "expired"])
@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_what_cognipeer_archives_relay_finds_only_when_asked_for(
    world: World, client: Client, way: Way, status: str
) -> None:
    id = await way(world, client, Said())
    await client("PATCH", f"{COGNIPEER}/default/memories/{id}", {"status": status})
    for api in ASKED:
        assert await api.search(client, "red kettle") == []
        assert [seen.id for seen in await api.listed(client)] == [id]
    asked = {"query": "red kettle", "include_archived": True}
    assert [hit["id"] for hit in (await client("POST", "/v1/memories/search", asked))["data"]] == [id]
    await client("PATCH", f"{COGNIPEER}/default/memories/{id}", {"status": "active"})
    for api in APIS:
        assert [seen.id for seen in await api.search(client, "red kettle")] == [id]


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_the_context_of_each_api_has_what_any_wrote(world: World, client: Client, way: Way) -> None:
    said = Said(part=("user", "u1"))
    await way(world, client, said)
    relay = await client("POST", "/v1/memories/context", {"query": said.content, "user_id": "u1"})
    body = {"query": said.content, **Cognipeer.where(said.part)}
    assert said.content in relay["context"]
    assert (await client("POST", f"{COGNIPEER}/default/recall", body))["context"] == f"- {said.content}"


@pytest.mark.parametrize("part", [None, *((part, "x1") for part in PARTS)])
async def test_what_another_store_holds_is_in_that_store_alone(
    world: World, client: Client, part: tuple[str, str] | None
) -> None:
    store = {"name": "Other", "vectorProviderKey": "p", "embeddingModelKey": "m"}
    await client("POST", COGNIPEER, store, expect=201)
    other = Cognipeer("mem-other")
    body = CognipeerOne.body(Said(part=part))
    id = (await client("POST", other.memories, body, expect=201))["memory"]["_id"]
    for api in APIS:
        for where in dict.fromkeys((None, asked_of(api, part))):
            assert await api.search(client, "red kettle", where) == []
            assert await api.listed(client, where) == []
        assert await api.count(client) == 0
    assert (await client("POST", "/v1/memories/context", {"query": "red kettle"}))["memories"] == []
    mine = await RelayNow()(world, client, Said(part=part))
    assert [seen.id for seen in await other.search(client, "red kettle", part)] == [id]
    assert [seen.id for seen in await other.listed(client, part)] == [id]
    assert await other.read(client, mine) is None
    assert await Cognipeer().read(client, id) is None
    if part is not None and part[0] == "agent":
        (agent,) = [each for each in (await client("GET", "/v1/agents"))["data"] if each["name"] == "x1"]
        assert (await client("GET", f"/v1/agents/{agent['id']}/stats"))["memory_count"] == 1


async def test_another_tenant_sees_nothing_through_any_api(world: World, client: Client) -> None:
    ids = [await way(world, client, Said(content=f"Red kettle {number}")) for number, way in enumerate(WAYS)]
    async with world.client(OTHER_KEY) as stranger:
        for api in APIS:
            assert await api.search(stranger, "red kettle") == []
            assert await api.listed(stranger) == []
            assert [await api.read(stranger, id) for id in ids] == [None] * len(ids)
            assert await api.count(stranger) == 0


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_edge_neither_changes_nor_deletes_what_any_wrote(world: World, client: Client, way: Way) -> None:
    id = await way(world, client, Said())
    before = await row(world, id)
    edge = Edge()
    await edge.change(client, id, "The herring is blue")
    await edge.delete(client, id)
    assert await row(world, id) == before


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_edge_shows_what_any_wrote_in_the_organization_that_has_the_tenants_name(
    world: World, client: Client, way: Way
) -> None:
    id = await way(world, client, Said())
    for prefix in ("/edge", ""):
        assert [seen.id for seen in await Edge(prefix=prefix).listed(client)] == [id]
        assert [seen.id for seen in await Edge(prefix=prefix).search(client, "")] == [id]
        for other in ("org", "", TENANT.upper(), f"{TENANT} ", "default"):
            path = f"{prefix}/v1/memories/{id}?{urlencode({'organizationId': other})}"
            assert await answered(client, path) is None
            if other:
                assert await Edge(other, prefix).listed(client) == []
                assert await Edge(other, prefix).search(client, "") == []
        shown = await answered(client, f"{prefix}/v1/memories/{id}?organizationId={TENANT}")
        assert shown is not None
        assert shown["memory"]["organization_id"] == TENANT


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_edge_shows_whose_a_memory_is_as_far_as_its_writer_said(world: World, client: Client, way: Way) -> None:
    for part in way.parts:
        id = await way(world, client, Said(part=(part, "Ünï 🫖")))
        body = await answered(client, f"/edge/v1/memories/{id}")
        assert body is not None
        memory = body["memory"]
        named = {"user": memory["subject_id"], "agent": memory["agent_id"]}
        assert part not in named or named[part] == "Ünï 🫖"
        of_relay, of_edge, of_memsy = (isinstance(way.api, kind) for kind in (Relay, Edge, Memsy))
        assert (memory["subject_id"] is None) is (part != "user" and not of_edge and not of_memsy)
        assert (memory["agent_id"] is None) is (part != "agent" and not of_edge and not of_relay)
        assert memory["namespace"] == ("n" if of_edge else None)
        assert memory["vector_id"] == (f"mem_{id}" if isinstance(way, EdgeVector) else None)


async def test_a_project_of_memoryrelays_is_edges_namespace(client: Client) -> None:
    body = {"agent_id": "a1", "content": "The red kettle", "project": "northrelay", "user_id": "u1"}
    id = (await client("POST", "/v1/memories", body))["id"]
    await client("POST", "/v1/memories", {**body, "project": "southrelay"})
    found = await client("GET", f"/edge/v1/memories?organizationId={TENANT}&namespace=northrelay")
    assert [(memory["id"], memory["namespace"]) for memory in found["memories"]] == [(id, "northrelay")]


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_no_memory_without_a_vector_of_its_own_is_near_to_one(world: World, client: Client, way: Way) -> None:
    id = await way(world, client, Said())
    for length in (3, world.embedder.space.dimension):
        body = {"organizationId": TENANT, "queryEmbedding": [0.5] * length}
        found = (await client("POST", "/edge/v1/memories/search", body))["matches"]
        assert [match["memory"]["id"] for match in found] == (
            [id] if length == 3 and isinstance(way, EdgeVector) else []
        )


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_cognipeer_and_edge_agree_on_the_millisecond(world: World, client: Client, way: Way) -> None:
    world.clock.advance(61.7891)
    id = await way(world, client, Said())
    world.clock.advance(3.2104)
    await Cognipeer().change(client, id, "The herring is blue")
    item = await client("GET", f"{COGNIPEER}/default/memories/{id}")
    memory = (await client("GET", f"/edge/v1/memories/{id}"))["memory"]
    assert (memory["created_at"], memory["updated_at"]) == (item["createdAt"], item["updatedAt"])
    assert memory["created_at"].endswith(".789Z")
    assert memory["updated_at"].endswith(".999Z")


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_a_change_through_any_takes_the_vector_of_the_old_content_with_it(
    world: World, client: Client, way: Way
) -> None:
    id = await way(world, client, Said())
    await Cognipeer().change(client, id, "The herring is blue")
    await world.work()
    assert (await client("GET", f"/edge/v1/memories/{id}"))["memory"]["vector_id"] is None
    body = {"organizationId": TENANT, "queryEmbedding": [0.012, 0.034, 0.056]}
    assert (await client("POST", "/edge/v1/memories/search", body))["matches"] == []


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_edge_lists_no_archived_and_no_confidential_memory_but_reads_it(
    world: World, client: Client, way: Way
) -> None:
    id = await way(world, client, Said())
    await client("PATCH", f"{COGNIPEER}/default/memories/{id}", {"status": "archived"})
    secret = (await client("POST", "/v1/memories", {"agent_id": "a", "content": "c", "visibility": "confidential"}))[
        "id"
    ]
    assert await Edge().listed(client) == []
    assert await Edge().search(client, "red kettle") == []
    for hidden in (id, secret):
        assert await Edge().read(client, hidden) is not None


async def test_an_organization_of_edges_is_no_border_to_the_others(world: World, client: Client) -> None:
    body = EdgeVector().body(Said())
    ids = [
        (await client("POST", "/edge/v1/memories", {**body, "organizationId": organization}, expect=201))["memory"][
            "id"
        ]
        for organization in ("org_a", "org_b", TENANT)
    ]
    await world.work()
    for api in ASKED:
        assert {seen.id for seen in await api.listed(client)} == set(ids)
        assert {seen.id for seen in await api.search(client, "red kettle")} == set(ids)
        assert await api.count(client) == 3
    for organization, id in zip(("org_a", "org_b", TENANT), ids, strict=True):
        assert [seen.id for seen in await Edge(organization).listed(client)] == [id]


async def test_what_edge_does_not_show_takes_nobodys_place_in_its_lists(world: World, client: Client) -> None:
    kept = await EdgeOne()(world, client, Said(content="The red kettle stays"))
    for status in ("archived", "expired"):
        id = await CognipeerOne()(world, client, Said(content=f"The {status} kettle"))
        await client("PATCH", f"{COGNIPEER}/default/memories/{id}", {"status": status})
    lapsing = replace(await row(world, kept), id=UNKNOWN, expires_at=world.clock.now() + timedelta(days=1))
    assert await world.services.memories.add([Entry(lapsing)]) == [None]
    world.clock.advance(2 * 24 * 3600)
    shown = await client("GET", f"/edge/v1/memories?organizationId={TENANT}&limit=1")
    assert [memory["id"] for memory in shown["memories"]] == [kept]
    found = await client("POST", "/edge/v1/memories/search", {"organizationId": TENANT, "limit": 1})
    assert [match["memory"]["id"] for match in found["matches"]] == [kept]


async def test_edge_looks_past_however_many_memories_that_it_does_not_show(client: Client) -> None:
    edge = EdgeOne().body(Said())
    kept = (await client("POST", "/edge/v1/memories", edge, expect=201))["memory"]["id"]
    secret = {"agent_id": "a", "content": "c", "visibility": "confidential"}
    for _ in range(BUDGET // 100 + 1):
        await client("POST", "/v1/memories/batch", {"memories": [secret] * 100})
    assert [seen.id for seen in await Edge().listed(client)] == [kept]
    assert [seen.id for seen in await Edge().search(client, "")] == [kept]


ABOUT_NOBODY = Said(content="The red kettle of nobody")


@pytest.mark.parametrize("way", [way for way in WAYS if "user" in way.parts], ids=name)
async def test_memsy_finds_what_any_wrote_about_an_actor_and_what_is_about_nobody(
    world: World, client: Client, way: Way
) -> None:
    mine = await way(world, client, Said(part=("user", "Ünï 🫖")))
    await way(world, client, Said(part=("user", "Ünï 🫖x")))
    nobodys = await CognipeerOne()(world, client, ABOUT_NOBODY)
    assert {seen.id for seen in await Memsy.found(client, "red kettle", actor_id="Ünï 🫖")} == {mine, nobodys}
    items = (await client("GET", f"/v1/console/memories?{urlencode({'actor_id': 'Ünï 🫖'})}"))["items"]
    assert [item["memory_id"] for item in items] == [mine]
    actors = (await client("GET", "/v1/actors?sort=actor_id_asc"))["items"]
    assert [(actor["actor_id"], actor["memory_count"]) for actor in actors] == [("Ünï 🫖", 1), ("Ünï 🫖x", 1)]


@pytest.mark.parametrize("way", [way for way in WAYS if "session" in way.parts], ids=name)
async def test_memsy_finds_what_any_wrote_in_a_session_and_what_has_none(
    world: World, client: Client, way: Way
) -> None:
    mine = await way(world, client, Said(part=("session", "s:1")))
    other = await way(world, client, Said(part=("session", "s:2")))
    nobodys = await CognipeerOne()(world, client, ABOUT_NOBODY)
    assert {seen.id for seen in await Memsy.found(client, "red kettle", session_id="s:1")} == {mine, nobodys}
    assert {seen.id for seen in await Memsy.found(client, "red kettle", exclude_session_id="s:1")} == {other, nobodys}


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_memsy_tells_which_events_a_memory_was_made_of_and_none_of_another_writers(
    world: World, client: Client, way: Way
) -> None:
    id = await way(world, client, Said())
    body = {"query": "red kettle", "include_source_events": True}
    (result,) = (await client("POST", "/v1/search", body))["results"]
    item = await client("GET", f"/v1/console/memories/{id}")
    told = [event["content"] for event in result["metadata"].get("source_events", ())]
    assert told == ([Said().content] if isinstance(way.api, Memsy) else [])
    assert result["metadata"]["source_event_ids"] == item["source_event_ids"]
    assert len(item["source_event_ids"]) == len(told)
    assert (item["payload"] is None) is isinstance(way.api, Memsy)
    assert item["org_id"] == TENANT


@pytest.mark.parametrize("way", WAYS, ids=name)
async def test_memsys_reads_leave_the_memory_of_any_writer_as_it_is(world: World, client: Client, way: Way) -> None:
    id = await way(world, client, Said())
    before = await row(world, id)
    memsy = Memsy()
    await memsy.change(client, id, "The herring is blue")
    await memsy.delete(client, id)
    await client("DELETE", f"/v1/clear/{TENANT}", expect=501)
    assert [seen.id for seen in await memsy.search(client, "red kettle")] == [id]
    await world.work()
    assert await row(world, id) == before
    assert (await client("GET", f"/v1/console/memories/{id}"))["recall_count"] == 1


async def test_memsy_knows_the_organization_of_the_tenants_name_alone(world: World, client: Client) -> None:
    kept = await EdgeOne()(world, client, Said())
    other = {**EdgeOne().body(Said()), "organizationId": "org_b"}
    hidden = (await client("POST", "/edge/v1/memories", other, expect=201))["memory"]["id"]
    await world.work()
    memsy = Memsy()
    for seen in (await memsy.search(client, "red kettle"), await memsy.listed(client)):
        assert [each.id for each in seen] == [kept]
    assert await memsy.read(client, hidden) is None
    await world.accept("mem_test_key_of_org_b", TENANT, organizations=["org_b"])
    async with world.client("mem_test_key_of_org_b") as limited:
        for seen in (await memsy.search(limited, "red kettle"), await memsy.listed(limited)):
            assert [each.id for each in seen] == [hidden]
        assert await memsy.read(limited, kept) is None
        mine = await MemsyEvent()(world, limited, Said(content="The red kettle of org_b"))
    assert await Edge("org_b").read(client, mine) is not None
    assert [seen.id for seen in await Edge("org_b").listed(client)] == [mine, hidden]
    assert await memsy.read(client, mine) is None


async def test_an_event_whose_memory_was_deleted_stays_done_and_says_it_anew_when_it_is_told_again(
    world: World, client: Client
) -> None:
    id = await MemsyEvent()(world, client, Said())
    (event,) = (await client("GET", f"/v1/console/memories/{id}"))["source_event_ids"]
    await Relay().delete(client, id)
    assert (await client("POST", "/v1/status", {"event_ids": [event]}))["completedIds"] == [event]
    assert (await client("GET", "/api/console/events"))["total"] == 1
    world.clock.advance(61)
    again = await MemsyEvent()(world, client, Said())
    assert again != id
    assert (await client("GET", f"/v1/console/memories/{again}"))["source_event_ids"] != [event]


@pytest.mark.parametrize("api", APIS, ids=name)
async def test_a_memory_of_what_happened_long_ago_is_as_new_as_its_writing(
    world: World, client: Client, api: Api
) -> None:
    newest = await RelayNow()(world, client, Said(content="Something about herrings"))
    world.clock.advance(60)
    event = {**MemsyEvent.body(Said()), "ts": "2020-02-29T12:00:00+01:00", "role_id": "cook", "team_id": "night"}
    (told,) = (await client("POST", "/v1/ingest", {"events": [event]}))["event_ids"]
    await world.work()
    (seen, other) = await api.listed(client)
    assert (seen.content, other.id) == (Said().content, newest)
    assert seen.created == int(world.clock.now().timestamp())
    assert (await api.search(client, "red kettle"))[0].id == seen.id
    item = await client("GET", f"/v1/console/memories/{seen.id}")
    assert (item["observed_at"], item["source_event_ids"]) == ("2020-02-29T11:00:00Z", [told])
    assert (item["scope"]["role_id"], item["scope"]["team_id"]) == ("cook", "night")


@pytest.mark.parametrize("api", APIS, ids=name)
async def test_what_members_of_a_role_know_each_finds_once_more_as_nobodys(
    world: World, client: Client, api: Api
) -> None:
    order = {"org_id": TENANT, "name": "Cook", "focus": "kettles"}
    role = (await client("POST", "/v1/roles", order))["role_id"]
    said = Said(content="We always descale the red kettle")
    for actor in ("ada", "ben", "cay"):
        event = {**MemsyEvent.body(replace(said, part=("user", actor))), "role_id": role}
        await client("POST", "/v1/ingest", {"events": [event]})
        await world.work()
    assert await world.services.promote(TENANT, TENANT) == 1
    world.clock.advance(1)
    (promoted,) = [
        item
        for item in (await client("GET", "/v1/console/memories"))["items"]
        if item["scope"] == {"level": "role", "actor_id": None, "role_id": role, "team_id": None}
    ]
    assert len(promoted["source_event_ids"]) == 3
    for found in (await api.search(client, "red kettle"), await api.listed(client)):
        assert len(found) == 4
        assert {seen.content for seen in found} == {said.content}
        assert promoted["memory_id"] in {seen.id for seen in found}
    if "user" in api.parts:
        assert len(await api.search(client, "red kettle", ("user", "ada"))) == 1
