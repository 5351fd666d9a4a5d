"""The index built anew by the command, while a service runs."""

import hashlib
import json
import math
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from e2e.conftest import Made
from e2e.places import RealEngines
from service import Service

DIMENSION = 64


class Model:
    """An embedding model that nobody else uses, behind OpenAI's API: its index is this test's alone to delete. Texts are
    near each other as far as they share words."""

    def __init__(self) -> None:
        self.name = f"words-{uuid4().hex}"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Embeddings)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Embeddings(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        texts: Sequence[str] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        data = [{"index": number, "embedding": _vector(text)} for number, text in enumerate(texts)]
        body = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def _vector(text: str) -> list[float]:
    vector = [0.0] * DIMENSION
    for word in re.findall(r"\w+", text.lower()):
        vector[hashlib.sha256(word.encode()).digest()[0] % DIMENSION] += 1.0
    length = math.hypot(*vector)
    return [number / length for number in vector]


@pytest.fixture
def engines(made: Made) -> Iterator[RealEngines]:
    with made() as engines:
        yield engines


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model()
    yield model
    model.close()


@pytest.fixture
def indexes(engines: RealEngines, model: Model) -> Iterator[str]:
    """The pattern of the names of the model's indexes, which are gone in the end."""
    pattern = f"commonplace-*{model.name}*"
    yield pattern
    for name in engines.ask("GET", f"/{pattern}/_alias"):
        engines.ask("DELETE", f"/{name}")


@pytest.fixture
def service(engines: RealEngines, model: Model, tmp_path: Path) -> Iterator[Service]:
    settings = {
        "COMMONPLACE_EMBEDDER": "openai",
        "COMMONPLACE_OPENAI_URL": model.url,
        "COMMONPLACE_EMBEDDING_MODEL": model.name,
        "COMMONPLACE_EMBEDDING_DIMENSION": str(DIMENSION),
    }
    service = Service(tmp_path / "data", {**engines.settings(), **settings})
    service.start()
    yield service
    assert service.stop() == 0, service.log()


def found(service: Service, query: str) -> list[str]:
    answer = service.ask("POST", "/v1/memories/search", {"query": query, "limit": 50})
    return [hit["id"] for hit in answer["data"]]


def listed(service: Service) -> list[dict[str, Any]]:
    memories: list[dict[str, Any]] = service.ask("GET", "/v1/memories?limit=1000")["data"]
    return memories


def test_a_lost_index_comes_back_from_the_rows_while_the_service_writes_on(
    service: Service, engines: RealEngines, indexes: str
) -> None:
    contents = [f"The locker number{number} holds the keys" for number in range(30)]
    batch = {"memories": [{"agent_id": "a", "content": content} for content in contents]}
    before = [result["id"] for result in service.ask("POST", "/v1/memories/batch", batch)["results"]]
    gone = before.pop()
    service.ask("DELETE", f"/v1/memories/{gone}")
    assert found(service, "number7")[0] == before[7]
    for name in engines.ask("GET", f"/{indexes}/_alias"):
        engines.ask("DELETE", f"/{name}")
    assert found(service, "number7") == []

    meanwhile: list[str] = []
    with ThreadPoolExecutor() as pool:
        rebuilding = pool.submit(service.operate, "rebuild-index")
        for number in count():
            content = f"The drawer figure{number} holds the stamps"
            path = "/v1/memories" if number % 2 else "/v2/memories"
            meanwhile.append(service.ask("POST", path, {"agent_id": "a", "content": content})["id"])
            if rebuilding.done():
                break
    assert "memories in the index" in rebuilding.result()

    service.wait(lambda: {memory["extraction_status"] for memory in listed(service)} == {"ready"})
    assert engines.documents(indexes) == sorted((id, 0) for id in (*before, *meanwhile))
    assert len(engines.ask("GET", f"/{indexes}/_alias")) == 1
    for query, id in (("number0", before[0]), ("number28", before[28]), ("figure0", meanwhile[0])):
        hits = found(service, query)
        assert hits[0] == id
        assert hits.count(id) == 1
        assert gone not in hits
