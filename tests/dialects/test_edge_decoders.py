import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from commonplace.dialects.edge import metadata, names, requests
from commonplace.dialects.edge.body import read
from commonplace.dialects.edge.query import Listing, listing
from commonplace.dialects.edge.requests import Creation, SearchOrder
from commonplace.model.errors import Invalid, Malformed
from commonplace.model.memory import Draft
from commonplace.model.scope import Scope

MOST = 4096
HUGE = "9" * 400
NEW: dict[str, Any] = {
    "organizationId": "org_demo",
    "subjectId": "customer_acme",
    "agentId": "support-agent",
    "namespace": "support",
    "content": "Acme prefers Slack escalation for P0 incidents.",
}
FIELDS = tuple(NEW)
ORGANIZATION: dict[str, Any] = {"organizationId": "org_demo"}
UNREADABLE = "Expected a valid JSON request body"
NUMBERS = "embedding must be an array of numbers"
QUERY_NUMBERS = "queryEmbedding must be an array of numbers"


def raw(body: object) -> bytes:
    return json.dumps(body, allow_nan=False).encode()


def creation(body: object, most: int = MOST) -> Creation:
    return requests.creation(body if isinstance(body, bytes) else raw(body), most)


def search(body: object, most: int = MOST) -> SearchOrder:
    return requests.search(body if isinstance(body, bytes) else raw(body), most)


def listed(query: Any) -> Listing:
    return listing({name: [value] for name, value in query.items()})


def spliced(body: dict[str, Any], name: str, text: str) -> bytes:
    """The body with one more field, whose value is written as it stands."""
    return raw({**body, name: "<here>"}).replace(b'"<here>"', text.encode())


def nested(levels: int, leaf: Any = None) -> dict[str, Any]:
    value: dict[str, Any] = {} if leaf is None else {"n": leaf}
    for _ in range(levels - 1):
        value = {"n": value}
    return value


def message(act: Callable[[], object]) -> str:
    with pytest.raises(Invalid) as failure:
        act()
    assert type(failure.value) is Invalid
    return failure.value.message


Decode = Callable[[Any], object]

BOTH: list[Decode] = [creation, search]

UNREADABLES: list[bytes] = [
    b"",
    b" \n",
    b'{"organizationId":',
    b"{",
    b"nonsense",
    b"{'organizationId': 1}",
    b'{"a": 1,}',
    b'{"a": 1} {}',
    b'{"a": 01}',
    b'{"a": "\n"}',
    b"\xef\xbb\xbf{}",
    b'{"a": "\xff"}',
    b"\xff\xfe{\x00}\x00",
    '{"a": "é"}'.encode("latin-1"),
    b'{"a": "\xed\xa0\x80"}',
    b"NaN",
    b'{"a": NaN}',
    b'{"a": [Infinity]}',
    b'{"a": {"b": -Infinity}}',
    b'"\\ud800"',
    b'{"a": "\\ud800"}',
    b'{"a": "\\uDC00"}',
    b'{"a": "\\ud800 \\udc00"}',
    b'{"a": "\\udc00\\ud800"}',
    b'{"a": "\\ud83d\\ude00\\ude00"}',
    b'{"a": "\\ud83d\\ud83d\\ude00"}',
    b'{"a": "\\\\\\ud800"}',
    b'{"\\udfff": 1}',
    b'{"a": [{"b": ["\\ud800"]}]}',
    b'{"a": "\\ud800", "a": "x"}',
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b"[" * 1_000_000,
]


@pytest.mark.parametrize("decode", BOTH)
@pytest.mark.parametrize("body", UNREADABLES, ids=range(len(UNREADABLES)))
def test_a_body_that_cannot_be_read_is_malformed(decode: Decode, body: bytes) -> None:
    with pytest.raises(Malformed) as failure:
        decode(body)
    assert failure.value.message == UNREADABLE


def test_the_body_is_read_before_its_fields() -> None:
    with pytest.raises(Malformed):
        creation(b'{"subjectId": NaN}')
    with pytest.raises(Malformed):
        search(b'{"queryEmbedding": ["\\ud800"]}')


