"""The tables of the index in SQLite: a set of its own for each space and tenant, so that tenants never meet."""

from dataclasses import dataclass

import apsw

from commonplace.model.space import Space

TOKENIZER = ("porter", "unicode61", "remove_diacritics", "2")
"""How FTS5 cuts and stems text; ``index_words`` cuts with the same one."""

_PARTITIONS = """
CREATE TABLE IF NOT EXISTS index_partitions(
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, dimension INTEGER NOT NULL, tenant TEXT NOT NULL,
    held INTEGER NOT NULL DEFAULT 0, UNIQUE(tenant, model, dimension));
"""

# Vectors stand apart from what filters read: the words arm and a scan behind a narrow filter then read four hundred
# bytes a row and not two thousand (100,000 rows: the join of the words arm is 5 times as quick, a scan of all vectors
# 6 % slower). The facts are the metadata and tags, one row each; the removals remember what must not come back.
_TABLES = """
CREATE TABLE IF NOT EXISTS documents_#(
    id INTEGER PRIMARY KEY, memory TEXT NOT NULL, passage INTEGER NOT NULL, version INTEGER NOT NULL,
    store TEXT NOT NULL, organization TEXT, user TEXT, agent TEXT, session TEXT, project TEXT,
    kind TEXT NOT NULL, tier TEXT NOT NULL, importance REAL NOT NULL, confidential INTEGER NOT NULL,
    archived INTEGER NOT NULL, created INTEGER NOT NULL, occurred INTEGER NOT NULL, terms BLOB NOT NULL,
    UNIQUE(memory, passage));
CREATE INDEX IF NOT EXISTS documents_#_store ON documents_#(store);
CREATE INDEX IF NOT EXISTS documents_#_organization ON documents_#(organization) WHERE organization IS NOT NULL;
CREATE INDEX IF NOT EXISTS documents_#_user ON documents_#(user) WHERE user IS NOT NULL;
CREATE INDEX IF NOT EXISTS documents_#_agent ON documents_#(agent) WHERE agent IS NOT NULL;
CREATE INDEX IF NOT EXISTS documents_#_session ON documents_#(session) WHERE session IS NOT NULL;
CREATE INDEX IF NOT EXISTS documents_#_project ON documents_#(project) WHERE project IS NOT NULL;
CREATE TABLE IF NOT EXISTS vectors_#(id INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS facts_#(
    name TEXT NOT NULL, value TEXT NOT NULL, id INTEGER NOT NULL, number, PRIMARY KEY(name, value, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS facts_#_id ON facts_#(id, name);
CREATE VIRTUAL TABLE IF NOT EXISTS words_# USING fts5(
    text, content='', contentless_delete=1, detail=none, tokenize='{}');
CREATE TABLE IF NOT EXISTS removals_#(
    id INTEGER PRIMARY KEY, memory TEXT NOT NULL, passage INTEGER NOT NULL, version INTEGER NOT NULL,
    UNIQUE(memory, passage));
"""


@dataclass(frozen=True, slots=True)
class Partition:
    """The tables of one tenant in one space."""

    number: int

    def sql(self, template: str, *parts: str) -> str:
        """A statement over these tables: ``{}`` becomes the next part, then every ``#`` (as in ``documents_#``) the
        number. Values are never part of it, they are bound."""
        return template.format(*parts).replace("#", str(self.number))


def prepare(connection: apsw.Connection) -> None:
    """Makes the list of partitions. Can be run again."""
    connection.execute(_PARTITIONS)


def find(connection: apsw.Connection, space: Space, tenant: str) -> Partition | None:
    """The partition of a tenant in a space, if there is one."""
    number = connection.execute(
        "SELECT number FROM index_partitions WHERE tenant = ? AND model = ? AND dimension = ?",
        (tenant, space.model, space.dimension),
    ).get
    return None if number is None else Partition(number)


def found(connection: apsw.Connection, space: Space, tenant: str) -> Partition:
    """The partition of a tenant in a space, made if there is none. To be called inside a writing transaction, which
    keeps two from making it at once."""
    if (partition := find(connection, space, tenant)) is not None:
        return partition
    connection.execute(
        "INSERT INTO index_partitions(model, dimension, tenant) VALUES(?, ?, ?)",
        (space.model, space.dimension, tenant),
    )
    partition = Partition(connection.last_insert_rowid())
    connection.execute(partition.sql(_TABLES, " ".join(TOKENIZER)))
    return partition


def hold(connection: apsw.Connection, partition: Partition) -> None:
    """Notes that the partition holds documents or has held some."""
    connection.execute("UPDATE index_partitions SET held = 1 WHERE number = ? AND NOT held", (partition.number,))


def spaces(connection: apsw.Connection) -> list[Space]:
    """The spaces that hold documents or have held some, by name."""
    rows = connection.execute("SELECT DISTINCT model, dimension FROM index_partitions WHERE held ORDER BY 1, 2")
    return [Space(str(model), int(dimension)) for model, dimension in rows]
