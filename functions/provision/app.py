"""A custom resource of CloudFormation: the roles of the service inside the OpenSearch domain.

Fine-grained access control knows IAM roles only by what its own API was told, which CloudFormation cannot speak to.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

log = logging.getLogger("commonplace.provision")

DEFINITION = 1
"""The number of ``ROLES``. CloudFormation asks again only if a property of the resource has changed; this is one."""

MEMBER, OPERATOR = "commonplace", "commonplace_operator"

_DOCUMENTS = [
    "indices:data/read/search*",
    "indices:data/write/bulk*",
    "indices:data/write/delete*",
    "indices:data/write/index*",
    "indices:admin/aliases",
    "indices:admin/aliases/get",
    "indices:admin/create",
    "indices:admin/mappings/get",
]

ROLES: Mapping[str, Mapping[str, Any]] = {
    # A bulk and a search of several parts are asked of the cluster, and then of each index that they name.
    MEMBER: {
        "cluster_permissions": ["indices:data/read/msearch", "indices:data/write/bulk"],
        "index_permissions": [{"index_patterns": ["commonplace-*"], "allowed_actions": _DOCUMENTS}],
    },
    # Whoever rebuilds an index also drops the old one.
    OPERATOR: {
        "cluster_permissions": ["indices:data/read/msearch", "indices:data/write/bulk"],
        "index_permissions": [
            {"index_patterns": ["commonplace-*"], "allowed_actions": [*_DOCUMENTS, "indices:admin/delete"]}
        ],
    },
}
"""What the functions, and those who rebuild the index, may do there, in the words of OpenSearch's security API."""

PHYSICAL_ID = "commonplace-index-access"
"""Always the same: with another one CloudFormation would take the resource for replaced, and delete the old one."""

MOST_REASON = 1000
"""Characters of a reason: an answer has room for 4,096 bytes (AWS CloudFormation, "Custom resource response objects")."""


class Failed(Exception):
    """What was asked for was not done; the text says why, to whoever deploys."""


class Cluster(Protocol):
    """A domain's security API."""

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        """Writes ``body`` under ``/_plugins/_security/api/<path>``. Raises ``Failed``."""


class Reply(Protocol):
    """The URL that CloudFormation waits at."""

    def __call__(self, url: str, body: Mapping[str, Any]) -> None:
        """Sends the answer. Raises ``Failed``, without the URL: who knows it can answer."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who belongs to which role: ARNs of IAM roles."""

    endpoint: str
    members: Sequence[str]
    operators: Sequence[str]


def answer(event: Mapping[str, Any], connect: Callable[[str], Cluster], reply: Reply) -> None:
    """Does what an event of CloudFormation asks for, and says so at the URL that it names, whatever happens.

    ``connect`` gives the cluster of an endpoint. Deletion leaves the roles, as the domain is left. Raises ``Failed`` if
    CloudFormation could not be answered; Lambda then hands the event over again.
    """
    reason: str | None = None
    try:
        if event["RequestType"] != "Delete":
            grant(wanted(event), connect)
    except Failed as error:
        reason = str(error)
        log.error("not done", extra={"reason": reason})  # noqa: TRY400 - the reason says all; the trace, nothing
    except Exception as error:
        reason = f"Unexpected: {type(error).__name__}. The log of this function says more."
        log.exception("failed unexpectedly")
    body = {
        "Status": "SUCCESS" if reason is None else "FAILED",
        "PhysicalResourceId": event.get("PhysicalResourceId", PHYSICAL_ID),
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    reply(event["ResponseURL"], body if reason is None else {**body, "Reason": reason[:MOST_REASON]})


def wanted(event: Mapping[str, Any]) -> Access:
    """What the properties of the resource ask for. Raises ``Failed`` for those of another version of this function."""
    properties = event["ResourceProperties"]
    if str(properties["Definition"]) != str(DEFINITION):
        raise Failed(f"This function knows definition {DEFINITION} of the roles, not {properties['Definition']}")
    # CloudFormation leaves out a list of which nothing is left.
    return Access(properties["Endpoint"], properties["Members"], properties.get("Operators") or [])


def grant(access: Access, connect: Callable[[str], Cluster]) -> None:
    """Writes the roles and who belongs to them; what was there under their names is gone. Raises ``Failed``."""
    cluster = connect(access.endpoint)
    for role, arns in ((MEMBER, access.members), (OPERATOR, access.operators)):
        cluster.put(f"roles/{role}", ROLES[role])
        cluster.put(f"rolesmapping/{role}", {"backend_roles": list(arns)})
    log.info("roles written", extra={"members": len(access.members), "operators": len(access.operators)})


def encoded(body: Mapping[str, Any]) -> bytes:
    """A body as it is sent."""
    return json.dumps(body).encode()