@pytest.mark.parametrize("decode", BOTH)
@pytest.mark.parametrize("body", [b"[]", b'["organizationId"]', b'"x"', b"5", b"null", b"true", b"1e999", b"{}"])
def test_a_body_that_is_no_object_has_no_fields(decode: Decode, body: bytes) -> None:
    assert message(lambda: decode(body)) == "organizationId is required"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1e999, "b": -1e999}', {"a": float("inf"), "b": float("-inf")}),
        (f'{{"a": {HUGE}, "b": -{HUGE}}}', {"a": float("inf"), "b": float("-inf")}),
        (f'{{"a": {"9" * 100_000}}}', {"a": float("inf")}),
        (f'{{"a": 1{"0" * 308}}}', {"a": 10**308}),
        ('{"a": 9007199254740993}', {"a": 9_007_199_254_740_993}),
        ('{"a": 0e99999, "b": 1e-999}', {"a": 0.0, "b": 0.0}),
        (
            r'{"a": "\ud83d\ude00 \uD83D\uDE00 \\ud800 \\\\udc00 \ue000 \u0000"}',
            {"a": "😀 😀 \\ud800 \\\\udc00 \ue000 \0"},
        ),
        ('{"a": "😀"}', {"a": "😀"}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        (' \t\r\n{"a": [1, 1.0, true, null]}\n', {"a": [1, 1.0, True, None]}),
    ],
)
def test_what_is_read_is_what_was_said(text: str, value: dict[str, Any]) -> None:
    assert repr(read(text.encode())) == repr(value)


EMPTY = [None, "", " ", "\t\r\n \u00a0\u2003\ufeff"]
NO_TEXTS: list[Any] = [5, 0, 0.5, False, True, ["x"], [], {"a": 1}, {}]


@pytest.mark.parametrize("place", range(len(FIELDS)))
def test_each_field_of_a_memory_is_asked_for_in_turn(place: int) -> None:
    name = FIELDS[place]
    wrong_later = dict.fromkeys(FIELDS[place + 1 :], 7)
    before = {other: NEW[other] for other in FIELDS[:place]}
    rest = {**wrong_later, "embedding": "abc", "metadata": 7}
    assert message(lambda: creation({**before, **rest})) == f"{name} is required"
    for empty in EMPTY:
        assert message(partial(creation, {**before, name: empty, **rest})) == f"{name} is required"
    for wrong in NO_TEXTS:
        assert message(partial(creation, {**before, name: wrong, **rest})) == f"{name} must be a string"


VECTORS: list[tuple[str, str]] = [
    ('"abc"', "must be an array of numbers"),
    ("true", "must be an array of numbers"),
    ("7", "must be an array of numbers"),
    ("-0.5", "must be an array of numbers"),
    ("1e999", "must be an array of numbers"),
    (HUGE, "must be an array of numbers"),
    ('"1"', "must be an array of numbers"),
    ('" "', "must be an array of numbers"),
    ("{}", "must be an array of numbers"),
    ('{"0": 1}', "must be an array of numbers"),
    ('["1", 2]', "must be an array of numbers"),
    ("[1, null]", "must be an array of numbers"),
    ("[null]", "must be an array of numbers"),
    ("[true, 1]", "must be an array of numbers"),
    ("[1, false]", "must be an array of numbers"),
    ("[[1]]", "must be an array of numbers"),
    ("[[]]", "must be an array of numbers"),
    ("[{}]", "must be an array of numbers"),
    ("[1e999]", "must be an array of numbers"),
    ("[-1e999, 1]", "must be an array of numbers"),
    (f"[{HUGE}]", "must be an array of numbers"),
    (f"[1, -{HUGE}]", "must be an array of numbers"),
    (f"[{'9' * 5000}]", "must be an array of numbers"),
    (f"[{'1,' * 4096}null]", "must be an array of numbers"),
    ("[]", "must not be empty"),
    (f"[{'0,' * 4096}0]", "must have at most 4096 dimensions"),
    (f"[{'1,' * 4096}1]", "must have at most 4096 dimensions"),
    ("[0]", "must not be all zeros"),
    ("[0, 0.0, -0, -0.0, 0e9, 1e-999]", "must not be all zeros"),
]


