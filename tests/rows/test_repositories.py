import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from commonplace.model.agent import Agent
from commonplace.model.apikey import ApiKey, Permission
from commonplace.model.errors import CommonplaceError, Conflict, NotFound
from commonplace.model.session import Session
from commonplace.model.webhook import Attempt, Delivery, DeliveryState, EventType, Webhook
from commonplace.ports.table import Delete, Present, Query
from commonplace.rows import keys
from commonplace.rows.agents import Agents
from commonplace.rows.apikeys import ApiKeys, Secrets
from commonplace.rows.commit import Staged, changed_meanwhile, commit
from commonplace.rows.figures import Count, counted, tallied
from commonplace.rows.sessions import SessionFilter, Sessions, contribution
from commonplace.rows.webhooks import Deliveries, Webhooks, staged
from fakes import START
from world import TENANT, World

pytestmark = pytest.mark.anyio

SESSION = Session(
    id="s",
    tenant=TENANT,
    started_at=START,
    created_at=START,
    updated_at=START,
    agent="a",
    external_id="x",
    project="p",
    title="t",
    summary="sum",
    metadata={"ü": [1]},
    ended_at=START + timedelta(seconds=1),
)
AGENT = Agent(
    id="a", tenant=TENANT, name="scout", created_at=START, updated_at=START, description="d", metadata={"m": 1}
)
WEBHOOK = Webhook(
    id="w",
    tenant=TENANT,
    url="https://example.com",
    created_at=START,
    secret="s",
    event_types=(EventType.MEMORY_CREATED,),
    description="d",
    enabled=False,
)
DELIVERY = Delivery(
    id="d",
    tenant=TENANT,
    webhook="w",
    url="https://example.com",
    event=EventType.MEMORY_DELETED,
    body="{}",
    secret="s",
    created_at=START,
    due_at=START,
    state=DeliveryState.PENDING,
    attempts=(Attempt(START, 500, "The endpoint answered 500"), Attempt(START, None, "No answer came")),
)
KEY = ApiKey(
    id="k",
    tenant=TENANT,
    hash="h",
    prefix="mem_",
    permissions=(Permission.READ, Permission.ADMIN),
    created_at=START,
    name="n",
    daily_limit_usd=0.5,
    monthly_limit_usd=10,
    expires_at=START,
    organizations=("org", "ü#:%"),
)


async def test_everything_comes_back_as_it_was_written(world: World) -> None:
    sessions, agents, webhooks = Sessions(world.table), Agents(world.table), Webhooks(world.table)
    deliveries, api_keys = Deliveries(world.table), ApiKeys(world.table)
    bare_session = Session(id="s2", tenant=TENANT, started_at=START, created_at=START, updated_at=START)
    bare_delivery = replace(DELIVERY, id="d2", webhook=None, secret=None, due_at=None, attempts=())
    await sessions.add(SESSION, "scout")
    await sessions.add(bare_session, None)
    await agents.add(AGENT)
    await webhooks.add(WEBHOOK)
    await commit(world.table, staged([DELIVERY, bare_delivery]))
    await api_keys.add(KEY)

    assert await sessions.get(TENANT, "s") == await sessions.external(TENANT, "x") == SESSION
    assert await sessions.get(TENANT, "s2") == bare_session
    assert await agents.get(TENANT, "a") == await agents.named(TENANT, "scout") == AGENT
    assert await webhooks.get(TENANT, "w") == WEBHOOK
    assert await deliveries.get(TENANT, "d") == DELIVERY
    assert await deliveries.get(TENANT, "d2") == bare_delivery
    assert await api_keys.find("h") == KEY


async def test_what_is_not_there_is_none(world: World) -> None:
    assert await Sessions(world.table).get(TENANT, "no") is None
    assert await Sessions(world.table).external(TENANT, "no") is None
    assert await Agents(world.table).get(TENANT, "no") is None
    assert await Agents(world.table).named(TENANT, "no") is None
    assert await Agents(world.table).known_as(TENANT, "no") is None
    assert await Webhooks(world.table).get(TENANT, "no") is None
    assert await Deliveries(world.table).get(TENANT, "no") is None
    assert await ApiKeys(world.table).find("no") is None


async def test_a_stale_change_is_a_conflict_and_one_of_nothing_is_not_found(world: World) -> None:
    sessions, agents, webhooks, deliveries = (
        Sessions(world.table),
        Agents(world.table),
        Webhooks(world.table),
        Deliveries(world.table),
    )
    await sessions.add(SESSION, None)
    await agents.add(AGENT)
    await webhooks.add(WEBHOOK)
    await commit(world.table, staged([DELIVERY]))
    assert (await sessions.replace(SESSION)).revision == 2
    assert (await agents.replace(AGENT, AGENT)).revision == 2
    assert (await webhooks.replace(WEBHOOK)).revision == 2
    assert (await deliveries.replace(DELIVERY)).revision == 2
    for stale in (
        sessions.replace(SESSION),
        sessions.remove(SESSION, START),
        agents.replace(AGENT, AGENT),
        agents.remove(AGENT),
        webhooks.replace(WEBHOOK),
        deliveries.replace(DELIVERY),
    ):
        with pytest.raises(Conflict):
            await stale
    for gone in (
        sessions.replace(replace(SESSION, id="no")),
        sessions.remove(replace(SESSION, id="no"), START),
        agents.replace(replace(AGENT, id="no"), AGENT),
        agents.remove(replace(AGENT, id="no")),
        webhooks.replace(replace(WEBHOOK, id="no")),
        webhooks.remove(TENANT, "no"),
        deliveries.replace(replace(DELIVERY, id="no")),
        ApiKeys(world.table).revoke(replace(KEY, hash="no"), START),
    ):
        with pytest.raises(NotFound):
            await gone


