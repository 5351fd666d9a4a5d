"""The words arm in SQLite: FTS5 finds candidates, BM25 orders them.

FTS5's own bm25() reads every posting of every term of a query, which makes a common word as dear as the table is
long. So FTS5 only says who has a word, at most ``CANDIDATES`` documents for each question, and the score is computed
here from the hashed terms that each document carries. Where the words are common but the filter is narrow, all its
documents are scored, so that no word is too common to be found there.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import apsw
import numpy as np
import numpy.typing as npt

from commonplace.adapters.embedded.index_filter import Plan
from commonplace.adapters.embedded.index_tables import TOKENIZER, Partition
from commonplace.model.document import Candidate

CANDIDATES = 2_000
"""How many documents one question to FTS5 brings, the newest first. Of what a full BM25 of 100,000 sentences puts first,
this finds 100 % at 1, 97 % at 10 and 89 % at 100, in 4 ms and not 22; 4,000 would find 100, 98 and 97 % in 5 ms. Up to
as many documents with any of the words, nothing is lost."""

NARROW = 3_000
"""Where more than ``CANDIDATES`` documents have the words, a filter that leaves no more than this many is scored without
FTS5, which would lose some of them."""

MOST_TERMS = 64
"""How many distinct terms of a query are looked for."""

LONGEST_QUERY = 20_000
"""How many characters of a query are read."""

K1, B = 1.2, 0.75
"""The usual constants of BM25 (Robertson and Zaragoza, 2009; the defaults of Lucene)."""

Key: TypeAlias = tuple[str, int]
"""A document: memory and passage."""

Row: TypeAlias = tuple[str, int, int, bytes]
"""A document that may be a candidate: memory, passage, version, and its terms."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a query as FTS5 reads it, the hash under which documents carry it, and how many have it."""

    word: str
    hash: int
    documents: int = 0

    @property
    def quoted(self) -> str:
        """The word as a string of FTS5's query language, in which nothing has a meaning but the closing quote."""
        return '"' + self.word.replace('"', '""') + '"'


class Analyzer:
    """Cuts texts as the FTS5 tables of a connection do."""

    def __init__(self, connection: apsw.Connection) -> None:
        stemmer, cutter, *options = TOKENIZER
        self._stems = connection.fts5_tokenizer(stemmer, [cutter, *options])
        self._words = connection.fts5_tokenizer(cutter, options)

    def terms(self, text: str) -> bytes:
        """The stems of a text in order, each as the CRC-32 of its UTF-8 bytes in four bytes, little-endian.

        Two different stems meet once in 2**32, which now and then lends a document a word.
        """
        return np.array(_hashes(_cut(self._stems, text)), dtype="<u4").tobytes()

    def query(self, text: str) -> list[Term]:
        """The first ``MOST_TERMS`` distinct terms of a query."""
        terms: dict[int, Term] = {}
        for word in dict.fromkeys(_cut(self._words, text[:LONGEST_QUERY])):
            for hash in _hashes(_cut(self._stems, word)):
                terms.setdefault(hash, Term(word, hash))
            if len(terms) >= MOST_TERMS:
                break
        return list(terms.values())


def search(connection: apsw.Connection, partition: Partition, plan: Plan, text: str, k: int) -> tuple[Candidate, ...]:
    """The ``k`` best documents for a text among those that the plan's filter means. Scores are positive."""
    terms = _counted(connection, partition, Analyzer(connection).query(text))
    if not terms:
        return ()
    total = plan.rows or int(connection.execute(partition.sql("SELECT coalesce(max(id), 0) FROM documents_#")).get)
    if sum(term.documents for term in terms) <= CANDIDATES:
        question = " OR ".join(term.quoted for term in terms)
        return ranked(list(_matching(connection, partition, plan, question).values()), terms, total, k, complete=True)
    if plan.rows is not None and plan.rows <= NARROW:
        return ranked(_all(connection, partition, plan), terms, total, k, complete=True)
    return ranked(_found(connection, partition, plan, terms, k), terms, total, k, complete=False)


