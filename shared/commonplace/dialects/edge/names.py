"""The texts of a request: who a memory belongs to, and what it says."""

from collections.abc import Mapping

from commonplace.dialects.edge.blank import blank
from commonplace.model.errors import Invalid
from commonplace.model.values import Json

NAMES = ("organizationId", "subjectId", "agentId", "namespace")

MOST_NAME = 256
"""Bytes of a name as UTF-8."""

MOST_CONTENT = 50_000
"""Characters of a content."""


def told(body: Mapping[str, Json], name: str) -> str:
    """A text that must say something, to the letter. Raises ``Invalid``."""
    value = body.get(name)
    if value is None or (isinstance(value, str) and blank(value)):
        raise Invalid(f"{name} is required")
    if not isinstance(value, str):
        raise Invalid(f"{name} must be a string")
    return value


def fit(names: Mapping[str, str], content: str) -> None:
    """Raises ``Invalid`` for the first name that is too long, then for the content."""
    for name, value in names.items():
        if not short(value):
            raise Invalid(f"{name} must be at most {MOST_NAME} bytes")
    if len(content) > MOST_CONTENT:
        raise Invalid(f"content must be at most {MOST_CONTENT} characters")


def short(name: str) -> bool:
    """Whether a memory can carry this name. A query string may hold half of a surrogate pair, which no memory does."""
    try:
        return len(name.encode()) <= MOST_NAME
    except UnicodeEncodeError:
        return False
