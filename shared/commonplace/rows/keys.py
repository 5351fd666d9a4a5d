"""Every key of the table, and nothing else prints one.

A key is positional and total: each part stands in its place, an absent one has a mark of its own, and a part that holds
a separator is escaped. So two different things never print the same key, and no caller's words can reach into another
tenant's partition. A long part is printed as its hash, because DynamoDB takes 2,048 bytes for a partition and 1,024 for
a place in it.
"""

import hashlib
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from commonplace.model.scope import SCOPE_PARTS, Scope
from commonplace.ports.table import Key

T = TypeVar("T")

ABSENT = "%-"
HASHED = "%="
LONGEST_PART = 512
"""Bytes of a part that is printed as it is."""

SHARDS = 8
"""Partitions of the sparse ``work`` and ``expiring`` indexes, which all tenants write to."""


def joined(*parts: str | None) -> str:
    """The parts as one string that no other parts give."""
    return "#".join(ABSENT if part is None else _printed(part) for part in parts)


def _printed(part: str) -> str:
    escaped = part.replace("%", "%25").replace("#", "%23")
    if len(escaped) <= LONGEST_PART // 4 or len(escaped.encode()) <= LONGEST_PART:
        return escaped
    return HASHED + hashlib.sha256(part.encode()).hexdigest()


def stamp(moment: datetime) -> str:
    """A time that sorts as text: ISO 8601 in UTC with microseconds."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def timed(moment: datetime, id: str) -> str:
    """A sort key that sorts by a time; things of one time are told apart by their ids."""
    return joined(stamp(moment), id)


def shard(name: str) -> str:
    """Which of the shards a name falls into, the same for ever."""
    return str(zlib.crc32(name.encode()) % SHARDS)


def memory(tenant: str, id: str) -> Key:
    """The row of a memory, or its tombstone."""
    return Key(joined("memory", tenant, id), "memory")


def vectors(tenant: str, id: str, space: str, chunk: int) -> Key:
    """One chunk of a memory's vectors in a space, in the partition of the memory."""
    return Key(joined("memory", tenant, id), joined("vectors", space, f"{chunk:04d}"))


def accesses(tenant: str, id: str) -> Key:
    """The counter of a memory's accesses, in the partition of the memory."""
    return Key(joined("memory", tenant, id), "accesses")


def store(tenant: str, key: str) -> Key:
    """The row of the store that has a key now."""
    return Key(joined("store", tenant, key), "store")


def upkeep(tenant: str, store: str) -> Key:
    """The row that says where the upkeep of a store goes on, by the store's id."""
    return Key(joined("upkeep", tenant, store), "upkeep")


def kept_store(tenant: str, id: str) -> Key:
    """The row that says that a store has not been deleted, by its id: who adds a memory to it checks that."""
    return Key(joined("kept-store", tenant, id), "store")


def cleared(tenant: str, id: str) -> Key:
    """The row of a deleted store whose memories are still to go."""
    return Key(joined("cleared-store", tenant, id), "store")


def cleared_session(tenant: str, id: str) -> Key:
    """The row of a deleted session whose memories are still to go."""
    return Key(joined("cleared-session", tenant, id), "session")


def clearing(name: str) -> str:
    """The shard of the ``work`` index for a deleted store or session whose memories are still to go."""
    return joined("clearing", shard(name))


def lengths(tenant: str, organization: str | None) -> Key:
    """The row of the lengths that vectors have which an organisation brought; or, None, all of a tenant."""
    return Key(joined("lengths", tenant, organization), "lengths")


def members(noun: str, tenant: str, *within: str | None) -> str:
    """The partition of a list: the things of one noun inside a tenant, a store, an agent and so on."""
    return joined(noun, tenant, *within)


def event(tenant: str, organization: str, id: str) -> Key:
    """The row of an event."""
    return Key(joined("event", tenant, organization, id), "event")


def turn(tenant: str, organization: str, id: str) -> Key:
    """The row of an event's turn with a text model, in the partition of the event."""
    return Key(event(tenant, organization, id).partition, "turn")


def told(tenant: str, organization: str, fingerprint: str) -> Key:
    """The row that says which event was told last in these words."""
    return Key(joined("told", tenant, organization, fingerprint), "told")


def batch(tenant: str, id: str) -> Key:
    """The row that says that all events of a batch are there."""
    return Key(joined("batch", tenant, id), "batch")


def interest(tenant: str, organization: str) -> Key:
    """The row of who would like to have a larger plan."""
    return Key(joined("interest", tenant, organization), "interest")


def sources(tenant: str, id: str) -> Key:
    """The events that a memory was made of, in the partition of the memory."""
    return Key(joined("memory", tenant, id), "sources")


def extracting(name: str) -> str:
    """The shard of the ``work`` index for an event whose memories are still to be made."""
    return joined("extracting", shard(name))


