"""The stack of template.yaml, deployed once for all tests of this folder.

They are collected only where ``MINISTACK`` names the interpreter of MiniStack's environment, and ``SAM`` the command of
SAM, as ``make e2e`` does: both pin libraries that the other tests need in other versions, and building and deploying
takes a minute. Without it ``pytest tests/deployed`` says that there are no tests, and fails.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deployed.deployment import DIMENSION, ENVIRONMENT, MODEL, Deployment, build
from deployed.emulator import Emulator
from embedding_server import KEY
from real_engines import RealEngines
from receiver import Receiver
from service import ROOT

collect_ignore_glob = [] if "MINISTACK" in os.environ else ["test_*.py"]

EMULATOR = pytest.StashKey[Emulator]()
LOG_LINES = 100

MAX_RECEIVES = 3
"""Instead of the template's 5, so that a message dies in less time."""

ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""The emulator runs the functions on this machine, whichever it is."""


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Emulator]:
    emulator = Emulator(Path(os.environ["MINISTACK"]).absolute(), tmp_path_factory.mktemp("ministack"))
    pytestconfig.stash[EMULATOR] = emulator
    emulator.start()
    yield emulator
    emulator.stop()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode, config: pytest.Config
) -> None:
    """What the emulator and the functions said last, when something failed."""
    emulator = config.stash.get(EMULATOR, None)
    if emulator is not None and exitstatus != pytest.ExitCode.OK:
        terminalreporter.section("MiniStack")
        terminalreporter.write_line("\n".join(emulator.log().splitlines()[-LOG_LINES:]))


@pytest.fixture(scope="session")
def embedding_url() -> Iterator[str]:
    """An endpoint that speaks OpenAI's protocol, with a real model behind it."""
    command = [sys.executable, str(ROOT / "tests" / "embedding_server.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url.startswith("http://"), url
            yield f"{url}/v1"
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def opensearch(real_engines: RealEngines) -> str:
    """A real one. There is no skipping here: without it these tests fail."""
    return real_engines.url("opensearch-2")


@pytest.fixture(scope="session")
def deployment(
    emulator: Emulator, opensearch: str, embedding_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    """The stack, deployed as an operator would, on an OpenSearch and an embedding endpoint that are already there.

    Its functions are then allowed to send webhooks to this machine. No parameter of the template does that: it is not for
    a deployment that strangers can use.
    """
    sam = Path(os.environ["SAM"]).absolute()
    deployment = Deployment(emulator, sam)
    secrets = deployment.client("secretsmanager")
    parameters = {
        "Environment": ENVIRONMENT,
        "Architecture": ARCHITECTURE,
        "MaxReceives": str(MAX_RECEIVES),
        "OpenSearchEndpoint": opensearch,
        "Embedder": "openai",
        "OpenAiUrl": embedding_url,
        "OpenAiKeySecretArn": secrets.create_secret(Name="embedding-key", SecretString=KEY)["ARN"],
        "EmbeddingModel": MODEL,
        "EmbeddingDimension": str(DIMENSION),
    }
    deployment.deploy(build(sam, emulator.python, tmp_path_factory.mktemp("sam"), parameters), parameters)
    deployment.set_variables({"COMMONPLACE_PRIVATE_WEBHOOKS": "true"}, deployment.functions)
    return deployment


@pytest.fixture(scope="session")
def key(deployment: Deployment) -> str:
    """The first API key, made as an operator makes it."""
    return deployment.operate("create-key", "--name", "e2e", "--scopes", "read,write,delete,admin").strip()


@pytest.fixture(scope="session")
def api(deployment: Deployment, key: str) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=deployment.url, headers=headers, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()
