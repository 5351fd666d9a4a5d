from collections.abc import Iterator
from pathlib import Path

import pytest

from service import Service


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own, with webhooks to this machine allowed."""
    service = Service(tmp_path_factory.mktemp("service"), {"COMMONPLACE_PRIVATE_WEBHOOKS": "true"})
    service.start()
    yield service
    assert service.stop() == 0, service.log()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that the test starts, kills and starts again; the last one started is stopped in the end."""
    service = Service(tmp_path / "data")
    yield service
    service.kill()
