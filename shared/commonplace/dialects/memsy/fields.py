"""Reading Memsy's bodies field by field; the first field that is wrong is what the caller is told."""

import math
from collections.abc import Sequence
from datetime import datetime

from commonplace.dialects.memsy.moments import moment
from commonplace.dialects.memsy.refusal import refused
from commonplace.dialects.memsy.texts import MOST_NAME, cleaned, encodable
from commonplace.model.errors import Invalid
from commonplace.model.values import Json

Body = dict[str, Json]


def mapping(body: Json, name: str = "The request body") -> Body:
    """An object. Raises ``Invalid``."""
    if not isinstance(body, dict):
        raise refused(name, "must be a JSON object")
    return body


class Fields:
    """An object that is being read. Each method gives one field or refuses it with ``Invalid``; a field that is null is as
    if it were not there. Fields that nobody asks for do not matter. ``within`` stands before names in messages.

    Lengths are in characters, and counted without NUL.
    """

    def __init__(self, body: Body, within: str = "") -> None:
        self._body = body
        self._within = within

    def get(self, name: str) -> Json:
        """The field as it is."""
        return self._body.get(name)

    def required(self, name: str, most: int = MOST_NAME) -> str:
        """A text that must be there and say something."""
        text = self.told(name, most)
        if text is None:
            raise self.refused(name, "is required")
        return text

    def told(self, name: str, most: int = MOST_NAME) -> str | None:
        """A text that must say something if it is there."""
        text = self.text(name, most)
        if text is not None and not text.strip():
            raise self.refused(name, "must not be blank")
        return text

    def named(self, name: str, most: int = MOST_NAME) -> str | None:
        """A text; one that says nothing is as if it were not there, however long."""
        value = self._body.get(name)
        return None if isinstance(value, str) and not cleaned(value).strip() else self.text(name, most)

    def text(self, name: str, most: int = MOST_NAME) -> str | None:
        """A text, be it empty."""
        value = self._body.get(name)
        return None if value is None else self._text(name, value, most)

    def texts(self, name: str) -> list[str]:
        """A list of names, empty if it is not there. None of them is checked for saying anything."""
        if self._body.get(name) is None:
            return []
        return [self._text(f"{name}[{number}]", each, MOST_NAME) for number, each in enumerate(self.array(name))]

    def given(self, name: str, most: int) -> list[str]:
        """A list of no more than so many texts, which must be there. They are as they were given, of any length."""
        values = self.array(name)
        if len(values) > most:
            raise self.refused(name, f"must not be more than {most}")
        return [self._given(f"{name}[{number}]", each) for number, each in enumerate(values)]

    def array(self, name: str) -> list[Json]:
        """A list of anything, which must be there."""
        value = self._body.get(name)
        if value is None:
            raise self.refused(name, "is required")
        if not isinstance(value, list):
            raise self.refused(name, "must be a list")
        return value

    def choices(self, name: str, choices: Sequence[str]) -> set[str] | None:
        """Some of a few words, at least one."""
        if self._body.get(name) is None:
            return None
        values = self.array(name)
        found = {each for each in values if isinstance(each, str)}
        if not values or not all(each in choices for each in values):
            raise self.refused(name, f"must be a list of {' and '.join(choices)}")
        return found

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number in [least, most], however it is written."""
        value = self._body.get(name)
        if value is None:
            return default
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise self.refused(name, f"must be a whole number from {least} to {most}")
        return number

    def number(self, name: str, default: float) -> float:
        """A number that a double can hold."""
        value = self._body.get(name)
        if value is None:
            return default
        try:
            number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.refused(name, "must be a finite number")
        return number

    def flag(self, name: str) -> bool:
        """A truth value; false if it is not there."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.refused(name, "must be true or false")
        return bool(value)

    def moment(self, name: str) -> datetime | None:
        """A time."""
        text = self.text(name)
        try:
            return None if text is None else moment(text)
        except ValueError as error:
            raise self.refused(name, "must be a time in ISO 8601") from error

    def refused(self, name: str, message: str) -> Invalid:
        """What is wrong with a field."""
        return refused(self._within + name, message)

    def _text(self, name: str, value: Json, most: int) -> str:
        text = cleaned(self._given(name, value))
        if len(text) > most:
            raise self.refused(name, f"must not have more than {most} characters")
        return text

    def _given(self, name: str, value: Json) -> str:
        if not isinstance(value, str):
            raise self.refused(name, "must be a string")
        if not encodable(value):
            raise self.refused(name, "must be valid Unicode")
        return value
