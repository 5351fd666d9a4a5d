import re
from pathlib import Path

import pytest

from commonplace.dialects.memsy.errors import BUG, TABLE
from commonplace.dialects.memsy.routes import PREFIXES, ROUTES
from golden import MEMSY, played, steps
from world import World

pytestmark = pytest.mark.anyio

NEVER = (
    "/v1/clear/{container_tag}",
    "/api/agents/signup",
    "/api/connectors/s3/configure",
    "/api/connectors/{provider}/connect",
)
"""What this service does not do, besides what is done with a connector that it has."""

CODES = {*TABLE.values(), (403, "admin_required"), (403, "insufficient_scope"), (403, "key_limit_reached")}
"""Each status and code of an error."""

UNASKED = {(429, "rate_limit_exceeded")}
"""What no request of one caller meets: this service counts by the month and leaves rates to the gateway before it."""


@pytest.mark.parametrize("file", MEMSY, ids=[file.stem for file in MEMSY])
async def test_the_service_answers_as_the_contract_says(world: World, file: Path) -> None:
    await played(world, file, ordered=True)


def asked(*, good: bool) -> set[tuple[str, str]]:
    """Method and path of each request of the files, or of those that are answered with success."""
    requests = [step for file in MEMSY for step in steps(file) if "request" in step]
    chosen = [step["request"] for step in requests if step["response"]["status"] < 300 or not good]
    return {(request["method"], request["path"].partition("?")[0]) for request in chosen}


def test_every_route_is_answered_in_a_golden_file_with_success_if_it_knows_any() -> None:
    routes = [route for route in ROUTES if not route[1].startswith(PREFIXES[1])]
    for method, path in routes:
        pattern = re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path))
        refused = path in NEVER or "/connectors/{id}" in path
        there = asked(good=not refused)
        assert any(each == method and pattern.fullmatch(found) for each, found in there), (method, path)
    assert len(routes) == 54


def test_a_success_is_200_or_204_of_a_delete() -> None:
    for file in MEMSY:
        for step in steps(file):
            if "request" in step and step["response"]["status"] < 300:
                expected = 204 if step["request"]["method"] == "DELETE" else 200
                assert step["response"]["status"] == expected, step["name"]


def test_every_error_that_a_request_can_meet_is_met_in_a_golden_file() -> None:
    refusals = [step["response"] for file in MEMSY for step in steps(file) if "request" in step]
    met = {(each["status"], each["body"]["error"]) for each in refusals if each["status"] >= 300}
    assert met == CODES - UNASKED
    assert BUG not in met
