"""The Table port on SQLite."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import apsw
import msgpack

from commonplace.adapters.embedded.database import Database
from commonplace.model.errors import Malformed
from commonplace.ports.table import (
    INDEXES,
    MAX_TRANSACTION,
    TTL_ATTRIBUTE,
    Absent,
    AtMost,
    Attributes,
    Check,
    Condition,
    ConditionFailed,
    Delete,
    Item,
    Key,
    Present,
    Put,
    Query,
    RevisionIs,
    Scanned,
    Slice,
    Table,
    Update,
    Value,
    Write,
)

FEW = 32
"""Rows that are found by their keys on the caller's own thread: at about 10 us each it costs less than handing over."""

PURGE_BITE = 200
"""Items that one transaction of ``purge`` drops, so that other writers never wait long for it."""

# A rowid table: bodies with an embedding are larger than what a WITHOUT ROWID tree keeps in a page (about 1 KB).
_SCHEMA = """
CREATE TABLE IF NOT EXISTS items(
    id INTEGER PRIMARY KEY, partition TEXT NOT NULL, sort TEXT NOT NULL, body BLOB NOT NULL, ttl INTEGER);
CREATE UNIQUE INDEX IF NOT EXISTS items_by_key ON items(partition, sort);
CREATE INDEX IF NOT EXISTS items_by_ttl ON items(ttl) WHERE ttl IS NOT NULL;
CREATE TABLE IF NOT EXISTS entries(
    index_name TEXT NOT NULL, index_partition TEXT NOT NULL, index_sort TEXT NOT NULL,
    partition TEXT NOT NULL, sort TEXT NOT NULL,
    PRIMARY KEY(index_name, index_partition, index_sort, partition, sort)) WITHOUT ROWID;
"""

_FIND = "SELECT id, body FROM items WHERE partition = ? AND sort = ?"
_INSERT = "INSERT INTO items(partition, sort, body, ttl) VALUES(?, ?, ?, ?)"
_REPLACE = "UPDATE items SET body = ?, ttl = ? WHERE id = ?"
_REMOVE = "DELETE FROM items WHERE id = ?"
_ENTER = ["INSERT INTO entries VALUES" + ", ".join(["(?, ?, ?, ?, ?)"] * count) for count in range(len(INDEXES) + 1)]
_LEAVE = (
    "DELETE FROM entries WHERE index_name = ? AND index_partition = ? AND index_sort = ? AND partition = ? AND sort = ?"
)
_EXPIRED = "SELECT id, partition, sort, body FROM items WHERE ttl < ? ORDER BY ttl LIMIT ?"

_SCAN = "SELECT id, partition, sort, body FROM items WHERE id > ? ORDER BY id LIMIT ?"

_Entry: TypeAlias = tuple[str, str, str]
_INDEXES: Final = tuple((name, partition, sort) for name, (partition, sort) in INDEXES.items())


def prepare(connection: apsw.Connection) -> None:
    """Makes the tables if they are not there."""
    connection.execute(_SCHEMA)


class SqliteTable(Table):
    """Items as rows, attributes as MessagePack (so an int has at most 64 bits), index entries kept in step by hand.

    Its indexes never lag. An expired item goes when ``purge`` is called.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: Key) -> Item | None:
        """The item, or None."""
        return self._database.glance(lambda connection: _item(connection, key))

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """The items that are there, all as of one moment."""
        if not keys:
            return {}

        def read(connection: apsw.Connection) -> dict[Key, Item]:
            items = (_item(connection, key) for key in dict.fromkeys(keys))
            return {item.key: item for item in items if item is not None}

        return self._database.glance(read) if len(keys) <= FEW else await self._database.read(read)

    async def transact(self, writes: Sequence[Write]) -> None:
        """Writes all or nothing, in one transaction. Raises ``ConditionFailed`` with every position that failed."""
        if len(writes) > MAX_TRANSACTION:
            raise ValueError("too many writes for one transaction")
        if len({write.key for write in writes}) < len(writes):
            raise ValueError("an item may stand only once in a transaction")
        if writes:
            await self._database.write(lambda connection: _transact(connection, writes))

    async def query(self, query: Query) -> Slice:
        """The keys of a slice of a partition."""
        sql, values = _select(query)

        def read(connection: apsw.Connection) -> Slice:
            return _slice(connection, query, sql, values)

        return self._database.glance(read) if query.limit <= FEW else await self._database.read(read)

    async def scan(self, after: str | None, limit: int) -> Scanned:
        """As the port says, in the order in which the items were first written."""
        start = _row_number(after)

        def read(connection: apsw.Connection) -> Scanned:
            rows: list[Any] = connection.execute(_SCAN, (start, limit)).fetchall()
            items = tuple(Item(Key(partition, sort), msgpack.unpackb(body)) for _, partition, sort, body in rows)
            return Scanned(items, str(rows[-1][0]) if len(rows) == limit else None)

        return await self._database.read(read)

    async def purge(self, now: int) -> int:
        """Drops the items whose ttl lies before ``now`` (epoch seconds), and says how many. Other writes get their turn
        in between."""
        dropped = 0
        while True:
            bite = await self._database.write(lambda connection: _purge(connection, now))
            dropped += bite
            if bite < PURGE_BITE:
                return dropped


def _row_number(after: str | None) -> int:
    if after is None:
        return 0
    if not re.fullmatch("[0-9]{1,18}", after):
        raise Malformed("That is no position in a scan")
    return int(after)


def _item(connection: apsw.Connection, key: Key) -> Item | None:
    row = connection.execute(_FIND, (key.partition, key.sort)).fetchone()
    return None if row is None else Item(key, msgpack.unpackb(row[1]))


_Found: TypeAlias = tuple[int, dict[str, Value]] | None
"""The row's number and what it holds now."""


