"""OpenSearch out of reach, or silent: what the service still does, and that everything is done once it is back."""

import json
import sqlite3
import urllib.error
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Made
from e2e.places import RealEngines
from e2e.proxy import Proxy
from service import Service


@dataclass(frozen=True, slots=True)
class Cluster:
    """A service, the way to its OpenSearch, and what is there."""

    service: Service
    way: Proxy
    engines: RealEngines

    def write(self, path: str, content: str, **fields: object) -> dict[str, Any]:
        """The answer to a create."""
        return self.service.ask("POST", path, {"agent_id": "agent", "content": content, **fields})

    def states(self, *ids: str) -> list[str]:
        """The status of each memory."""
        return [self.service.ask("GET", f"/v2/memories/{id}/status")["status"] for id in ids]

    def found(self, query: str) -> list[str]:
        """The ids that a search finds, best first."""
        answer = self.service.ask("POST", "/v1/memories/search", {"query": query, "limit": 50})
        assert "degraded" not in answer
        return [hit["id"] for hit in answer["data"]]

    def listed(self) -> list[str]:
        """The ids of all memories, newest first."""
        return [memory["id"] for memory in self.service.ask("GET", "/v1/memories?limit=1000")["data"]]


@contextmanager
def reached_by_a_proxy(made: Made, folder: Path, **settings: str) -> Iterator[Cluster]:
    with made() as engines:
        way = Proxy(engines.opensearch)
        service = Service(folder, {**engines.settings(way.url), **settings})
        service.start()
        try:
            yield Cluster(service, way, engines)
            way.restore()
            assert service.stop() == 0, service.log()
        finally:
            service.kill()
            way.close()


