import re
from pathlib import Path

import pytest

from golden import EDGE, played, steps
from world import TEMPLATE, World

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("file", EDGE, ids=[file.stem for file in EDGE])
async def test_the_service_answers_as_the_contract_says(world: World, file: Path) -> None:
    await played(world, file, ordered=True)


def test_every_route_is_answered_with_success_in_a_golden_file() -> None:
    played = [step for file in EDGE for step in steps(file) if "request" in step]
    good = [step["request"] for step in played if step["response"]["status"] < 300]
    asked = {(request["method"], request["path"].partition("?")[0]) for request in good}
    routes = [route for route in TEMPLATE.routes if route.path.startswith("/edge/")]
    for route in routes:
        pattern = re.compile(re.sub(r"\{[a-z]+\}", "[^/]+", route.path))
        assert any(method == route.method and pattern.fullmatch(path) for method, path in asked), route
    assert len(routes) == 8


def test_a_success_of_any_route_has_one_status() -> None:
    for file in EDGE:
        for step in steps(file):
            if "request" in step and step["response"]["status"] < 300:
                request = step["request"]
                made = request["method"] == "POST" and request["path"] == "/edge/v1/memories"
                expected = {"OPTIONS": 204}.get(request["method"], 201 if made else 200)
                if request["path"].startswith("/edge/"):
                    assert step["response"]["status"] == expected, step["name"]