def _transact(connection: apsw.Connection, writes: Sequence[Write]) -> None:
    found: list[_Found] = []
    failed: dict[int, Item | None] = {}
    for position, write in enumerate(writes):
        row = connection.execute(_FIND, (write.key.partition, write.key.sort)).fetchone()
        old: _Found = None if row is None else (row[0], msgpack.unpackb(row[1]))
        found.append(old)
        if write.condition is not None and not _holds(write.condition, old):
            failed[position] = None if old is None else Item(write.key, old[1])
    if failed:
        raise ConditionFailed(failed)
    for write, old in zip(writes, found, strict=True):
        match write:
            case Put():
                _store(connection, write.key, old, write.attributes)
            case Update():
                _store(connection, write.key, old, _updated({} if old is None else old[1], write))
            case Delete() if old is not None:
                _drop(connection, write.key, *old)
            case Delete() | Check():
                pass


def _holds(condition: Condition, old: _Found) -> bool:
    match condition:
        case Absent():
            return old is None
        case Present():
            return old is not None
        case RevisionIs(revision):
            return old is not None and old[1].get("revision") == revision
        case AtMost(attribute, most):
            value = 0 if old is None else old[1].get(attribute, 0)
            return isinstance(value, int) and value <= most
        case None:
            return True


def _updated(old: Mapping[str, Value], update: Update) -> dict[str, Value]:
    new = {**old, **update.set}
    for name in update.remove:
        new.pop(name, None)
    for name, amount in update.add.items():
        value = old.get(name, 0)
        if not isinstance(value, int):
            raise TypeError(f"{name} is no whole number: nothing can be added to it")
        new[name] = value + amount
    return new


def _store(connection: apsw.Connection, key: Key, old: _Found, new: Attributes) -> None:
    body = msgpack.packb(new)
    ttl = new.get(TTL_ATTRIBUTE)
    ttl = ttl if isinstance(ttl, int) else None
    entries = _entries(new)
    if old is None:
        connection.execute(_INSERT, (key.partition, key.sort, body, ttl))
        _enter(connection, key, entries)
        return
    connection.execute(_REPLACE, (body, ttl, old[0]))
    former = _entries(old[1])
    if former != entries:
        _leave(connection, key, former - entries)
        _enter(connection, key, entries - former)


def _drop(connection: apsw.Connection, key: Key, number: int, old: Attributes) -> None:
    connection.execute(_REMOVE, (number,))
    _leave(connection, key, _entries(old))


def _entries(attributes: Attributes) -> set[_Entry]:
    return {
        (name, attributes[partition], attributes[sort])  # type: ignore[misc]  # an index key that is no text is a mistake
        for name, partition, sort in _INDEXES
        if partition in attributes and sort in attributes
    }


def _enter(connection: apsw.Connection, key: Key, entries: set[_Entry]) -> None:
    if entries:
        row = (key.partition, key.sort)
        connection.execute(_ENTER[len(entries)], tuple(value for entry in entries for value in (*entry, *row)))


def _leave(connection: apsw.Connection, key: Key, entries: set[_Entry]) -> None:
    for entry in entries:
        connection.execute(_LEAVE, (*entry, key.partition, key.sort))


def _purge(connection: apsw.Connection, now: int) -> int:
    rows: list[Any] = connection.execute(_EXPIRED, (now, PURGE_BITE)).fetchall()
    for number, partition, sort, body in rows:
        _drop(connection, Key(partition, sort), number, msgpack.unpackb(body))
    return len(rows)


def _select(query: Query) -> tuple[str, list[str | int]]:
    """The statement for a query. ``after`` lies inside the bounds, so it takes the place of the one it is nearer to."""
    if query.index is None:
        select, column, columns = "SELECT sort, partition, sort FROM items WHERE partition = ?", "sort", "(sort)"
        values: list[str | int] = [query.partition]
    else:
        select = "SELECT index_sort, partition, sort FROM entries WHERE index_name = ? AND index_partition = ?"
        column, columns = "index_sort", "(index_sort, partition, sort)"
        values = [query.index, query.partition]
    low, high = query.low, query.high
    if query.after is not None:
        position = _position(query)
        select += f" AND {columns} {'<' if query.descending else '>'} ({', '.join('?' * len(position))})"
        values += position
        low, high = (low, None) if query.descending else (None, high)
    for operator, bound in ((">=", low), ("<=", high)):
        if bound is not None:
            select += f" AND {column} {operator} ?"
            values.append(bound)
    columns = columns.strip("()").replace(",", " DESC,") + " DESC" if query.descending else columns.strip("()")
    values.append(query.limit + 1)
    return f"{select} ORDER BY {columns} LIMIT ?", values


def _position(query: Query) -> list[str]:
    try:
        position = json.loads(query.after or "")
    except ValueError as error:
        raise Malformed("The position cannot be read") from error
    length = 1 if query.index is None else 3
    if not (isinstance(position, list) and len(position) == length and all(isinstance(part, str) for part in position)):
        raise Malformed("The position is not one of this query")
    return position


def _slice(connection: apsw.Connection, query: Query, sql: str, values: list[str | int]) -> Slice:
    rows: list[Any] = connection.execute(sql, values).fetchall()
    following = None
    if len(rows) > query.limit:
        del rows[query.limit :]
        following = json.dumps(rows[-1][2:] if query.index is None else rows[-1])
    return Slice(tuple(Key(partition, sort) for _, partition, sort in rows), following)