@pytest.mark.parametrize(("given", "said"), VECTORS, ids=range(len(VECTORS)))
def test_what_is_no_vector_is_refused_under_the_name_of_its_field(given: str, said: str) -> None:
    assert message(lambda: creation(spliced(NEW, "embedding", given))) == f"embedding {said}"
    assert message(lambda: search(spliced(ORGANIZATION, "queryEmbedding", given))) == f"queryEmbedding {said}"


@pytest.mark.parametrize("given", ['""', "0", "-0", "0.0", "1e-999", "false"])
def test_an_embedding_that_is_false_is_refused_but_a_search_goes_without(given: str) -> None:
    assert message(lambda: creation(spliced(NEW, "embedding", given))) == NUMBERS
    assert search(spliced(ORGANIZATION, "queryEmbedding", given)) == search(ORGANIZATION)


def test_null_is_no_embedding() -> None:
    assert creation({**NEW, "embedding": None, "metadata": None}) == creation(NEW)
    assert search({**ORGANIZATION, "queryEmbedding": None}) == search(ORGANIZATION)


def test_the_most_dimensions_are_a_setting_that_the_message_tells() -> None:
    assert message(lambda: creation({**NEW, "embedding": [1, 2, 3]}, 2)) == "embedding must have at most 2 dimensions"
    assert (
        message(lambda: search({**ORGANIZATION, "queryEmbedding": [0, 0, 0]}, 2))
        == "queryEmbedding must have at most 2 dimensions"
    )
    assert creation({**NEW, "embedding": [1, 2]}, 2).draft.vector == (1.0, 2.0)


@pytest.mark.parametrize(
    ("given", "vector"),
    [
        ("[0.012, 0.034, 0.056]", (0.012, 0.034, 0.056)),
        ("[7]", (7.0,)),
        ("[0, 5e-324]", (0.0, 5e-324)),
        ("[1.7976931348623157e308, -1e308]", (sys.float_info.max, -1e308)),
        (f"[1{'0' * 308}, 9007199254740993]", (1e308, 9007199254740992.0)),
    ],
)
def test_a_vector_is_taken_as_it_is_given(given: str, vector: tuple[float, ...]) -> None:
    created = creation(spliced(NEW, "embedding", given)).draft.vector
    found = search(spliced(ORGANIZATION, "queryEmbedding", given)).vector
    for each in (created, found):
        assert each == vector
        assert {type(number) for number in each or ()} == {float}


def test_a_vector_may_have_as_many_numbers_as_are_allowed() -> None:
    numbers = [0.5] * MOST
    assert creation({**NEW, "embedding": numbers}).draft.vector == tuple(numbers)
    assert search({**ORGANIZATION, "queryEmbedding": numbers}).vector == tuple(numbers)


METADATA: list[tuple[str, str]] = [
    *(
        (text, "metadata must be an object")
        for text in ("[1, 2]", "[]", '"x"', '""', "0", "7", "1e999", "true", "false")
    ),
    *(
        (text, "metadata must contain only finite numbers")
        for text in (
            '{"a": 1e999}',
            '{"a": {"b": [1, {"c": -1e999}]}}',
            f'{{"a": {HUGE}}}',
            f'{{"a": [[-{HUGE}]]}}',
            f'{{"a": 1e999, "b": "{"x" * 20_000}"}}',
            '{"a":' * 700 + "1e999" + "}" * 700,
        )
    ),
    (f'{{"k": "{"x" * 10_233}"}}', "metadata must be at most 10240 bytes"),
    (f'{{"k": "{"é" * 5_116}x"}}', "metadata must be at most 10240 bytes"),
    (f'{{"{"é" * 5_116}xx": ""}}', "metadata must be at most 10240 bytes"),
    (f'{{"k": [{"1," * 5_115}111]}}', "metadata must be at most 10240 bytes"),
    (f'{{"k": [{",".join(["{}"] * 3_412)}]}}', "metadata must be at most 10240 bytes"),
    ('{"a":' * 700 + '"' + "x" * 10_240 + '"' + "}" * 700, "metadata must be at most 10240 bytes"),
    ('{"a":' * 65 + "1" + "}" * 65, "metadata must be nested at most 64 levels deep"),
    ('{"a":' + "[" * 64 + "]" * 64 + "}", "metadata must be nested at most 64 levels deep"),
    ('{"a":' * 700 + "1" + "}" * 700, "metadata must be nested at most 64 levels deep"),
]


