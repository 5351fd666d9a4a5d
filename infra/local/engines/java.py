"""Which Java this machine has."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.errors import NoJava

FOLDERS = (Path("/usr/lib/jvm"),)
"""Where Linux distributions install Java, each version in a folder of its own."""


@dataclass(frozen=True, slots=True)
class Java:
    """An installed Java: its feature version, as in 17, and its folder."""

    version: int
    home: Path


@dataclass(frozen=True, slots=True)
class Span:
    """The feature versions of Java that an engine runs on; no ``newest`` means every later one."""

    oldest: int
    newest: int | None = None

    def __contains__(self, java: Java) -> bool:
        return self.oldest <= java.version and (self.newest is None or java.version <= self.newest)

    def __str__(self) -> str:
        return f"Java {self.oldest} or later" if self.newest is None else f"Java {self.oldest} to {self.newest}"


def installed(environment: Mapping[str, str], folders: Iterable[Path] = FOLDERS) -> tuple[Java, ...]:
    """Every Java that can be found: that of ``JAVA_HOME``, that of the ``PATH``, then those of the folders, oldest first.

    A folder is one if it has ``bin/java`` and says its version in its ``release`` file, as every Java since 8 does.
    """
    found = [_java(home) for home in _named(environment)]
    homes = (home for folder in folders if folder.is_dir() for home in folder.iterdir())
    others = sorted(filter(None, map(_java, homes)), key=lambda java: (java.version, java.home))
    return tuple(dict.fromkeys(java for java in (*found, *others) if java is not None))


def suitable(engine: str, span: Span, environment: Mapping[str, str], folders: Iterable[Path] = FOLDERS) -> Java:
    """The Java for an engine. Raises ``NoJava``."""
    found = installed(environment, folders)
    for java in found:
        if java in span:
            return java
    have = ", ".join(str(version) for version in sorted({java.version for java in found}))
    raise NoJava(f"{engine} needs {span}; {f'there is only Java {have}' if found else 'there is no Java'}")


def feature_version(text: str) -> int:
    """17 of ``17.0.15``, and 8 of ``1.8.0_402``. Raises ``ValueError`` for what is no version."""
    match = re.match(r"(?:1\.)?(\d+)", text)
    if match is None:
        raise ValueError(f"{text!r} is no version of Java")
    return int(match[1])


def _named(environment: Mapping[str, str]) -> Iterator[Path]:
    if environment.get("JAVA_HOME"):
        yield Path(environment["JAVA_HOME"])
    on_path = shutil.which("java", path=environment.get("PATH", os.defpath))
    if on_path is not None:
        yield Path(on_path).resolve().parents[1]


def _java(home: Path) -> Java | None:
    release = home / "release"
    if not (os.access(home / "bin" / "java", os.X_OK) and release.is_file()):
        return None
    version = re.search(r'^JAVA_VERSION="([^"]+)"', release.read_text(encoding="utf-8"), re.MULTILINE)
    return None if version is None else Java(feature_version(version[1]), home.resolve())