async def test_a_delivery_is_due_from_its_time_on_oldest_first(world: World) -> None:
    second = timedelta(seconds=1)
    many = [replace(DELIVERY, id=f"d{n}", due_at=START - n * second) for n in range(20)]
    await commit(world.table, staged([*many, replace(DELIVERY, id="done", due_at=None)]))
    found = []
    for shard in keys.every_shard("due"):
        due = await Deliveries(world.table).due(shard, START - 9 * second, 100)
        assert due == sorted(due, key=lambda delivery: delivery.due_at or START)
        found += due
    assert {delivery.id for delivery in found} == {f"d{n}" for n in range(10, 20)}


async def test_a_session_knows_its_contributors_by_name_each_once_however_many(world: World) -> None:
    sessions = Sessions(world.table)
    await sessions.add(SESSION, "owner")
    names = [f"agent {number:03d}" for number in range(230)]
    for start in range(0, len(names), 100):
        writes = [Staged(contribution(TENANT, "s", name)) for name in names[start : start + 100]]
        await commit(world.table, writes)
        await commit(world.table, writes)
    await commit(world.table, [Staged(contribution(TENANT, "other", "somebody else"))])
    assert await sessions.contributors(TENANT, "s") == [*names, "owner"]


async def test_a_deleted_session_is_put_aside_for_a_year(world: World) -> None:
    sessions = Sessions(world.table)
    await sessions.add(SESSION, None)
    await sessions.remove(SESSION, START)
    own = keys.session(TENANT, "s")
    (left,) = (await world.table.query(Query(partition=own.partition))).keys
    item = await world.table.get(left)
    assert item is not None
    assert item.attributes["ttl"] == int((START + timedelta(days=365)).timestamp())
    assert not [name for name in item.attributes if name.endswith(("_key", "listing_at"))]
    assert (await sessions.page(TENANT, SessionFilter(), limit=10)).items == ()
    assert await sessions.total(TENANT, SessionFilter()) == 0
    assert await sessions.external(TENANT, "x") is None


async def test_a_name_that_leads_to_nobody_is_nobody(world: World) -> None:
    agents = Agents(world.table)
    await agents.add(AGENT)
    await world.table.transact([Delete(keys.agent(TENANT, "a"))])
    assert await agents.named(TENANT, "scout") is None
    assert await agents.known_as(TENANT, "scout") is None


async def test_a_secret_is_the_same_for_everyone_who_asks_at_once(world: World) -> None:
    secrets = Secrets(world.table)
    assert await secrets.find("cursor") is None
    found = await asyncio.gather(*(secrets.get("cursor", f"fresh {number}") for number in range(10)))
    assert len(set(found)) == 1
    assert await secrets.get("cursor", "later") == await secrets.find("cursor") == found[0]
    assert await secrets.get("another", "later") == "later"
    assert await secrets.find("cursor") == found[0]


async def test_the_first_write_that_failed_says_what_it_means(world: World) -> None:
    class Meaning(CommonplaceError):
        """A meaning of its own."""

    first, second = (
        Staged(Delete(keys.secret(name), Present()), lambda item: Meaning(f"{item}")) for name in ("one", "two")
    )
    with pytest.raises(Meaning, match="None"):
        await commit(world.table, [Staged(Delete(keys.secret("none"))), first, second])
    assert isinstance(changed_meanwhile(None), Conflict)


async def test_counts_of_one_counter_are_one_write_and_the_last_time_stays(world: World) -> None:
    key, later = keys.figures(TENANT, "x"), START + timedelta(days=1)
    counts = [
        Count(key, "a", 2, later),
        Count(key, "a", -1, START),
        Count(key, "b", 1),
        Count(keys.figures(TENANT, "y"), "a", -5),
    ]
    writes = tallied(counts)
    assert len(writes) == 2
    await commit(world.table, writes)
    assert [await counted(world.table, key, name) for name in ("a", "b", "c")] == [1, 1, 0]
    assert await counted(world.table, keys.figures(TENANT, "y"), "a") == 0
    assert await counted(world.table, keys.figures(TENANT, "nothing"), "a") == 0
    item = await world.table.get(key)
    assert item is not None
    assert item.attributes["last_at"] == keys.stamp(later)


async def test_twenty_counts_at_the_same_time_are_all_counted(world: World) -> None:
    key = keys.figures(TENANT, "x")
    await asyncio.gather(*(commit(world.table, tallied([Count(key, "a", 1)])) for _ in range(20)))
    assert await counted(world.table, key, "a") == 20


@pytest.mark.parametrize(
    ("filter", "matches"),
    [
        (SessionFilter(), True),
        (SessionFilter(agent="a", project="p", active=False), True),
        (SessionFilter(agent="b"), False),
        (SessionFilter(project="q"), False),
        (SessionFilter(active=True), False),
    ],
)
def test_a_session_filter_means_what_all_of_its_parts_mean(filter: SessionFilter, matches: bool) -> None:
    assert filter.matches(SESSION) is matches
