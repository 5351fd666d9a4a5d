"""Puts the engines together, once, in a folder of the project."""

import fcntl
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engines.catalog import POM, Engine
from engines.errors import NotAssembled

CACHE = Path(__file__).parents[3] / ".engines"
MAVEN_SECONDS = 1200
TAIL = 30
"""Lines of a log that are shown when something failed."""


def key(engine: Engine, pom: Path = POM) -> str:
    """Changes with whatever the engine is made of."""
    made_of = json.dumps([pom.read_text(encoding="utf-8"), engine.goals, sorted(engine.files.items())])
    return hashlib.sha256(made_of.encode()).hexdigest()[:12]


def home(engine: Engine, cache: Path = CACHE) -> Path:
    """Where the engine is once it is assembled; only whole engines stand there."""
    return cache / f"{engine.folder}-{key(engine)}"


def maven(goals: Sequence[str], target: Path) -> None:
    """Has Maven fetch and unpack. Raises ``NotAssembled``."""
    program = shutil.which("mvn")
    if program is None:
        raise NotAssembled("there is no Maven (mvn) on the PATH")
    plugin = [f"org.apache.maven.plugins:maven-dependency-plugin:{goal}" for goal in goals]
    command = [program, "-q", "-B", "-f", str(POM), f"-Dassembly={target}", *plugin]
    try:
        done = subprocess.run(  # noqa: S603 - Maven, with our own arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=MAVEN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotAssembled(f"Maven was not done after {MAVEN_SECONDS} seconds") from error
    if done.returncode != 0:
        raise NotAssembled("Maven could not fetch it:\n" + tail(done.stdout))


def assemble(
    engine: Engine,
    cache: Path = CACHE,
    *,
    fetch: Callable[[Sequence[str], Path], None] = maven,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """The folder of the whole engine, put together now if it was not before. Raises ``NotAssembled``.

    It is put together beside its place and then renamed, so an interrupted run leaves nothing that looks whole. Of
    several processes one does the work, and the others wait for it.
    """
    done = home(engine, cache)
    if done.is_dir():
        return done
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache):
        if done.is_dir():
            return done
        say(f"Fetching {engine.name} with Maven (once) ...")
        partial = cache / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        fetch(engine.goals, partial)
        whole = partial / engine.folder
        if not whole.is_dir():
            raise NotAssembled(f"Maven brought no {engine.folder}")
        for path, text in engine.files.items():
            file = whole / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        whole.rename(done)
        shutil.rmtree(partial)
    return done


def tail(text: str) -> str:
    """The end of a log."""
    return "\n".join(text.splitlines()[-TAIL:])


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One process at a time; the system gives the lock back when its holder dies."""
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
