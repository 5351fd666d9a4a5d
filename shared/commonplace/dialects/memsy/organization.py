"""Which organization a request is about: the caller's, whatever it says."""

from commonplace.dialects.memsy.query import Parameters, Query
from commonplace.model.errors import Foreign


def own(named: str | None, organization: str) -> str:
    """The caller's ``organization``, where a request names it or none. Raises ``Foreign``."""
    if named is not None and named != organization:
        raise Foreign
    return organization


def meant(query: Query, organization: str) -> str:
    """The organization of ``org_id`` in a query string. Raises ``Foreign``."""
    return own(Parameters(query).text("org_id"), organization)
