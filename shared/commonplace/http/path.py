"""The path of a request, for matching: one text for all spellings that mean the same, and for no other."""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from starlette.types import Scope


def matched(scope: Scope) -> str:
    """The path with single slashes, each of its segments percent-encoded wherever it can be: a slash that belongs to a name
    (``%2F``) separates nothing.

    Slashes are single because clients join a base URL that ends in one with a path that begins with one. A server that
    hands on nothing but the decoded path, as API Gateway does with HTTP APIs, leaves no way to tell the slashes apart.
    """
    raw: bytes | None = scope.get("raw_path")
    path: str = scope["path"] if raw is None else raw.decode(errors="replace")
    segments = re.sub("//+", "/", path).split("/")
    # An event of Lambda is JSON, which may hold half of a surrogate pair.
    return "/".join(quote(each if raw is None else unquote(each), safe="", errors="replace") for each in segments)


def decoded(variables: Mapping[str, str]) -> dict[str, str]:
    """What the variables of a route mean that was matched with such a path."""
    return {name: unquote(value) for name, value in variables.items()}
