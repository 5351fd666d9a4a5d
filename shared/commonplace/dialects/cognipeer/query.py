"""Cognipeer's query strings."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from commonplace.dialects.cognipeer.fields import refused

Query: TypeAlias = Mapping[str, Sequence[str]]

MOST = 10**9
"""Nothing has so many items; a larger number is as good as this one."""

_DIGITS = re.compile("[0-9]+")


class Parameters:
    """The parameters of a query string: for each name all that were given, decoded and in order."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def has(self, name: str) -> bool:
        """Whether the parameter is there, be it empty."""
        return name in self._query

    def text(self, name: str) -> str | None:
        """A parameter; one that is empty is as if it were not there. Raises ``Invalid`` if it is there twice."""
        values = self._query.get(name, ())
        if len(values) > 1:
            raise refused(name, "must not be repeated")
        return _readable(name, values[0]) or None if values else None

    def tags(self) -> tuple[str, ...]:
        """The tags of all ``tags``, which stand between commas, without spaces around them and without empty ones."""
        pieces = ",".join(self._query.get("tags", ())).split(",")
        return tuple(dict.fromkeys(tag for piece in pieces if (tag := _readable("tags", piece.strip()))))

    def count(self, name: str, default: int) -> int:
        """A whole number from 0. Raises ``Invalid``."""
        if not self.has(name):
            return default
        value = self.text(name) or ""
        if not _DIGITS.fullmatch(value):
            raise refused(name, "must be a non-negative integer")
        return MOST if len(value.lstrip("0")) > len(str(MOST)) else min(int(value[-len(str(MOST)) :]), MOST)

    def moment(self, name: str) -> datetime | None:
        """A time in ISO 8601; without an offset it is UTC. Raises ``Invalid``."""
        value = self.text(name)
        return None if value is None else _moment(name, value)


def _moment(name: str, value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise refused(name, "must be an ISO 8601 date") from error


def _readable(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise refused(name, "must be valid Unicode") from error
    return value
