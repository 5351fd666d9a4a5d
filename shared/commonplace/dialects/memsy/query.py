"""Memsy's query strings."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias, TypeVar

from commonplace.dialects.memsy.refusal import refused
from commonplace.dialects.memsy.texts import MOST_NAME, cleaned, encodable

Query: TypeAlias = Mapping[str, str]

Choice = TypeVar("Choice", bound=StrEnum)

MOST_OFFSET = 10**9
"""Nothing has so many items."""

_DIGITS = re.compile("[0-9]{1,20}")


class Parameters:
    """The parameters of a query string. Each method gives one of them or refuses it with ``Invalid``."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def text(self, name: str) -> str | None:
        """A text; one that is empty is as if it were not there."""
        value = self._query.get(name, "")
        if not encodable(value):
            raise refused(name, "must be valid Unicode")
        return cleaned(value) or None

    def named(self, name: str) -> str | None:
        """A text that must say something if it is there: where it was overlooked, more would be shown than was meant."""
        text = self.text(name)
        if name in self._query and not (text or "").strip():
            raise refused(name, "must not be blank")
        if text is not None and len(text) > MOST_NAME:
            raise refused(name, f"must not have more than {MOST_NAME} characters")
        return text

    def choice(self, name: str, default: Choice) -> Choice:
        """One of the words of a kind."""
        kind = type(default)
        try:
            return kind(self._query.get(name, default))
        except ValueError as error:
            raise refused(name, f"must be one of {', '.join(kind)}") from error

    def limit(self, default: int, most: int) -> int:
        """How many items at most; at least one."""
        return self._whole("limit", default, 1, most)

    def offset(self) -> int:
        """How many items to leave out."""
        return self._whole("offset", 0, 0, MOST_OFFSET)

    def _whole(self, name: str, default: int, least: int, most: int) -> int:
        value = self._query.get(name)
        if value is None:
            return default
        if not _DIGITS.fullmatch(value) or not least <= int(value) <= most:
            raise refused(name, f"must be a whole number from {least} to {most}")
        return int(value)
