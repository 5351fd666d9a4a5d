"""What a document says of itself as flat facts, which an index can compare exactly; one form for every index."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from commonplace.model.document import Document
from commonplace.model.filter import Among, Filter, Scalar
from commonplace.model.scope import audiences
from commonplace.model.values import Json

LONGEST = 64
"""Names and strings of more characters stand as their hash in the facts, so that no index entry grows with them."""

TAGS, LEVEL, LABEL, AUDIENCE = "t", "l", "b", "a"
"""The names of facts that are no metadata; all tags have one name."""

UNEQUAL = "o"
"""The text of what no scalar is equal to: lists, objects, NaN."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that is so of a document. Two facts of one name have the same text exactly if ``Filter.matches`` takes
    their values as equal. ``number`` is what ranges compare with (beyond 64 bits: the nearest float)."""

    name: str
    text: str
    number: int | float | None


def facts(document: Document) -> list[Fact]:
    """A document's metadata, its tags, its level, its label and its audiences."""
    found = [Fact(metadata_name(key), *_value(value)) for key, value in document.metadata.items()]
    found += [Fact(TAGS, compared(tag), None) for tag in dict.fromkeys(document.tags)]
    found.append(Fact(LEVEL, compared(document.level), None))
    found += [Fact(AUDIENCE, compared(audience), None) for audience in audiences(document.scope)]
    return found if document.label is None else [*found, Fact(LABEL, compared(document.label), None)]


def demanded(filter: Filter) -> list[tuple[str, tuple[Scalar, ...]]]:
    """The facts that a filter demands by equality: for each its name and the values of which it may have any."""
    metadata = [(metadata_name(key), each.values) for key, each in filter.metadata if isinstance(each, Among)]
    named = ((LEVEL, filter.level), (LABEL, filter.label))
    any_of: tuple[tuple[str, tuple[Scalar, ...]], ...] = ((TAGS, filter.tags), (AUDIENCE, filter.audience))
    return [
        *(each for each in any_of if each[1]),
        *metadata,
        *((name, (value,)) for name, value in named if value is not None),
    ]


def metadata_name(key: str) -> str:
    """The name of the fact of a metadata key."""
    return f"m{shortened(key)}"


def compared(value: Json) -> str:
    """The text of a value."""
    return _value(value)[0]


def ranged(value: float) -> int | float:
    """A number as ranges compare it: an integer of more than 64 bits is the nearest float."""
    if isinstance(value, float) or -(2**63) <= value < 2**63:
        return value
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def shortened(text: str) -> str:
    """The text to the letter, or its hash if it is long or no Unicode; marked, so that neither looks like the other."""
    octets = text.encode("utf-8", "surrogatepass")  # half a surrogate pair is legal in JSON and cannot be bound
    if len(text) <= LONGEST and (text.isascii() or octets == text.encode("utf-8", "replace")):
        return f"s{text}"
    return f"h{hashlib.blake2b(octets, digest_size=16).hexdigest()}"


def _value(value: Json) -> tuple[str, int | float | None]:
    match value:
        case None:
            return "n", None
        case bool():
            return ("b1" if value else "b0"), None
        case int():
            return f"i{value:x}", ranged(value)
        case float():
            # JSON knows one sort of number: 1.0 reads as 1. A NaN equals nothing, not even itself.
            text = f"i{int(value):x}" if value.is_integer() else f"f{value.hex()}"
            return (UNEQUAL, None) if value != value else (text, value)  # noqa: PLR0124 - only NaN differs from itself
        case str():
            return shortened(value), None
        case _:
            return UNEQUAL, None
