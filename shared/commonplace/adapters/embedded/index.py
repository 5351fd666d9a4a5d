"""The Index port in SQLite: exact cosines by sqlite-vec, words by FTS5 and BM25."""

import asyncio
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar, cast

import apsw

from commonplace.adapters.embedded import index_filter, index_tables, index_words
from commonplace.adapters.embedded.database import Database
from commonplace.adapters.embedded.index_filter import Plan
from commonplace.adapters.embedded.index_tables import Partition, prepare
from commonplace.adapters.facts import facts, microseconds
from commonplace.model.document import Arm, Candidate, Document, Findings, Probe, Removal
from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.space import Space
from commonplace.ports.index import Outcome

__all__ = ["REMEMBERED", "SqliteIndex", "prepare"]

REMEMBERED = 10_000
"""How many removals each tenant's part of a space remembers. An upsert that comes later than that many removals after
its own could bring a document back; the rows, which are the truth, still know that it is gone."""

_Ask: TypeAlias = Callable[[apsw.Connection, Partition, Plan], Arm]
_Item = TypeVar("_Item", Document, Removal)
_INSERT = """
INSERT INTO documents_#(memory, passage, version, store, organization, user, agent, session, project, kind, tier,
    importance, confidential, archived, created, occurred, terms)
VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE = """
UPDATE documents_# SET (memory, passage, version, store, organization, user, agent, session, project, kind, tier,
    importance, confidential, archived, created, occurred, terms)
