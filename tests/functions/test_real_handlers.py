"""The real handler modules, each in a process of its own, over one folder of data, with the real embedder."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from commonplace.adapters.system import RandomIds, SystemClock
from commonplace.core.admit import KeyOrder
from commonplace.engines import opened
from commonplace.model.apikey import Permission
from commonplace.settings import Settings
from commonplace.wiring import Services
from world import KEY, TENANT

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "infra/events"
INVOKE = """
import importlib, json, sys
handler = importlib.import_module(f"{sys.argv[1]}.handler").handler
print(json.dumps([handler(event, None) for event in json.load(sys.stdin)]))
"""


def event(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def started(
    function: str, events: list[dict[str, Any]], settings: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """A Lambda environment: the function's module is loaded once, and invoked with one event after the other."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("shared", "functions"))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", INVOKE, function],
        input=json.dumps(events),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def invoked(function: str, events: list[dict[str, Any]], data: Path) -> list[Any]:
    done = started(function, events, {"COMMONPLACE_DATA": str(data)})
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def body(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer["body"])
    return found


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A folder that knows one key."""
    clock, settings = SystemClock(), Settings(data=tmp_path)
    async with opened(settings, clock) as engines:
        services = Services(settings, engines, clock, RandomIds())
        await services.admit.accept(KEY, KeyOrder(tenant=TENANT, environment="test", permissions=tuple(Permission)))
    return tmp_path


async def test_what_one_function_writes_the_worker_makes_searchable_and_others_find(data: Path) -> None:
    created, refused = invoked("create", [event("create_v2"), event("create_v1_blank")], data)
    assert (created["statusCode"], refused["statusCode"]) == (202, 422)
    id = body(created)["id"]
    assert body(created)["status"] == "pending"

    message = event("embed")
    message["Records"][0]["body"] = json.dumps({"kind": "embed", "tenant": TENANT, "id": id})
    assert invoked("worker", [message, message], data) == [{"batchItemFailures": []}] * 2

    found, unknown = invoked("search", [event("search"), event("search_no_key")], data)
    assert [hit["id"] for hit in body(found)["data"]] == [id]
    assert unknown["statusCode"] == 401
    (context,) = invoked("recall", [event("context")], data)
    assert "dark mode" in body(context)["context"]

    get = event("memory_get")
    get["rawPath"] = get["requestContext"]["http"]["path"] = f"/v1/memories/{id}"
    got, listed = invoked("memories", [get, event("memory_list")], data)
    assert body(got)["extraction_status"] == "ready"
    assert body(listed)["total_count"] == 1


async def test_what_is_put_into_a_store_is_found_there_and_listed_and_deleted(data: Path) -> None:
    store, listed = invoked("stores", [event("cognipeer_store_create"), event("cognipeer_store_list")], data)
    assert (store["statusCode"], listed["statusCode"]) == (201, 200)
    assert {each["key"] for each in body(listed)["stores"]} == {"default", "mem-notes"}

    events = [event("cognipeer_memory_add"), event("cognipeer_memory_add"), event("cognipeer_memory_batch")]
    added, again, several = invoked("create", events, data)
    assert [each["statusCode"] for each in (added, again, several)] == [201, 201, 201]
    id = body(added)["memory"]["_id"]
    assert body(again)["memory"]["_id"] == id
    assert body(several) == {"added": 2, "duplicates": 1}

    (found,) = invoked("search", [event("cognipeer_search")], data)
    assert [match["id"] for match in body(found)["memories"]] == [id]
    (recalled,) = invoked("recall", [event("cognipeer_recall")], data)
    assert "dark mode" in body(recalled)["context"]

    patch = event("cognipeer_memory_patch")
    patch["rawPath"] = patch["requestContext"]["http"]["path"] = patch["rawPath"].rpartition("/")[0] + f"/{id}"
    events = [patch, event("cognipeer_memory_list"), event("cognipeer_bulk_delete"), event("cognipeer_memory_list")]
    changed, there, deleted, gone = map(body, invoked("memories", events, data))
    assert changed["content"] == "The user prefers light mode"
    assert ([item["id"] for item in there["items"]], there["total"]) == ([id], 1)
    assert (deleted, gone) == ({"deleted": 1}, {"items": [], "total": 0})


async def test_what_comes_with_a_vector_is_listed_at_once_and_found_by_it_later(data: Path) -> None:
    created, again = invoked("create", [event("edge_create"), event("edge_create")], data)
    assert [each["statusCode"] for each in (created, again)] == [201, 201]
    memories = [body(each)["memory"] for each in (again, created)]
    assert len({memory["id"] for memory in memories}) == 2
    for memory in memories:
        message = event("embed")
        message["Records"][0]["body"] = json.dumps({"kind": "embed", "tenant": TENANT, "id": memory["id"]})
        assert invoked("worker", [message, message], data) == [{"batchItemFailures": []}] * 2

    (found,) = invoked("search", [event("edge_search")], data)
    assert body(found)["mode"] == "vectorize"
    assert {match["memory"]["id"] for match in body(found)["matches"]} == {memory["id"] for memory in memories}
    assert [match["score"] for match in body(found)["matches"]] == [pytest.approx(1, abs=1e-3)] * 2

    get = event("edge_get")
    get["rawPath"] = get["requestContext"]["http"]["path"] = f"/edge/v1/memories/{memories[0]['id']}"
    got, listed = invoked("memories", [get, event("edge_list")], data)
    assert body(got) == {"memory": memories[0]}
    assert body(listed) == {"memories": memories}
    (health,) = invoked("account", [event("edge_health")], data)
    assert health["headers"]["access-control-allow-origin"] == "https://memo.st"
    assert body(health) == {"ok": True, "service": "memo-st-api", "environment": "local"}


async def test_what_is_told_becomes_a_memory_that_is_found_and_looked_over(data: Path) -> None:
    told, again = invoked("create", [event("memsy_ingest"), event("memsy_ingest")], data)
    (id,) = body(told)["event_ids"]
    assert body(again)["event_ids"] == [id]
    assert told["headers"]["x-usage-eventsingested"] == "1"
    status, message = event("memsy_status"), event("extract")
    status["body"] = json.dumps({"event_ids": [id]})
    message["Records"][0]["body"] = json.dumps(
        {"kind": "extract", "tenant": TENANT, "organization": TENANT, "ids": [id]}
    )
    (waiting,) = invoked("memories", [status], data)
    assert body(waiting)["pendingIds"] == [id]
    assert invoked("worker", [message, message], data) == [{"batchItemFailures": []}] * 2

    (found,) = invoked("search", [event("memsy_search")], data)
    (result,) = body(found)["results"]
    assert "dark mode" in result["content"]
    assert [source["event_id"] for source in result["metadata"]["source_events"]] == [id]
    recalled = event("recalled")
    recalled["Records"][0]["body"] = json.dumps({"kind": "recalled", "tenant": TENANT, "ids": [result["id"]]})
    assert invoked("worker", [recalled], data) == [{"batchItemFailures": []}]
    done, listed, actor = map(body, invoked("memories", [status, event("memsy_memories"), event("memsy_actor")], data))
    assert done["completedIds"] == [id]
    assert [(item["memory_id"], item["recall_count"]) for item in listed["items"]] == [(result["id"], 1)]
    assert (actor["actor_id"], actor["memory_count"]) == ("user_123", 1)

    none, role, unknown = invoked(
        "directory", [event("memsy_orgs"), event("memsy_role_create"), event("memsy_role_get")], data
    )
    assert [each["statusCode"] for each in (none, role, unknown)] == [200, 200, 404]
    assert body(role)["focus"] == "B2B sales"
    events, keys, health = map(
        body, invoked("account", [event("memsy_events"), event("memsy_keys"), event("memsy_health")], data)
    )
    assert [each["event_id"] for each in events["items"]] == [id]
    assert (keys["active_count"], health["status"]) == (1, "ok")


async def test_a_deleted_store_is_emptied_by_the_worker(data: Path) -> None:
    delete = event("cognipeer_store_delete")
    delete["rawPath"] = delete["requestContext"]["http"]["path"] = delete["rawPath"].replace("mem-old", "mem-notes")
    (made,) = invoked("stores", [event("cognipeer_store_create")], data)
    store, add = body(made)["store"]["_id"], event("cognipeer_memory_add")
    add["rawPath"] = add["requestContext"]["http"]["path"] = add["rawPath"].replace("default", "mem-notes")
    (added,) = invoked("create", [add], data)
    id = body(added)["memory"]["_id"]
    message, get = event("clear"), event("memory_get")
    message["Records"][0]["body"] = json.dumps({"kind": "clear", "tenant": TENANT, "store": store})
    get["rawPath"] = get["requestContext"]["http"]["path"] = f"/v1/memories/{id}"
    assert [each["statusCode"] for each in invoked("memories", [get], data)] == [200]
    assert [each["statusCode"] for each in invoked("stores", [delete, delete], data)] == [200, 404]
    assert invoked("worker", [message, message], data) == [{"batchItemFailures": []}] * 2
    assert [each["statusCode"] for each in invoked("memories", [get], data)] == [404]


async def test_the_functions_that_embed_nothing_answer_too(data: Path) -> None:
    (opened,) = invoked("sessions", [event("session_get_or_create")], data)
    assert (opened["statusCode"], body(opened)["created"]) == (200, True)
    health, made, unknown = invoked("account", [event("health"), event("agent_create"), event("unknown_route")], data)
    assert [each["statusCode"] for each in (health, made, unknown)] == [200, 201, 404]
    assert body(health)["services"]["database"] == "up"
    assert invoked("sweeper", [event("sweep")], data) == [
        dict.fromkeys(("pending", "expired", "deliveries", "stores", "events", "promotions"), 0)
    ]


@pytest.mark.parametrize("function", sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py")))
def test_a_function_with_a_setting_that_cannot_be_used_does_not_start_and_says_which(
    function: str, tmp_path: Path
) -> None:
    done = started(function, [], {"COMMONPLACE_DATA": str(tmp_path), "COMMONPLACE_MAX_RECEIVES": "many"})
    assert done.returncode != 0
    assert "SettingError: COMMONPLACE_MAX_RECEIVES must be a number, not 'many'" in done.stderr
