"""OpenSearch and DynamoDB Local for the tests that ask for them: a plugin of pytest.

Each engine is started at most once in a session, when the first test asks for it. COMMONPLACE_TEST_ENGINES says what to do
where that is not possible:

- ``auto`` (the default): a test is skipped if Java is missing or if the engine cannot be fetched;
- ``required``: such a test fails, unless it needs an engine that wants a newer Java than OpenSearch 2 runs on;
- ``none``: nothing is started, and every such test is skipped.

An engine that is there but does not start is an error, always. What was skipped stands at the end of pytest's report.
COMMONPLACE_TEST_OPENSEARCH and COMMONPLACE_TEST_DYNAMODB are URLs of engines that run already (``make engines``); they
are used instead.
"""

import json
import os
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from engines import java
from engines.assembly import assemble
from engines.catalog import Engine, catalog
from engines.errors import EngineError, NoJava, NotAssembled
from engines.running import running

CATALOG = catalog()
OPENSEARCH = {CATALOG[part].version: part for part in ("opensearch-2", "opensearch-3")}
DYNAMODB = "dynamodb-local"
ONE_MACHINE = "one-machine"
OF_FLOWS = "opensearch-2"
"""One version is enough for whole flows: the suite of the Index port runs on both."""
NOT_REQUIRED_WITHOUT_JAVA = {"opensearch-3"}
"""The other engines run on the Java that every distribution has; this one is tested where there is a newer one."""

POLICIES = {"auto", "required", "none"}
GIVEN = {
    "opensearch-2": "COMMONPLACE_TEST_OPENSEARCH",
    "opensearch-3": "COMMONPLACE_TEST_OPENSEARCH",
    DYNAMODB: "COMMONPLACE_TEST_DYNAMODB",
}
UNTESTED = pytest.StashKey[dict[str, str]]()

Find = Callable[[Engine, Mapping[str, str]], java.Java]
Start = Callable[[Engine, Path, java.Java], AbstractContextManager[str]]


class Untested(Exception):
    """The engine is not used; why."""


def find_java(engine: Engine, environment: Mapping[str, str]) -> java.Java:
    return java.suitable(engine.name, engine.java, environment)


def version_at(url: str) -> str:
    """The version of the OpenSearch there."""
    with urllib.request.urlopen(url, timeout=10) as response:
        version: str = json.loads(response.read())["version"]["number"]
        return version


class RealEngines:
    """The engines of a session; they end with the stack."""

    def __init__(
        self,
        environment: Mapping[str, str],
        stack: ExitStack,
        *,
        find: Find = find_java,
        put_together: Callable[[Engine], Path] = assemble,
        start: Start = running,
    ) -> None:
        self._environment = environment
        self._stack = stack
        self._find = find
        self._assemble = put_together
        self._start = start
        self._asked: dict[str, str | Exception] = {}
        self.untested: dict[str, str] = {}

    def url(self, part: str) -> str:
        """The engine's address. Raises ``Untested`` or ``EngineError``, and the same again when asked again."""
        if part not in self._asked:
            try:
                self._asked[part] = self._url(CATALOG[part])
            except Untested as untested:
                self._asked[part] = untested
                self.untested[CATALOG[part].name] = str(untested)
            except EngineError as error:
                self._asked[part] = error
        found = self._asked[part]
        if isinstance(found, Exception):
            raise found
        return found

    def _url(self, engine: Engine) -> str:
        policy = self._environment.get("COMMONPLACE_TEST_ENGINES") or "auto"
        if policy not in POLICIES:
            raise EngineError(f"COMMONPLACE_TEST_ENGINES must be one of {', '.join(sorted(POLICIES))}, not {policy!r}")
        if policy == "none":
            raise Untested("COMMONPLACE_TEST_ENGINES is none")
        given = self._environment.get(GIVEN[engine.part])
        if given:
            return self._given(engine, given.rstrip("/"))
        try:
            found = self._find(engine, self._environment)
            home = self._assemble(engine)
        except NoJava as error:
            if policy == "required" and engine.part not in NOT_REQUIRED_WITHOUT_JAVA:
                raise
            raise Untested(str(error)) from error
        except NotAssembled as error:
            if policy == "required":
                raise
            raise Untested(str(error)) from error
        return self._stack.enter_context(self._start(engine, home, found))

    def _given(self, engine: Engine, url: str) -> str:
        if engine.part == DYNAMODB:
            return url
        try:
            version = version_at(url)
        except OSError as error:
            raise EngineError(f"{GIVEN[engine.part]} is {url}, where no OpenSearch answers") from error
        if version.partition(".")[0] != engine.version.partition(".")[0]:
            raise Untested(f"{GIVEN[engine.part]} is OpenSearch {version}")
        return url


def url_or_skip(engines: RealEngines, part: str) -> str:
    try:
        return engines.url(part)
    except Untested as untested:
        pytest.skip(f"{CATALOG[part].name}: {str(untested).splitlines()[0]}")


@pytest.fixture(scope="session")
def real_engines(pytestconfig: pytest.Config) -> Iterator[RealEngines]:
    with ExitStack() as stack:
        engines = RealEngines(os.environ, stack)
        pytestconfig.stash[UNTESTED] = engines.untested
        yield engines


@pytest.fixture(scope="session", params=list(OPENSEARCH))
def opensearch_url(request: pytest.FixtureRequest, real_engines: RealEngines) -> str:
    """A node in each of the versions, one after the other; ``indirect`` parameters choose among them."""
    return url_or_skip(real_engines, OPENSEARCH[request.param])


@pytest.fixture(scope="session")
def dynamodb_local_url(real_engines: RealEngines) -> str:
    return url_or_skip(real_engines, DYNAMODB)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests (pytest-xdist), one runs all tests of a file, and all that share an OpenSearch
    or a running service. Those take longest, so they come first."""
    items.sort(key=lambda item: not _shared(item))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_shared(item) or item.path.stem))


def _shared(item: pytest.Item) -> str:
    """What a test shares with others, by its name; empty if it is nothing that takes long to start."""
    if ONE_MACHINE in item.name:
        return ONE_MACHINE
    if "made" in getattr(item, "fixturenames", ()):  # whole flows
        return OF_FLOWS
    return next((part for version, part in OPENSEARCH.items() if version in item.name), "")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    untested = config.stash.get(UNTESTED, {})
    if untested:
        terminalreporter.section("NOT TESTED ON REAL ENGINES", yellow=True, bold=True)
    for name, reason in untested.items():
        terminalreporter.line(f"{name}: {reason}", yellow=True)
