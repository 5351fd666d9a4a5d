"""What each function is allowed in template.yaml is what it does, and nothing else."""

import importlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from cloudformation import Choices
from commonplace.adapters.aws import bedrock_extractor
from commonplace.core.forget import AT_ONCE, ROUNDS
from commonplace.model.document import Document, Findings, Probe, Removal
from commonplace.model.filter import Filter
from commonplace.model.space import Space
from commonplace.model.webhook import Answer
from commonplace.ports.embedder import Calibration, Embedder
from commonplace.ports.index import Index, Outcome
from commonplace.ports.queue import Message, Queue
from commonplace.ports.table import Check, Delete, Item, Key, Put, Scanned, Slice, Table, Update, Write
from commonplace.ports.table import Query as TableQuery
from commonplace.rows.memory_writes import Entry
from commonplace.wiring import Services
from gateway import Gateway
from golden import FOLDER, played
from index_calls import Call, calls
from provision.app import Access, grant
from provision.cluster import API
from relay_routes import CONTENT, HOOK, ROUTES
from sweeper.app import sweep
from template_document import (
    DOCUMENT,
    DOMAIN_ARN,
    ELSEWHERE,
    FUNCTIONS,
    RESOURCES,
    ROLES,
    Statement,
    allowed,
    statements,
    written,
)
from world import TEMPLATE, TENANT, Client, World
from world import world as made

pytestmark = pytest.mark.anyio

ACTIONS: Mapping[type[Write], str] = {
    Put: "PutItem",
    Update: "UpdateItem",
    Delete: "DeleteItem",
    Check: "ConditionCheckItem",
}
LONG = "a " * 25_000
"""More passages than one row of vectors holds."""


STORES = "/api/client/v1/memory/stores"
STORE = f"{STORES}/mem-notes"
SCOPES = [{"scope": "user", "scopeId": "u"}, {"scope": "agent", "scopeId": "a"}, {"scope": "session", "scopeId": "s"}]
IN_STORES: Mapping[str, Any] = {
    STORES: {"name": "Notes", "vectorProviderKey": "p", "embeddingModelKey": "m"},
    f"{STORE}/memories": {"content": "The user prefers dark mode"},
    f"{STORE}/memories/batch": {"memories": [{"content": "One", **scope} for scope in SCOPES]},
    f"{STORE}/search": {"query": "dark mode"},
    f"{STORE}/recall": {"query": "dark mode"},
}
"""The ways of writing that belong to stores: to ask one writes down what was found."""

KEY = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:openai-AbCdEf"
DOMAINS = ("${Domain.Arn}", DOMAIN_ARN, ELSEWHERE["OpenSearchDomainArn"])
"""How the template names a domain."""


@dataclass
class Used:
    """What one function did: its actions on the table, the indexes that it asked, the queues that it sent to, its calls to
    OpenSearch, whether it had something embedded."""

    actions: set[str] = field(default_factory=set)
    indexes: set[str] = field(default_factory=set)
    queues: set[str] = field(default_factory=set)
    calls: set[Call] = field(default_factory=set)
    embeds: bool = False


class RecordedTable(Table):
    """A table that takes down what it would be asked as DynamoDB."""

    def __init__(self, inner: Table, used: Used) -> None:
        self._inner = inner
        self._used = used

    async def get(self, key: Key) -> Item | None:
        self._used.actions.add("GetItem")
        return await self._inner.get(key)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        if keys:
            self._used.actions.add("BatchGetItem")
        return await self._inner.batch_get(keys)

    async def transact(self, writes: Sequence[Write]) -> None:
        self._used.actions |= {ACTIONS[type(write)] for write in writes}
        await self._inner.transact(writes)

    async def scan(self, after: str | None, limit: int) -> Scanned:  # noqa: ARG002 - as the port has it
        raise AssertionError("no function may read everything")

    async def query(self, query: TableQuery) -> Slice:
        self._used.actions.add("Query")
        if query.index is not None:
            self._used.indexes.add(query.index)
        return await self._inner.query(query)