@pytest.mark.parametrize(("given", "said"), METADATA, ids=range(len(METADATA)))
def test_metadata_that_cannot_be_kept_is_refused(given: str, said: str) -> None:
    assert message(lambda: creation(spliced(NEW, "metadata", given))) == said


@pytest.mark.parametrize(
    "given",
    [
        '{ "k" : "%s" }' % ("x" * 10_232),
        '{"k": "%s"}' % ("é" * 5_116),
        '{"k": "%s"}' % ("\\u00e9" * 5_116),
        '{"k":\t[%s11]}' % ("1, " * 5_115),
        '{"k": "%s"}' % ("\\ud83d\\ude00" * 2_558),
        '{"k": %s"x"}' % (" " * 20_000),
    ],
)
def test_metadata_is_measured_as_compact_json_in_utf_8(given: str) -> None:
    kept = creation(spliced(NEW, "metadata", given)).draft.metadata
    assert kept == json.loads(given)
    assert len(json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()) <= metadata.MOST_BYTES


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"source": "ticket-123"},
        {"a": {"b": [1, 2.5, None, True, {"ü😀\0": "\n"}]}, "": [], "null": None},
        {"whole": 1.0, "long": 9_007_199_254_740_993, "small": 5e-324, "zero": -0.0},
        {"organizationId": 7, "__proto__": {}},
        nested(64),
        nested(64, 7),
        {"k": [nested(61, [])]},
    ],
)
def test_metadata_is_kept_as_it_is(kept: dict[str, Any]) -> None:
    assert repr(creation({**NEW, "metadata": kept}).draft.metadata) == repr(kept)


LENGTHS: list[tuple[dict[str, Any], str]] = [
    *(
        (
            {**dict.fromkeys(FIELDS[place:4], "x" * 257), "content": "x" * 50_001, "metadata": {"k": "x" * 10_240}},
            f"{name} must be at most 256 bytes",
        )
        for place, name in enumerate(FIELDS[:4])
    ),
    *(({name: "é" * 128 + "x"}, f"{name} must be at most 256 bytes") for name in FIELDS[:4]),
    *(({name: "😀" * 65}, f"{name} must be at most 256 bytes") for name in FIELDS[:4]),
    *(({name: " " * 256 + "x"}, f"{name} must be at most 256 bytes") for name in FIELDS[:4]),
    ({"content": "x" * 50_001, "metadata": {"k": "x" * 10_240}}, "content must be at most 50000 characters"),
    ({"content": "😀" * 50_001}, "content must be at most 50000 characters"),
    ({"content": "x" + " " * 50_000}, "content must be at most 50000 characters"),
    ({"metadata": nested(65, "x" * 10_240)}, "metadata must be at most 10240 bytes"),
]


@pytest.mark.parametrize(("changed", "said"), LENGTHS, ids=range(len(LENGTHS)))
def test_what_is_too_long_is_refused_in_the_order_of_the_fields(changed: dict[str, Any], said: str) -> None:
    assert message(lambda: creation({**NEW, **changed})) == said


def test_what_is_as_long_as_it_may_be_is_taken() -> None:
    for name in FIELDS[:4]:
        for text in ("x" * 256, "é" * 128, "😀" * 64):
            assert creation({**NEW, name: text})
    for content in ("x" * 50_000, "😀" * 50_000):
        assert creation({**NEW, "content": content}).draft.content == content
    assert (names.MOST_NAME, names.MOST_CONTENT) == (256, 50_000)
    assert (metadata.MOST_BYTES, metadata.MOST_LEVELS) == (10_240, 64)


