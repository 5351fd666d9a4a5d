"""Memsy: /v1/orgs, /v1/roles and /v1/teams."""

from commonplace.core.gather import GroupOrder
from commonplace.dialects.memsy import group_requests, responses
from commonplace.dialects.memsy.organization import meant, own
from commonplace.http.endpoint import Call, Operation, Reply
from commonplace.model.apikey import Permission
from commonplace.model.directory import GroupKind
from commonplace.wiring import Services

PATHS = {"/v1/orgs": GroupKind.ORG, "/v1/roles": GroupKind.ROLE, "/v1/teams": GroupKind.TEAM}


def operations(services: Services) -> list[Operation]:
    """The endpoints."""
    return [services.metered(operation) for path, kind in PATHS.items() for operation in _of_kind(services, path, kind)]


def _of_kind(services: Services, path: str, kind: GroupKind) -> list[Operation]:
    gather = services.gather

    def place(call: Call) -> tuple[str, str, GroupKind, str]:
        """Of whom, of what kind and by what id a group is meant. The id of an org is an organization's. Raises ``Foreign``."""
        organization = meant(call.query, call.caller.organization)
        if kind is GroupKind.ORG:
            own(call.path["id"], organization)
        return call.tenant, organization, kind, call.path["id"]

    async def listing(call: Call) -> Reply:
        order = group_requests.group_listing(call.query, call.caller.organization)
        page = await gather.page(call.tenant, order.organization, kind, limit=order.limit, offset=order.offset)
        return Reply(responses.groups(page))

    async def create(call: Call) -> Reply:
        asked = group_requests.group_order(call.json(), call.caller.organization)
        order = GroupOrder(kind=kind, name=asked.name, focus=asked.focus)
        return Reply(responses.group(await gather.create(call.tenant, asked.organization, order)))

    async def get(call: Call) -> Reply:
        return Reply(responses.group(await gather.get(*place(call))))

    async def change(call: Call) -> Reply:
        group = place(call)
        return Reply(responses.group(await gather.change(*group, group_requests.group_change(call.json()))))

    async def regenerate(call: Call) -> Reply:
        return Reply(responses.group(await gather.regenerate(*place(call))))

    async def remove(call: Call) -> Reply:
        await gather.remove(*place(call))
        return Reply(None, 204)

    return [
        Operation("GET", path, Permission.READ, listing),
        Operation("POST", path, Permission.ADMIN, create),
        Operation("GET", f"{path}/{{id}}", Permission.READ, get),
        Operation("PATCH", f"{path}/{{id}}", Permission.ADMIN, change),
        Operation("POST", f"{path}/{{id}}/regenerate-prompt", Permission.ADMIN, regenerate),
        Operation("DELETE", f"{path}/{{id}}", Permission.ADMIN, remove),
    ]
