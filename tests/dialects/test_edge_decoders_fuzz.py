"""Anything at all, to every decoder: a core value that keeps the contract's rules, or a refusal."""

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from commonplace.dialects.edge import metadata
from commonplace.dialects.edge.body import read
from commonplace.dialects.edge.limit import limit
from commonplace.dialects.edge.query import listing
from commonplace.dialects.edge.requests import creation, search
from commonplace.model.errors import CommonplaceError, Invalid, Malformed

FUZZ = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MOST = 4
NAMES = ("organizationId", "subjectId", "agentId", "namespace", "content")
OTHERS = ("metadata", "embedding", "queryEmbedding", "limit")
SPACE = "".join(chr(code) for code in range(0x10000) if chr(code).isspace() or code == 0xFEFF)
MESSAGES = {
    *(f"{name} {said}" for name in NAMES for said in ("is required", "must be a string")),
    *(f"{name} must be at most 256 bytes" for name in NAMES[:4]),
    "content must be at most 50000 characters",
    *(
        f"{name} {said}"
        for name in ("embedding", "queryEmbedding")
        for said in (
            *("must be an array of numbers", "must not be empty"),
            *(f"must have at most {MOST} dimensions", "must not be all zeros"),
        )
    ),
    *(
        f"metadata {said}"
        for said in (
            *("must be an object", "must contain only finite numbers", "must be at most 10240 bytes"),
            "must be nested at most 64 levels deep",
        )
    ),
}

ANY_TEXT = st.text(st.characters(), max_size=20)
READABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMERALS = st.from_regex(r"\A[ \ufeff]?[+-]?(0[xXoObB])?[0-9a-fA-F_]{0,4}\.?[0-9]{0,3}([eE][+-]?[0-9]{1,3})?[ ]?\Z")
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**399), 10**399),
    st.integers(-2, 120),
    st.floats(),
    ANY_TEXT,
    NUMERALS,
    st.sampled_from(["", " ", "Infinity", "5", "x" * 257]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
GOOD: dict[str, Any] = dict.fromkeys(NAMES, "x")
VECTORS = st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-2, 2), max_size=MOST + 1)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(NAMES, READABLE),
        "embedding": VECTORS,
        "queryEmbedding": VECTORS,
        "metadata": st.dictionaries(READABLE, VALUES, max_size=4),
        "limit": VALUES,
    },
).map(lambda body: {**GOOD, **body})
SPOILT = st.tuples(BODIES, st.sampled_from(NAMES + OTHERS), VALUES).map(lambda each: {**each[0], each[1]: each[2]})


def loose(body: object) -> bytes:
    """JSON as Python writes it, with NaN and half surrogates, and every infinity as a number that is too large."""
    return json.dumps(body).replace("-Infinity", "-1e999").replace("Infinity", "1e999").encode()


RAW = (
    st.binary(max_size=60)
    | st.text(st.sampled_from('{}[]",:\\ud8c0aeE+-.019 \n\0é'), max_size=60).map(str.encode)
    | (VALUES | BODIES | SPOILT).map(loose)
    | st.tuples(BODIES.map(loose), st.integers(0, 400), st.binary(max_size=3)).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
    )
)


REQUESTS = (BODIES | SPOILT).map(loose) | RAW


def inside(value: Any) -> list[Any]:
    """Every value in a value, the names of fields among them."""
    if isinstance(value, dict):
        return [value, *value, *(inner for each in value.values() for inner in inside(each))]
    return [value, *(inner for each in value for inner in inside(each))] if isinstance(value, list) else [value]


def told(text: Any, most: float = math.inf) -> bool:
    return isinstance(text, str) and text.strip(SPACE) != "" and len(text.encode()) <= most


def sound(vector: Any) -> bool:
    return vector is None or (
        1 <= len(vector) <= MOST
        and all(type(each) is float and math.isfinite(each) for each in vector)
        and any(each != 0 for each in vector)
    )


T = TypeVar("T")


def tried(act: Callable[[], T]) -> T | CommonplaceError:
    """What comes of it: a value, or an error of the tree. Whatever else is raised fails the test."""
    try:
        return act()
    except CommonplaceError as error:
        return error


def refused(error: CommonplaceError) -> bool:
    if isinstance(error, Malformed):
        return error.message == "Expected a valid JSON request body"
    return type(error) is Invalid and error.message in MESSAGES


