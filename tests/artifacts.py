"""What ``sam build`` makes, for the tests that look at it or run it: a plugin of pytest.

It takes SAM and a Python of Lambda's version with Lambda's own runtime client, which ``make`` puts into ``.venv-sam`` and
``.venv-lambda``; the variables SAM and LAMBDA_PYTHON name others. Where they are missing, such tests are skipped, and fail
if COMMONPLACE_TEST_ENGINES is ``required``.
"""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from template_document import RESOURCES, ROOT

BUILD_SECONDS = 600
ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""That of this machine, as Lambda names it."""

IDS = {
    body["Properties"]["Handler"].partition(".")[0]: id
    for id, body in RESOURCES.items()
    if body["Type"] == "AWS::Serverless::Function"
}
"""The logical id of each function, by its package."""

UNBUILT = pytest.StashKey[str]()


class NoTools(Exception):
    """SAM or Lambda's Python is not there; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What builds the artifacts, and what runs them."""

    sam: Path
    python: Path

    def build(self, folder: Path, architecture: str = ARCHITECTURE) -> "Artifacts":
        """Runs ``sam build``. Raises ``RuntimeError`` with what it said if it fails."""
        base = subprocess.run(
            [self.python, "-c", "import sys; print(sys._base_executable)"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        command = [str(self.sam), "build", "--no-cached", "--template-file", str(ROOT / "template.yaml")]
        command += ["--build-dir", str(folder), "--parameter-overrides", f"Architecture={architecture}"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
        settings = {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-central-1", "PYTHON313": base.stdout.strip()}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**kept, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_SECONDS,
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return Artifacts(folder)

    @property
    def emulator(self) -> Path:
        """Lambda's runtime interface emulator, which comes with SAM."""
        (found,) = self.sam.parents[1].glob(
            f"lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{ARCHITECTURE}"
        )
        return found


@dataclass(frozen=True, slots=True)
class Artifacts:
    """A folder as ``sam build`` leaves it."""

    folder: Path

    @property
    def layer(self) -> Path:
        """What becomes /opt/python."""
        return self.folder / "Shared" / "python"

    def function(self, name: str) -> Path:
        """What becomes /var/task of the function in the package ``name``."""
        return self.folder / IDS[name]

    def python_path(self, name: str) -> str:
        """Where a function's modules are found, as in Lambda."""
        return os.pathsep.join([str(self.function(name)), str(self.layer)])


def tools() -> Tools:
    """SAM and Lambda's Python. Raises ``NoTools``."""
    sam = Path(os.environ.get("SAM") or ROOT / ".venv-sam/bin/sam").absolute()
    python = Path(os.environ.get("LAMBDA_PYTHON") or ROOT / ".venv-lambda/bin/python").absolute()
    for tool in (sam, python):
        if not tool.exists():
            raise NoTools(f"{tool} is not there; `make tools` makes it (it needs Python 3.13)")
    return Tools(sam, python)


def size(folder: Path) -> int:
    """Bytes in the files of a folder: what Lambda counts."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
def lambda_tools(pytestconfig: pytest.Config) -> Tools:
    try:
        return tools()
    except NoTools as missing:
        if os.environ.get("COMMONPLACE_TEST_ENGINES") == "required":
            raise
        pytestconfig.stash[UNBUILT] = str(missing)
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def artifacts(lambda_tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Built for this machine, once in a session."""
    return lambda_tools.build(tmp_path_factory.mktemp("build"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if UNBUILT in config.stash:
        terminalreporter.section("BUILD NOT TESTED", yellow=True, bold=True)
        terminalreporter.line(config.stash[UNBUILT], yellow=True)
