import fcntl
import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from commonplace.settings import VARIABLES
from engines.__main__ import greeting
from engines.assembly import assemble, home, key
from engines.catalog import POM, Engine, Launch, OpenSearch, catalog, pinned
from engines.errors import EngineError, NoJava, NotAssembled, NotStarted
from engines.java import Java, Span, feature_version, installed, suitable
from engines.running import running
from real_engines import RealEngines, Untested
from template_document import ROOT

JAVA_17 = Java(17, Path("/java-17"))
OPENSEARCH_2 = catalog()["opensearch-2"]
TREE = ET.parse(POM)  # noqa: S314 - a file of this project


def java_at(folder: Path, version: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    (folder / "release").write_text(f'IMPLEMENTOR="Debian"\nJAVA_VERSION="{version}"\nOS_NAME="Linux"\n')
    return folder


# Java


@pytest.mark.parametrize(("text", "version"), [("17.0.15", 17), ("21", 21), ("25-ea", 25), ("1.8.0_402", 8)])
def test_the_feature_version_of_a_java_is_read(text: str, version: int) -> None:
    assert feature_version(text) == version


def test_what_is_no_version_of_java_is_refused() -> None:
    with pytest.raises(ValueError, match="no version"):
        feature_version("unknown")


def test_java_home_comes_first_then_the_path_then_the_folders_by_version(tmp_path: Path) -> None:
    named, on_path = java_at(tmp_path / "named", "23.0.1"), java_at(tmp_path / "on-path", "22")
    new, old = java_at(tmp_path / "jvm" / "a-new-one", "25.0.3"), java_at(tmp_path / "jvm" / "old", "17.0.15")
    environment = {"JAVA_HOME": str(named), "PATH": str(on_path / "bin")}
    assert installed(environment, [tmp_path / "jvm", tmp_path / "not-there"]) == (
        Java(23, named),
        Java(22, on_path),
        Java(17, old),
        Java(25, new),
    )


def test_a_java_that_is_found_in_several_ways_counts_once(tmp_path: Path) -> None:
    real = java_at(tmp_path / "jvm" / "java-17", "17.0.15")
    (tmp_path / "jvm" / "default").symlink_to(real)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(real / "bin" / "java")
    environment = {"JAVA_HOME": str(tmp_path / "jvm" / "default"), "PATH": str(tmp_path / "bin")}
    assert installed(environment, [tmp_path / "jvm"]) == (Java(17, real),)


def test_a_folder_without_a_program_or_without_a_version_is_no_java(tmp_path: Path) -> None:
    (java_at(tmp_path / "jvm" / "no-program", "17") / "bin" / "java").unlink()
    (java_at(tmp_path / "jvm" / "no-release", "17") / "release").unlink()
    (java_at(tmp_path / "jvm" / "no-version", "17") / "release").write_text('IMPLEMENTOR="Debian"\n')
    assert installed({"PATH": ""}, [tmp_path / "jvm"]) == ()


def test_the_first_java_that_an_engine_runs_on_is_taken(tmp_path: Path) -> None:
    named, right = java_at(tmp_path / "named", "11.0.2"), java_at(tmp_path / "jvm" / "right", "17")
    java_at(tmp_path / "jvm" / "later", "21")
    environment = {"JAVA_HOME": str(named), "PATH": ""}
    assert suitable("OpenSearch", Span(17, 23), environment, [tmp_path / "jvm"]) == Java(17, right)


def test_a_missing_java_is_told_with_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(NoJava, match=r"OpenSearch needs Java 21 or later; there is no Java$"):
        suitable("OpenSearch", Span(21), {"PATH": ""}, [tmp_path])
    java_at(tmp_path / "25", "25")
    java_at(tmp_path / "11", "11")
    with pytest.raises(NoJava, match=r"OpenSearch needs Java 17 to 23; there is only Java 11, 25$"):
        suitable("OpenSearch", Span(17, 23), {"PATH": ""}, [tmp_path])


# What they are made of


def test_everything_that_maven_fetches_has_one_exact_version() -> None:
    known = pinned()
    fetched = [each for kind in ("artifactItem", "dependency", "plugin") for each in TREE.iterfind(f".//{{*}}{kind}")]
    versions = [each.findtext("{*}version") or "" for each in fetched]
    exact = [re.sub(r"\$\{([a-z0-9-]+)\}", lambda match: known[match[1]], version) for version in versions]
    assert len(exact) > len(known)
    assert [version for version in exact if not re.fullmatch(r"\d+(\.\d+)+", version)] == []


def test_the_pom_names_no_repository() -> None:
    assert [each.tag for each in TREE.iter() if re.search("repositor|url", each.tag, re.IGNORECASE)] == []


def test_every_goal_of_an_engine_stands_in_the_pom() -> None:
    executions = {
        f"{execution.findtext('{*}goals/{*}goal')}@{execution.findtext('{*}id')}"
        for execution in TREE.iterfind(".//{*}execution")
    }
    assert {goal for engine in catalog().values() for goal in engine.goals} == executions


def test_the_containers_are_of_the_same_versions() -> None:
    services = yaml.safe_load((ROOT / "infra" / "local" / "compose.yaml").read_text("utf-8"))["services"]
    assert [service["image"] for service in services.values()] == [
        f"opensearchproject/opensearch:{pinned()['opensearch-2']}",
        f"amazon/dynamodb-local:{pinned()['dynamodb-local']}",
    ]
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service["ports"])


