"""The vendor's published clients (PyPI memsy 0.3.5), unchanged, against the running service: the synchronous and the
asynchronous one, of the data plane and of the control plane, each of their operations."""

import inspect
import json
import select
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote
from uuid import UUID, uuid4

import anyio
import httpx
import pytest
from memsy import AsyncMemsyClient, AsyncMemsyControlClient, MemsyClient, MemsyControlClient
from memsy.exceptions import (
    AuthenticationError,
    AuthorizationError,
    FeatureNotAvailable,
    KeyLimitReachedError,
    MemsyAPIError,
    MemsyConnectionError,
    OrgLimitReachedError,
    SeatRequiredError,
    UsageLimitExceeded,
)
from memsy.models import EventPayload, MemoryItemResource, ResourceSelection, StatusResponse

from e2e.conftest import Settled
from golden import MEMSY, played_over
from service import COMMAND_SECONDS, PATIENCE_SECONDS, Service, free_port
from world import TENANT

pytestmark = pytest.mark.anyio

Published: TypeAlias = MemsyClient | AsyncMemsyClient | MemsyControlClient | AsyncMemsyControlClient

DARK = "I prefer dark mode in every app"
TEA = "I am allergic to peanuts and drink green tea"
ACTOR = "slack:T/../U #?ü"
"""An id as connectors make them, with all that means something in a path."""

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
QUOTAS = {"events_ingested": 3, "search_queries": 2, "api_calls": 40}
BY_THEMSELVES = ("health", "ingest_refusals")
PLAYED = [file for file in MEMSY if file.stem in BY_THEMSELVES]
"""The files that need no hand in the engines, in the time, in the embedder or in the settings."""

COMMANDS = """
import sys
from commonplace.cli import main
for line in sys.stdin:
    main(line.split()) and sys.exit(1)
"""

DATA_CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "ingest": (([],), {}),
    "search": (("tea",), {}),
    "status": (([],), {}),
    "health": ((), {}),
    "orgs.list": ((), {}),
    "orgs.create": (("o", "n", "f"), {}),
    "orgs.get": (("o",), {}),
    "orgs.update": (("o",), {}),
    "orgs.regenerate_prompt": (("o",), {}),
    "orgs.delete": (("o",), {}),
    **{
        f"{groups}.{call}": (arguments, {})
        for groups in ("roles", "teams")
        for call, arguments in (
            ("list", ("o",)),
            ("create", ("o", "n", "f")),
            ("get", ("x", "o")),
            ("update", ("x", "o")),
            ("regenerate_prompt", ("x", "o")),
            ("delete", ("x", "o")),
        )
    },
    "memories.list": ((), {}),
    "memories.stats": ((), {}),
    "memories.get": ((UNKNOWN,), {}),
    "actors.list": ((), {}),
    "actors.get": (("a",), {}),
}
CONTROL_CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "me": ((), {}),
    "health": ((), {}),
    "usage.summary": ((), {}),
    "usage.timeseries": ((), {}),
    "billing.summary": ((), {}),
    "billing.invoices": ((), {}),
    "keys.list": ((), {}),
    "keys.create": (("ci",), {}),
    "keys.delete": (("x",), {}),
    "keys.usage": (("x",), {}),
    "events.list": ((), {}),
    "interest.express": (("a@example.com", "A"), {}),
    "interest.status": ((), {}),
    "connectors.list_providers": ((), {}),
    "connectors.status": (("slack",), {}),
    "connectors.create": (("slack",), {}),
    "connectors.configure_s3": (
        (),
        {"access_key_id": "a", "secret_access_key": "s", "region": "eu-central-1", "bucket": "b"},
    ),
    "connectors.list": ((), {}),
    "connectors.get": (("x",), {}),
    "connectors.list_resources": (("x",), {}),
    "connectors.list_branches": (("x", "owner/repo"), {}),
    "connectors.picker_config": (("x",), {}),
    "connectors.wait_until_authorized": (("x",), {"timeout": 1.0, "poll_interval": 0.1}),
    "connectors.configure_resources": (("x", [ResourceSelection("C01", "channel")]), {}),
    "connectors.sync": (("x",), {}),
    "connectors.delete": (("x",), {}),
}
"""Every operation, with the least that it has to be told."""

MUTATIONS = ("create", "update", "regenerate_prompt", "delete")


