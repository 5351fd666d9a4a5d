"""What is deployed: its size, what is in it, and what each function loads when it starts."""

import json
import subprocess
from collections.abc import Mapping

import pytest

from artifacts import IDS, Artifacts, Tools, size
from lambda_environment import variables
from world import TEMPLATE

MEGABYTE = 1024 * 1024
LAYER_BUDGET = 60 * MEGABYTE
FUNCTIONS_BUDGET = MEGABYTE

NOT_DEPLOYED = (
    "apsw",
    "google",
    "grpc",
    "hypothesis",
    "moto",
    "msgpack",
    "numpy",
    "onnxruntime",
    "opensearch",
    "pip",
    "pytest",
    "sqlite_vec",
    "tests",
    "tokenizers",
    "uvicorn",
    "commonplace/adapters/embedded",
)
AT_START = {
    *("aioboto3", "aiobotocore", "boto3", "botocore", "aiohttp", "wrapt", "dateutil", "six", "jmespath", "urllib3"),
    *("aiohappyeyeballs", "aioitertools", "aiosignal", "attr", "certifi", "frozenlist", "idna", "multidict"),
    *("propcache", "yarl", "commonplace", "snowballstemmer", "typing_extensions"),
}
"""What every function may load: the AWS clients, and the service."""

WITH_HTTP = {"annotated_types", "anyio", "mangum", "pydantic", "pydantic_core", "starlette", "typing_inspection"}
WITH_INDEX = {"charset_normalizer", "events", "opensearchpy", "requests", "simplejson"}
"""simplejson is not deployed: Lambda's own runtime client brings it along, and opensearch-py takes it where it finds it."""
SEARCHING = {"recall", "search", "worker"}

LOADED = """
import importlib, json, sys
before = {name.partition(".")[0] for name in sys.modules}
importlib.import_module(sys.argv[1])
after = {name.partition(".")[0] for name in sys.modules} - before - set(sys.stdlib_module_names)
print(json.dumps(sorted(name for name in after if sys.modules[name].__spec__ and not name.startswith("_"))))
"""
COMPILED = """
import importlib.util, json, pathlib, sys
modules, wrong = sorted(pathlib.Path(sys.argv[1]).rglob("*.py")), []
for module in modules:
    compiled = pathlib.Path(importlib.util.cache_from_source(module))
    hash = importlib.util.source_hash(module.read_bytes())
    unchecked = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + hash
    if not (compiled.exists() and compiled.read_bytes().startswith(unchecked)):
        wrong.append(str(module))
print(json.dumps({"modules": len(modules), "wrong": wrong}))
"""
CERTIFICATES = """
import json, ssl
from aiohttp import connector
before = connector._make_ssl_context.cache_info().currsize
made = connector._make_ssl_context(True)
print(json.dumps([before, made.verify_mode == ssl.CERT_REQUIRED, made.check_hostname]))
"""
SETTINGS = {
    "COMMONPLACE_EMBEDDER": "bedrock",
    "COMMONPLACE_EMBEDDING_QUEUE": "http://127.0.0.1:9/000000000000/embedding",
    "COMMONPLACE_DELIVERY_QUEUE": "http://127.0.0.1:9/000000000000/delivery",
    "COMMONPLACE_OPENSEARCH": "http://127.0.0.1:9",
}


def test_the_layer_is_small(artifacts: Artifacts) -> None:
    assert size(artifacts.layer) <= LAYER_BUDGET


def test_all_functions_are_one_small_build(artifacts: Artifacts) -> None:
    listed = {
        tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in path.parts))
        for folder in map(artifacts.function, IDS)
    }
    assert len(listed) == 1
    assert size(artifacts.function("create")) <= FUNCTIONS_BUDGET


@pytest.mark.parametrize("name", NOT_DEPLOYED)
def test_what_lambda_does_not_need_is_not_deployed(artifacts: Artifacts, name: str) -> None:
    for folder in (artifacts.layer, artifacts.function("create")):
        assert not (folder / name).exists()
        assert not list(folder.glob(f"{name}-*.dist-info"))


def test_what_is_deployed_can_be_listed_with_versions_and_licences(artifacts: Artifacts) -> None:
    described = {path.parent.name.partition("-")[0] for path in artifacts.layer.glob("*.dist-info/METADATA")}
    assert {"pydantic", "starlette", "botocore", "opensearch_py"} <= described


def test_every_module_of_the_layer_is_compiled_and_never_checked_against_its_source(
    artifacts: Artifacts, lambda_tools: Tools
) -> None:
    checked = run(lambda_tools, [COMPILED, str(artifacts.layer)], {})
    assert json.loads(checked) == {"modules": len(list(artifacts.layer.rglob("*.py"))), "wrong": []}


def test_the_default_tls_context_is_made_late_and_demands_as_much(artifacts: Artifacts, lambda_tools: Tools) -> None:
    said = run(lambda_tools, [CERTIFICATES], {"PYTHONPATH": str(artifacts.layer)})
    assert json.loads(said) == [0, True, True]


@pytest.mark.parametrize("function", sorted(IDS))
def test_a_function_loads_only_what_it_needs_to_start(artifacts: Artifacts, lambda_tools: Tools, function: str) -> None:
    allowed = AT_START | {function}
    if function in TEMPLATE.functions:
        allowed |= WITH_HTTP
    if function in SEARCHING:
        allowed |= WITH_INDEX
    environment = variables(artifacts, function, {**TEMPLATE.variables, **SETTINGS})
    loaded = set(json.loads(run(lambda_tools, [LOADED, f"{function}.handler"], environment)))
    assert "botocore" in loaded
    assert loaded <= allowed


def run(tools: Tools, arguments: list[str], environment: Mapping[str, str]) -> str:
    """What a Python program prints, run by Lambda's Python."""
    done = subprocess.run(
        [tools.python, "-c", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