def test_every_setting_that_make_engines_names_is_one_of_the_service() -> None:
    assigned = re.findall(r"export (COMMONPLACE_(?!TEST_)\w+)=", greeting("http://o", "http://d"))
    assert assigned
    assert set(assigned) <= set(VARIABLES.values())


# Assembling


class Maven:
    """Brings one file, and counts."""

    def __init__(self) -> None:
        self.calls: list[Sequence[str]] = []

    def __call__(self, goals: Sequence[str], target: Path) -> None:
        self.calls.append(goals)
        folder = target / OPENSEARCH_2.folder
        folder.mkdir(parents=True)
        (folder / "engine.jar").write_text("whole")


def test_an_engine_is_fetched_once_and_gets_its_own_files(tmp_path: Path) -> None:
    maven = Maven()
    first = assemble(OPENSEARCH_2, tmp_path, fetch=maven)
    second = assemble(OPENSEARCH_2, tmp_path, fetch=maven)
    assert first == second == home(OPENSEARCH_2, tmp_path)
    assert maven.calls == [OPENSEARCH_2.goals]
    assert (first / "engine.jar").read_text() == "whole"
    assert {path: (first / path).read_text() for path in OPENSEARCH_2.files} == OPENSEARCH_2.files
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["lock", first.name])


def test_what_an_interrupted_run_left_is_not_taken_for_an_engine(tmp_path: Path) -> None:
    def interrupted(_goals: Sequence[str], target: Path) -> None:
        folder = target / OPENSEARCH_2.folder
        folder.mkdir(parents=True)
        (folder / "half.jar").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        assemble(OPENSEARCH_2, tmp_path, fetch=interrupted)
    assert not home(OPENSEARCH_2, tmp_path).exists()
    whole = assemble(OPENSEARCH_2, tmp_path, fetch=Maven())
    assert (whole / "engine.jar").exists()
    assert not (whole / "half.jar").exists()


def test_an_engine_that_maven_did_not_bring_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotAssembled, match=OPENSEARCH_2.folder):
        assemble(OPENSEARCH_2, tmp_path, fetch=lambda _goals, target: target.mkdir())
    assert not home(OPENSEARCH_2, tmp_path).exists()


def test_a_missing_maven_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotAssembled, match=r"there is no Maven \(mvn\) on the PATH"):
        assemble(OPENSEARCH_2, tmp_path / "cache")


