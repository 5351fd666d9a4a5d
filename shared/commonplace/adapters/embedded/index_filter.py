"""A Filter as SQL: what drives the search through an index, and what is asked of each row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import apsw

from commonplace.adapters import facts
from commonplace.adapters.embedded.index_tables import Partition
from commonplace.adapters.facts import microseconds
from commonplace.model.filter import Among, Between, Condition, Exists, Filter, NotAmong, Period, Scalar

Bound: TypeAlias = str | int | float | None
"""What is bound to a parameter."""

SURVEYED = 10_000
"""How many rows of a driver are counted at most, at about 0.03 us each."""


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of SQL, most often a condition on a row of ``documents``, for ``Partition.sql``; and its parameters."""

    sql: str
    values: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A filter over one partition.

    ``clause`` holds for the rows that are meant; as the condition of a query over ``documents`` it visits only the
    rows of its driver, which is the narrowest scope part, tag or metadata equality of the filter. ``check`` is true of
    the same rows and leaves the way to them to others. ``rows`` is the size of the driver, counted up to
    ``SURVEYED``; None where the filter has none.
    """

    clause: Clause
    check: Clause
    rows: int | None


@dataclass(frozen=True, slots=True)
class _Driver:
    """A condition that an index answers: ``drive`` uses that index, ``check`` looks at the row, ``count`` reads a
    row of the index for each document that meets it."""

    drive: Clause
    check: Clause
    count: Clause


def plan(connection: apsw.Connection, partition: Partition, filter: Filter) -> Plan:
    """The plan for a filter: measures each of its drivers and takes the narrowest."""
    drivers = [*_scope(filter), *_facts(filter)]
    checks = _checks(filter)
    check = _all([*(driver.check for driver in drivers), *checks])
    if not drivers:
        return Plan(check, check, None)
    counts = [_count(connection, partition, driver.count) for driver in drivers]
    rows = min(counts)
    best = counts.index(rows)
    rest = [driver.check for at, driver in enumerate(drivers) if at != best]
    return Plan(_all([drivers[best].drive, *rest, *checks]), check, rows)


def _count(connection: apsw.Connection, partition: Partition, count: Clause) -> int:
    sql = partition.sql("SELECT count(*) FROM ({} LIMIT ?)", count.sql)
    return int(connection.execute(sql, (*count.values, SURVEYED)).get)


def _scope(filter: Filter) -> list[_Driver]:
    return [
        _Driver(
            Clause(f"{part} = ?", (value,)),
            Clause(f"+{part} = ?", (value,)),
            Clause(f"SELECT 1 FROM documents_# WHERE {part} = ?", (value,)),  # noqa: S608 - the part is a name of our own
        )
        for part, value in filter.scope().items()
    ]


def _facts(filter: Filter) -> list[_Driver]:
    return [_among(name, values) for name, values in facts.demanded(filter)]


def _among(name: str, values: Sequence[Scalar]) -> _Driver:
    wanted = (name, *(text for text in dict.fromkeys(map(facts.compared, values)) if text != facts.UNEQUAL))
    rows = f"FROM facts_# WHERE name = ? AND value IN ({_marks(len(wanted) - 1)})"
    return _Driver(
        Clause(f"id IN (SELECT id {rows})", wanted),
        Clause(f"EXISTS (SELECT 1 {rows} AND id = documents_#.id)", wanted),
        Clause(f"SELECT 1 {rows}", wanted),
    )


def _checks(filter: Filter) -> list[Clause]:
    clauses = []
    if not filter.confidential:
        clauses.append(Clause("NOT confidential"))
    if not filter.archived:
        clauses.append(Clause("NOT archived"))
    if filter.kinds:
        clauses.append(Clause(f"kind IN ({_marks(len(filter.kinds))})", filter.kinds))
    if filter.tiers:
        clauses.append(Clause(f"tier IN ({_marks(len(filter.tiers))})", tuple(tier.value for tier in filter.tiers)))
    clauses += _range("importance", filter.importance)
    clauses += _period("created", filter.created)
    clauses += _period("occurred", filter.occurred)
    if filter.excluded:
        clauses.append(Clause(f"memory NOT IN ({_marks(len(filter.excluded))})", filter.excluded))
    if filter.conversation is not None:
        clauses.append(Clause("(session = ? OR session IS NULL)", (filter.conversation,)))
    if filter.elsewhere is not None:
        clauses.append(Clause("session IS NOT ?", (filter.elsewhere,)))
    clauses += [_condition(key, condition) for key, condition in filter.metadata]
    return clauses


def _condition(key: str, condition: Condition) -> Clause:
    name = facts.metadata_name(key)
    # Without the hint SQLite may read every fact of that name for each document.
    there = "EXISTS (SELECT 1 FROM facts_# INDEXED BY facts_#_id WHERE id = documents_#.id AND name = ?"
    match condition:
        case Among():
            return Clause("TRUE")  # a driver already
        case NotAmong(values):
            among = _among(name, values).check
            return Clause(f"NOT {among.sql}", among.values)
        case Exists(present):
            return Clause(f"{there})" if present else f"NOT {there})", (name,))
        case Between():
            bounds = _all([Clause("number IS NOT NULL"), *_range("number", condition)])
            return Clause(f"{there} AND {bounds.sql})", (name, *bounds.values))


def _range(column: str, bounds: Between) -> list[Clause]:
    low, high = bounds.low, bounds.high
    clauses = [] if low is None else [Clause(f"{column} >= ?", (facts.ranged(low),))]
    return clauses if high is None else [*clauses, Clause(f"{column} <= ?", (facts.ranged(high),))]


def _period(column: str, period: Period) -> list[Clause]:
    start, end = period.start, period.end
    clauses = [] if start is None else [Clause(f"{column} >= ?", (microseconds(start),))]
    return clauses if end is None else [*clauses, Clause(f"{column} < ?", (microseconds(end),))]


def _all(clauses: Sequence[Clause]) -> Clause:
    if not clauses:
        return Clause("TRUE")
    return Clause(
        " AND ".join(clause.sql for clause in clauses), tuple(value for clause in clauses for value in clause.values)
    )


def _marks(count: int) -> str:
    return ", ".join("?" * count)