def ranked(rows: Sequence[Row], terms: Sequence[Term], total: int, k: int, *, complete: bool) -> tuple[Candidate, ...]:
    """The ``k`` best rows by BM25, those without any of the terms left out.

    score = sum over terms of ln(1 + (N - n + 0.5) / (n + 0.5)) * f / (f + K1 * (1 - B + B * length / mean length)),
    with f the term's occurrences in the document (Lucene's form). N is ``total``, the documents that the filter leaves;
    n is counted in the rows where these are ``complete`` (all that have any of the terms), else it is the term's own
    count, in which the filter has no part. The mean length is always that of the rows.
    """
    if not rows or not terms:
        return ()
    tokens = np.frombuffer(b"".join(row[3] for row in rows), dtype="<u4")
    lengths = np.fromiter((len(row[3]) // 4 for row in rows), dtype=np.int64, count=len(rows))
    frequencies = _frequencies(tokens, lengths, terms)
    counts = (frequencies > 0).sum(axis=0) if complete else np.array([term.documents for term in terms])
    number = max(total, int(counts.max()))
    weights = np.log1p((number - counts + 0.5) / (counts + 0.5))
    norms = K1 * (1 - B + B * lengths / max(float(lengths.mean()), 1.0))
    scores = (weights * frequencies / (frequencies + norms[:, None])).sum(axis=1)
    order = np.argsort(-scores, kind="stable")[:k]
    best = [(rows[at], float(scores[at])) for at in order.tolist() if scores[at] > 0]
    return tuple(Candidate(memory, passage, version, score) for (memory, passage, version, _), score in best)


def _frequencies(
    tokens: npt.NDArray[np.uint32], lengths: npt.NDArray[np.int64], terms: Sequence[Term]
) -> npt.NDArray[np.float64]:
    """How often each row (first axis) has each term (second axis)."""
    wanted = np.array([term.hash for term in terms], dtype="<u4")
    order = np.argsort(wanted)
    places = np.minimum(np.searchsorted(wanted[order], tokens), len(wanted) - 1)
    columns = order[places]
    hits = np.flatnonzero(wanted[columns] == tokens)
    owners = np.searchsorted(np.cumsum(lengths), hits, side="right")
    cells = np.bincount(owners * len(wanted) + columns[hits], minlength=len(lengths) * len(wanted))
    return cells.reshape(len(lengths), len(wanted)).astype(np.float64)


def _counted(connection: apsw.Connection, partition: Partition, terms: Iterable[Term]) -> list[Term]:
    """The terms that any document has, the rarest first. No count goes beyond ten times ``CANDIDATES``: by then the
    weight of a word hardly changes."""
    count = partition.sql("SELECT count(*) FROM (SELECT 1 FROM words_# WHERE words_# MATCH ? LIMIT ?)")
    most = CANDIDATES * 10
    counted = [replace(term, documents=connection.execute(count, (term.quoted, most)).get) for term in terms]
    return sorted((term for term in counted if term.documents), key=lambda term: term.documents)


def _found(connection: apsw.Connection, partition: Partition, plan: Plan, terms: Sequence[Term], k: int) -> list[Row]:
    """Candidates: whoever has one of the rare terms, and, while that is not yet ``k``, whoever has all of the frequent
    ones, then the newest that have one of these. Rare are the terms that together have at most ``CANDIDATES`` documents."""
    rare, reach = 0, 0
    while rare < len(terms) and (reach := reach + terms[rare].documents) <= CANDIDATES:
        rare += 1
    frequent = [term.quoted for term in terms[rare:]]
    questions = [" OR ".join(term.quoted for term in terms[:rare])] if rare else []
    questions += [" AND ".join(frequent), *frequent] if len(frequent) > 1 else frequent
    rows: dict[Key, Row] = {}
    for question in questions:
        if len(rows) >= k:
            break
        rows.update(_matching(connection, partition, plan, question))
    return list(rows.values())


def _matching(connection: apsw.Connection, partition: Partition, plan: Plan, question: str) -> dict[Key, Row]:
    sql = partition.sql(
        "SELECT memory, passage, version, terms FROM words_# CROSS JOIN documents_# ON id = words_#.rowid"
        " WHERE words_# MATCH ? AND {} ORDER BY words_#.rowid DESC LIMIT ?",
        plan.check.sql,
    )
    rows = connection.execute(sql, (question, *plan.check.values, CANDIDATES))
    return {(row[0], row[1]): row for row in rows}


def _all(connection: apsw.Connection, partition: Partition, plan: Plan) -> list[Row]:
    sql = partition.sql("SELECT memory, passage, version, terms FROM documents_# WHERE {}", plan.clause.sql)
    return cast("list[Row]", connection.execute(sql, plan.clause.values).fetchall())


def _cut(tokenizer: apsw.FTS5Tokenizer, text: str) -> list[str]:
    octets = text.encode("utf-8", "replace")  # half a surrogate pair is no word
    tokens = tokenizer(octets, apsw.FTS5_TOKENIZE_DOCUMENT, None, include_offsets=False, include_colocated=False)
    return cast("list[str]", tokens)


def _hashes(stems: Iterable[str]) -> list[int]:
    return [zlib.crc32(stem.encode()) for stem in stems]