class RecordedQueue(Queue):
    """A queue that takes down that it was sent to."""

    def __init__(self, inner: Queue, name: str, used: Used) -> None:
        self._inner = inner
        self._name = name
        self._used = used

    async def send(self, messages: Sequence[Message]) -> list[str | None]:
        self._used.queues.add(self._name)
        return await self._inner.send(messages)

    async def redrive(self) -> int:
        raise AssertionError("only the command line puts messages back")


class RecordedIndex(Index):
    """An index that takes down what it would be asked as OpenSearch."""

    def __init__(self, inner: Index, calls: Mapping[str, set[Call]], used: Used) -> None:
        self._inner = inner
        self._calls = calls
        self._used = used

    async def upsert(self, space: Space, documents: Sequence[Document]) -> list[Outcome]:
        self._used.calls |= self._calls["upsert"]
        return await self._inner.upsert(space, documents)

    async def delete(self, space: Space, removals: Sequence[Removal]) -> list[Outcome]:
        self._used.calls |= self._calls["delete"]
        return await self._inner.delete(space, removals)

    async def search(self, space: Space, probe: Probe, filter: Filter) -> Findings:
        self._used.calls |= self._calls["search"]
        return await self._inner.search(space, probe, filter)

    async def spaces(self) -> list[Space]:
        self._used.calls |= self._calls["spaces"]
        return await self._inner.spaces()

    async def renew(self, space: Space) -> None:
        self._used.calls |= self._calls["renew"]
        await self._inner.renew(space)

    async def retire(self, space: Space) -> None:
        self._used.calls |= self._calls["retire"]
        await self._inner.retire(space)


class RecordedEmbedder(Embedder):
    """An embedder that takes down that it was asked."""

    def __init__(self, inner: Embedder, used: Used) -> None:
        self._inner = inner
        self._used = used

    @property
    def space(self) -> Space:
        return self._inner.space

    @property
    def window(self) -> int:
        return self._inner.window

    @property
    def calibration(self) -> Calibration:
        return self._inner.calibration

    def tokens(self, text: str) -> list[tuple[int, int]]:
        return self._inner.tokens(text)

    async def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        self._used.embeds = True
        return await self._inner.embed(texts)


def folder(of: Path, name: str) -> Path:
    """A new folder."""
    new = of / name
    new.mkdir()
    return new


@asynccontextmanager
async def watched(folder: Path, used: Mapping[str, Used], calls: Mapping[str, set[Call]]) -> AsyncIterator[World]:
    """A world in which each function has services of its own, as it has in Lambda."""
    async with made(folder) as world:
        plain = world.services

        def services(function: str) -> Services:
            mine, engines = used[function], plain.engines
            recorded = replace(
                engines,
                table=RecordedTable(engines.table, mine),
                index=RecordedIndex(engines.index, calls, mine),
                embedder=lambda: RecordedEmbedder(world.embedder, mine),
                embedding_queue=RecordedQueue(engines.embedding_queue, "EmbeddingQueue", mine),
                delivery_queue=RecordedQueue(engines.delivery_queue, "DeliveryQueue", mine),
            )
            return Services(plain.settings, recorded, world.clock, world.ids)

        of_functions = {
            name: importlib.import_module(f"{name}.app").build(services(name)) for name in TEMPLATE.functions
        }
        world.gateway = Gateway(TEMPLATE, of_functions)
        world.services = services("worker")
        yield world
        await sweep(services("sweeper"))


async def everything_once(client: Client) -> None:
    """Each way of writing, twice with the same Idempotency-Key, and once so that it is refused."""
    posts = {route.path: route.body for route in ROUTES if route.method == "POST" and route.noun is None}
    for path, body in {**posts, **IN_STORES}.items():
        for _ in range(2):
            await client.http.post(path, json=body, headers={"idempotency-key": f"key of {path}"})
        await client.http.post(path, json={"agent_id": 5}, headers={"idempotency-key": f"bad {path}"})


async def each_list(client: Client) -> None:
    for name in ("agent_id", "user_id", "session_id", "project", "tier"):
        await client("GET", "/v1/memories", params={name: "hot" if name == "tier" else "my-assistant"})
    for name in ("agent_id", "project", "status"):
        await client("GET", "/v1/sessions", params={name: "active" if name == "status" else "my-assistant"})


