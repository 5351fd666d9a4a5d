"""Memsy: POST /v1/status, GET /v1/console/memories and below, /v1/actors and /v1/actors/{id}."""

from collections import Counter

from commonplace.core.strength import HALF_LIFE_DAYS
from commonplace.core.survey import Actor, Surveyed
from commonplace.dialects.memsy import console_order, console_requests, console_responses, event_requests, responses
from commonplace.dialects.memsy.console_requests import MemorySort
from commonplace.dialects.memsy.organization import meant
from commonplace.dialects.memsy.status import STATUS
from commonplace.dialects.memsy.texts import cleaned
from commonplace.dialects.memsy.understanding import insight
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.model.errors import NotFound
from commonplace.model.memory import Standing
from commonplace.model.scope import DEFAULT_STORE
from commonplace.wiring import Services

MOST_ENTITIES = 10
BUCKETS = 5


def operations(services: Services) -> list[Operation]:
    """The endpoints."""
    reads = [*_status(services), *_stats(services), *_memories(services), *_actors(services)]
    return [services.metered(operation) for operation in reads]


def _status(services: Services) -> list[Operation]:
    async def status(call: Call) -> Reply:
        asked = [(id, cleaned(id)) for id in event_requests.event_ids(call.json())]
        events = await services.events.many(call.tenant, call.caller.organization, [id for _, id in asked])
        return Reply(responses.progress((given, events[id].state if id in events else None) for given, id in asked))

    return [Operation("POST", "/v1/status", Permission.READ, status)]


def _memories(services: Services) -> list[Operation]:
    survey = services.survey

    def item(call: Call, known: Surveyed) -> console_responses.Object:
        return console_responses.memory_item(
            known.memory,
            organization=call.caller.organization,
            sources=known.sources,
            accesses=known.accesses,
            strength=known.strength,
            half_life_days=HALF_LIFE_DAYS,
            now=services.clock.now(),
        )

    async def memories(call: Call) -> Reply:
        order = console_requests.memory_listing(call.query)
        wanted = console_order.wanted(order, services.clock.now())
        found = (await survey.overview(call.tenant, call.caller.organization, order.actor, wanted)).memories
        strengths = await survey.strengths(call.tenant, found) if order.sort is MemorySort.STRONGEST else {}
        ordered = console_order.ordered(order, found, strengths)
        shown = await survey.known(call.tenant, ordered[order.offset : order.offset + order.limit])
        items = [item(call, known) for known in shown]
        return Reply(console_responses.page(items, len(ordered), order.limit, order.offset))

    async def memory(call: Call) -> Reply:
        memory = await services.browse.get(call.tenant, call.path["id"])
        if memory.scope.store != DEFAULT_STORE or memory.scope.organization != call.caller.organization:
            raise NotFound("memory")
        (known,) = await survey.known(call.tenant, (memory,))
        return Reply(item(call, known))

    return [
        Operation("GET", "/v1/console/memories", Permission.READ, memories),
        Operation("GET", "/v1/console/memories/{id}", Permission.READ, memory),
    ]


def _stats(services: Services) -> list[Operation]:
    survey = services.survey

    async def stats(call: Call) -> Reply:
        now = services.clock.now()
        all = (await survey.overview(call.tenant, call.caller.organization)).memories
        strengths = await survey.strengths(call.tenant, all)
        insights = [insight(memory) for memory in all]
        standings = Counter(memory.standing(now) for memory in all)
        entities = Counter(name for each in insights for name in each.entities)
        parts = Counter(min(BUCKETS - 1, int(each.confidence * BUCKETS)) for each in insights)
        count = max(1, len(all))
        body = console_responses.stats(
            total=len(all),
            active=standings[Standing.ACTIVE],
            by_type=Counter(memory.kind for memory in all),
            by_kind=Counter(each.nature.value for each in insights),
            by_status={STATUS[standing].value: number for standing, number in standings.items()},
            confidence=sum(each.confidence for each in insights) / count,
            strength=sum(strengths.values()) / count,
            entities=sorted(entities.items(), key=lambda each: (-each[1], each[0]))[:MOST_ENTITIES],
            confidences=[parts[number] for number in range(BUCKETS)],
            earliest=min((memory.occurred_at for memory in all), default=None),
            latest=max((memory.occurred_at for memory in all), default=None),
        )
        return Reply(body)

    return [Operation("GET", "/v1/console/memories/stats", Permission.READ, stats)]


def _actors(services: Services) -> list[Operation]:
    survey = services.survey

    def told(actor: Actor) -> console_responses.Object:
        scopes = [memory.scope for memory in actor.memories]
        now = services.clock.now()
        return console_responses.actor(
            actor.id,
            first_memory_at=actor.first_at,
            last_memory_at=actor.last_at,
            memories=len(actor.memories),
            active=sum(memory.standing(now) is Standing.ACTIVE for memory in actor.memories),
            levels=map(console_responses.level, scopes),
            roles=[scope.role for scope in scopes if scope.role is not None],
            teams=[scope.team for scope in scopes if scope.team is not None],
        )

    async def actors(call: Call) -> Reply:
        order = console_requests.actor_listing(call.query, call.caller.organization)
        found, truncated = await survey.actors(call.tenant, order.organization)
        ordered = console_order.ordered_actors(order, found)
        items = [told(actor) for actor in ordered[order.offset : order.offset + order.limit]]
        page = console_responses.actors(items, len(ordered), order.limit, order.offset, truncated=truncated)
        return Reply(page)

    async def actor(call: Call) -> Reply:
        organization = meant(call.query, call.caller.organization)
        found, _ = await survey.actors(call.tenant, organization, cleaned(call.path["id"]))
        if not found:
            raise NotFound("actor")
        return Reply(told(found[0]))

    return [
        Operation("GET", "/v1/actors", Permission.READ, actors),
        Operation("GET", "/v1/actors/{id:path}", Permission.READ, actor),
    ]