@dataclass(frozen=True, slots=True)
class Driver:
    """Calls a client by the names of its operations, whether it answers at once or has to be awaited."""

    client: Published

    async def __call__(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """What the operation answers."""
        call: Any = self.client
        for part in name.split("."):
            call = getattr(call, part)
        answer = call(*arguments, **named)
        return await answer if isinstance(answer, Awaitable) else answer

    async def refused(self, error: type[MemsyAPIError], name: str, /, *arguments: Any, **named: Any) -> Any:
        """The error that the operation has to raise: of this very class."""
        with pytest.raises(MemsyAPIError) as caught:
            await self(name, *arguments, **named)
        assert type(caught.value) is error, repr(caught.value)
        return caught.value

    async def done(self, ids: Sequence[str]) -> StatusResponse:
        """The status of events, once none is pending."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            status: StatusResponse = await self("status", list(ids))
            if not status.pending_ids:
                return status
            assert time.monotonic() < deadline, status
            await anyio.sleep(0.05)

    async def learned(self, *events: EventPayload) -> list[str]:
        """The ids of events whose memories can be found."""
        ids: list[str] = (await self("ingest", list(events))).event_ids
        assert (await self.done(ids)).completed_ids == ids
        return ids


@dataclass(frozen=True, slots=True)
class Pair:
    """The clients of both planes, with one key of an organization that nobody else has."""

    data: Driver
    control: Driver
    organization: str
    key: str


Makes = Callable[[str, str], tuple[Published, Published]]


def synchronous(url: str, key: str) -> tuple[Published, Published]:
    return MemsyClient(f"{url}/v1", key), MemsyControlClient(f"{url}/api", key)


def asynchronous(url: str, key: str) -> tuple[Published, Published]:
    return AsyncMemsyClient(f"{url}/v1", key), AsyncMemsyControlClient(f"{url}/api", key)


@pytest.fixture(params=[synchronous, asynchronous], ids=lambda made: str(made.__name__))
def makes(request: pytest.FixtureRequest) -> Makes:
    """Makes the clients of both planes for a URL and a key."""
    found: Makes = request.param
    return found


@asynccontextmanager
async def opened(*clients: Published) -> AsyncIterator[tuple[Driver, ...]]:
    """The drivers of clients, which are closed in the end."""
    try:
        yield tuple(map(Driver, clients))
    finally:
        for client in clients:
            closed = client.close()
            if closed is not None:
                await closed


class Operator:
    """Makes keys of organizations by the service's command line, in one process: most of what a key takes is to start one."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def __call__(self, organization: str, scopes: str = "read,write,admin") -> str:
        """A new key."""
        commands, answers = self._process.stdin, self._process.stdout
        assert commands is not None
        assert answers is not None
        commands.write(f"create-key --tenant {organization} --scopes {scopes}\n".encode())
        assert select.select([answers], [], [], COMMAND_SECONDS)[0], "no key was made in time"
        key = answers.readline().decode().strip()
        assert key, "no key was made; standard error says why"
        return key


@contextmanager
def operated(service: Service) -> Iterator[Operator]:
    """An operator of a service."""
    command = [sys.executable, "-u", "-c", COMMANDS]
    with subprocess.Popen(
        command, env=service.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        yield Operator(process)


@pytest.fixture(scope="module")
def minted(running: Service) -> Iterator[Operator]:
    with operated(running) as operator:
        yield operator


@pytest.fixture
async def pair(running: Service, minted: Operator, makes: Makes) -> AsyncIterator[Pair]:
    organization = f"org-{uuid4().hex}"
    key = minted(organization)
    async with opened(*makes(running.url, key)) as (data, control):
        yield Pair(data, control, organization, key)


def event(content: str = DARK, **fields: Any) -> EventPayload:
    given = {"actor_id": "user_42", "session_id": "sess_a", "kind": "user_message", **fields}
    return EventPayload(content=content, **given)


def unfaded(item: MemoryItemResource) -> MemoryItemResource:
    """A memory without its strength, which is another each moment."""
    return replace(item, strength=0.0)


def operations(client: Published) -> set[str]:
    """The names of all that a client can be asked to do."""

    def of(thing: object) -> Iterator[str]:
        return (name for name, _ in inspect.getmembers(thing, inspect.ismethod) if not name.startswith("_"))

    resources = {name: part for name, part in vars(client).items() if not name.startswith("_")}
    nested = {f"{name}.{call}" for name, part in resources.items() for call in of(part)}
    return {*of(client), *nested} - {"close"}


async def test_every_operation_of_each_client_stands_here(pair: Pair) -> None:
    assert operations(pair.data.client) == DATA_CALLS.keys()
    assert operations(pair.control.client) == CONTROL_CALLS.keys()
    assert len(DATA_CALLS) + len(CONTROL_CALLS) - len({"connectors.wait_until_authorized"}) == 52


async def test_events_become_memories_that_are_found_with_where_they_come_from(pair: Pair) -> None:
    data = pair.data
    metadata = json.dumps({"plan": "pro", "nested": {"ü": [1, 2.5]}})
    said = datetime(2026, 3, 15, 14, 22, 10, tzinfo=UTC).isoformat()
    answer = await data(
        "ingest",
        [
            event(metadata=metadata, ts=said, role_id="role_1", team_id="team_1"),
            event("thanks!"),
            event(TEA, actor_id="user_43", session_id="sess_b", metadata="no json"),
        ],
    )
    assert len(answer.event_ids) == len(set(answer.event_ids)) == 3
    assert (answer.usage.events_ingested, answer.usage.api_calls, answer.usage.plan) == (3, 1, "pro")
    assert answer.rate_limit is None  # nothing is limited here

    status = await data.done([*answer.event_ids, "unknown", answer.event_ids[0]])
    assert status.completed_ids == [*answer.event_ids, answer.event_ids[0]]
    assert (status.failed_ids, status.total) == (["unknown"], 5)
    assert status.statuses == {**dict.fromkeys(answer.event_ids, "completed"), "unknown": "not_found"}

    found = await data("search", "which theme does the user like?", threshold=0.4, include_source_events=True)
    (hit,) = found.results
    assert UUID(hit.id)
    assert (hit.content, hit.kind, hit.type, hit.session_id) == (DARK, "semantic", "preference", "sess_a")
    assert 0.4 <= hit.score <= 1.0
    assert hit.metadata["actor_id"] == "user_42"
    assert (hit.title, hit.summary, hit.tags, hit.confidence) == (DARK, None, [], 0.9)
    assert 0 < hit.strength < 1.0  # it has faded since March
    assert hit.observed_at == "2026-03-15T14:22:10Z"
    assert hit.source_event_ids == answer.event_ids[:1]
    assert hit.source_metadata == [{"event_id": answer.event_ids[0], "metadata": json.loads(metadata)}]
    (source,) = hit.source_events
    assert (source.event_id, source.kind, source.content, source.ts) == (
        answer.event_ids[0],
        "user_message",
        DARK,
        hit.observed_at,
    )
    assert found.usage.search_queries == 1
    (other,) = (await data("search", "what is the user allergic to?", threshold=0.4)).results
    assert (other.content, other.source_events) == (TEA, [])
    assert other.source_metadata == [{"event_id": answer.event_ids[2], "raw": "no json"}]


async def test_what_is_told_twice_is_one_event_and_what_is_said_twice_one_memory(pair: Pair) -> None:
    first, again = (await pair.data("ingest", [event(), event(role_id="role_1", metadata="{}")])).event_ids
    assert first == again
    assert (await pair.data("ingest", [event()])).event_ids == [first]
    other = await pair.data.learned(event(kind="assistant_message"))
    await pair.data.done([first])
    (hit,) = (await pair.data("search", "dark mode")).results
    assert set(hit.source_event_ids) == {first, *other}
    assert len(hit.source_event_ids) == 2
    assert (await pair.control("events.list")).total == 2
    assert (await pair.data("ingest", [])).event_ids == []
    assert (await pair.data("status", [])).total == 0


async def test_a_search_is_narrowed_by_actor_session_role_and_team(pair: Pair) -> None:
    await pair.data.learned(
        event("The parcel of one stands on the red shelf", actor_id=ACTOR),
        event("The parcel of two stands on the blue shelf", session_id="sess_b", role_id="role_1"),
        event("The parcel of three stands on the green shelf", session_id="sess_c", team_id="team_1"),
    )

    async def shelves(**options: Any) -> set[str]:
        results = (await pair.data("search", "on which shelf does the parcel stand?", **options)).results
        assert [hit.score for hit in results] == sorted((hit.score for hit in results), reverse=True)
        return {hit.content.split()[-2] for hit in results}

    assert await shelves() == {"red", "blue", "green"}
    assert await shelves(actor_id=ACTOR) == {"red"}
    assert await shelves(actor_id="user_42") == {"blue", "green"}
    assert await shelves(actor_id="user_42", role_ids=["role_1"]) == {"blue", "green"}
    assert await shelves(role_ids=["role_1"]) == {"blue"}
    assert await shelves(role_ids=["role_1"], team_ids=["team_1", "team_2"]) == {"blue", "green"}
    assert await shelves(session_id="sess_b") == {"blue"}
    assert await shelves(exclude_session_id="sess_b") == {"red", "green"}
    assert await shelves(session_id="", exclude_session_id="sess_c") == {"red", "blue"}
    assert await shelves(actor_id="nobody") == set()
    assert await shelves(threshold=1.1) == set()
    assert len(await shelves(limit=2)) == 2


async def test_memories_and_actors_are_looked_over(pair: Pair) -> None:
    data = pair.data
    ids = await data.learned(
        event(actor_id=ACTOR, role_id="role_1", ts="2026-01-01T00:00:00Z"),
        event("Always run the tests before you push", ts="2026-01-03T00:00:00Z"),
        event("Yesterday we met Anna Petrova in Berlin", team_id="team_1", ts="2026-01-02T00:00:00Z"),
    )
    page = await data("memories.list")
    assert [item.type for item in page.items] == ["norm", "event", "preference"]
    assert (page.total, page.limit, page.offset) == (3, 50, 0)
    _, met, dark = page.items
    assert (dark.org_id, dark.text, dark.source_event_ids) == (pair.organization, DARK, ids[:1])
    assert (dark.scope.level, dark.scope.actor_id, dark.scope.role_id) == ("actor", ACTOR, "role_1")
    assert (dark.kind, dark.memory_kind, dark.status, dark.pinned) == ("semantic", "semantic", "active", False)
    assert met.entity_refs == [{"name": "Anna Petrova"}, {"name": "Berlin"}]
    assert unfaded(await data("memories.get", dark.memory_id)) == unfaded(dark)
    (third,) = (await data("memories.list", sort="observed_at_asc", limit=1, offset=2)).items
    assert third.type == "norm"
    for options, expected in (
        ({"actor_id": ACTOR}, [dark]),
        ({"kind": "episodic"}, [met]),
        ({"type": "preference"}, [dark]),
        ({"search": "ANNA petrova"}, [met]),
        ({"status": "archived"}, []),
    ):
        shown = (await data("memories.list", **options)).items
        assert list(map(unfaded, shown)) == list(map(unfaded, expected)), options
    await data.refused(MemsyAPIError, "memories.get", UNKNOWN)

    stats = await data("memories.stats")
    assert (stats.total, stats.total_memories, stats.active_memories) == (3, 3, 3)
    assert stats.by_type == {"norm": 1, "event": 1, "preference": 1}
    assert stats.by_kind == {"semantic": 1, "procedural": 1, "episodic": 1}
    assert stats.by_status == {"active": 3}
    assert 0 < stats.avg_confidence <= 1
    assert stats.top_entities == [{"name": "Anna Petrova", "count": 1}, {"name": "Berlin", "count": 1}]
    assert sum(bucket["count"] for bucket in stats.confidence_buckets) == 3
    assert stats.date_range == {"earliest": "2026-01-01T00:00:00Z", "latest": "2026-01-03T00:00:00Z"}

    actors = await data("actors.list", sort="actor_id_asc")
    assert [actor.actor_id for actor in actors.items] == [ACTOR, "user_42"]
    assert (actors.total, actors.limit, actors.offset, actors.truncated) == (2, 100, 0, False)
    one, two = actors.items
    assert (one.memory_count, one.active_memory_count, one.role_ids, one.team_ids) == (1, 1, ["role_1"], [])
    assert (two.memory_count, two.scope_levels, two.team_ids) == (2, ["actor"], ["team_1"])
    assert await data("actors.get", ACTOR) == one
    assert await data("actors.get", "user_42", pair.organization) == two
    assert (await data("actors.list", pair.organization, q="SLACK", limit=1)).items == [one]
    assert (await data("actors.list", offset=2)).items == []
    assert (await data.refused(AuthorizationError, "actors.list", "another")).error_code == "org_forbidden"
    assert (await data.refused(AuthorizationError, "actors.get", ACTOR, "another")).error_code == "org_forbidden"
    assert (await data.refused(MemsyAPIError, "actors.get", "nobody")).status_code == 404
    assert (await data.refused(MemsyAPIError, "actors.list", sort="memory_count_desc")).status_code == 422


async def test_a_memory_that_is_found_gains_strength(pair: Pair) -> None:
    await pair.data.learned(event())
    assert (await pair.data("memories.list")).items[0].recall_count == 0
    before = (await pair.data("search", "dark mode")).results[0]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := (await pair.data("memories.get", before.id))).recall_count != 1:
        assert time.monotonic() < deadline
        await anyio.sleep(0.05)
    assert found.strength > before.strength
    assert found.last_recalled_at is not None


@pytest.mark.parametrize("groups", ["orgs", "roles", "teams"])
async def test_orgs_roles_and_teams_are_made_changed_and_deleted(pair: Pair, groups: str) -> None:
    data, organization = pair.data, pair.organization
    whose = () if groups == "orgs" else (organization,)
    assert await data(f"{groups}.list", *whose) == []
    made = await data(f"{groups}.create", organization, "Sales", "B2B sales")
    assert (made.org_id, made.name, made.focus) == (organization, "Sales", "B2B sales")
    assert "B2B sales" in made.promotion_prompt
    assert made.prompt_meta["source"] == "generated"
    id = made.org_id if groups == "orgs" else getattr(made, f"{groups[:-1]}_id")
    assert quote(id, safe="") == id
    place = (id, *whose)
    assert await data(f"{groups}.get", *place) == made
    assert await data(f"{groups}.list", *whose) == [made]
    if groups == "orgs":
        assert (await data.refused(MemsyAPIError, "orgs.create", id, "Twice", "f")).status_code == 409
    else:
        assert await data(f"{groups}.list", *whose, limit=1, offset=1) == []
        assert (await data.refused(AuthorizationError, f"{groups}.list", "another")).error_code == "org_forbidden"

    changed = await data(f"{groups}.update", *place, focus="B2C sales")
    assert (changed.focus, changed.promotion_prompt) == ("B2C sales", made.promotion_prompt)
    by_hand = await data(f"{groups}.update", *place, name="Shop", promotion_prompt="Mine")
    assert (by_hand.name, by_hand.focus, by_hand.promotion_prompt) == ("Shop", "B2C sales", "Mine")
    assert by_hand.prompt_meta["source"] == "manual"
    anew = await data(f"{groups}.regenerate_prompt", *place)
    assert "B2C sales" in anew.promotion_prompt
    assert anew.prompt_meta["source"] == "generated"

    assert await data(f"{groups}.delete", *place) is None
    assert await data(f"{groups}.list", *whose) == []
    for call in ("get", "update", "regenerate_prompt", "delete"):
        assert (await data.refused(MemsyAPIError, f"{groups}.{call}", *place)).status_code == 404


async def test_both_planes_are_well_for_who_shows_a_key(pair: Pair) -> None:
    for driver in (pair.data, pair.control):
        health = await driver("health")
        assert (health.status, health.billing_enabled) == ("ok", False)
        assert set(health.components.values()) == {"ok"}
    assert (await pair.data("health")).usage.plan == "pro"


async def test_the_control_plane_tells_who_calls_what_was_told_and_what_was_used(pair: Pair) -> None:
    control, organization = pair.control, pair.organization
    me = await control("me")
    assert (me.org_id, me.customer_id, me.org_role) == (organization, organization, "org:admin")
    assert (me.tier, me.is_billing_admin, me.is_superadmin) == ("pro", True, False)

    ids = await pair.data.learned(
        event(ts="2026-01-02T00:00:00Z", metadata='{"a":1}'),
        event(TEA, session_id="sess_b", kind="assistant_message", ts="2026-01-01T00:00:00Z", metadata="raw"),
        event("The kettle is red", actor_id="user_43", ts="2026-01-03T00:00:00Z"),
    )
    page = await control("events.list")
    assert [each.event_id for each in page.items] == [ids[2], ids[0], ids[1]]
    assert (page.total, page.limit, page.offset) == (3, 50, 0)
    assert [each.metadata for each in page.items] == [None, {"a": 1}, {"raw": "raw"}]
    assert {each.org_id for each in page.items} == {organization}
    for options, expected in (
        ({"sort": "ts_asc", "limit": 1, "offset": 1}, ids[:1]),
        ({"actor_id": "user_43"}, ids[2:]),
        ({"session_id": "sess_b"}, ids[1:2]),
        ({"kind": "assistant_message"}, ids[1:2]),
        ({"actor_id": "user_43", "kind": "app_event"}, []),
    ):
        assert [each.event_id for each in (await control("events.list", **options)).items] == expected, options

    summary = await control("usage.summary")
    used = {each.dimension: each.used for each in summary.dimensions}
    assert (used["events_ingested"], used["memories_stored"], used["search_queries"]) == (3, 3, 0)
    assert {each.limit for each in summary.dimensions} == {None}
    assert (summary.org_id, summary.tier) == (organization, "pro")
    today = datetime.now(UTC).date()
    for granularity in ("daily", "hourly"):
        period = {"period_start": (today - timedelta(days=1)).isoformat(), "period_end": today.isoformat()}
        series = await control("usage.timeseries", dimension="events_ingested", granularity=granularity, **period)
        assert (series.org_id, series.granularity) == (organization, granularity)
        assert sum(point.quantity for point in series.data) == 3
        assert {point.dimension for point in series.data} == {"events_ingested"}
    assert (await control("usage.timeseries")).data
    billing = await control("billing.summary")
    assert (billing.tier, billing.payment_method, billing.upcoming_invoice) == ("pro", None, None)
    assert await control("billing.invoices") == []


async def test_keys_are_made_used_and_taken_back(pair: Pair, running: Service, makes: Makes) -> None:
    control = pair.control
    expiry = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    made = await control("keys.create", "ci", ["read"], expiry.isoformat())
    assert (made.name, made.scopes) == ("ci", ["read"])
    assert made.raw_key.startswith(made.prefix)
    listed = await control("keys.list")
    assert (listed.max_keys, listed.active_count) == (50, 2)
    shown = next(key for key in listed.keys if key.key_id == made.key_id)
    assert (shown.is_active, shown.prefix, shown.expires_at) == (True, made.prefix, f"{expiry:%Y-%m-%dT%H:%M:%SZ}")

    async with opened(*makes(running.url, made.raw_key)) as (data, lesser):
        assert (await data("search", "tea")).results == []
        assert (await lesser("me")).org_role == "org:member"
        refused = await data.refused(AuthorizationError, "ingest", [event()])
        assert (refused.error_code, refused.required_scope) == ("insufficient_scope", "write")
        assert type(await lesser.refused(SeatRequiredError, "events.list")) is SeatRequiredError
        assert (await lesser.refused(AuthorizationError, "keys.list")).error_code == "admin_required"
        usage = await control("keys.usage", made.key_id)
        assert sum(day["api_calls"] for day in usage) == 3
        assert await control("keys.delete", made.key_id) is None
        await data.refused(AuthenticationError, "search", "tea")
    assert (await control("keys.list")).active_count == 1
    assert (await control.refused(MemsyAPIError, "keys.delete", "unknown")).status_code == 404
    assert (await control.refused(MemsyAPIError, "keys.usage", "unknown")).status_code == 404
    assert (await control.refused(MemsyAPIError, "keys.create", "ci", ["all"])).status_code == 422


async def test_interest_is_noted_and_connectors_are_not_to_be_had(pair: Pair) -> None:
    control = pair.control
    assert await control("interest.status") is False
    told = await control("interest.express", "a@example.com", "A", company="C", use_case="u", notes="n")
    assert told.message == "Interest recorded"
    assert await control("interest.status") is True

    assert await control("connectors.list_providers") == []
    assert await control("connectors.list") == []
    status = await control("connectors.status", "slack")
    assert (status.connected, status.display_name) == (False, None)
    for name in ("connectors.create", "connectors.configure_s3"):
        arguments, named = CONTROL_CALLS[name]
        assert (await control.refused(FeatureNotAvailable, name, *arguments, **named)).feature == "connectors"
    for name in ("get", "list_resources", "list_branches", "picker_config", "configure_resources", "sync", "delete"):
        arguments, named = CONTROL_CALLS[f"connectors.{name}"]
        assert (await control.refused(MemsyAPIError, f"connectors.{name}", *arguments, **named)).status_code == 404
    waiting = CONTROL_CALLS["connectors.wait_until_authorized"]
    await control.refused(MemsyAPIError, "connectors.wait_until_authorized", *waiting[0], **waiting[1])


@pytest.mark.parametrize("key", ["mem_local_nobody_knows_this_key", "msy_DUMMY", "x"])
async def test_no_operation_is_for_a_key_that_is_not_good(running: Service, makes: Makes, key: str) -> None:
    async with opened(*makes(running.url, key)) as planes:
        for driver, calls in zip(planes, (DATA_CALLS, CONTROL_CALLS), strict=True):
            for name, (arguments, named) in calls.items():
                refused = await driver.refused(AuthenticationError, name, *arguments, **named)
                assert (refused.status_code, refused.error_code) == (401, "invalid_api_key"), name


async def test_what_takes_an_admin_is_refused_to_others(running: Service, minted: Operator, makes: Makes) -> None:
    key = minted(f"org-{uuid4().hex}", "read,write")
    async with opened(*makes(running.url, key)) as (data, control):
        admin = [f"{groups}.{call}" for groups in ("orgs", "roles", "teams") for call in MUTATIONS]
        for name in admin:
            arguments, named = DATA_CALLS[name]
            refused = await data.refused(AuthorizationError, name, *arguments, **named)
            assert refused.error_code == "admin_required", name
        for name, (arguments, named) in CONTROL_CALLS.items():
            if name.partition(".")[0] in ("keys", "usage", "billing"):
                refused = await control.refused(AuthorizationError, name, *arguments, **named)
                assert refused.error_code == "admin_required", name
        assert await control("connectors.list") == []
        assert (await control("interest.status")) is False


async def test_another_organization_sees_nothing(pair: Pair, running: Service, minted: Operator, makes: Makes) -> None:
    ids = await pair.data.learned(event())
    (memory,) = (await pair.data("memories.list")).items
    await pair.data("orgs.create", pair.organization, "Mine", "f")
    role = await pair.data("roles.create", pair.organization, "Mine", "f")
    async with opened(*makes(running.url, minted(f"org-{uuid4().hex}"))) as (data, control):
        assert (await data("status", ids)).statuses == {ids[0]: "not_found"}
        assert (await data("search", "dark mode")).results == []
        assert (await data("memories.list")).total == (await data("memories.stats")).total == 0
        assert (await data("actors.list")).total == (await control("events.list")).total == 0
        assert await data("orgs.list") == []
        for name, arguments, status in (
            ("memories.get", (memory.memory_id,), 404),
            ("actors.get", ("user_42",), 404),
            ("orgs.get", (pair.organization,), 403),
            ("orgs.create", (pair.organization, "n", "f"), 403),
            ("roles.get", (role.role_id, pair.organization), 403),
            ("roles.list", (pair.organization,), 403),
        ):
            error = AuthorizationError if status == 403 else MemsyAPIError
            assert (await data.refused(error, name, *arguments)).status_code == status, name


async def test_what_cannot_be_taken_says_why(pair: Pair) -> None:
    wrong = await pair.data.refused(MemsyAPIError, "ingest", [event(), event(kind="mail")])
    assert (wrong.status_code, wrong.error_code, wrong.detail) == (422, "validation_error", "events[1].kind is unknown")
    assert (await pair.control("events.list")).total == 0
    for name, arguments, named in (
        ("ingest", ([event()] * 1001,), {}),
        ("status", (["x"] * 501,), {}),
        ("search", (" ",), {}),
        ("search", ("tea",), {"actor_id": ""}),
        ("search", ("tea",), {"limit": 101}),
        ("search", ("tea",), {"session_id": "a", "exclude_session_id": "b"}),
        ("search", ("tea",), {"session_id": "sess a"}),
        ("memories.list", (), {"limit": 201}),
        ("roles.list", (pair.organization,), {"limit": 201}),
        ("orgs.create", (pair.organization, " ", "f"), {}),
    ):
        refused = await pair.data.refused(MemsyAPIError, name, *arguments, **named)
        assert (refused.status_code, refused.error_code) == (422, "validation_error"), (name, refused)


async def test_the_clients_work_under_the_prefix_too(running: Service, minted: Operator, makes: Makes) -> None:
    key = minted(f"org-{uuid4().hex}")
    async with opened(*makes(f"{running.url}/memsy", key)) as (data, control):
        (id,) = await data.learned(event(actor_id=ACTOR))
        assert [hit.source_event_ids for hit in (await data("search", "dark mode")).results] == [[id]]
        assert (await data("actors.get", ACTOR)).memory_count == 1
        assert (await data("health")).status == (await control("health")).status == "ok"
        assert (await control("me")).org_role == "org:admin"


async def test_an_older_client_that_clears_is_told_that_this_is_not_to_be_had(pair: Pair, running: Service) -> None:
    async with httpx.AsyncClient(base_url=running.url, timeout=30) as http:
        good = await http.delete("/v1/clear/tag", headers={"authorization": f"Bearer {pair.key}"})
        assert (good.status_code, good.json()["error"]) == (501, "not_implemented")
        assert (await http.delete("/v1/clear/tag", headers={"authorization": "Bearer x"})).status_code == 401


async def test_a_service_that_is_not_there_is_a_connection_error(makes: Makes) -> None:
    async with opened(*makes(f"http://127.0.0.1:{free_port()}", "x")) as planes:
        for driver in planes:
            with pytest.raises(MemsyConnectionError):
                await driver("health")


@pytest.mark.parametrize("makes", [asynchronous], indirect=True, ids=["asynchronous"])
async def test_one_client_makes_many_calls_at_once(pair: Pair) -> None:
    answers: list[list[str]] = []

    async def told(number: int) -> None:
        content = f"Parcel {number} stands on shelf {number % 7}"
        answers.append((await pair.data("ingest", [event(content, session_id=f"s{number}")])).event_ids)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(partial(told, number))
    ids = [id for answer in answers for id in answer]
    assert len(set(ids)) == 20
    assert set((await pair.data.done(ids)).completed_ids) == set(ids)
    assert (await pair.data("memories.list")).total == 20


@pytest.fixture(scope="module")
def limited(settled: Settled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Operator]]:
    """A service of which little may be used."""
    quotas = " ".join(f"{name}={limit}" for name, limit in QUOTAS.items())
    limits = {"COMMONPLACE_QUOTAS": quotas, "COMMONPLACE_MOST_GROUPS": "1", "COMMONPLACE_MOST_KEYS": "2"}
    with settled() as settings:
        service = Service(tmp_path_factory.mktemp("limited"), {**settings, **limits})
        service.start()
        with operated(service) as operator:
            yield service, operator
        assert service.stop() == 0, service.log()