ORDER: list[tuple[bytes, str]] = [
    (raw({"organizationId": "org_demo", "subjectId": "s", "agentId": " ", "embedding": "abc"}), "agentId is required"),
    (raw({**NEW, "content": "", "embedding": "abc"}), "content is required"),
    (raw({**NEW, "embedding": "abc", "metadata": 7}), NUMBERS),
    (raw({**NEW, "embedding": [], "metadata": 7}), "embedding must not be empty"),
    (raw({**NEW, "embedding": [1] * 4097, "metadata": 7}), "embedding must have at most 4096 dimensions"),
    (raw({**NEW, "embedding": [0], "metadata": 7}), "embedding must not be all zeros"),
    (raw({**NEW, "namespace": "x" * 257, "embedding": 7}), NUMBERS),
    (raw({**NEW, "namespace": "x" * 257, "metadata": 7}), "metadata must be an object"),
    (spliced({**NEW, "namespace": "x" * 257}, "metadata", "[1e999]"), "metadata must be an object"),
    (
        spliced({**NEW, "organizationId": "x" * 257}, "metadata", '{"a": 1e999}'),
        "metadata must contain only finite numbers",
    ),
    (raw({**NEW, "content": "x" * 50_001, "metadata": nested(65)}), "content must be at most 50000 characters"),
]


@pytest.mark.parametrize(("body", "said"), ORDER, ids=range(len(ORDER)))
def test_of_several_things_that_are_wrong_the_first_in_the_order_of_the_contract_is_told(
    body: bytes, said: str
) -> None:
    assert message(lambda: creation(body)) == said


def test_a_minimal_memory_has_the_defaults() -> None:
    assert creation(NEW) == Creation(
        organization="org_demo",
        draft=Draft(
            content="Acme prefers Slack escalation for P0 incidents.",
            agent="support-agent",
            origin="edge",
            scope=Scope(organization="org_demo", user="customer_acme", project="support"),
            metadata={},
            level="user",
            label="customer_acme",
            vector=None,
        ),
    )


def test_every_field_of_a_memory_has_its_place() -> None:
    body = {
        "organizationId": " o ",
        "subjectId": "s#:/\0\n",
        "agentId": "ü😀",
        "namespace": "0",
        "content": "  hi  ",
        "metadata": {"k": [None]},
        "embedding": [1, -0.5],
    }
    assert creation(body) == Creation(
        organization=" o ",
        draft=Draft(
            content="  hi  ",
            agent="ü😀",
            origin="edge",
            scope=Scope(organization=" o ", user="s#:/\0\n", project="0"),
            metadata={"k": [None]},
            level="user",
            label="s#:/\0\n",
            vector=(1.0, -0.5),
        ),
    )


def test_fields_that_the_api_does_not_know_do_not_matter() -> None:
    unknown = {"id": 7, "vector_id": [], "organization_id": "x", "limit": {}, "queryEmbedding": "x", "Namespace": 1}
    assert creation({**NEW, **unknown}) == creation(NEW)
    assert creation(spliced(NEW, "other", "[1e999]")) == creation(NEW)
    unknown = {"subjectId": 7, "agentId": 7, "query": "text", "embedding": "x", "metadata": 7, "query_embedding": [1]}
    assert search({**ORGANIZATION, **unknown}) == search(ORGANIZATION)


@pytest.mark.parametrize("name", FIELDS)
def test_names_with_underscores_are_not_taken_for_those_of_the_api(name: str) -> None:
    under = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    body = {other: value for other, value in NEW.items() if other != name}
    if under != name:
        assert message(lambda: creation({**body, under: "x"})) == f"{name} is required"
    assert message(lambda: creation({**body, name.upper(): "x"})) == f"{name} is required"


SEARCHES: list[tuple[dict[str, Any], str]] = [
    ({}, "organizationId is required"),
    ({"queryEmbedding": [1]}, "organizationId is required"),
    *(({"organizationId": given, "queryEmbedding": "x"}, "organizationId is required") for given in EMPTY),
    *(({"organizationId": given, "queryEmbedding": "x"}, "organizationId must be a string") for given in NO_TEXTS),
    ({**ORGANIZATION, "queryEmbedding": "abc", "namespace": 7}, QUERY_NUMBERS),
    ({**ORGANIZATION, "queryEmbedding": [], "namespace": 7}, "queryEmbedding must not be empty"),
    *(({**ORGANIZATION, "namespace": given}, "namespace must be a string") for given in NO_TEXTS),
]