def claim(scope: Scope, content_hash: str) -> str:
    """What a memory claims so that its content is not stored twice in its scope."""
    return joined(*(getattr(scope, part) for part in SCOPE_PARTS), content_hash)


def subject_claim(scope: Scope, content_hash: str, level: str, label: str | None) -> str:
    """As ``claim``, for writers who think in levels: agents are told apart by what the writer called them."""
    unnamed = (None if part == "agent" else getattr(scope, part) for part in SCOPE_PARTS)
    return joined(*unnamed, content_hash, level, label)


def claimed(tenant: str, claim: str) -> Key:
    """The row of a claim. A claim is the only one of its tenant."""
    return Key(joined("claim", tenant, claim), "claim")


def agent(tenant: str, id: str) -> Key:
    """The row of an agent."""
    return Key(joined("agent", tenant, id), "agent")


def agent_name(tenant: str, name: str) -> Key:
    """The row that says which agent has a name."""
    return Key(joined("agent-name", tenant, name), "agent-name")


def session(tenant: str, id: str) -> Key:
    """The row of a session."""
    return Key(joined("session", tenant, id), "session")


def contributor(tenant: str, session: str, agent: str) -> Key:
    """The row that says that an agent of this name wrote in a session, in the partition of the session."""
    return Key(joined("session", tenant, session), joined("contributor", agent))


def session_external(tenant: str, external_id: str) -> Key:
    """The row that says which session has a caller's id."""
    return Key(joined("session-external", tenant, external_id), "session-external")


def webhook(tenant: str, id: str) -> Key:
    """The row of an endpoint. A tenant has few, all in one partition."""
    return Key(joined("webhooks", tenant), joined("webhook", id))


def delivery(tenant: str, id: str) -> Key:
    """The row of a delivery."""
    return Key(joined("delivery", tenant, id), "delivery")


def api_key(hash: str) -> Key:
    """The row of an API key by its hash: global, because the tenant is what it tells."""
    return Key(joined("api-key", hash), "api-key")


def request(tenant: str, key: str) -> Key:
    """The row of a request that named itself with an idempotency key."""
    return Key(joined("request", tenant, key), "request")


def figures(tenant: str, noun: str, *within: str) -> Key:
    """The counters of something: a store, an agent, the tenant itself."""
    return Key(joined("figures", tenant, noun, *within), "figures")


def secret(name: str) -> Key:
    """The row of a secret of the service's own."""
    return Key(joined("secret", name), "secret")


def pending(name: str) -> str:
    """The shard of the ``work`` index for a memory that the index does not know yet."""
    return joined("pending", shard(name))


def due(name: str) -> str:
    """The shard of the ``work`` index for a delivery that has an attempt to come."""
    return joined("due", shard(name))


def expiring(name: str) -> str:
    """The shard of the ``expiring`` index."""
    return joined("expiring", shard(name))


def every_shard(kind: str) -> list[str]:
    """All the shards of one kind of work."""
    return [joined(kind, str(number)) for number in range(SHARDS)]


def group(tenant: str, organization: str, kind: str, id: str) -> Key:
    """The row of an org, a role or a team. An organisation has few of each kind, all in one partition."""
    return Key(joined("groups", tenant, organization, kind), joined("group", id))


def group_slot(tenant: str, organization: str, kind: str, number: int) -> Key:
    """The row that says that one of the places for groups of a kind is taken."""
    return Key(joined("group-slots", tenant, organization, kind), f"{number:04d}")


def promotion(tenant: str, organization: str) -> Key:
    """The row of an organisation that has roles or teams to which knowledge may be promoted."""
    return Key(joined("promotion", tenant, organization), "promotion")


def promoting(name: str) -> str:
    """The shard of the ``work`` index for an organisation that has roles or teams."""
    return joined("promoting", shard(name))


def month_usage(tenant: str, organization: str, month: str) -> Key:
    """What an organisation used in a month (``2026-04``)."""
    return Key(joined("usage", tenant, organization, month), "month")


def day_usage(tenant: str, organization: str, day: str) -> Key:
    """What an organisation used in the hours of a day (``2026-04-01``)."""
    return Key(joined("usage", tenant, organization, day), "day")


def key_usage(tenant: str, key: str, month: str) -> Key:
    """How often an API key was used on the days of a month (``2026-04``)."""
    return Key(joined("key-usage", tenant, key, month), "month")


def known_key(tenant: str, id: str) -> Key:
    """The row that says which hash the API key with an id has. A tenant's are one partition, in the order of the ids."""
    return Key(joined("known-keys", tenant), joined("key", id))


def live_key(tenant: str, slot: str) -> Key:
    """The row of a place among the API keys of a tenant that are good."""
    return Key(joined("live-keys", tenant), joined("slot", slot))


def spread(name: str, choices: Sequence[T]) -> T:
    """Which of the choices a name falls upon, so that many who choose at once seldom choose the same."""
    return choices[zlib.crc32(name.encode()) % len(choices)]
