"""Starts an engine, waits until it answers, and ends it."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.assembly import tail
from engines.catalog import Engine, Launch
from engines.errors import NotStarted
from engines.java import Java

START_SECONDS = 180
"""Long enough for a slow machine that is busy with the tests; where it is well, OpenSearch takes about ten."""

END_SECONDS = 20
NOBODY = 65_534


@contextmanager
def running(engine: Engine, home: Path, java: Java) -> Iterator[str]:
    """The engine at work, as its URL; ended and forgotten afterwards. Raises ``NotStarted``.

    It runs on a copy of its folder, in the folder for temporary files, because it writes there, and because OpenSearch
    refuses to be root: started by root it runs as ``nobody``, who may not be able to read the project.
    """
    with tempfile.TemporaryDirectory(prefix="commonplace-", ignore_cleanup_errors=True) as folder:
        place = Path(folder) / engine.part
        shutil.copytree(home, place)
        (place / "tmp").mkdir()
        user = _unprivileged()
        if user is not None:
            _give(Path(folder), user)
        launch, log = engine.launch(place, java), place / "output.log"
        process = _started(launch, place, log, user)
        try:
            yield _url(engine, launch, process, log)
        finally:
            _ended(process)


def _unprivileged() -> int | None:
    """The user to run as: None is the one we are."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return NOBODY


def _give(folder: Path, user: int) -> None:
    os.chown(folder, user, user)
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(path) / name, user, user)


def _started(launch: Launch, place: Path, log: Path, user: int | None) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "LC_ALL", "TZ"}}
    with log.open("wb") as output:
        try:
            return subprocess.Popen(  # noqa: S603 - an engine of ours, with our own arguments
                launch.command,
                cwd=place,
                env={**kept, "HOME": str(place), "TMPDIR": str(place / "tmp"), **launch.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                start_new_session=True,  # Ctrl-C is for us: we end it
            )
        except OSError as error:
            raise NotStarted(f"{launch.command[0]} cannot be started: {error}") from error


def _url(engine: Engine, launch: Launch, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotStarted(f"{engine.name} ended by itself:\n{tail(log.read_text(errors='replace'))}")
        url = launch.url()
        if url is not None and engine.answers(url):
            return url
        time.sleep(0.1)
    raise NotStarted(
        f"{engine.name} did not answer within {START_SECONDS} seconds:\n{tail(log.read_text(errors='replace'))}"
    )


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
