"""MemoryRelay: agents, API keys, webhooks, health."""

from account.health import checked
from commonplace.dialects.edge import responses as edge
from commonplace.dialects.relay import account_requests, query, responses
from commonplace.dialects.relay.fields import decoded
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.agent import Agent
from commonplace.model.apikey import Permission
from commonplace.model.page import Page
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""
    return [*_agents(services), *_webhooks(services), *_keys(services), *_health(services)]


def _agents(services: Services) -> list[Operation]:
    enlist = services.enlist

    async def shown(agent: Agent) -> responses.Object:
        figures = await enlist.figures(agent.tenant, [agent.id])
        return responses.agent(agent, figures[agent.id])

    async def create(call: Call) -> Reply:
        agent, created = await enlist.create(call.tenant, decoded(account_requests.AgentBody, call.json()).order())
        return Reply(await shown(agent), 201 if created else 200)

    async def listing(call: Call) -> Reply:
        paging = query.Paging(call.query)
        page = await enlist.page(call.tenant, limit=paging.limit, offset=paging.offset, cursor=paging.cursor)
        figures = await enlist.figures(call.tenant, [agent.id for agent in page.items])
        return Reply(responses.page(page, [responses.agent(agent, figures[agent.id]) for agent in page.items]))

    async def get(call: Call) -> Reply:
        return Reply(await shown(await enlist.get(call.tenant, call.path["id"])))

    async def change(call: Call) -> Reply:
        body = decoded(account_requests.AgentChangeBody, call.json())
        return Reply(await shown(await enlist.change(call.tenant, call.path["id"], body.change())))

    async def remove(call: Call) -> Reply:
        agent = await enlist.remove(call.tenant, call.path["id"])
        return Reply({"id": agent.id, "deleted": True})

    async def stats(call: Call) -> Reply:
        agent = await enlist.get(call.tenant, call.path["id"])
        return Reply(responses.stats((await enlist.figures(call.tenant, [agent.id]))[agent.id]))

    return [
        Operation("POST", "/v1/agents", Permission.WRITE, create),
        Operation("GET", "/v1/agents", Permission.READ, listing),
        Operation("GET", "/v1/agents/{id}", Permission.READ, get),
        Operation("PUT", "/v1/agents/{id}", Permission.WRITE, change),
        Operation("DELETE", "/v1/agents/{id}", Permission.DELETE, remove),
        Operation("GET", "/v1/agents/{id}/stats", Permission.READ, stats),
    ]


def _webhooks(services: Services) -> list[Operation]:
    subscribe = services.subscribe

    async def create(call: Call) -> Reply:
        body = decoded(account_requests.WebhookBody, call.json())
        return Reply(responses.webhook(await subscribe.add(call.tenant, body.order(call.caller))), 201)

    async def listing(call: Call) -> Reply:
        webhooks = tuple(await subscribe.all(call.tenant))
        page = Page(webhooks, None, len(webhooks))
        return Reply(responses.page(page, [responses.webhook(webhook) for webhook in webhooks]))

    async def get(call: Call) -> Reply:
        return Reply(responses.webhook(await subscribe.get(call.tenant, call.path["id"])))

    async def change(call: Call) -> Reply:
        body = decoded(account_requests.WebhookChangeBody, call.json())
        return Reply(responses.webhook(await subscribe.change(call.tenant, call.path["id"], body.change())))

    async def remove(call: Call) -> Reply:
        await subscribe.remove(call.tenant, call.path["id"])
        return Reply({"id": call.path["id"], "deleted": True})

    return [
        Operation("POST", "/v1/webhooks", Permission.WRITE, create),
        Operation("GET", "/v1/webhooks", Permission.READ, listing),
        Operation("GET", "/v1/webhooks/{id}", Permission.READ, get),
        Operation("PUT", "/v1/webhooks/{id}", Permission.WRITE, change),
        Operation("PATCH", "/v1/webhooks/{id}", Permission.WRITE, change),
        Operation("DELETE", "/v1/webhooks/{id}", Permission.DELETE, remove),
    ]


def _keys(services: Services) -> list[Operation]:
    async def create(call: Call) -> Reply:
        now = services.clock.now()
        body = decoded(account_requests.KeyBody, call.json())
        token, key = await services.admit.mint(body.order(call.caller, services.settings.environment, now))
        return Reply(responses.key(token, key, now), 201)

    return [Operation("POST", "/v1/keys", Permission.ADMIN, create, secret=True)]


def _health(services: Services) -> list[Operation]:
    async def health(_: Call) -> Reply:
        return Reply(*await checked(services))

    async def union(_: Call) -> Reply:
        body, status = await checked(services)
        well = body["status"] == "healthy"
        return Reply({**edge.health(services.settings.environment), "ok": well, **body}, status)

    return [
        Operation("GET", "/v1/health", None, health),
        # A path that edge has as well: the bodies of both in one.
        Operation("GET", "/health", None, union),
    ]
