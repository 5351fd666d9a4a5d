"""The custom resource that tells an OpenSearch domain of the functions' roles, against a server on this machine."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from botocore.credentials import Credentials

from provision.app import DEFINITION, MEMBER, OPERATOR, PHYSICAL_ID, ROLES, Failed, answer
from provision.cluster import CloudFormation, Domain, Patience

ROOT = Path(__file__).parents[2]
CREDENTIALS = Credentials("AKIDEXAMPLE", "not-secret", "token-of-the-session")
API = "/_plugins/_security/api/"
OPERATORS = ["arn:aws:iam::123456789012:role/operators"]


@dataclass
class Server:
    """Both a domain and CloudFormation. What it says to a domain's calls are ``answers``, the last of them for ever."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [201])
    replies: list[int] = field(default_factory=lambda: [200])
    calls: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    told: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        of_domain = path.startswith(API)
        (self.calls if of_domain else self.told).append((path, headers, json.loads(body)))
        script = self.answers if of_domain else self.replies
        return script.pop(0) if len(script) > 1 else script[0]

    @property
    def said(self) -> dict[str, Any]:
        """The last answer to CloudFormation."""
        said: dict[str, Any] = self.told[-1][2]
        return said


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = found.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    http.shutdown()
    thread.join()
    http.server_close()


def event(name: str, server: Server, **properties: object) -> dict[str, Any]:
    """An event of infra/events, of a domain and a CloudFormation that are the server."""
    found: dict[str, Any] = json.loads((ROOT / f"infra/events/provision_{name}.json").read_text(encoding="utf-8"))
    found["ResponseURL"] = found["ResponseURL"].replace("https://" + urlsplit(found["ResponseURL"]).netloc, server.url)
    found["ResourceProperties"] |= {"Endpoint": server.url, **properties}
    return found


def handled(given: dict[str, Any], patience: float = 10.0) -> None:
    """What the handler does, in a hurry."""
    with urllib3.PoolManager() as http:
        until = Patience(time.monotonic() + patience, pause=0.0)
        answer(
            given,
            lambda endpoint: Domain(endpoint, http, CREDENTIALS, "eu-central-1", until),
            CloudFormation(http, pause=0.0),
        )


def written(server: Server) -> dict[str, Any]:
    return {path.removeprefix(API): body for path, _, body in server.calls}


def test_a_new_domain_learns_the_roles_and_who_has_them(server: Server) -> None:
    given = event("create", server)
    handled(given)
    assert written(server) == {
        f"roles/{MEMBER}": ROLES[MEMBER],
        f"rolesmapping/{MEMBER}": {"backend_roles": given["ResourceProperties"]["Members"]},
        f"roles/{OPERATOR}": ROLES[OPERATOR],
        f"rolesmapping/{OPERATOR}": {"backend_roles": []},
    }
    assert server.said == {
        "Status": "SUCCESS",
        "PhysicalResourceId": PHYSICAL_ID,
        "StackId": given["StackId"],
        "RequestId": given["RequestId"],
        "LogicalResourceId": "IndexAccess",
    }


def test_an_update_writes_everything_anew_under_the_same_physical_id(server: Server) -> None:
    handled(event("update", server))
    assert written(server)[f"rolesmapping/{OPERATOR}"] == {"backend_roles": OPERATORS}
    assert (server.said["Status"], server.said["PhysicalResourceId"]) == ("SUCCESS", PHYSICAL_ID)


def test_a_deletion_leaves_the_domain_as_it_is(server: Server) -> None:
    handled(event("delete", server))
    assert server.calls == []
    assert (server.said["Status"], server.said["PhysicalResourceId"]) == ("SUCCESS", PHYSICAL_ID)


def test_a_resource_of_another_name_keeps_its_name(server: Server) -> None:
    handled({**event("update", server), "PhysicalResourceId": "made-by-somebody"})
    assert server.said["PhysicalResourceId"] == "made-by-somebody"


def test_every_call_to_the_domain_is_signed_for_its_region_and_none_to_cloudformation(server: Server) -> None:
    handled(event("create", server))
    for _, headers, _ in server.calls:
        assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        assert "/eu-central-1/es/aws4_request, SignedHeaders=content-type;host;" in headers["authorization"]
        assert headers["x-amz-security-token"] == "token-of-the-session"
        assert headers["content-type"] == "application/json"
    ((path, headers, _),) = server.told
    assert "authorization" not in headers
    assert headers["content-type"] == ""
    given = event("create", server)
    assert server.url + path == given["ResponseURL"]


