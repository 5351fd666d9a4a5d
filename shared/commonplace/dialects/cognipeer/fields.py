"""Reading Cognipeer's bodies field by field: its checks have an order and words of their own, and the first one that
fails is what the caller is told."""

import json
from collections.abc import Sequence

from commonplace.model.errors import Invalid, Malformed, Problem
from commonplace.model.values import Json, deeper

# The API knows no limits of length. Ours keep a memory and what is counted with it in one row (DynamoDB: 400 KB).

MOST_CONTENT = 128 * 1024
"""Bytes of a content as UTF-8."""

MOST_OBJECT = 64 * 1024
"""Bytes of metadata, or of a store's configuration, as compact UTF-8 JSON."""

MOST_TAGS = 16 * 1024
"""Bytes of a memory's tags, or of those that are searched for, as compact UTF-8 JSON."""

MOST_DEPTH = 64
"""Levels of nesting in metadata and configuration."""

MOST_QUERY = 40 * 1024
"""Bytes of a query as UTF-8."""

MOST_NAME = 1024
"""Bytes of a store's name as UTF-8. Its key, which stands in every path, may be a few times as long."""

MOST_DESCRIPTION = 16 * 1024
"""Bytes of a store's description as UTF-8."""

MOST_TEXT = 4 * 1024
"""Bytes of any other text as UTF-8."""


class Fields:
    """A JSON object that is being read. Each method gives one field or refuses it with ``Invalid``; None is a field that
    is not there, or is null. Fields that nobody asks for do not matter. ``within`` stands before names in messages."""

    def __init__(self, body: Json, within: str = "") -> None:
        """Raises ``Malformed`` for what is no object."""
        if not isinstance(body, dict):
            raise Malformed("Invalid JSON body")
        self._body = body
        self._within = within

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return self._body.get(name) is not None

    def required(self, name: str, most: int = MOST_TEXT) -> str:
        """A text that must be there and say something."""
        value = self._body.get(name)
        if not isinstance(value, str) or blank(value):
            raise self._refused(name, "is required")
        return self._text(name, value, most)

    def told(self, name: str, most: int = MOST_TEXT) -> str | None:
        """A text that must say something if it is there."""
        return self.required(name, most) if self.has(name) else None

    def text(self, *names: str, most: int = MOST_TEXT) -> str | None:
        """A text. Of several names for it the first that is there counts."""
        name = self._name(names)
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._refused(name, "must be a string")
        return self._text(name, value, most)

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """One of a few words."""
        value = self._body.get(name)
        if value is not None and value not in choices:
            raise self._refused(name, f"must be one of {', '.join(choices)}")
        return next((word for word in choices if word == value), None)

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of texts."""
        value = self._body.get(name)
        if value is None:
            return None
        texts = [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
        if not isinstance(value, list) or len(texts) < len(value):
            raise self._refused(name, "must be an array of strings")
        if self._size(name, value) > MOST_TAGS:
            raise self._refused(name, f"must not have more than {MOST_TAGS} bytes")
        return tuple(texts)

    def array(self, name: str) -> list[Json]:
        """A list of anything; empty if it is not there, or is no list."""
        value = self._body.get(name)
        return value if isinstance(value, list) else []

    def number(self, *names: str) -> int | float | None:
        """A number. Of several names for it the first that is there counts."""
        name = self._name(names)
        value = self._body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refused(name, "must be a number")
        return value

    def share(self, name: str) -> float | None:
        """A number from 0 to 1."""
        value = self.number(name)
        if value is None:
            return None
        if not 0 <= value <= 1:
            raise self._refused(name, "must be a number from 0 to 1")
        return float(value)

    def whole(self, *names: str) -> int | None:
        """A whole number, however it is written. Of several names for it the first that is there counts."""
        value = self.number(*names)
        if value is None:
            return None
        if value != int(value):
            raise self._refused(self._name(names), "must be a whole number")
        return int(value)

    def flag(self, name: str) -> bool | None:
        """A truth value."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._refused(name, "must be true or false")
        return value

    def object(self, name: str) -> dict[str, Json] | None:
        """A free object."""
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._refused(name, "must be an object")
        if deeper(value, MOST_DEPTH):
            raise self._refused(name, f"must not be nested deeper than {MOST_DEPTH} levels")
        if self._size(name, value) > MOST_OBJECT:
            raise self._refused(name, f"must not have more than {MOST_OBJECT} bytes")
        return value

    def _name(self, names: Sequence[str]) -> str:
        return next((name for name in names if self.has(name)), names[0])

    def _text(self, name: str, value: str, most: int) -> str:
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            raise self._refused(name, "must be valid Unicode") from error
        if size > most:
            raise self._refused(name, f"must not have more than {most} bytes")
        return value

    def _size(self, name: str, value: Json) -> int:
        try:
            return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
        except UnicodeEncodeError as error:
            raise self._refused(name, "must be valid Unicode") from error

    def _refused(self, name: str, message: str) -> Invalid:
        return refused(self._within + name, message)


def refused(field: str, message: str) -> Invalid:
    """One problem with one field, said as a sentence that begins with its name."""
    return Invalid(f"{field} {message}", (Problem(field, message),))


def blank(text: str) -> bool:
    """Whether a text says nothing: white space in the sense of Unicode or of ECMAScript (which counts U+FEFF)."""
    return not text.replace("\ufeff", " ").strip()
