"""The Table port: an ordered, conditional item table, which is what DynamoDB is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from commonplace.model.errors import CommonplaceError

Value: TypeAlias = str | int | float | bool | bytes
"""What an attribute can hold. An attribute that is not there stands for null; nested data is stored as JSON text."""

Attributes: TypeAlias = Mapping[str, Value]
"""An item without its key."""

INDEXES: Mapping[str, tuple[str, str]] = {
    "listing": ("listing_key", "listing_at"),
    "by_agent": ("agent_key", "listing_at"),
    "by_user": ("user_key", "listing_at"),
    "by_session": ("session_key", "listing_at"),
    "by_project": ("project_key", "listing_at"),
    "by_organization": ("organization_key", "listing_at"),
    "by_namespace": ("namespace_key", "listing_at"),
    "work": ("work_key", "work_at"),
    "expiring": ("expiring_key", "expiring_at"),
}
"""The table's indexes: the attributes that are the partition and the sort key of each. An item stands in an index if it
has both. They hold keys only, and may lag behind the table by moments."""

TTL_ATTRIBUTE = "ttl"
"""Epoch seconds after which the table may drop an item, hours later. Readers must not rely on it."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The address of an item."""

    partition: str
    sort: str


@dataclass(frozen=True, slots=True)
class Item:
    """An item as it was read."""

    key: Key
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Absent:
    """Only if no such item is there."""


@dataclass(frozen=True, slots=True)
class Present:
    """Only if the item is there."""


@dataclass(frozen=True, slots=True)
class RevisionIs:
    """Only if the item is there and its attribute ``revision`` has this value."""

    revision: int


@dataclass(frozen=True, slots=True)
class AtMost:
    """Only if this number of the item, before the write, is at most so high; an absent one counts as 0."""

    attribute: str
    most: int


Condition: TypeAlias = Absent | Present | RevisionIs | AtMost | None
"""What a write expects. ``None`` expects nothing."""


@dataclass(frozen=True, slots=True)
class Put:
    """Writes the whole item."""

    key: Key
    attributes: Attributes
    condition: Condition = None


@dataclass(frozen=True, slots=True)
class Update:
    """Sets and removes attributes, and adds to numbers (an absent one counts as 0). Makes the item if it is absent."""

    key: Key
    set: Attributes = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    add: Mapping[str, int] = field(default_factory=dict)
    condition: Condition = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes the item; without a condition, whether or not it is there."""

    key: Key
    condition: Condition = None


@dataclass(frozen=True, slots=True)
class Check:
    """Writes nothing, but must hold for the transaction to happen."""

    key: Key
    condition: Absent | Present | RevisionIs | AtMost


Write: TypeAlias = Put | Update | Delete | Check

MAX_TRANSACTION = 100
"""Writes in one transaction (DynamoDB's limit)."""


class ConditionFailed(CommonplaceError):
    """Nothing was written. ``items`` maps the position of each write whose condition failed to the item that is there
    (None if there is none)."""

    def __init__(self, items: Mapping[int, Item | None]) -> None:
        super().__init__("a condition of the write did not hold")
        self.items = items


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One partition of the table, or of a named index, in the order of the sort key.

    ``low`` and ``high`` bound the sort key, both inclusive. ``after`` is the ``next`` of an earlier slice of the same
    query.
    """

    partition: str
    index: str | None = None
    low: str | None = None
    high: str | None = None
    descending: bool = False
    limit: int = 100
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """Keys in order; ``next`` is None at the end. It is opaque, but no secret: callers see it only signed."""

    keys: tuple[Key, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Scanned:
    """Items in no promised order; ``next`` is None at the end."""

    items: tuple[Item, ...]
    next: str | None


class Table(Protocol):
    """Rows. Every read of the table itself is strongly consistent. All methods raise ``Unavailable`` when the engine
    is down or throttles for longer than the adapter retries."""

    async def get(self, key: Key) -> Item | None:
        """The item, or None."""

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """The items that are there. Any number of keys; repeated ones count once."""

    async def transact(self, writes: Sequence[Write]) -> None:
        """Writes all or nothing, at most ``MAX_TRANSACTION`` writes, no item twice. One write is no transaction and
        costs half. Raises ``ConditionFailed``; raises ``Unavailable`` for a collision that outlasts the retries."""

    async def query(self, query: Query) -> Slice:
        """The keys of a slice of a partition."""

    async def scan(self, after: str | None, limit: int) -> Scanned:
        """At most ``limit`` of all items of all tenants, from where an earlier scan ended. Items that are written
        meanwhile may be missed. It reads everything and is paid so: only an operator's work may use it, no function."""
