"""The engines: of what each is made, on which Java it runs, how it is started and when it answers."""

import socket
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engines.java import Java, Span

POM = Path(__file__).with_name("pom.xml")
ANSWER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Launch:
    """How a copy of an engine is started; ``url`` gives its address as soon as that is known."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    url: Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class Engine(ABC):
    """An engine. ``part`` names its version among the properties of pom.xml, and the first of its ``goals``."""

    title: str
    part: str
    version: str
    java: Span
    goals: tuple[str, ...]
    """What Maven is to do for it."""

    folder: str
    """The folder into which Maven puts it."""

    files: Mapping[str, str] = field(default_factory=dict)
    """Texts that belong into its folder, by their path there."""

    @property
    def name(self) -> str:
        """What a reader knows it by, as in ``OpenSearch 2.19.1``."""
        return f"{self.title} {self.version}"

    @abstractmethod
    def launch(self, place: Path, java: Java) -> Launch:
        """How to start the copy at ``place``."""

    @abstractmethod
    def answers(self, url: str) -> bool:
        """Whether it does at that address."""


class OpenSearch(Engine):
    """One node, on a port of its own choice."""

    __slots__ = ()

    def launch(self, place: Path, java: Java) -> Launch:
        """Its own script starts it, since that knows which options which Java needs."""
        ports = place / "logs" / "http.ports"

        def url() -> str | None:
            lines = ports.read_text(encoding="utf-8").splitlines() if ports.exists() else []
            return f"http://{lines[0]}" if lines else None

        variables = {"OPENSEARCH_JAVA_HOME": str(java.home), "OPENSEARCH_TMPDIR": str(place / "tmp")}
        return Launch((str(place / "bin" / "opensearch"),), variables, url)

    def answers(self, url: str) -> bool:
        """Once the node is the master of its cluster of one."""
        return _status(f"{url}/_cluster/health?cluster_manager_timeout=1s") == 200  # noqa: PLR2004 - HTTP's own number


class DynamoDbLocal(Engine):
    """In memory, with the same tables for every region and every credential."""

    __slots__ = ()

    def launch(self, place: Path, java: Java) -> Launch:
        """It cannot choose a port by itself, and listens on all addresses of the machine."""
        port = _free_port()
        command = (
            str(java.home / "bin" / "java"),
            "-Xmx256m",
            f"-Djava.library.path={place}",
            f"-Djava.io.tmpdir={place / 'tmp'}",
            *("-cp", f"{place}/*", "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"),
            *("-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)),
        )
        return Launch(command, {}, lambda: f"http://127.0.0.1:{port}")

    def answers(self, url: str) -> bool:
        """Even if only by refusing a request without a signature."""
        return _status(url) is not None


def catalog(pom: Path = POM) -> dict[str, Engine]:
    """The engines in the versions of the pom, by their part."""
    versions = pinned(pom)
    engines = (
        # Java 24 has no security manager any more, without which OpenSearch 2 does not start.
        _opensearch("opensearch-2", versions["opensearch-2"], Span(17, 23), "Plugin"),
        _opensearch("opensearch-3", versions["opensearch-3"], Span(21), "ModulePlugin"),
        DynamoDbLocal(
            "DynamoDB Local",
            "dynamodb-local",
            versions["dynamodb-local"],
            Span(17),
            ("copy-dependencies@dynamodb-local",),
            f"dynamodb-local-{versions['dynamodb-local']}",
        ),
    )
    return {engine.part: engine for engine in engines}


def pinned(pom: Path = POM) -> dict[str, str]:
    """The properties of a pom: what stands in which version."""
    properties = ET.parse(pom).getroot().find("{*}properties")  # noqa: S314 - a file of this project
    return {} if properties is None else {each.tag.partition("}")[2]: (each.text or "").strip() for each in properties}


def _opensearch(part: str, version: str, java: Span, plugin: str) -> OpenSearch:
    painless, analysis = "modules/lang-painless", "modules/analysis-common"
    files = {
        "config/opensearch.yml": _OPENSEARCH_YML,
        "config/jvm.options.d/heap.options": "-Xms512m\n-Xmx512m\n",
        f"{painless}/plugin-descriptor.properties": _descriptor(
            "lang-painless", version, java, f"org.opensearch.painless.Painless{plugin}", ""
        ),
        f"{painless}/plugin-security.policy": _PAINLESS_POLICY,
        f"{analysis}/plugin-descriptor.properties": _descriptor(
            "analysis-common", version, java, f"org.opensearch.analysis.common.CommonAnalysis{plugin}", "lang-painless"
        ),
    }
    goals = (f"unpack@{part}", f"copy@{part}-modules")
    return OpenSearch("OpenSearch", part, version, java, goals, f"opensearch-{version}", files)


_OPENSEARCH_YML = """\
cluster.name: commonplace
discovery.type: single-node
network.host: 127.0.0.1
http.port: 0
transport.port: 0
# Writes the port that it got into logs/http.ports.
node.portsfile: true
# A full disk of the developer would make every index read-only.
cluster.routing.allocation.disk.threshold_enabled: false
"""

_PAINLESS_POLICY = """\
grant {
  permission java.lang.RuntimePermission "createClassLoader";
  permission java.lang.RuntimePermission "getClassLoader";
  permission org.opensearch.script.ClassPermission "<<STANDARD>>";
};
"""


def _descriptor(name: str, version: str, java: Span, classname: str, extends: str) -> str:
    return f"""\
name={name}
description={name} as a module, put together by Commonplace
version={version}
opensearch.version={version}
java.version={java.oldest}
classname={classname}
extended.plugins={extends}
custom.foldername=
has.native.controller=false
"""


def _status(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as response:  # noqa: S310 - an address of our own making
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
