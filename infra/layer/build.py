"""Builds the layer: what Lambda needs of the service and of its dependencies, small and compiled.

Run by ``sam build`` (``layer.mk``) with the Python of the runtime, whose standard library is all that it uses.
"""

import argparse
import compileall
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).resolve().parents[2]
GROUPS = ("service", "aws")
"""The groups of pyproject.toml that Lambda needs."""

GLIBC = (17, 24, 26, 27, 28, 31, 34)
"""The minor versions of glibc that wheels are made for, up to that of Amazon Linux 2023."""

LEFT_OUT = ("grpcio", "protobuf", "opensearch-protobufs")
"""Distributions that others demand and never import. All three: opensearch-py's client for gRPC."""

SERVICES = ("bedrock-runtime", "dynamodb", "secretsmanager", "sqs", "sts")
"""The AWS services of which botocore's descriptions stay. Making a client reads the list of all of them and the endpoints
of all of them: with 400 it takes four times as long as with 5, and 24 MB."""

ELSEWHERE = ("commonplace/adapters/embedded", "commonplace/cli.py")
"""Parts of the service for one machine only."""

IMPORTED_CERTIFICATES = """
_SSL_CONTEXT_VERIFIED = _make_ssl_context(True)
_SSL_CONTEXT_UNVERIFIED = _make_ssl_context(False)
"""
DEFERRED_CERTIFICATES = """
_make_ssl_context = functools.cache(_make_ssl_context)
"""

FOR_PEOPLE = ("*.c", "*.h", "*.pxd", "*.pyi", "*.pyx", "*.typed")
"""Files for compilers and type checkers."""


def main() -> None:
    """Builds once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machine", required=True, choices=("aarch64", "x86_64"))
    parser.add_argument("--source", required=True, type=Path, help="the folder that holds the package commonplace")
    parser.add_argument("--target", required=True, type=Path, help="the folder that becomes /opt/python")
    given = parser.parse_args()
    install(given.machine, given.target)
    leave_out(given.target)
    trim_botocore(given.target / "botocore/data")
    defer_certificates(given.target / "aiohttp/connector.py")
    shutil.copytree(given.source / "commonplace", given.target / "commonplace")
    tidy(given.target)
    compile_all(given.target)


def install(machine: str, target: Path) -> None:
    """Wheels for the runtime, in the versions that stand in pyproject.toml and constraints.txt."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC] + [f"manylinux2014_{machine}"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    arguments = ["--target", str(target), "--no-compile", "--only-binary", ":all:"]
    for platform in platforms:
        arguments += ["--platform", platform]
    arguments += ["--constraint", str(ROOT / "infra/local/constraints.txt")]
    subprocess.run([*pip, *arguments, *(each for group in GROUPS for each in groups[group])], check=True)  # noqa: S603 - the project's own requirements


def leave_out(target: Path) -> None:
    """Takes away what stands in ``LEFT_OUT``; fails when one is not there, since then the list is out of date."""
    for name in LEFT_OUT:
        (distribution,) = importlib.metadata.distributions(name=name, path=[str(target)])
        for file in distribution.files or ():
            Path(str(file.locate())).unlink(missing_ok=True)


def trim_botocore(data: Path) -> None:
    """Keeps the descriptions and the endpoints of ``SERVICES``."""
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in SERVICES:
            shutil.rmtree(folder)
    endpoints = json.loads((data / "endpoints.json").read_text(encoding="utf-8"))
    for partition in endpoints["partitions"]:
        partition["services"] = {name: kept for name, kept in partition["services"].items() if name in SERVICES}
    (data / "endpoints.json").write_text(json.dumps(endpoints, separators=(",", ":")), encoding="utf-8")


def defer_certificates(connector: Path) -> None:
    """Lets aiohttp make its two default TLS contexts when they are first used, not when it is imported: each reads all
    trusted certificates, together a tenth of a cold start, and calls to AWS and OpenSearch have contexts of their own.

    What a context demands stays as it is. Fails when aiohttp is written otherwise: then this is out of date.
    """
    text = connector.read_text(encoding="utf-8")
    for before, after, times in (
        (IMPORTED_CERTIFICATES, DEFERRED_CERTIFICATES, 1),
        ("return _SSL_CONTEXT_UNVERIFIED\n", "return _make_ssl_context(False)\n", 2),
        ("return _SSL_CONTEXT_VERIFIED\n", "return _make_ssl_context(True)\n", 1),
    ):
        if text.count(before) != times:
            sys.exit(f"aiohttp/connector.py has no longer {times} of {before!r}")
        text = text.replace(before, after)
    if "_SSL_CONTEXT_" in text:
        sys.exit("aiohttp/connector.py uses its TLS contexts in another place too")
    connector.write_text(text, encoding="utf-8")


def tidy(target: Path) -> None:
    """Takes away what no import needs. The METADATA and the licences of each distribution stay, for those who ask what is
    deployed.
    """
    unwanted: Iterable[Path] = (
        target / "bin",
        *(target / part for part in ELSEWHERE),
        *target.rglob("tests"),
        *target.rglob("__pycache__"),
        *target.glob("*.dist-info/RECORD"),
        *(path for pattern in FOR_PEOPLE for path in target.rglob(pattern)),
    )
    for path in unwanted:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for folder in sorted(_folders(target), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _folders(target: Path) -> Iterator[Path]:
    return (path for path in target.rglob("*") if path.is_dir())


def compile_all(target: Path) -> None:
    """Byte-code that is good whatever the time stamp of its source: SAM's archives carry none, so ordinary byte-code would
    be compiled again at each cold start, and thrown away, since /opt cannot be written.
    """
    compiled = compileall.compile_dir(
        target,
        maxlevels=99,
        quiet=1,
        workers=0,
        stripdir=str(target),
        prependdir="/opt/python",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        sys.exit("Some modules of the layer cannot be compiled")


if __name__ == "__main__":
    main()
