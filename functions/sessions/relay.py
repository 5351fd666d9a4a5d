"""MemoryRelay: the eight routes of sessions."""

from commonplace.dialects.relay import query, responses, session_requests
from commonplace.dialects.relay.fields import decoded
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.wiring import Services


def operations(services: Services) -> list[Operation]:
    """The endpoints."""
    converse = services.converse

    async def create(call: Call) -> Reply:
        body = decoded(session_requests.SessionBody, call.json())
        return Reply(responses.session(await converse.open(call.tenant, body.order())), 201)

    async def get_or_create(call: Call) -> Reply:
        body = decoded(session_requests.SharedSessionBody, call.json())
        return Reply(responses.opened(await converse.open_once(call.tenant, body.order())))

    async def listing(call: Call) -> Reply:
        paging, filter = query.Paging(call.query), session_requests.session_filter(call.query)
        page = await converse.page(call.tenant, filter, limit=paging.limit, offset=paging.offset, cursor=paging.cursor)
        return Reply(responses.page(page, [responses.session(session) for session in page.items]))

    async def get(call: Call) -> Reply:
        shown = query.flag_of("include_memories", call.query)
        session = await converse.get(call.tenant, call.path["id"])
        memories = await converse.memories(session) if shown else []
        return Reply({**responses.session(session), "memories": [responses.memory(memory) for memory in memories]})

    async def end(call: Call) -> Reply:
        body = decoded(session_requests.EndBody, call.json())
        session = await converse.end(call.tenant, call.path["id"], body.summary, body.metadata)
        return Reply(responses.session(session))

    async def summarize(call: Call) -> Reply:
        session, summary, count = await converse.summarize(call.tenant, call.path["id"])
        return Reply(responses.summarized(session.id, summary, count, session.updated_at))

    async def remove(call: Call) -> Reply:
        cascade = query.flag_of("cascade_memories", call.query)
        id = call.path["id"]
        at = await converse.remove(call.tenant, id, cascade)
        return Reply({"id": id, "deleted": True, "deleted_at": responses.iso(at), "cascade_memories": cascade})

    return [
        Operation("POST", "/v1/sessions", Permission.WRITE, create),
        Operation("POST", "/v1/sessions/get-or-create", Permission.WRITE, get_or_create),
        Operation("GET", "/v1/sessions", Permission.READ, listing),
        Operation("GET", "/v1/sessions/{id}", Permission.READ, get),
        Operation("POST", "/v1/sessions/{id}/end", Permission.WRITE, end),
        Operation("PUT", "/v1/sessions/{id}/end", Permission.WRITE, end),
        Operation("POST", "/v1/sessions/{id}/summarize", Permission.WRITE, summarize),
        Operation("DELETE", "/v1/sessions/{id}", Permission.DELETE, remove),
    ]