async def while_parts_are_down(world: World, client: Client) -> None:
    """What the index or an endpoint leaves to the queues."""
    await client("POST", "/v1/webhooks", {"url": HOOK}, expect=201)
    ids = [(await client("POST", "/v1/memories", {**CONTENT, "content": LONG}))["id"] for _ in range(3)]
    session = (await client("POST", "/v1/sessions", {"agent_id": "my-assistant"}, expect=201))["id"]
    batch = {"memories": [{"content": str(number), "session_id": session} for number in range(60)]}
    for _ in range(2):
        await client("POST", "/v1/memories/batch", batch)
    shrunk = (await client("PUT", f"/v1/memories/{ids[0]}", {"content": "short"}))["extraction_status"]
    assert shrunk == "ready"
    world.index.down = True
    await client("POST", "/v1/memories", CONTENT)
    await client("PUT", f"/v1/memories/{ids[1]}", {"content": "short"})
    await client("DELETE", f"/v1/memories/{ids[2]}")
    await client("DELETE", f"/v1/sessions/{session}", params={"cascade_memories": "true"})
    (forget,) = [
        message
        for message in await world.embedding_queue.inner.receive(1_000, 0)
        if json.loads(message.body)["kind"] == "forget"
    ]
    await world.services.forget.clear(TENANT, session=json.loads(forget.body)["session"])
    world.index.down = False
    world.sender.answers = [Answer(500)]
    world.clock.advance(1)
    await world.work()


async def expired(world: World, client: Client) -> None:
    """A memory whose time is over, for the sweeper."""
    id = (await client("POST", "/v1/memories", CONTENT))["id"]
    row = await world.services.browse.get(TENANT, id)
    later = world.clock.now() + timedelta(minutes=1)
    await world.services.memories.add([Entry(replace(row, id=f"{id[:-2]}ff", passages=1, expires_at=later))])
    await client("POST", "/v1/memories/context", {"query": "x"})
    await client("POST", "/v2/memories", CONTENT, expect=202)
    world.clock.advance(3600)
    world.index.down = True


async def stores_come_and_go(world: World, client: Client) -> None:
    """A store with each of its rules, one that takes several messages to empty, and one whose message is lost."""
    await client("PATCH", STORE, {"config": {"maxMemories": 9, "ttlDays": 1, "deduplication": True}})
    await client("POST", f"{STORE}/memories", {"content": "x" * 3, **SCOPES[1]}, expect=201)
    await client("POST", f"{STORE}/memories/batch", {"memories": [{"content": str(n)} for n in range(9)]}, expect=429)
    id = (await client("GET", f"{STORE}/memories"))["items"][0]["id"]
    for scope in SCOPES:
        await client("GET", f"{STORE}/memories", params=scope)
    world.index.down = True
    await client("PATCH", f"{STORE}/memories/{id}", {"content": LONG})
    await client("DELETE", f"{STORE}/memories/{id}")
    world.index.down = False
    for scope in SCOPES:
        await client("DELETE", f"{STORE}/memories", params=scope)
    await client("PATCH", STORE, {"config": {"maxMemories": 100_000}})
    for start in range(0, ROUNDS * AT_ONCE + 1, 100):
        batch = [{"content": f"note {n}"} for n in range(start, start + 100)]
        assert (await client("POST", f"{STORE}/memories/batch", {"memories": batch}, expect=201))["added"] == 100
    await world.work()
    await client("DELETE", STORE)
    assert len(await world.work()) > 1
    await client("POST", STORES, IN_STORES[STORES], expect=201)
    world.embedding_queue.down = True
    await client("DELETE", STORE)
    world.embedding_queue.down = False
    world.clock.advance(61)


def said(number: int, **fields: str) -> dict[str, str]:
    """An event of Memsy's API."""
    event = {"actor_id": "u", "session_id": f"s{number % 2}", "kind": "user_message"}
    return {**event, "content": f"I prefer the number {number} to all others", **fields}


