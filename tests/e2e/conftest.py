from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from e2e.places import RealEngines, on_real_engines
from real_engines import DYNAMODB, OF_FLOWS, ONE_MACHINE, url_or_skip
from real_engines import RealEngines as Seam
from service import Service

Made = Callable[[], AbstractContextManager[RealEngines]]
Settled = Callable[[], AbstractContextManager[Mapping[str, str]]]


@pytest.fixture(scope="session")
def made(real_engines: Seam) -> Made:
    """Makes real engines for one service, as often as it is called; the test is skipped where there are none."""
    return lambda: on_real_engines(url_or_skip(real_engines, DYNAMODB), url_or_skip(real_engines, OF_FLOWS))


@pytest.fixture(scope="session", params=[ONE_MACHINE, "real-engines"])
def place(request: pytest.FixtureRequest) -> str:
    """Which engines a service runs on."""
    found: str = request.param
    return found


@pytest.fixture(scope="session")
def settled(place: str, made: Made) -> Settled:
    """Makes the settings of a service there."""

    @contextmanager
    def settings() -> Iterator[Mapping[str, str]]:
        if place == ONE_MACHINE:
            yield {}
            return
        with made() as engines:
            yield engines.settings()

    return settings


@pytest.fixture(scope="session")
def running(settled: Settled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own, with webhooks to this machine allowed."""
    with settled() as settings:
        folder = tmp_path_factory.mktemp("service")
        service = Service(folder, {**settings, "COMMONPLACE_PRIVATE_WEBHOOKS": "true"})
        service.start()
        yield service
        assert service.stop() == 0, service.log()


@pytest.fixture
def service(settled: Settled, tmp_path: Path) -> Iterator[Service]:
    """A service that the test starts, kills and starts again; the last one started is stopped in the end."""
    with settled() as settings:
        service = Service(tmp_path / "data", settings)
        yield service
        service.kill()