def test_what_maven_said_when_it_failed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mvn"
    program.write_text('#!/bin/sh\necho "no route to $6"; exit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotAssembled, match=r"no route to org.apache.maven.plugins:.*:unpack@opensearch-2"):
        assemble(OPENSEARCH_2, tmp_path / "cache")


def test_only_one_process_at_a_time_fetches(tmp_path: Path) -> None:
    def held(goals: Sequence[str], target: Path) -> None:
        with (tmp_path / "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        Maven()(goals, target)

    assert assemble(OPENSEARCH_2, tmp_path, fetch=held).is_dir()


def test_who_waited_for_another_process_takes_what_that_made(tmp_path: Path) -> None:
    maven = Maven()
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=assemble, args=(OPENSEARCH_2, tmp_path), kwargs={"fetch": maven})
        waiting.start()
        home(OPENSEARCH_2, tmp_path).mkdir()
    waiting.join()
    assert maven.calls == []


def test_a_changed_pom_or_file_makes_another_engine(tmp_path: Path) -> None:
    pom = tmp_path / "pom.xml"
    pom.write_text(POM.read_text("utf-8").replace("<asm>9.7</asm>", "<asm>9.8</asm>"))
    changed = replace(OPENSEARCH_2, files={**OPENSEARCH_2.files, "config/opensearch.yml": "cluster.name: other\n"})
    assert len({key(OPENSEARCH_2), key(OPENSEARCH_2, pom), key(changed)}) == 3
    assert key(catalog()["opensearch-2"]) == key(OPENSEARCH_2)


# Running


class Script(OpenSearch):
    """A script in the place of an engine; it answers when it wrote the file ``ready``."""

    __slots__ = ()

    def launch(self, place: Path, java: Java) -> Launch:
        ready = place / "ready"
        command = ("/bin/sh", str(place / "engine.sh"))
        return Launch(command, {"JAVA": str(java.home)}, lambda: str(ready) if ready.exists() else None)

    def answers(self, url: str) -> bool:
        return Path(url).read_text().endswith("\n")


def script(folder: Path, text: str) -> tuple[Engine, Path]:
    folder.mkdir(mode=0o700)  # as a project that only its owner can read
    (folder / "engine.sh").write_text(text)
    (folder / "engine.sh").chmod(0o600)
    return Script("Script", "script", "1", Span(17), (), "script-1"), folder


def test_an_engine_runs_on_a_copy_as_somebody_else_than_root_and_leaves_nothing(tmp_path: Path) -> None:
    engine, folder = script(tmp_path / "home", 'mkdir data; echo "$(id -u) $$ $JAVA" > ready; exec sleep 600\n')
    with running(engine, folder, JAVA_17) as url:
        user, process, java = Path(url).read_text().split()
        assert user == str(os.geteuid() or 65534)
        assert java == "/java-17"
        os.kill(int(process), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)
    assert not Path(url).parent.exists()
    assert [path.name for path in folder.iterdir()] == ["engine.sh"]


def test_an_engine_that_ends_by_itself_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    engine, folder = script(tmp_path / "home", "echo no heap >&2; exit 3\n")
    with pytest.raises(NotStarted, match="no heap"), running(engine, folder, JAVA_17):
        pass


def test_an_engine_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    _, folder = script(tmp_path / "home", "")
    with pytest.raises(NotStarted, match="bin/opensearch"), running(OPENSEARCH_2, folder, JAVA_17):
        pass


def test_a_real_opensearch_has_the_vectors_and_the_scripts(opensearch_url: str) -> None:
    with urllib.request.urlopen(f"{opensearch_url}/_nodes/plugins", timeout=10) as response:
        (node,) = json.loads(response.read())["nodes"].values()
    assert "opensearch-knn" in {plugin["name"] for plugin in node["plugins"]}
    assert {"lang-painless", "analysis-common"} <= {module["name"] for module in node["modules"]}


# What the tests do without them


class Machine:
    """A machine on which everything works but for what is said."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        java: EngineError | None = None,
        maven: EngineError | None = None,
        start: EngineError | None = None,
    ) -> None:
        self.java, self.maven, self.start = java, maven, start
        self.events: list[str] = []
        self.stack = ExitStack()
        self.engines = RealEngines(
            environment, self.stack, find=self._find, put_together=self._assemble, start=self._start
        )

    def _find(self, _engine: Engine, _environment: Mapping[str, str]) -> Java:
        if self.java is not None:
            raise self.java
        return JAVA_17

    def _assemble(self, engine: Engine) -> Path:
        if self.maven is not None:
            raise self.maven
        return Path(engine.folder)

    @contextmanager
    def _start(self, engine: Engine, _home: Path, _java: Java) -> Iterator[str]:
        if self.start is not None:
            raise self.start
        self.events.append(f"{engine.part} started")
        yield f"http://{engine.part}"
        self.events.append(f"{engine.part} ended")


@pytest.mark.parametrize("policy", ["", "auto", "required"])
def test_an_engine_is_started_once_when_it_is_asked_for_and_ends_with_the_session(policy: str) -> None:
    machine = Machine({"COMMONPLACE_TEST_ENGINES": policy})
    with machine.stack:
        assert machine.events == []
        assert {machine.engines.url("dynamodb-local") for _ in range(3)} == {"http://dynamodb-local"}
        assert machine.events == ["dynamodb-local started"]
    assert machine.events == ["dynamodb-local started", "dynamodb-local ended"]
    assert machine.engines.untested == {}


@pytest.mark.parametrize(
    ("policy", "java", "maven"),
    [
        ("auto", NoJava("no Java"), None),
        ("auto", None, NotAssembled("no Maven")),
        ("none", None, None),
    ],
)
def test_what_cannot_or_shall_not_be_tested_is_skipped_and_told(
    policy: str, java: EngineError | None, maven: EngineError | None
) -> None:
    machine = Machine({"COMMONPLACE_TEST_ENGINES": policy}, java=java, maven=maven)
    for _ in range(2):
        with pytest.raises(Untested):
            machine.engines.url("opensearch-2")
    assert machine.engines.untested == {OPENSEARCH_2.name: str(java or maven or "COMMONPLACE_TEST_ENGINES is none")}
    assert machine.events == []


@pytest.mark.parametrize(
    ("java", "maven"), [(NoJava("no Java"), None), (None, NotAssembled("no Maven"))], ids=["java", "maven"]
)
def test_what_is_required_and_missing_is_an_error(java: EngineError | None, maven: EngineError | None) -> None:
    machine = Machine({"COMMONPLACE_TEST_ENGINES": "required"}, java=java, maven=maven)
    with pytest.raises(EngineError, match=r"no (Java|Maven)"):
        machine.engines.url("opensearch-2")
    assert machine.engines.untested == {}


def test_the_engine_that_wants_a_newer_java_is_required_only_where_that_is() -> None:
    without = Machine({"COMMONPLACE_TEST_ENGINES": "required"}, java=NoJava("only Java 17"))
    with pytest.raises(Untested, match="only Java 17"):
        without.engines.url("opensearch-3")
    assert list(without.engines.untested.values()) == ["only Java 17"]
    broken = Machine({"COMMONPLACE_TEST_ENGINES": "required"}, maven=NotAssembled("no Maven"))
    with pytest.raises(NotAssembled):
        broken.engines.url("opensearch-3")


@pytest.mark.parametrize("policy", ["auto", "required"])
def test_an_engine_that_is_there_and_does_not_start_is_an_error(policy: str) -> None:
    machine = Machine({"COMMONPLACE_TEST_ENGINES": policy}, start=NotStarted("no heap"))
    for _ in range(2):
        with pytest.raises(NotStarted, match="no heap"):
            machine.engines.url("opensearch-3")


def test_an_unknown_policy_is_an_error() -> None:
    with pytest.raises(EngineError, match="must be one of auto, none, required, not 'maybe'"):
        Machine({"COMMONPLACE_TEST_ENGINES": "maybe"}).engines.url("dynamodb-local")


def test_a_running_engine_is_used_instead_of_starting_one() -> None:
    machine = Machine({"COMMONPLACE_TEST_DYNAMODB": "http://127.0.0.1:8000/"})
    assert machine.engines.url("dynamodb-local") == "http://127.0.0.1:8000"
    assert machine.events == []


def test_a_running_opensearch_stands_for_its_own_major_version(opensearch_url: str) -> None:
    machine = Machine({"COMMONPLACE_TEST_OPENSEARCH": opensearch_url})
    with urllib.request.urlopen(opensearch_url, timeout=10) as response:
        major = json.loads(response.read())["version"]["number"].partition(".")[0]
    other = {"2": "3", "3": "2"}[major]
    assert machine.engines.url(f"opensearch-{major}") == opensearch_url
    with pytest.raises(Untested, match=rf"COMMONPLACE_TEST_OPENSEARCH is OpenSearch {major}\."):
        machine.engines.url(f"opensearch-{other}")
    assert machine.events == []


def test_a_given_opensearch_that_does_not_answer_is_an_error() -> None:
    machine = Machine({"COMMONPLACE_TEST_OPENSEARCH": "http://127.0.0.1:1"})
    with pytest.raises(EngineError, match="no OpenSearch answers"):
        machine.engines.url("opensearch-2")


def test_what_was_not_tested_stands_at_the_end_of_the_report() -> None:
    chosen = ["tests/contract/test_table.py", "-k", "never_written and dynamodb-local"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *chosen],
        cwd=ROOT,
        env={**os.environ, "COMMONPLACE_TEST_ENGINES": "none"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    *_, title, line, counts = done.stdout.splitlines()
    assert "NOT TESTED ON REAL ENGINES" in title
    assert line == f"{catalog()['dynamodb-local'].name}: COMMONPLACE_TEST_ENGINES is none"
    assert counts.startswith("1 skipped")
