"""Items as DynamoDB's API writes them.

How a value is stored: text as S, bytes as B, a bool as BOOL, an int as N. A float is an SS of one element, its ``repr``:
DynamoDB's numbers do not tell 1 from 1.0, end at 1E126 and know neither -0.0 nor infinity, and nothing here compares
floats or adds to them.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from commonplace.ports.table import Attributes, Item, Key, Value

PARTITION, SORT = "partition", "sort"
"""The table's key attributes."""


def encoded_key(key: Key) -> dict[str, Any]:
    """The key attributes of an item."""
    return {PARTITION: {"S": key.partition}, SORT: {"S": key.sort}}


def decoded_key(raw: Mapping[str, Any]) -> Key:
    """The key of an item that holds its key attributes, and perhaps others."""
    return Key(raw[PARTITION]["S"], raw[SORT]["S"])


def decoded_item(raw: Mapping[str, Any]) -> Item:
    """An item as it was written. Raises ``TypeError`` for a type of attribute that is never written."""
    attributes = {name: _decoded_value(value) for name, value in raw.items() if name not in (PARTITION, SORT)}
    return Item(decoded_key(raw), attributes)


def encoded(attributes: Attributes) -> dict[str, Any]:
    """Attributes by their names, without a key."""
    return {name: encoded_value(value) for name, value in attributes.items()}


def encoded_value(value: Value) -> dict[str, Any]:
    """A value under the name of its type."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case float():
            return {"SS": [repr(value)]}
        case bytes():
            return {"B": value}


def _decoded_value(raw: Mapping[str, Any]) -> Value:
    match raw:
        case {"S": str(text)}:
            return text
        case {"N": number}:
            return int(Decimal(number))  # DynamoDB may write a number of its own as 1E+2
        case {"SS": [number]}:
            return float(number)
        case {"BOOL": bool(truth)}:
            return truth
        case {"B": data}:
            return bytes(data)
    raise TypeError(f"an attribute of a type that is never written: {', '.join(raw)}")
