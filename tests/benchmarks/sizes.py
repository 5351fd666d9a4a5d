"""How big what is deployed is, and how long each function takes to import: make sizes"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from artifacts import ARCHITECTURE, IDS, Artifacts, Tools, size, tools
from lambda_environment import variables
from world import TEMPLATE

LARGEST = 15
IMPORTS = 5
NOWHERE = "http://127.0.0.1:9"
SETTINGS = {
    **TEMPLATE.variables,
    "COMMONPLACE_EMBEDDER": "bedrock",
    "COMMONPLACE_EMBEDDING_QUEUE": f"{NOWHERE}/000000000000/embedding",
    "COMMONPLACE_DELIVERY_QUEUE": f"{NOWHERE}/000000000000/delivery",
    "COMMONPLACE_OPENSEARCH": NOWHERE,
}
"""A deployment that is not there: loading a function asks nobody."""

TIMED = """
import importlib, sys, time
began = time.perf_counter()
importlib.import_module(sys.argv[1])
print(time.perf_counter() - began)
"""


def main() -> None:
    """Builds for both architectures, and prints."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    made = tools()
    with tempfile.TemporaryDirectory() as folder:
        for architecture in ("arm64", "x86_64"):
            artifacts = made.build(Path(folder) / architecture, architecture)
            print("\n".join(sizes(artifacts, architecture)), end="\n\n")
            if architecture == ARCHITECTURE:
                print("\n".join(imports(made, artifacts)), end="\n\n")


def sizes(artifacts: Artifacts, architecture: str) -> Iterator[str]:
    """The lines about sizes, unzipped."""
    yield f"{architecture}: layer {_megabytes(size(artifacts.layer))}, functions {_megabytes(size(artifacts.function('create')))}"
    parts = {path.name: size(path) if path.is_dir() else path.stat().st_size for path in artifacts.layer.iterdir()}
    for name in sorted(parts, key=lambda name: -parts[name])[:LARGEST]:
        yield f"  {name:24} {_megabytes(parts[name]):>8}"


def imports(made: Tools, artifacts: Artifacts) -> Iterator[str]:
    """The lines about imports: the median of fresh processes, the functions taking turns."""
    times: dict[str, list[float]] = {function: [] for function in IDS}
    for _ in range(IMPORTS):
        for function, taken in times.items():
            done = subprocess.run(
                [made.python, "-c", TIMED, f"{function}.handler"],
                env=variables(artifacts, function, SETTINGS),
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            taken.append(float(done.stdout))
    yield f"Import of each handler, median of {IMPORTS}:"
    for function, taken in times.items():
        yield f"  {function:24} {median(taken) * 1000:5.0f} ms"


def _megabytes(count: int) -> str:
    return f"{count / 1024**2:.2f} MB"


if __name__ == "__main__":
    main()