@pytest.mark.parametrize(("body", "said"), SEARCHES, ids=range(len(SEARCHES)))
def test_the_first_thing_that_is_wrong_with_a_search_is_told(body: dict[str, Any], said: str) -> None:
    assert message(lambda: search(body)) == said


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ({}, SearchOrder(organization="org_demo", namespace=None, vector=None, limit=10)),
        ({"namespace": None}, SearchOrder(organization="org_demo", namespace=None, vector=None, limit=10)),
        ({"namespace": ""}, SearchOrder(organization="org_demo", namespace=None, vector=None, limit=10)),
        ({"namespace": " "}, SearchOrder(organization="org_demo", namespace=" ", vector=None, limit=10)),
        ({"limit": 500}, SearchOrder(organization="org_demo", namespace=None, vector=None, limit=100)),
        ({"limit": "x"}, SearchOrder(organization="org_demo", namespace=None, vector=None, limit=10)),
        (
            {"namespace": "support", "queryEmbedding": [0.012, 0.034, 0.056], "limit": 3},
            SearchOrder(organization="org_demo", namespace="support", vector=(0.012, 0.034, 0.056), limit=3),
        ),
    ],
)
def test_a_search_is_what_was_asked_for(given: dict[str, Any], order: SearchOrder) -> None:
    assert search({**ORGANIZATION, **given}) == order


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"organizationId": ["o"]}, Listing(organization="o", namespace=None, limit=25)),
        ({"organizationId": [" o "], "namespace": [""]}, Listing(organization=" o ", namespace=None, limit=25)),
        ({"organizationId": ["o"], "namespace": [" "]}, Listing(organization="o", namespace=" ", limit=25)),
        (
            {"organizationId": ["o", "p"], "namespace": ["n", ""], "limit": ["1", "3"], "offset": ["7"]},
            Listing(organization="o", namespace="n", limit=1),
        ),
        ({"organizationId": ["o"], "namespace": ["", "n"]}, Listing(organization="o", namespace=None, limit=25)),
        ({"organizationId": ["o"], "limit": ["", "3"]}, Listing(organization="o", namespace=None, limit=25)),
        ({"organizationId": ["o"], "limit": []}, Listing(organization="o", namespace=None, limit=25)),
        ({"organizationId": ["o"], "limit": ["1000"]}, Listing(organization="o", namespace=None, limit=100)),
    ],
)
def test_a_list_is_what_was_asked_for(query: dict[str, list[str]], expected: Listing) -> None:
    assert listing(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"namespace": ["support"]},
        {"organization_id": ["o"]},
        {"organizationid": ["o"]},
        {"organizationId": []},
        {"organizationId": ["", "o"]},
        *({"organizationId": [given], "limit": ["1"]} for given in EMPTY if given is not None),
    ],
)
def test_a_list_is_of_an_organization(query: dict[str, list[str]]) -> None:
    assert message(lambda: listing(query)) == "organizationId is required"


LONG = ["x" * 257, "é" * 128 + "x", "😀" * 65, "x" * 100_000]


@pytest.mark.parametrize("ask", [search, listed])
def test_names_that_no_memory_can_have_are_no_error_but_cannot_match(ask: Callable[[Any], Any]) -> None:
    for given in LONG:
        assert not ask({"organizationId": given}).possible
        assert not ask({"organizationId": "o", "namespace": given}).possible
    for given in ["x", "x" * 256, "é" * 128]:
        assert ask({"organizationId": given}).possible
        assert ask({"organizationId": given, "namespace": given}).possible
    assert ask({"organizationId": "o", "namespace": ""}).possible


def test_no_memory_has_half_of_a_surrogate_pair_in_its_name() -> None:
    assert not listed({"organizationId": "\ud800"}).possible
    assert not listed({"organizationId": "o", "namespace": "\udc00"}).possible
