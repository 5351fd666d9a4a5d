"""The service as a process: starting, restarting, settings."""

import subprocess
import sys
from pathlib import Path

import pytest

from service import ROOT, Service


def test_data_survives_a_restart_and_a_kill(service: Service) -> None:
    service.start()
    memory = service.ask("POST", "/v1/memories", {"agent_id": "a", "content": "The lighthouse is red"})
    assert service.stop() == 0
    service.start()
    service.kill()
    service.start()
    assert service.ask("GET", f"/v1/memories/{memory['id']}")["content"] == "The lighthouse is red"
    found = service.ask("POST", "/v1/memories/search", {"query": "which colour does the lighthouse have?"})
    assert [hit["id"] for hit in found["data"]] == [memory["id"]]


def test_a_memory_of_fifty_thousand_characters_is_found_by_any_of_its_parts(running: Service) -> None:
    filler = "The weather report spoke of clouds over the northern hills and of light rain in the evening. "
    needles = [
        "The combination of the safe is kept by Mrs Okafor.",
        "Our supplier of violins is a workshop in Cremona.",
        "The penguin exhibition opens in February.",
    ]
    padding = filler * 170
    content = "".join(padding + needle + " " for needle in needles) + filler * 20
    assert 45_000 < len(content) <= 50_000
    memory = running.ask("POST", "/v1/memories", {"agent_id": "long", "content": content})
    assert memory["extraction_status"] == "ready"
    running.ask("POST", "/v1/memories", {"agent_id": "long", "content": "Lunch is at noon on weekdays"})
    for query in ("who keeps the combination of the safe?", "supplier of violins", "when do the penguins open?"):
        found = running.ask("POST", "/v1/memories/search", {"query": query, "agent_id": "long", "min_score": 0.5})
        assert [hit["id"] for hit in found["data"]] == [memory["id"]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("COMMONPLACE_VECTOR_WEIGHT", "2"), ("COMMONPLACE_INDEX", "abacus"), ("PORT", "none")],
)
def test_a_setting_that_cannot_be_used_is_named_and_nothing_starts(tmp_path: Path, name: str, value: str) -> None:
    done = started({"COMMONPLACE_DATA": str(tmp_path), name: value})
    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said_and_nothing_starts(running: Service, tmp_path: Path) -> None:
    done = started({"COMMONPLACE_DATA": str(tmp_path), "PORT": str(running.port)})
    assert done.returncode == 2
    assert (
        done.stderr
        == f"commonplace: port {running.port} cannot be used (Address already in use); set PORT to another\n"
    )
    assert list(tmp_path.iterdir()) == []


def started(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What becomes of a start with these settings alone."""
    return subprocess.run(
        [sys.executable, str(ROOT / "infra" / "local")],
        env={"PYTHONPATH": f"{ROOT}/shared:{ROOT}/functions", **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
