"""The query string of a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commonplace.dialects.edge.limit import limit
from commonplace.dialects.edge.names import short, told

LISTED = 25
"""Memories of a list that does not say how many it wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which memories a list asks for; a namespace that is None is any."""

    organization: str
    namespace: str | None
    limit: int

    @property
    def possible(self) -> bool:
        """Whether there can be such memories: names that are too long for a memory are no error here, but match none."""
        return short(self.organization) and short(self.namespace or "")


def listing(lists: Mapping[str, Sequence[str]]) -> Listing:
    """The query string of GET /v1/memories: of a parameter that is repeated, the first counts. Raises ``Invalid``."""
    given = {name: values[0] for name, values in lists.items() if values}
    return Listing(
        organization=told(given, "organizationId"),
        namespace=given.get("namespace") or None,
        limit=limit(given.get("limit"), LISTED),
    )
