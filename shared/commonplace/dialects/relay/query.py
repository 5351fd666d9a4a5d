"""MemoryRelay's query strings: paging, truth values, numbers."""

from collections.abc import Mapping

from commonplace.model.errors import Invalid

MOST_OFFSET = 10**9


class Paging:
    """``limit``, ``offset`` and ``cursor`` of a list."""

    def __init__(self, query: Mapping[str, str], *, most: int = 100, clamp: bool = False) -> None:
        limit = whole_of("limit", query["limit"]) if query.get("limit") else 20
        if not 1 <= limit <= most:
            if not clamp:
                raise Invalid.field("limit", f"Must be between 1 and {most}")
            limit = min(max(limit, 1), most)
        offset = whole_of("offset", query["offset"]) if query.get("offset") else 0
        if not 0 <= offset <= MOST_OFFSET:
            raise Invalid.field("offset", f"Must be between 0 and {MOST_OFFSET}")
        self.limit = limit
        self.offset = offset
        self.cursor = query.get("cursor") or None


def one_of(field: str, value: str, choices: tuple[str, ...]) -> str:
    """The value, if it is one of the choices. Raises ``Invalid``."""
    if value not in choices:
        raise Invalid.field(field, f"Must be one of {', '.join(choices)}")
    return value


def flag_of(field: str, query: Mapping[str, str]) -> bool:
    """A truth value of a query string; absent is false. Raises ``Invalid``."""
    value = query.get(field, "").lower()
    if value in ("true", "1", "yes", "on"):
        return True
    if value in ("", "false", "0", "no", "off"):
        return False
    raise Invalid.field(field, "Must be true or false")


def whole_of(field: str, value: str) -> int:
    """A whole number of a query string. Raises ``Invalid``."""
    try:
        return int(value[:20])
    except ValueError as error:
        raise Invalid.field(field, "Must be a whole number") from error


def number_of(field: str, value: str) -> float:
    """A number of a query string. Raises ``Invalid``."""
    try:
        return float(value)
    except ValueError as error:
        raise Invalid.field(field, "Must be a number") from error
