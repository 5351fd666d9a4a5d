"""Documents and filters in the words of OpenSearch."""

import hashlib
import math
import re
import struct
from collections.abc import Sequence
from itertools import islice
from typing import Any

from commonplace.adapters import facts
from commonplace.adapters.facts import microseconds, shortened
from commonplace.model.document import Document, document_id
from commonplace.model.filter import Among, Between, Exists, Filter, NotAmong, Period, Scalar

MOST_WORDS = 300
"""Words of a query that are looked for, at most: each is a clause for each of two fields, and OpenSearch takes 1,024
(``indices.query.bool.max_clause_count``). What is written without spaces has as many words as it has signs."""

EXACT_WORDS = 0.3
"""What a word to the letter counts beside the same word by its stem."""

LONGEST_REASON = 300

# Signs that OpenSearch's standard tokenizer takes for words of their own: those of China and Japan, and pictures.
_SIGNS = "\u2190-\u2bff\u2e80-\u312f\u3190-\u9fff\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U0003ffff"
# It cuts what is longer than 255 characters.
_WORD = re.compile(f"[{_SIGNS}]|[^\\W_{_SIGNS}]{{1,255}}")


def owner(tenant: str) -> str:
    """A tenant in letters and figures, as it stands in ids and as a routing value, where a comma would separate two."""
    return hashlib.blake2b(tenant.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def key(tenant: str, memory: str, passage: int) -> str:
    """The ``_id`` of a document: no tenant can form that of another one's."""
    return f"{owner(tenant)}.{document_id(memory, passage)}"


def own_words(reason: object) -> str:
    """What OpenSearch itself says in the reason of an error: it quotes documents and queries, and those are nobody's
    business."""
    return re.split("[\"'`]", str(reason), maxsplit=1)[0][:LONGEST_REASON].strip()


def body(document: Document) -> dict[str, Any]:
    """A document as it is indexed. A vector of zeros has no angle to anything and is left out."""
    scope = document.scope
    parts = {
        "organization": scope.organization,
        "user": scope.user,
        "agent": scope.agent,
        "session": scope.session,
        "project": scope.project,
    }
    found = facts.facts(document)
    names = dict.fromkeys(fact.name for fact in found)
    return {
        "tenant": shortened(document.tenant),
        "memory": document.memory,
        "passage": document.passage,
        "content": document.text,
        "store": shortened(scope.store),
        **{name: shortened(value) for name, value in parts.items() if value is not None},
        "kind": shortened(document.kind),
        "tier": document.tier.value,
        "importance": document.importance,
        "confidential": document.confidential,
        "archived": document.archived,
        "created": microseconds(document.created_at),
        "occurred": microseconds(document.occurred_at),
        "facts": [_prefix(name) for name in names] + [_prefix(fact.name) + fact.text for fact in found],
        "numbers": [_prefix(fact.name) + _sortable(fact.number) for fact in found if fact.number is not None],
        **({"vector": document.vector} if any(document.vector) else {}),
    }


def nearest(vector: Sequence[float], k: int, inside: dict[str, Any]) -> dict[str, Any]:
    """The search of the vectors arm. The filter stands inside of the clause, so it is applied before the cut."""
    return _search({"knn": {"vector": {"vector": vector, "k": k, "filter": inside}}}, k)


def saying(text: str, k: int, inside: dict[str, Any]) -> dict[str, Any]:
    """The search of the words arm: BM25 over stems, and a little over the words as they are."""
    words = {
        "multi_match": {
            "query": _cut(text),
            "type": "most_fields",
            "fields": ["content", f"content.plain^{EXACT_WORDS}"],
        }
    }
    bool_ = inside["bool"]
    return _search({"bool": {**bool_, "must": [words]}}, k)


def meant(tenant: str, filter: Filter) -> dict[str, Any]:
    """What is meant: the tenant's documents inside the filter."""
    scope = {part: shortened(value) for part, value in filter.scope().items()}
    musts = [_term("tenant", shortened(tenant)), *(_term(part, value) for part, value in scope.items())]
    musts += [_term(hidden, value=False) for hidden in ("confidential", "archived") if not getattr(filter, hidden)]
    if filter.kinds:
        musts.append(_terms("kind", [shortened(kind) for kind in filter.kinds]))
    if filter.tiers:
        musts.append(_terms("tier", [tier.value for tier in filter.tiers]))
    musts += [_having(name, values) for name, values in facts.demanded(filter)]
    if filter.importance != Between():
        musts.append(_range("importance", gte=filter.importance.low, lte=filter.importance.high))
    musts += [*_period("created", filter.created), *_period("occurred", filter.occurred)]
    nots = [_terms("memory", list(filter.excluded))] if filter.excluded else []
    if filter.conversation is not None:
        none = {"bool": {"must_not": [{"exists": {"field": "session"}}]}}
        musts.append({"bool": {"should": [_term("session", shortened(filter.conversation)), none]}})
    if filter.elsewhere is not None:
        nots.append(_term("session", shortened(filter.elsewhere)))
    for name, condition in filter.metadata:
        if not isinstance(condition, Among):
            clause, wanted = _condition(facts.metadata_name(name), condition)
            (musts if wanted else nots).append(clause)
    return {"bool": {"filter": musts, "must_not": nots}}


def _cut(text: str) -> str:
    """The different words of a text, as many as are looked for."""
    room = MOST_WORDS
    kept: list[str] = []
    for run in dict.fromkeys(text.split()):
        words = list(islice(_WORD.finditer(run), room + 1))
        if len(words) > room:
            return " ".join([*kept, run[: words[room].start()]])
        kept.append(run)
        room -= len(words)
    return " ".join(kept)


def _period(field: str, period: Period) -> list[dict[str, Any]]:
    start, end = (None if each is None else microseconds(each) for each in (period.start, period.end))
    return [] if start is None and end is None else [_range(field, gte=start, lt=end)]


def _having(name: str, values: Sequence[Scalar]) -> dict[str, Any]:
    """Any of these facts."""
    texts = [text for text in map(facts.compared, values) if text != facts.UNEQUAL]
    return _terms("facts", [_prefix(name) + text for text in texts])


def _condition(name: str, condition: NotAmong | Between | Exists) -> tuple[dict[str, Any], bool]:
    """A clause, and whether it must hold or must not."""
    match condition:
        case NotAmong(values):
            return _having(name, values), False
        case Exists(present):
            return _term("facts", _prefix(name)), present
        case Between(low, high):
            lowest, highest = (-math.inf if low is None else low), (math.inf if high is None else high)
            bounds = [_prefix(name) + _sortable(bound) for bound in (lowest, highest)]
            return _range("numbers", gte=bounds[0], lte=bounds[1]), True


def _search(query: dict[str, Any], k: int) -> dict[str, Any]:
    return {
        "query": query,
        "size": k,
        "version": True,
        "track_total_hits": False,
        "stored_fields": "_none_",
        "docvalue_fields": ["memory", "passage"],
    }


def _term(field: str, value: str | bool) -> dict[str, Any]:
    return {"term": {field: value}}


def _terms(field: str, values: list[str]) -> dict[str, Any]:
    return {"terms": {field: values}}


def _range(field: str, **bounds: str | float | None) -> dict[str, Any]:
    return {"range": {field: {name: bound for name, bound in bounds.items() if bound is not None}}}


def _prefix(name: str) -> str:
    """The name of a fact with its length before it, so that no name and value read like another pair."""
    return f"{len(name)}:{name}"


def _sortable(number: float) -> str:
    """A number as text that sorts as the numbers do: the bits of the double, with the sign turned round."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", float(number) + 0.0))
    return f"{bits ^ (0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else 1 << 63):016x}"