= (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?
"""
_SCAN = """
SELECT memory, passage, version, coalesce(vec_distance_cosine(vector, ?), 1.0) AS distance
FROM documents_# CROSS JOIN vectors_# USING (id) WHERE {} ORDER BY distance LIMIT ?
"""


class SqliteIndex:
    """Every tenant has tables of its own in each space (``index_tables``): a search meets no other tenant's rows, nor
    do these count in its BM25. The vectors arm is an exact scan of what the filter's narrowest part leaves; the words
    arm costs about the same at any size (``index_words``). ``database`` has to have run ``prepare``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def upsert(self, space: Space, documents: Sequence[Document]) -> list[Outcome]:
        """As the port says, in one transaction."""

        def write(connection: apsw.Connection) -> list[Outcome]:
            analyzer = index_words.Analyzer(connection)
            partitions = {tenant: index_tables.found(connection, space, tenant) for tenant in _tenants(documents)}
            outcomes = [
                _upsert(connection, partitions[document.tenant], analyzer, space, document) for document in documents
            ]
            for tenant, partition in partitions.items():
                if any(
                    outcome is None and document.tenant == tenant
                    for outcome, document in zip(outcomes, documents, strict=True)
                ):
                    index_tables.hold(connection, partition)
            return outcomes

        return await self._database.write(write) if documents else []

    async def delete(self, space: Space, removals: Sequence[Removal]) -> list[Outcome]:
        """As the port says, in one transaction."""

        def write(connection: apsw.Connection) -> list[Outcome]:
            partitions = {tenant: index_tables.found(connection, space, tenant) for tenant in _tenants(removals)}
            for removal in removals:
                _remove(connection, partitions[removal.tenant], removal)
            for partition in partitions.values():
                _forget(connection, partition)
            return [None] * len(removals)

        return await self._database.write(write) if removals else []

    async def search(self, space: Space, probe: Probe, filter: Filter) -> Findings:
        """As the port says, each arm in a thread of its own, its time without the wait for one. Raises ``Invalid`` for a vector that is not of the space."""
        vector, text = probe.vector, probe.text
        if vector is not None and len(vector) != space.dimension:
            raise Invalid(f"The vector has {len(vector)} dimensions and not {space.dimension}")

        def arm(ask: _Ask) -> Awaitable[Arm]:
            def read(connection: apsw.Connection) -> Arm:
                began = time.perf_counter()
                partition = index_tables.find(connection, space, probe.tenant)
                if partition is None or probe.k <= 0:
                    found = Arm()
                else:
                    found = ask(connection, partition, index_filter.plan(connection, partition, filter))
                return replace(found, milliseconds=1_000 * (time.perf_counter() - began))

            return self._database.read(read)

        async def silent() -> Arm:
            return Arm()

        vectors = (
            silent()
            if vector is None
            else arm(lambda c, partition, plan: _vectors(c, partition, plan, vector, probe.k))
        )
        words = silent() if text is None else arm(lambda c, partition, plan: _words(c, partition, plan, text, probe.k))
        try:
            findings = Findings(*await asyncio.gather(vectors, words))
        except UnicodeEncodeError as error:
            raise Invalid("The filter holds text that is not Unicode") from error
        asked = [found for found, of in ((findings.vectors, vector), (findings.words, text)) if of is not None]
        if asked and all(found.failure for found in asked):
            raise Unavailable("The index cannot be asked now")
        return findings

    async def spaces(self) -> list[Space]:
        """As the port says, by name."""
        return await self._database.read(index_tables.spaces)

    async def renew(self, space: Space) -> None:
        """Nothing: the tables of a space follow the schema of the file."""

    async def retire(self, space: Space) -> None:
        """Nothing, as ``renew``."""


def _tenants(items: Sequence[_Item]) -> list[str]:
    return list(dict.fromkeys(item.tenant for item in items))


def _upsert(
    connection: apsw.Connection, partition: Partition, analyzer: index_words.Analyzer, space: Space, document: Document
) -> Outcome:
    if len(document.vector) != space.dimension:
        return Invalid(f"The vector has {len(document.vector)} dimensions and not {space.dimension}")
    key = (document.memory, document.passage)
    here, version = _standing(connection, partition, "documents_#", key)
    removal, removed = _standing(connection, partition, "removals_#", key)
    if document.version < max(version, removed):
        return None
    try:
        here = _put_document(connection, partition, here, document, analyzer.terms(document.text))
    except UnicodeEncodeError:
        return Invalid("The document holds text that is not Unicode")
    octets = array("f", document.vector).tobytes()
    connection.execute(partition.sql("REPLACE INTO vectors_#(id, vector) VALUES(?, ?)"), (here, octets))
    text = document.text.encode("utf-8", "replace").decode()
    connection.execute(partition.sql("REPLACE INTO words_#(rowid, text) VALUES(?, ?)"), (here, text))
    rows = [(fact.name, fact.text, fact.number, here) for fact in facts(document)]
    connection.executemany(partition.sql("INSERT INTO facts_#(name, value, number, id) VALUES(?, ?, ?, ?)"), rows)
    if removal is not None:
        connection.execute(partition.sql("DELETE FROM removals_# WHERE id = ?"), (removal,))
    return None


def _put_document(
    connection: apsw.Connection, partition: Partition, here: int | None, document: Document, terms: bytes
) -> int:
    """Writes the row of a document, over the one that is ``here``; returns its id."""
    scope = document.scope
    values = (
        document.memory, document.passage, document.version, scope.store, scope.organization, scope.user, scope.agent,
        scope.session, scope.project, document.kind, document.tier.value, document.importance, document.confidential,
        document.archived, microseconds(document.created_at),
        microseconds(document.occurred_at), terms,
    )  # fmt: skip
    if here is None:
        connection.execute(partition.sql(_INSERT), values)
        return connection.last_insert_rowid()
    connection.execute(partition.sql(_UPDATE), (*values, here))
    connection.execute(partition.sql("DELETE FROM facts_# WHERE id = ?"), (here,))
    return here


def _remove(connection: apsw.Connection, partition: Partition, removal: Removal) -> None:
    key = (removal.memory, removal.passage)
    here, version = _standing(connection, partition, "documents_#", key)
    _, removed = _standing(connection, partition, "removals_#", key)
    if removal.version < max(version, removed):
        return
    if here is not None:
        for place in ("documents_# WHERE id", "vectors_# WHERE id", "facts_# WHERE id", "words_# WHERE rowid"):
            connection.execute(partition.sql("DELETE FROM {} = ?", place), (here,))
    sql = partition.sql("REPLACE INTO removals_#(memory, passage, version) VALUES(?, ?, ?)")
    connection.execute(sql, (*key, removal.version))


def _forget(connection: apsw.Connection, partition: Partition) -> None:
    sql = partition.sql("DELETE FROM removals_# WHERE id <= (SELECT max(id) FROM removals_#) - ?")
    connection.execute(sql, (REMEMBERED,))


def _standing(
    connection: apsw.Connection, partition: Partition, table: str, key: tuple[str, int]
) -> tuple[int | None, float]:
    """The row of a document in a table and its version, below every version where there is none."""
    sql = partition.sql("SELECT id, version FROM {} WHERE memory = ? AND passage = ?", table)
    return connection.execute(sql, key).get or (None, float("-inf"))


def _vectors(connection: apsw.Connection, partition: Partition, plan: Plan, vector: tuple[float, ...], k: int) -> Arm:
    # A vector of zeros has no angle to anything: the distance is NULL then, and the cosine 0.
    values = (array("f", vector).tobytes(), *plan.clause.values, k)
    try:
        rows = connection.execute(partition.sql(_SCAN, plan.clause.sql), values).fetchall()
    except apsw.Error as error:
        return Arm(failure=f"vectors: {error}")
    found = cast("list[tuple[str, int, int, float]]", rows)
    return Arm(tuple(Candidate(m, p, v, max(-1.0, min(1.0, 1.0 - distance))) for m, p, v, distance in found))


def _words(connection: apsw.Connection, partition: Partition, plan: Plan, text: str, k: int) -> Arm:
    try:
        return Arm(index_words.search(connection, partition, plan, text, k))
    except apsw.Error as error:
        return Arm(failure=f"words: {error}")