async def memsy(world: World, client: Client) -> None:
    """All that Memsy's API can do: few events and many, what is made of them, and how all of it is looked at."""
    few = {"events": [said(0, event_id="own"), said(1, role_id="r", team_id="t"), said(2, content="thanks!")]}
    for _ in range(2):
        await client("POST", "/v1/ingest", few, headers={"idempotency-key": "few"})
        world.clock.advance(61)
        await client("POST", "/v1/ingest", few)
    ids = (await client("POST", "/v1/ingest", {"events": [said(number) for number in range(10, 1010)]}))["event_ids"]
    await client("POST", "/v1/ingest", {"events": [{}]}, expect=422, headers={"idempotency-key": "bad"})
    await world.work()
    assert (await client("POST", "/v1/status", {"event_ids": ids[:500]}))["pendingIds"] == []
    for narrowed in ({}, {"actor_id": "u"}, {"role_ids": ["r"]}, {"session_id": "s0"}, {"exclude_session_id": "s0"}):
        search = {"query": "which number?", "include_source_events": True, **narrowed}
        assert (await client("POST", "/v1/search", search))["results"]
    await world.work()
    items = (await client("GET", "/v1/console/memories"))["items"]
    for path in (
        f"/{items[0]['memory_id']}",
        "/stats",
        "?actor_id=u",
        "?sort=strength_desc",
        "?status=archived&search=x",
    ):
        await client("GET", f"/v1/console/memories{path}")
    for path in ("/v1/actors", "/v1/actors/u"):
        await client("GET", path)
    for query in ("", "?offset=1000", "?actor_id=u", "?session_id=s1", "?kind=app_event"):
        await client("GET", f"/api/console/events{query}")


async def memsys_groups(_: World, client: Client) -> None:
    for noun in ("org", "role", "team"):
        body = {"org_id": TENANT, "name": "n", "focus": "f"}
        made = await client("POST", f"/v1/{noun}s", body, headers={"idempotency-key": noun})
        await client("POST", f"/v1/{noun}s", {}, expect=422, headers={"idempotency-key": f"bad {noun}"})
        group = f"/v1/{noun}s/{made[f'{noun}_id']}"
        await client("PATCH", group, {"focus": "other"})
        await client("POST", f"{group}/regenerate-prompt")
        await client("GET", group)
        await client("GET", f"/v1/{noun}s")
        assert (await client.http.delete(group)).status_code == 204


async def memsys_control_plane(_: World, client: Client) -> None:
    key = (await client("POST", "/api/keys", {"name": "ci", "scopes": ["read"]}))["key_id"]
    await client("POST", "/api/interest/pro", {"email": "a@example.com", "name": "Ada"})
    for path in (
        "me",
        "health",
        "keys",
        f"keys/{key}/usage",
        "usage/summary",
        "usage/timeseries",
        "interest/pro/status",
    ):
        await client("GET", f"/api/{path}")
    for path in ("billing/summary", "billing/invoices", "connectors", "connectors/providers"):
        await client("GET", f"/api/{path}")
    assert (await client.http.delete(f"/api/keys/{key}")).status_code == 204


class RecordedCluster:
    """A cluster that takes down what is written about roles."""

    def __init__(self, used: Used) -> None:
        self._used = used

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        assert body
        self._used.calls.add(("es:ESHttpPut", f"{API}{path}".strip("/")))


@pytest.fixture
async def used(tmp_path: Path) -> dict[str, Used]:
    """What each function did while everything was done that it can be asked for."""
    found = {name: Used() for name in FUNCTIONS}
    of_index = await calls()
    for number, file in enumerate(sorted(FOLDER.glob("*/*.json"))):
        async with watched(folder(tmp_path, f"{number} {file.stem}"), found, of_index) as world:
            await played(world, file)
            world.clock.advance(3600)
            world.index.down = False
    ways = (while_parts_are_down, expired, stores_come_and_go, memsy, memsys_groups, memsys_control_plane)
    for number, way in enumerate(ways):
        async with watched(folder(tmp_path, str(number)), found, of_index) as world, world.client() as client:
            await everything_once(client)
            await each_list(client)
            await way(world, client)
    grant(Access("https://search", ["member"], ["operator"]), lambda _: RecordedCluster(found["provision"]))
    return found


