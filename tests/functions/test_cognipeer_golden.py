import re
from pathlib import Path

import pytest

from golden import COGNIPEER, played, steps
from world import TEMPLATE, World

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("file", COGNIPEER, ids=[file.stem for file in COGNIPEER])
async def test_the_service_answers_as_the_contract_says(world: World, file: Path) -> None:
    await played(world, file)


def test_every_route_is_answered_with_success_in_a_golden_file() -> None:
    played = [step for file in COGNIPEER for step in steps(file) if "request" in step]
    good = [step["request"] for step in played if step["response"]["status"] < 300]
    asked = {(request["method"], request["path"].partition("?")[0]) for request in good}
    routes = [route for route in TEMPLATE.routes if route.path.startswith("/api/client/v1/memory/")]
    for route in routes:
        pattern = re.compile(re.sub(r"\{[a-z]+\}", "[^/]+", route.path))
        assert any(method == route.method and pattern.fullmatch(path) for method, path in asked), route
    assert len(routes) == 14


def test_a_success_of_any_route_has_one_status() -> None:
    created = re.compile("/api/client/v1/memory/stores(/[^/]+/memories(/batch)?)?")
    for file in COGNIPEER:
        for step in steps(file):
            if "request" in step and step["response"]["status"] < 300:
                request = step["request"]
                made = request["method"] == "POST" and created.fullmatch(request["path"])
                assert step["response"]["status"] == (201 if made else 200), step["name"]
