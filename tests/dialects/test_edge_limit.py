import json
import math
from typing import Any

import pytest

from commonplace.dialects.edge.limit import limit, number
from commonplace.dialects.edge.query import listing
from commonplace.dialects.edge.requests import search

DEFAULT = 10

SAID: list[tuple[str, int]] = [
    # The rows of the contract's table, as JSON.
    *((text, DEFAULT) for text in ("null", '""', '"abc"', '"Infinity"', "1e999", "0", "-1", "false", "{}")),
    *(("1.9", 1), ('"5"', 5), ("1e1", 10), ('"1e1"', 10), ('"0x2"', 2), ("true", 1)),
    *(("500", 100), ("1000", 100), ("0.5", DEFAULT), ('"0.5"', DEFAULT)),
    # Whole parts and ends.
    *(("1", 1), ("0.999999", DEFAULT), ("99.9", 99), ("100", 100), ("100.5", 100), ("101", 100), ("-5", DEFAULT)),
    *(("-0.0", DEFAULT), ("1e308", 100), ("-1e999", DEFAULT), ("5e-324", DEFAULT), ("9" * 400, DEFAULT)),
    *(("9" * 309, DEFAULT), ("9" * 308, 100), ("9007199254740993", 100)),
    # Texts that are numbers.
    *(('" 7 "', 7), ('"\\t\\n\\u000b\\f\\r\\u00a0\\ufeff\\u20287\\u3000"', 7), ('"+7"', 7), ('"007"', 7), ('"7."', 7)),
    *(('"7.e0"', 7), ('".7e1"', 7), ('"+.7E+1"', 7), ('"70e-1"', 7), ('"0X1f"', 31), ('"0b11"', 3), ('"0B1"', 1)),
    *(('"0o17"', 15), ('"0O7"', 7), ('"0xFFFF"', 100), ('" 0x2 "', 2), ('"1e400"', DEFAULT), ('"-7"', DEFAULT)),
    (f'"0x{"f" * 400}"', DEFAULT),
    (f'"{"9" * 5000}"', DEFAULT),
    (f'"0.{"9" * 5000}e1"', 10),
    # Texts that are none, though Python reads some of them.
    *(
        (f'"{text}"', DEFAULT)
        for text in ("1_0", "inf", "nan", "NaN", "infinity", "-Infinity", "1e", "e1", ".", "+", "-")
    ),
    *(
        (f'"{text}"', DEFAULT)
        for text in ("+0x2", "-0x2", "0x", "0x_2", "0xg", "0b2", "0o8", "1 0", "5px", "5,0", "1n")
    ),
    *(
        (f'"{text}"', DEFAULT)
        for text in ("٥", "５", "\\u001c5", "\\u00855", "5\\u0000", "--5", "5e1.0", "0x1p3", "true")
    ),
    *((f'"{text}"', DEFAULT) for text in ("null", "[5]", "1e+", "0x1.8", "0b", "0o", "..5", "5..", "1.2.3")),
    # An array is its text first.
    *(("[]", DEFAULT), ("[5]", 5), ('["5"]', 5), ("[[5]]", 5), ('[["0x5"]]', 5), ("[1.9]", 1), ("[5, 6]", DEFAULT)),
    *(("[true]", DEFAULT), ("[null]", DEFAULT), ("[{}]", DEFAULT), ("[[]]", DEFAULT), ("[[5], []]", DEFAULT)),
    *(("[1e999]", DEFAULT), ('["x"]', DEFAULT), ('{"valueOf": 5}', DEFAULT)),
]


@pytest.mark.parametrize(("text", "count"), SAID, ids=range(len(SAID)))
def test_a_limit_is_the_number_that_it_is_to_javascript(text: str, count: int) -> None:
    body = f'{{"organizationId": "o", "limit": {text}}}'.encode()
    assert search(body, 4096).limit == count
    value = json.loads(text)
    if isinstance(value, str):
        wanted = 25 if count == DEFAULT and limit(value, 25) == 25 else count
        assert listing({"organizationId": ["o"], "limit": [value]}).limit == wanted


@pytest.mark.parametrize(("text", "count"), [("10", 10), ("1e1", 10), ("0.5", 25), ("1.9", 1), ("", 25), ("1000", 100)])
def test_a_list_has_a_default_of_its_own(text: str, count: int) -> None:
    assert listing({"organizationId": ["o"], "limit": [text]}).limit == count


def test_without_a_limit_there_is_a_default() -> None:
    assert listing({"organizationId": ["o"]}).limit == 25
    assert search(b'{"organizationId": "o"}', 4096).limit == 10


def test_of_several_limits_the_first_counts() -> None:
    assert listing({"organizationId": ["o"], "limit": ["1", "3"]}).limit == 1


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, 0.0),
        (False, 0.0),
        (True, 1.0),
        ("", 0.0),
        (" \n", 0.0),
        ([], 0.0),
        ([None], 0.0),
        ([[]], 0.0),
        (-2.5, -2.5),
    ],
)
def test_what_says_nothing_is_zero(value: Any, wanted: float) -> None:
    assert number(value) == wanted


@pytest.mark.parametrize("value", [{}, {"a": 1}, "x", [1, 2], [True], [False], [{}], "1_0", ["x"]])
def test_what_is_no_number_is_none(value: Any) -> None:
    assert math.isnan(number(value))


def test_an_array_may_be_as_deep_as_can_be_read() -> None:
    value: Any = 7
    for _ in range(100_000):
        value = [value]
    assert limit(value, DEFAULT) == 7
    while isinstance(value, list):
        value = value.pop()


def test_a_number_beyond_a_double_is_infinite() -> None:
    assert number(10**400) == math.inf
    assert limit(10**400, DEFAULT) == DEFAULT


def test_long_texts_that_are_almost_numbers_are_soon_done_with() -> None:
    for text in (
        "1" * 1_000_000 + "x",
        "0x" + "f" * 1_000_000 + "g",
        "1." + "0" * 1_000_000 + "x",
        " " * 1_000_000 + "x",
    ):
        assert limit(text, DEFAULT) == DEFAULT