def inside(resource: str) -> str:
    """The path of a resource in a domain."""
    (domain,) = [each for each in DOMAINS if resource.startswith(f"{each}/")]
    return resource.removeprefix(f"{domain}/")


def granted(function: str, **given: str) -> Used:
    """What template.yaml allows a function with these parameters, beyond its log and what its event sources need."""
    found = Used()
    for statement in statements(function, **given):
        for action in statement.actions:
            service, _, name = action.partition(":")
            match service, name:
                case "dynamodb", _:
                    found.actions.add(name)
                    found.indexes |= {each.partition("/index/")[2] for each in statement.resources} - {""}
                case "sqs", "SendMessage":
                    found.queues |= {each.removeprefix("${").removesuffix(".Arn}") for each in statement.resources}
                case "es", _:
                    found.calls |= {(action, inside(each)) for each in statement.resources}
                case "bedrock", "InvokeModel":
                    found.embeds = True
                case "logs" | "sqs", _:
                    pass
                case _:
                    raise AssertionError(action)
    return found


async def test_each_function_may_do_what_it_does_and_nothing_else(used: dict[str, Used]) -> None:
    assert {name: granted(name) for name in FUNCTIONS} == used


async def test_the_record_sees_also_what_was_refused(tmp_path: Path) -> None:
    found: dict[str, Any] = {name: Used() for name in FUNCTIONS}
    async with watched(folder(tmp_path, "down"), found, {}) as world, world.client() as client:
        world.table.down = True
        assert (await client.http.get("/v1/agents")).status_code == 503
        world.table.down = False
    assert found["account"].actions == {"GetItem"}


def may_use(service: str, **given: str) -> dict[str, set[str]]:
    """The resources of a service that each function may use with these parameters."""
    found = {
        name: {
            resource
            for statement in statements(name, **given)
            if any(action.startswith(f"{service}:") for action in statement.actions)
            for resource in statement.resources
        }
        for name in FUNCTIONS
    }
    return {name: resources for name, resources in found.items() if resources}


MODEL = {"arn:${AWS::Partition}:bedrock:${AWS::Region}::foundation-model/${EmbeddingModel}"}


def test_who_embeds_may_ask_the_one_model_or_read_the_one_key() -> None:
    embedding = {name for name in FUNCTIONS if granted(name).embeds}
    assert may_use("bedrock") == dict.fromkeys(embedding, MODEL)
    assert may_use("secretsmanager") == {}
    with_key = {"Embedder": "openai", "OpenAiKeySecretArn": KEY}
    assert may_use("secretsmanager", **with_key) == {name: {KEY} for name in embedding}
    assert may_use("bedrock", **with_key) == {}
    assert may_use("secretsmanager", Embedder="openai") == {}
    assert may_use("secretsmanager", OpenAiKeySecretArn=KEY) == {}


def test_the_worker_alone_may_ask_the_text_model_or_read_its_key() -> None:
    arn, home = "arn:${AWS::Partition}:bedrock", "${AWS::Region}"
    for model, given in {bedrock_extractor.MODEL: {}, "eu.maker.model-1": {"TextModel": "eu.maker.model-1"}}.items():
        profile = f"{arn}:{home}:${{AWS::AccountId}}:inference-profile/{model}"
        wanted = [
            Statement(("bedrock:InvokeModel",), (f"{arn}:{home}::foundation-model/{model}", profile)),
            Statement(("bedrock:InvokeModel",), (f"{arn}:*::foundation-model/*",), profile),
        ]
        settings = {"Embedder": "openai", "Extractor": "bedrock", **given}
        assert set(may_use("bedrock", **settings)) == {"worker"}
        assert [each for each in statements("worker", **settings) if "bedrock:InvokeModel" in each.actions] == wanted
    with_key = {"Extractor": "openai", "OpenAiKeySecretArn": KEY}
    assert may_use("secretsmanager", **with_key) == {"worker": {KEY}}
    assert "worker" not in may_use("secretsmanager", Extractor="openai")


