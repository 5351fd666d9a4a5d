"""The whole error tree. A dialect turns each of these into a status and a body of its own.

CommonplaceError
├── Invalid          a value that the caller can mend
│   ├── Malformed    not even readable: broken JSON
│   └── Misattributed  a write for another organization than the key's
├── Unauthenticated
│   ├── NoCredentials  no key at all
│   └── Expired      a key that was good once
├── Forbidden        carries the ``permission`` that is missing
│   ├── Foreign      another organization's
│   ├── SeatRequired
│   ├── FeatureMissing  carries the ``feature``
│   └── LimitReached  carries ``noun``, ``limit`` and ``current``
├── NotFound
│   ├── MethodNotAllowed  carries the methods that are ``allowed``
│   └── Unsupported  known, but not done by this service
├── Conflict
├── TooLarge
├── RateLimited      carries ``retry_after``
│   └── QuotaExceeded  carries ``dimension``, ``current`` and ``limit``
└── Unavailable      a part of the service is down; carries ``retry_after``
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from commonplace.model.apikey import Permission
from commonplace.model.usage import Dimension


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field of a request. ``field`` is its path on the wire (``memories.0.content``)."""

    field: str
    message: str


class CommonplaceError(Exception):
    """The root. ``message`` is meant for the caller and never holds a secret or another tenant's data."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Invalid(CommonplaceError):
    """The request says something that cannot be done; ``problems`` names each field."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems

    @classmethod
    def field(cls, field: str, message: str) -> "Invalid":
        """One problem with one field."""
        return cls(f"{field}: {message}", (Problem(field, message),))


class Malformed(Invalid):
    """The body could not be read at all."""


class Misattributed(Invalid):
    """A write says that it is for another organization than the one that its key writes for."""

    def __init__(self, message: str = "The organization comes from the API key; another one cannot be given") -> None:
        super().__init__(message)


class Unauthenticated(CommonplaceError):
    """No key, or one that is unknown, revoked or expired."""

    def __init__(self, message: str = "The API key is missing or not valid") -> None:
        super().__init__(message)


class NoCredentials(Unauthenticated):
    """The request shows no key where it is looked for."""


class Expired(Unauthenticated):
    """The key is known and was not revoked, but its time is over."""


class Forbidden(CommonplaceError):
    """The key is good, but does not allow this. ``permission`` is what it lacks, if that is the reason."""

    def __init__(self, message: str, permission: Permission | None = None) -> None:
        super().__init__(message)
        self.permission = permission


class Foreign(Forbidden):
    """What is asked for is another organization's, whether it exists or not."""

    def __init__(self, message: str = "The API key is not for this organization") -> None:
        super().__init__(message)


class SeatRequired(Forbidden):
    """Only who has a seat may do this, and the key has none."""

    def __init__(self, message: str = "An assigned seat is required") -> None:
        super().__init__(message)


class FeatureMissing(Forbidden):
    """There is no such ``feature`` here. It is named in one plural word, as in ``connectors``."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"{feature.capitalize()} are not available")
        self.feature = feature


class LimitReached(Forbidden):
    """There may be ``limit`` of something and there are ``current``. ``noun`` is what it is, as in ``key``."""

    def __init__(self, noun: str, limit: int, current: int) -> None:
        super().__init__(f"There are {current} {noun}s, and there may be {limit}")
        self.noun = noun
        self.limit = limit
        self.current = current


class NotFound(CommonplaceError):
    """No such thing in the caller's tenant. ``noun`` is what was looked for, as in ``memory``."""

    def __init__(self, noun: str) -> None:
        super().__init__(f"{noun.capitalize()} not found")
        self.noun = noun


class MethodNotAllowed(NotFound):
    """There is something at this path, but not by this method; ``allowed`` are those that there are.

    To an API that does not tell the two apart it is a route that does not exist.
    """

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        super().__init__("route")
        self.allowed = allowed


class Unsupported(NotFound):
    """An operation that an API knows and that this service does not do; ``noun`` is its name."""

    def __init__(self, noun: str) -> None:
        CommonplaceError.__init__(self, f"{noun} is not implemented")
        self.noun = noun


class Conflict(CommonplaceError):
    """Something with that name exists, or someone else changed it at the same time."""


class TooLarge(CommonplaceError):
    """The body is over the limit."""


class RateLimited(CommonplaceError):
    """Too many requests. ``retry_after`` is in whole seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaExceeded(RateLimited):
    """What the plan allows in a month is used up: ``current`` of ``limit``. There is nothing to wait for."""

    def __init__(self, dimension: Dimension, current: int, limit: int) -> None:
        super().__init__(f"The monthly quota of {dimension} is used up", retry_after=0)
        self.dimension = dimension
        self.current = current
        self.limit = limit


class Unavailable(CommonplaceError):
    """A part of the service is down or too slow. ``retry_after`` is in whole seconds."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


Entry = TypeVar("Entry")


def entry(table: Mapping[type[CommonplaceError], Entry], error: CommonplaceError | None, bug: Entry) -> Entry:
    """What a dialect's table says of an error or its nearest ancestor; of None, and of what the table forgot, ``bug``."""
    return next((table[kind] for kind in type(error).__mro__ if kind in table), bug)
