"""Which of two dialects answers on the paths that both have: MemoryRelay's, and the one that is called edge.

They differ in the names that their requests use, so that a name decides by being there, whatever its value is.
"""

import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from commonplace.model.apikey import Principal

EDGE, RELAY, MEMSY = "edge", "relay", "memsy"
"""The names of the two, and of the one that shares but one path."""

HEALTH = ("GET", "/v1/health")
"""The path that MemoryRelay's and Memsy's APIs have both: the one asks without a key, the other always with one."""

Origin = Callable[[str, str], Awaitable[str | None]]
"""From a tenant and the id of a memory to the name of the dialect that created the row; None if the tenant has none."""

ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")
"""A letter of a name as JSON may escape it: ASCII's letters are U+0041 to U+007A."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What tells whose a request is: names of query parameters, or of the members of its body with ``in_body``.

    Any of ``edge`` makes it edge's. Without these any of ``relay`` makes it MemoryRelay's; None: any name at all, but for
    those that are ``silent``. A request with neither cannot be decided by what it says; with ``by_row`` it is answered in
    the dialect that created what it asks for.
    """

    edge: frozenset[str]
    relay: frozenset[str] | None = None
    silent: frozenset[str] = frozenset()
    in_body: bool = False
    by_row: bool = False


TABLE: Mapping[tuple[str, str], Signs] = {
    ("POST", "/v1/memories"): Signs(
        frozenset({"organizationId", "subjectId", "agentId", "embedding"}),
        in_body=True,
    ),
    ("GET", "/v1/memories"): Signs(
        frozenset({"organizationId", "namespace"}),
        silent=frozenset({"limit"}),
    ),
    ("POST", "/v1/memories/search"): Signs(
        frozenset({"organizationId", "queryEmbedding"}),
        relay=frozenset({"query"}),
        in_body=True,
    ),
    ("GET", "/v1/memories/{id}"): Signs(
        frozenset({"organizationId"}),
        by_row=True,
    ),
}
"""The shared routes, by method and path. On every other one MemoryRelay answers: changes and deletions of any row."""


@dataclass(frozen=True, slots=True)
class SharedPath:
    """The choice. ``fallback`` is who answers what cannot be decided: EDGE or RELAY."""

    fallback: str
    origin: Origin

    def named(
        self, method: str, path: str, parameters: Collection[str], body: bytes, *, keyed: bool = False
    ) -> str | None:
        """Who answers a request, by what it says; None where that depends on the row, which ``by_row`` asks.

        ``path`` is the route's, with ``{id}`` in it; ``parameters`` are the names in the query string; ``keyed`` says
        whether it shows anything like a key, good or not.
        """
        if (method, path) == HEALTH:
            return MEMSY if keyed else RELAY
        return named(method, path, parameters, body, self.fallback)

    async def by_row(self, principal: Principal, id: str) -> str:
        """Who answers a request for this memory: the dialect of its row, which another tenant's is not.

        MemoryRelay answers for the rows of all others. It knows no organisations: what has a key that is limited to some
        is edge's. Raises what ``origin`` raises.
        """
        if principal.organizations:
            return EDGE
        origin = await self.origin(principal.tenant, id)
        if origin is None:
            return self.fallback
        return EDGE if origin == EDGE else RELAY


def named(method: str, path: str, parameters: Collection[str], body: bytes, fallback: str) -> str | None:
    """The table, read: see ``SharedPath.named``. A body that is no JSON object has no names."""
    signs = TABLE.get((method, path))
    if signs is None:
        return RELAY
    # Where MemoryRelay answers what cannot be decided as well, only the other's names have to be found; most bodies need
    # not be parsed for that.
    if signs.in_body and fallback == RELAY and not _may_name(body, signs.edge):
        return RELAY
    names = _members(body) if signs.in_body else frozenset(parameters)
    if names & signs.edge:
        return EDGE
    if signs.by_row:
        return None
    telling = names - signs.silent if signs.relay is None else names & signs.relay
    return RELAY if telling else fallback


def _may_name(body: bytes, names: Collection[str]) -> bool:
    return any(name.encode() in body for name in names) or ESCAPED_LETTER.search(body) is not None


def _members(body: bytes) -> frozenset[str]:
    """The names in an object. Values that no dialect takes, such as NaN, are left for the chosen one to refuse."""
    try:
        # Python refuses to make an int of thousands of digits.
        value: object = json.loads(body.decode(), parse_int=float)
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(value) if isinstance(value, dict) else frozenset()