def halved(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


@FUZZ
@given(RAW)
@example(b"[" * 100_000)
@example(b'{"metadata":' + b'{"a":' * 800 + b"1" + b"}" * 801)
def test_any_bytes_are_read_or_malformed(raw: bytes) -> None:
    body = tried(lambda: read(raw))
    if isinstance(body, CommonplaceError):
        assert isinstance(body, Malformed)
        assert refused(body)
        return
    whole = json.loads(raw)
    assert list(body) == (list(whole) if isinstance(whole, dict) else [])
    for each in inside(body):
        assert not isinstance(each, str) or not halved(each)
        assert not isinstance(each, float) or not math.isnan(each)
        assert not isinstance(each, int) or math.isfinite(each)


@FUZZ
@given(REQUESTS)
def test_any_bytes_are_a_memory_that_keeps_the_rules_or_refused(raw: bytes) -> None:
    created = tried(lambda: creation(raw, MOST))
    if isinstance(created, CommonplaceError):
        assert refused(created)
        return
    draft, given = created.draft, json.loads(raw)
    names = (created.organization, draft.scope.user, draft.agent, draft.scope.project)
    assert names == tuple(given[name] for name in NAMES[:4])
    assert all(told(each, 256) for each in names)
    assert (draft.scope.organization, draft.label) == names[:2]
    assert draft.content == given["content"]
    assert told(draft.content)
    assert len(draft.content) <= 50_000
    assert sound(draft.vector)
    assert draft.vector == (None if given.get("embedding") is None else tuple(map(float, given["embedding"])))
    stored = json.dumps(draft.metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    assert len(stored.encode()) <= 10_240
    assert json.loads(stored) == (given.get("metadata") or {})


@FUZZ
@given(REQUESTS)
def test_any_bytes_are_a_search_that_keeps_the_rules_or_refused(raw: bytes) -> None:
    order = tried(lambda: search(raw, MOST))
    if isinstance(order, CommonplaceError):
        assert refused(order)
        return
    given = json.loads(raw)
    assert told(order.organization)
    assert order.organization == given["organizationId"]
    assert order.namespace == (given.get("namespace") or None)
    assert sound(order.vector)
    assert order.vector == (tuple(map(float, given["queryEmbedding"])) if given.get("queryEmbedding") else None)
    assert order.limit == modelled(given.get("limit"), 10)


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(["organizationId", "namespace", "limit", "other"]),
        st.lists(ANY_TEXT | NUMERALS, max_size=3),
        max_size=4,
    )
)
def test_any_query_string_is_a_list_or_refused(query: dict[str, list[str]]) -> None:
    wanted = tried(lambda: listing(query))
    if isinstance(wanted, CommonplaceError):
        assert wanted.message == "organizationId is required"
        assert not "".join(query.get("organizationId", [])[:1]).strip(SPACE)
        return
    assert [wanted.organization] == query["organizationId"][:1]
    assert [wanted.namespace or ""] == (query.get("namespace") or [""])[:1]
    assert wanted.limit == modelled(next(iter(query.get("limit", [])), None), 25)
    assert wanted.possible is not halved(wanted.organization + (wanted.namespace or ""))


def modelled(value: Any, default: int) -> int:
    """A limit by another way: the text of the value as JavaScript would print it, read from left to right."""
    if value is None or isinstance(value, dict):
        return default
    if isinstance(value, bool):
        return 1 if value else default
    words = value if isinstance(value, str) else printed(value)
    words = words.strip(
        "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
    )
    bases = {"0x": 16, "0o": 8, "0b": 2}
    if words[:2].lower() in bases:
        base, digits = bases[words[:2].lower()], [("0123456789abcdef".find(each)) for each in words[2:].lower()]
        if not digits or not all(0 <= digit < base for digit in digits) or not words.isascii():
            return default
        total = sum(digit * base**place for place, digit in enumerate(reversed(digits)))
    else:
        mantissa, mark, power = words.lower().partition("e")
        whole, _, part = mantissa.removeprefix("-" if mantissa.startswith("-") else "+").partition(".")
        sound = (whole + part) != "" and set(whole + part) <= set("0123456789")
        if mark:
            exponent = power[1:] if power[:1] in ("+", "-") else power
            sound = sound and exponent != "" and set(exponent) <= set("0123456789")
        if not sound or mantissa.startswith("-") or math.isinf(float(words)):
            return default
        total = int(float(words))
    return default if total < 1 else min(total, 100)


def printed(value: Any) -> str:
    """What ``String()`` makes of a number or an array; what a truth value or an object is inside an array, no number is."""
    if isinstance(value, list):
        return ",".join("" if each is None else printed(each) for each in value)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else "[object]"


@FUZZ
@given(VALUES | NUMERALS | st.lists(NUMERALS | st.integers(-1, 200), max_size=2))
@example(float("nan"))
@example([[["0x10"]]])
@example(["1,"])
def test_a_limit_never_fails_and_is_that_of_the_model(value: Any) -> None:
    assert limit(value, 25) == modelled(value, 25)


@FUZZ
@given(
    st.dictionaries(
        READABLE,
        st.recursive(
            st.none() | st.booleans() | st.integers() | READABLE,
            lambda inner: st.lists(inner, max_size=5) | st.dictionaries(READABLE, inner, max_size=5),
            max_leaves=40,
        ),
        max_size=5,
    )
)
def test_the_size_of_metadata_is_that_of_its_text(value: dict[str, Any]) -> None:
    filling = metadata.MOST_BYTES - len(text({**value, "fill": ""}).encode())
    kept = {**value, "fill": "x" * filling}
    metadata.fit(kept)
    with pytest.raises(Invalid, match=r"^metadata must be at most 10240 bytes$"):
        metadata.fit({**kept, "fill": "x" * (filling + 1)})


def text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("decode", [creation, search])
@pytest.mark.parametrize("levels", [1, 10, 64, 100, 300, 900, 1_000, 2_000, 10_000, 100_000])
@pytest.mark.parametrize("name", [*NAMES, *OTHERS, "other"])
def test_no_depth_is_too_deep_to_be_answered(decode: Callable[[bytes, int], object], levels: int, name: str) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deep = opening * levels + b"1" + closing * levels
        raw = json.dumps({**GOOD, name: "<here>"}).encode().replace(b'"<here>"', deep)
        answer = tried(partial(decode, raw, MOST))
        assert not isinstance(answer, CommonplaceError) or refused(answer)
