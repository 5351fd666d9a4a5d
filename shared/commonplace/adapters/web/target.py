"""The URL of a webhook, taken apart: one spelling is accepted, so that no two parsers can read two hosts from it."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

from commonplace.ports.world import Refused

MOST_URL = 2048
MOST_HOST = 253
MOST_PORT = 65_535
DEFAULT_PORTS = {"http": 80, "https": 443}
STRANGERS_PORTS = {443, 8443}

# An authority with an "@", a backslash, a scope id or anything else that two parsers may read in two ways does not match.
_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[^\[\]@:/?#%]+))(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?",
    re.IGNORECASE | re.ASCII,
)
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


def refused() -> Refused:
    """The error for a URL that may not be called. It gives no reason, which would tell strangers of the network."""
    return Refused("The URL may not be called")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. ``path`` holds the query; ``host`` is ASCII, without brackets and without a final dot."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str, *, private_targets: bool) -> Target:
    """The parts of a URL that is spelt in the one way we accept.

    Raises ``Refused`` for any other, and, without ``private_targets``, for all but HTTPS to one of ``STRANGERS_PORTS``.
    The host is not resolved.
    """
    match = _URL.fullmatch(url)
    # "printable" leaves out control characters, surrogates, and every separator but the space.
    if match is None or len(url) > MOST_URL or not url.isprintable() or " " in url or "\\" in url:
        raise refused()
    scheme = match["scheme"].lower()
    port = int(match["port"] or DEFAULT_PORTS[scheme])
    host = _six(match["six"]) if match["six"] else _name(match["name"])
    strangers = scheme == "https" and port in STRANGERS_PORTS
    if not (strangers or (private_targets and 0 < port <= MOST_PORT)):
        raise refused()
    return Target(scheme, host, port, (match["path"] or "/") + (match["query"] or ""))


def _six(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError as error:
        raise refused() from error


def _name(text: str) -> str:
    """The host as the resolver gets it. Numbers in odd spellings stay: the resolver says which address they mean."""
    try:
        name = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise refused() from error
    if len(name) > MOST_HOST or not _NAME.fullmatch(name):
        raise refused()
    return name
