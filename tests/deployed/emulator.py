"""MiniStack, an emulator of AWS, as a process of its own."""

import contextlib
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from service import free_port

REGION = "eu-central-1"
START_SECONDS = 60
STOP_SECONDS = 20

LAUNCH = "import runpy, site, sys; site.addsitedir(sys.argv.pop(1)); runpy.run_module('ministack', run_name='__main__')"


class Emulator:
    """MiniStack on a free port of this machine, with its state in ``state``.

    ``python`` is the interpreter of the environment that MiniStack is installed in. Two things make it stricter than it is
    by itself. It checks every call of a function against the policies of the function's own role (``AUTH``). And functions
    run under an interpreter without packages, as MiniStack runs them under its own: what they import has to come from the
    layer, not from MiniStack's environment.
    """

    def __init__(self, python: Path, state: Path) -> None:
        self.python = python
        self.state = state
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> Mapping[str, str]:
        """What points an AWS client at it, with the rights of the account's root."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Returns once it answers. Raises ``RuntimeError`` with its log if it does not."""
        bare = self.state / "runtime"
        subprocess.run([self.python, "-m", "venv", "--without-pip", bare], check=True, timeout=START_SECONDS)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.state),
            "TMPDIR": str(self.state),
            "STATE_DIR": str(self.state / "state"),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "GATEWAY_PORT": str(self.port),
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
        with (self.state / "ministack.log").open("ab") as log:
            self._process = subprocess.Popen(
                [bare / "bin" / "python", "-c", LAUNCH, self._packages()],
                cwd=self.state,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log())

    def stop(self) -> None:
        """Ends it and the functions' processes."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):  # the functions have ended with it
                os.killpg(self._process.pid, signal.SIGKILL)

    def log(self) -> str:
        """What it said."""
        return (self.state / "ministack.log").read_text(encoding="utf-8", errors="replace")

    def _packages(self) -> str:
        done = subprocess.run(
            [self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        return done.stdout.strip()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False
