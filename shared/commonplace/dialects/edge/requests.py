"""The bodies that write and search memories, and the core values that they ask for.

They are read by plain functions and not by models of pydantic: which check comes first, and the one message that it gives,
are the contract here. A model would check all fields, in its own order, and say what is wrong with each in its own words.
"""

from dataclasses import dataclass

from commonplace.dialects.edge import metadata, names
from commonplace.dialects.edge.body import read
from commonplace.dialects.edge.limit import limit
from commonplace.dialects.edge.names import short, told
from commonplace.dialects.edge.vector import vector
from commonplace.model.errors import Invalid
from commonplace.model.memory import Draft
from commonplace.model.scope import Scope

ORIGIN = "edge"

LEVEL = "user"
"""What every memory of this API is about: its subject."""

FOUND = 10
"""Memories of a search that does not say how many it wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """A memory that is to be written, and the organization that the caller must belong to."""

    organization: str
    draft: Draft


def creation(raw: bytes, most: int) -> Creation:
    """POST /v1/memories; ``most`` is the most dimensions that an embedding may have. Raises ``Malformed``, ``Invalid``."""
    body = read(raw)
    named = {name: told(body, name) for name in names.NAMES}
    content = told(body, "content")
    given = body.get("embedding")
    embedding = None if given is None else vector(given, "embedding", most)
    said = metadata.metadata(body.get("metadata"))
    names.fit(named, content)
    metadata.fit(said)
    organization, subject, agent, namespace = named.values()
    draft = Draft(
        content=content,
        agent=agent,
        origin=ORIGIN,
        scope=Scope(organization=organization, user=subject, project=namespace),
        metadata=said,
        level=LEVEL,
        label=subject,
        vector=embedding,
    )
    return Creation(organization=organization, draft=draft)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOrder:
    """What a search asks for: the memories nearest to a vector, or without one the most recent. A namespace that is None
    is any."""

    organization: str
    namespace: str | None
    vector: tuple[float, ...] | None
    limit: int

    @property
    def possible(self) -> bool:
        """Whether there can be such memories: names that are too long for a memory are no error here, but match none."""
        return short(self.organization) and short(self.namespace or "")


def search(raw: bytes, most: int) -> SearchOrder:
    """POST /v1/memories/search; ``most`` is as in ``creation``. Raises ``Malformed``, ``Invalid``."""
    body = read(raw)
    organization = told(body, "organizationId")
    given = body.get("queryEmbedding")
    # What JavaScript takes for false asks for no vector; an empty list is not among it, and false equals 0 here.
    embedding = None if given in (None, "", 0) else vector(given, "queryEmbedding", most)
    namespace = body.get("namespace")
    if not isinstance(namespace, str | None):
        raise Invalid("namespace must be a string")
    return SearchOrder(
        organization=organization,
        namespace=namespace or None,
        vector=embedding,
        limit=limit(body.get("limit"), FOUND),
    )
