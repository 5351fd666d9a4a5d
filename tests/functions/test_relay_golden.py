import re
from pathlib import Path
from typing import Any

import pytest

from golden import FILES, matches, played, steps
from relay_routes import BY_NAME
from world import World

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_the_service_answers_as_the_contract_says(world: World, file: Path) -> None:
    await played(world, file)


def test_every_route_stands_in_a_golden_file() -> None:
    requests = [step["request"] for file in FILES for step in steps(file) if "request" in step]
    asked = {(step["method"], step["path"].partition("?")[0]) for step in requests}

    def stands(name: str) -> bool:
        method, path = name.split(" ")
        pattern = re.compile(path.replace("{id}", "[^/]+"))
        return any(each == method and pattern.fullmatch(of) for each, of in asked)

    assert [name for name in BY_NAME if not stands(name)] == []


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": True}),
        ([1], [1, 2]),
        ("<uuid>", "nil"),
        ("<epoch>", 1700000000.5),
        ("<iso>", "2026-01-02T03:04:05+00:00"),
        ("<float>", 1),
        ("<share>", 1.0001),
        ("${known}", "other"),
        (None, ""),
    ],
)
def test_a_different_answer_does_not_match(expected: Any, found: Any) -> None:
    with pytest.raises(AssertionError):
        matches(expected, found, {"known": "this"})
