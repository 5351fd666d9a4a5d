"""MemoryRelay: POST /v1/memories, /v2/memories, /v1/memories/batch."""

from commonplace.core.remember import Remembered
from commonplace.dialects.relay import memory_requests, responses
from commonplace.dialects.relay.errors import BUG, TABLE
from commonplace.dialects.relay.fields import decoded
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.model.errors import CommonplaceError, Invalid, entry
from commonplace.model.memory import Draft
from commonplace.model.values import Json
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""

    async def create(call: Call) -> Reply:
        body = decoded(memory_requests.CreateBody, call.json())
        (outcome,) = (await services.remember.now(call.tenant, [body.draft()])).outcomes
        if isinstance(outcome, CommonplaceError):
            raise outcome
        return Reply(responses.memory(outcome.memory, duplicate=outcome.duplicate))

    async def create_later(call: Call) -> Reply:
        body = decoded(memory_requests.CreateLaterBody, call.json())
        if body.webhook_url is not None:
            await services.subscribe.allow("webhook_url", body.webhook_url)
        outcome = await services.remember.later(call.tenant, body.order(call.caller))
        return Reply(responses.accepted(outcome), 202)

    async def create_batch(call: Call) -> Reply:
        began = services.clock.now()
        body = decoded(memory_requests.BatchBody, call.json())
        drafts = body.drafts()
        batch = await services.remember.now(call.tenant, [draft for draft in drafts if isinstance(draft, Draft)])
        written = iter(batch.outcomes)
        items = [
            _item(number, item, draft, draft if isinstance(draft, Invalid) else next(written))
            for number, (item, draft) in enumerate(zip(body.memories, drafts, strict=True))
        ]
        spent = services.clock.now() - began
        milliseconds = [period.total_seconds() * 1000 for period in (spent, batch.embedding, batch.writing)]
        return Reply(responses.batch(items, *milliseconds))

    return [
        Operation("POST", "/v1/memories", Permission.WRITE, create),
        Operation("POST", "/v2/memories", Permission.WRITE, create_later),
        Operation("POST", "/v1/memories/batch", Permission.WRITE, create_batch),
    ]


def _item(number: int, item: Json, draft: Draft | Invalid, outcome: Remembered | CommonplaceError) -> responses.Object:
    content = draft.content if isinstance(draft, Draft) else ""
    client = memory_requests.client_id(item)
    if isinstance(outcome, CommonplaceError):
        return responses.batch_item(number, content, client, None, (outcome.message, entry(TABLE, outcome, BUG)[1]))
    return responses.batch_item(number, content, client, outcome.memory.id, None)