@pytest.fixture(scope="module")
def service_and_cluster(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with reached_by_a_proxy(made, tmp_path_factory.mktemp("service")) as cluster:
        yield cluster


@pytest.fixture
def cluster(service_and_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster at work, however the test before left it."""
    yield service_and_cluster
    service_and_cluster.way.restore()


def refused(ask: Callable[[], object]) -> tuple[int, dict[str, Any]]:
    """The status and the body of the error that is the answer."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask()
    with caught.value as answer:
        return answer.code, json.loads(answer.read())


def test_a_search_fails_clearly_and_what_needs_no_index_goes_on_while_the_cluster_is_down(cluster: Cluster) -> None:
    memory = cluster.write("/v1/memories", "The lighthouse is red")
    assert cluster.found("which colour has the lighthouse?") == [memory["id"]]
    cluster.way.cut()

    for path in ("/v1/memories/search", "/v2/context/build"):
        status, answer = refused(partial(cluster.service.ask, "POST", path, {"query": "which colour has it?"}))
        assert (status, answer["status"], answer["type"]) == (503, 503, "internal_error")
        assert answer["detail"]
        assert "data" not in answer

    assert cluster.service.ask("GET", f"/v1/memories/{memory['id']}")["content"] == "The lighthouse is red"
    assert cluster.listed() == [memory["id"]]
    status, health = refused(lambda: cluster.service.ask("GET", "/v1/health"))
    assert (status, health["services"]["vector_store"], health["services"]["database"]) == (503, "down", "up")

    cluster.way.restore()
    assert cluster.service.ask("GET", "/v1/health")["services"]["vector_store"] == "up"
    assert cluster.found("which colour has the lighthouse?") == [memory["id"]]


def test_whatever_is_written_during_an_outage_is_finished_once_when_it_is_over(cluster: Cluster) -> None:
    changed = cluster.write("/v1/memories", "The tram leaves at seven")["id"]
    deleted = cluster.write("/v1/memories", "The tram driver is called Ines")["id"]
    before = cluster.listed()
    cluster.way.cut()

    later = cluster.write("/v2/memories", "The ferry to the island leaves at ten")
    assert later["status"] == "pending"
    now = cluster.write("/v1/memories", "The ferry back leaves at eleven")
    assert now["extraction_status"] == "pending"
    batch = [{"agent_id": "agent", "content": f"The bus number {number} leaves at noon"} for number in range(3)]
    several = cluster.service.ask("POST", "/v1/memories/batch", {"memories": batch})
    assert (several["succeeded"], several["failed"]) == (3, 0)
    unlike = cluster.write("/v1/memories", "The funicular is closed on Mondays", deduplicate=True)
    cluster.service.ask("PATCH", f"/v1/memories/{changed}", {"content": "The tram leaves at eight"})
    cluster.service.ask("DELETE", f"/v1/memories/{deleted}")

    buses = [result["id"] for result in several["results"]]
    written = [later["id"], now["id"], *buses, unlike["id"]]
    assert set(cluster.states(*written, changed)) == {"pending"}
    assert cluster.listed() == [*reversed(written), *(id for id in before if id != deleted)]

    cluster.way.restore()
    cluster.service.wait(lambda: set(cluster.states(*written, changed)) == {"ready"})
    cluster.service.wait(lambda: deleted not in [memory for memory, _ in cluster.engines.documents()])

    assert sorted(cluster.engines.documents()) == sorted((id, 0) for id in cluster.listed())
    assert set(written) < set(cluster.listed())
    for query, id in (
        ("when does the ferry to the island leave?", later["id"]),
        ("when does the ferry back leave?", now["id"]),
        ("when is the funicular closed?", unlike["id"]),
        ("when does the tram leave?", changed),
        ("bus number 1", buses[1]),
    ):
        found = cluster.found(query)
        assert found[0] == id
        assert len(set(found)) == len(found)
        assert deleted not in found


def test_a_memory_stays_pending_through_an_outage_that_outlasts_its_message(made: Made, tmp_path: Path) -> None:
    with reached_by_a_proxy(made, tmp_path / "data", COMMONPLACE_MAX_RECEIVES="1") as cluster:
        cluster.way.cut()
        memory = cluster.write("/v2/memories", "The bakery opens at six")
        cluster.service.wait(lambda: messages(cluster.service) == 0)
        assert cluster.states(memory["id"]) == ["pending"]
        cluster.way.restore()
        assert cluster.service.stop() == 0

        cluster.service.start()  # which sweeps at once, and not after a minute

        cluster.service.wait(lambda: cluster.states(memory["id"]) == ["ready"])
        assert cluster.found("when does the bakery open?") == [memory["id"]]
        assert cluster.engines.documents() == [(memory["id"], 0)]


def messages(service: Service) -> int:
    """How many messages there are, dead ones too."""
    with closing(sqlite3.connect(service.data / "commonplace.db")) as database:
        (count,) = database.execute("SELECT count(*) FROM messages").fetchone()
        return int(count)


def test_a_silent_cluster_keeps_nobody_else_waiting(cluster: Cluster) -> None:
    known = cluster.write("/v1/memories", "The museum shows glass")["id"]
    cluster.way.hang()
    with ThreadPoolExecutor() as pool:
        search = pool.submit(refused, lambda: cluster.found("what does the museum show?"))
        cluster.service.wait(lambda: cluster.way.swallowed > 0)
        later = cluster.write("/v2/memories", "The museum opens at noon")
        assert later["status"] == "pending"
        assert cluster.service.ask("GET", f"/v1/memories/{known}")["id"] == known
        assert cluster.listed()[:2] == [later["id"], known]
        assert cluster.states(later["id"]) == ["pending"]
        assert not search.done()
        status, answer = search.result()
    assert (status, answer["type"]) == (503, "internal_error")

    cluster.way.restore()
    cluster.service.wait(lambda: cluster.states(later["id"]) == ["ready"])
    assert set(cluster.found("what about the museum?")[:2]) == {known, later["id"]}
    assert [memory for memory, _ in cluster.engines.documents()].count(later["id"]) == 1