def test_the_same_calls_are_allowed_in_a_domain_that_is_there_already_and_none_without_its_arn() -> None:
    callers = {name for name in FUNCTIONS if granted(name).calls} - {"provision"}
    there = may_use("es", **ELSEWHERE)
    assert set(there) - {"provision"} == callers
    assert all(each.startswith(ELSEWHERE["OpenSearchDomainArn"]) for name in callers for each in there[name])
    assert {name: granted(name, **ELSEWHERE).calls for name in callers} == {
        name: granted(name).calls for name in callers
    }
    without = {"OpenSearchEndpoint": ELSEWHERE["OpenSearchEndpoint"]}
    assert set(may_use("es", **without)) <= {"provision"}
    assert not Choices(DOCUMENT, without).holds(RESOURCES["Provision"]["Condition"])


def domain_policy(**given: str) -> dict[str, Statement]:
    """What the domain's own policy allows to each role, by the name of the role."""
    choices = Choices(DOCUMENT, given)
    document = RESOURCES["Domain"]["Properties"]["AccessPolicies"]
    found: dict[str, Statement] = {}
    for raw, statement in zip(choices.settled(document["Statement"]), allowed(document, choices), strict=True):
        principals = raw["Principal"]["AWS"]
        for principal in principals if isinstance(principals, list) else [principals]:
            found[written(principal, choices).removeprefix("${").removesuffix(".Arn}")] = statement
    return found


def within(statement: Statement, call: Call) -> bool:
    action, path = call
    return action in statement.actions and any(fnmatchcase(path, inside(each)) for each in statement.resources)


def test_the_domain_lets_in_the_functions_that_call_it_and_nobody_else() -> None:
    policy = domain_policy()
    of_functions = {ROLES[name]: granted(name).calls for name in FUNCTIONS if granted(name).calls}
    assert set(policy) == set(of_functions)
    for role, its_calls in of_functions.items():
        assert all(within(policy[role], call) for call in its_calls), role
    members = {ROLES[name] for name in FUNCTIONS if granted(name).calls} - {ROLES["provision"]}
    told = {each.name for each in RESOURCES["IndexAccess"]["Properties"]["Members"]}
    assert told == members
    assert policy[ROLES["provision"]].resources == tuple(
        sorted(each for statement in statements("provision") for each in statement.resources if "_plugins" in each)
    )


async def test_whoever_rebuilds_the_index_may_do_so_and_no_more() -> None:
    operator = "arn:aws:iam::123456789012:role/operators"
    statement = domain_policy(OperatorRoleArn=operator)[operator]
    every = {call for of_method in (await calls()).values() for call in of_method}
    assert all(within(statement, call) for call in every)
    assert set(statement.actions) == {action for action, _ in every}
    for resource in statement.resources:
        assert any(fnmatchcase(path, inside(resource)) for _, path in every)
    told = Choices(DOCUMENT, {"OperatorRoleArn": operator}).settled(RESOURCES["IndexAccess"]["Properties"]["Operators"])
    assert [each.name for each in told] == ["OperatorRoleArn"]
    assert Choices(DOCUMENT).settled(RESOURCES["IndexAccess"]["Properties"]["Operators"]) == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_writes_to_its_own_log_only(function: str) -> None:
    (group,) = may_use("logs")[function]
    assert group == f"${{{FUNCTIONS[function]['LoggingConfig']['LogGroup'].name}.Arn}}"


def test_who_is_fed_by_a_queue_may_take_from_it_and_nobody_else() -> None:
    fed = {
        name: {f"${{{event['Properties']['Queue'].name}.Arn}}" for event in function["Events"].values()}
        for name, function in FUNCTIONS.items()
        if any(event["Type"] == "SQS" for event in function.get("Events", {}).values())
    }
    taking = {
        name: {*statement.resources}
        for name in FUNCTIONS
        for statement in statements(name)
        if "sqs:ReceiveMessage" in statement.actions
    }
    assert taking == fed
    (actions,) = {
        statement.actions
        for name in FUNCTIONS
        for statement in statements(name)
        if "sqs:ReceiveMessage" in statement.actions
    }
    assert set(actions) == {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