@pytest.mark.parametrize("passing", [401, 403, 408, 429, 500, 502, 503, 504])
def test_a_domain_that_is_not_ready_yet_is_asked_again(server: Server, passing: int) -> None:
    server.answers = [passing, passing, 201, 200]
    handled(event("create", server))
    assert server.said["Status"] == "SUCCESS"
    assert len(server.calls) == 6


def test_a_domain_that_never_gets_ready_fails_the_deployment_with_the_reason(server: Server) -> None:
    server.answers = [403]
    handled(event("create", server), patience=0.05)
    assert server.said["Status"] == "FAILED"
    assert server.said["Reason"] == f"OpenSearch did not take roles/{MEMBER}: 403 {{}}"
    assert server.said["PhysicalResourceId"] == PHYSICAL_ID


def test_a_domain_that_refuses_is_not_asked_again(server: Server) -> None:
    server.answers = [400]
    handled(event("create", server))
    assert len(server.calls) == 1
    assert server.said["Status"] == "FAILED"


def test_a_domain_that_cannot_be_reached_fails_the_deployment(server: Server) -> None:
    handled(event("create", server, Endpoint="http://127.0.0.1:9"), patience=0.05)
    assert server.said["Reason"] == f"OpenSearch did not take roles/{MEMBER}: NewConnectionError"


def test_another_definition_of_the_roles_is_refused(server: Server) -> None:
    handled(event("create", server, Definition=str(DEFINITION + 1)))
    assert server.calls == []
    assert server.said["Reason"] == f"This function knows definition {DEFINITION} of the roles, not {DEFINITION + 1}"


def test_what_nobody_expected_is_answered_too(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    given = event("create", server)
    del given["ResourceProperties"]["Members"]
    handled(given)
    assert (server.said["Status"], server.said["Reason"]) == (
        "FAILED",
        "Unexpected: KeyError. The log of this function says more.",
    )
    assert "KeyError: 'Members'" in caplog.text


def test_a_long_reason_is_cut_to_what_cloudformation_takes(server: Server) -> None:
    handled(event("create", server, Definition="9" * 5000))
    assert len(json.dumps(server.said)) < 4096


def test_an_answer_that_did_not_arrive_is_sent_again(server: Server) -> None:
    server.replies = [503, 503, 200]
    handled(event("delete", server))
    assert [body["Status"] for _, _, body in server.told] == ["SUCCESS"] * 3


@pytest.mark.parametrize("reachable", [True, False])
def test_the_url_of_the_answer_stands_in_no_log_and_no_error(
    server: Server, caplog: pytest.LogCaptureFixture, reachable: bool
) -> None:
    caplog.set_level(logging.DEBUG, "commonplace")
    server.answers, server.replies = [400], [403]
    given = event("create", server)
    if not reachable:
        given["ResponseURL"] = given["ResponseURL"].replace(server.url, "http://127.0.0.1:9")
    with pytest.raises(Failed) as raised:
        handled(given)
    said = f"{raised.value} {raised.value.__cause__} {caplog.text}"
    assert ("403" if reachable else "NewConnectionError") in said
    assert "Signature" not in said
    assert "X-Amz" not in said
    assert raised.value.__context__ is None


def test_the_roles_may_touch_the_indexes_of_the_service_and_no_other() -> None:
    for role in ROLES.values():
        (indexes,) = role["index_permissions"]
        assert indexes["index_patterns"] == ["commonplace-*"]
        # A star stands only behind a whole action, for its variants on shards, as in "bulk[s]".
        assert all(action.count("/") >= 1 and "/*" not in action for action in indexes["allowed_actions"])
        assert not any("*" in action for action in role["cluster_permissions"])
    service, operator = (ROLES[name]["index_permissions"][0]["allowed_actions"] for name in (MEMBER, OPERATOR))
    assert set(operator) - set(service) == {"indices:admin/delete"}


def test_the_handler_itself_answers_with_the_credentials_of_its_environment(server: Server) -> None:
    """In a process of its own, as Lambda runs it."""
    run = "import json, sys; from provision.handler import handler; handler(json.load(sys.stdin), None)"
    path = os.pathsep.join(str(ROOT / folder) for folder in ("shared", "functions"))
    variables = {
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "not-secret",
        "AWS_SESSION_TOKEN": "token-of-the-session",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", run],
        input=json.dumps(event("create", server)),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert server.said["Status"] == "SUCCESS"
    assert "/eu-central-1/es/aws4_request" in server.calls[0][1]["authorization"]