async def test_limits_are_told_and_kept(limited: tuple[Service, Operator], makes: Makes) -> None:
    service, minted = limited
    organization = f"org-{uuid4().hex}"
    async with opened(*makes(service.url, minted(organization))) as (data, control):
        answer = await data("ingest", [event(), event(TEA)])
        assert (answer.usage.events_ingested, answer.usage.events_ingested_limit) == (2, 3)
        assert (answer.usage.api_calls_limit, answer.usage.plan) == (QUOTAS["api_calls"], "free")
        refused = await data.refused(MemsyAPIError, "ingest", [event("One"), event("Two")])
        assert (refused.status_code, str(refused)) == (429, "Max retries exceeded")  # the client discards the rest
        assert (await data("ingest", [event("The kettle is red")])).usage.events_ingested == 3
        for _ in range(QUOTAS["search_queries"]):
            await data("search", "kettle")
        assert (await data.refused(MemsyAPIError, "search", "kettle")).status_code == 429
        summary = {each.dimension: (each.used, each.limit) for each in (await control("usage.summary")).dimensions}
        assert summary["events_ingested"] == (3, 3)
        assert summary["search_queries"] == (2, 2)

        await data("roles.create", organization, "One", "f")
        groups = await data.refused(OrgLimitReachedError, "roles.create", organization, "Two", "f")
        assert (groups.error_code, groups.limit, groups.current) == ("org_limit_reached", 1, 1)
        await control("keys.create", "one")
        keys = await control.refused(KeyLimitReachedError, "keys.create", "two")
        assert (keys.limit, keys.current) == (2, 2)


async def test_the_control_plane_says_which_limit_is_reached(limited: tuple[Service, Operator], makes: Makes) -> None:
    service, minted = limited
    most = QUOTAS["api_calls"]
    async with opened(*makes(service.url, minted(f"org-{uuid4().hex}"))) as (data, control):
        for used in range(1, most + 1):
            answer = await data("health")
            assert (answer.rate_limit.limit, answer.rate_limit.remaining) == (most, most - used)
        assert answer.rate_limit.reset > time.time()
        refused = await control.refused(UsageLimitExceeded, "me")
        assert (refused.dimension, refused.current, refused.limit) == ("api_calls", most, most)


def test_the_files_are_there() -> None:
    assert sorted(file.stem for file in PLAYED) == sorted(BY_THEMSELVES)


@pytest.mark.parametrize("file", PLAYED, ids=[file.stem for file in PLAYED])
async def test_the_service_answers_as_the_contract_says_over_http(
    running: Service, minted: Operator, file: Path
) -> None:
    async with httpx.AsyncClient(base_url=running.url, timeout=30) as http:
        await played_over(http, file, minted(TENANT))
