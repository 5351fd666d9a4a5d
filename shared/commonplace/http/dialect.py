"""A public API, as HTTP sees it."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from commonplace.model.apikey import Principal
from commonplace.model.errors import CommonplaceError


class Dialect(Protocol):
    """What HTTP needs to know of a public API."""

    @property
    def name(self) -> str:
        """Its name, unlike that of any other: what ``SharedPath`` calls it, and what stands in the rows that it creates."""

    @property
    def prefixes(self) -> Sequence[str]:
        """The path prefixes under which its operations are mounted."""

    @property
    def owns(self) -> Sequence[str]:
        """The paths at and below which it answers what nobody serves, each without a slash at the end; "" is every path.

        Where two dialects own a path, the longer of these wins: so one that owns "" answers whatever no other claims.
        """

    @property
    def body_limit(self) -> int:
        """The largest body in bytes that it takes."""

    @property
    def api_key_header(self) -> bool:
        """Whether it looks for the key in ``X-API-Key`` too, where ``Authorization`` has no Bearer."""

    @property
    def guarded(self) -> bool:
        """Whether what nobody serves below the paths that it owns is told to holders of a key only: 401 before 404."""

    @property
    def stranger(self) -> Principal | None:
        """Who a request without any key comes from; None where that is refused. A wrong key is refused in any case."""

    @property
    def organizations(self) -> bool:
        """Whether it minds which organisations a key is limited to. One that does not refuses such keys: Forbidden."""

    @property
    def routes(self) -> Sequence[tuple[str, str]]:
        """Method and path of its endpoints with their prefixes, where it tells a wrong method from an unknown path; else none."""

    def failure(self, error: CommonplaceError | None, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers of an error; None is a bug of ours."""


def owner(path: str, dialects: Sequence[Dialect]) -> Dialect:
    """Who answers for a path that nobody serves; the first of them, if no one owns it."""
    return max(dialects, key=lambda dialect: _owned(path, dialect.owns))


def _owned(path: str, roots: Iterable[str]) -> int:
    """How much of the path is owned, in characters; less than nothing if it is not."""
    return max((len(root) for root in roots if path == root or path.startswith(f"{root}/")), default=-1)
