"""A memory's free object. It may be nested as deep as a body can be, so nothing here calls itself."""

import json
import math

from commonplace.model.errors import Invalid
from commonplace.model.values import Json, levels

MOST_BYTES = 10 * 1024
"""Bytes as compact UTF-8 JSON."""

MOST_LEVELS = 64
"""Levels of objects and arrays, of which the metadata itself is one. The API knows no such limit: it keeps metadata far
below the depth at which what stores, searches and prints it gives up."""

_TEXT = json.JSONEncoder(ensure_ascii=False).encode


def metadata(value: Json) -> dict[str, Json]:
    """An object with finite numbers only; null is an empty one. Raises ``Invalid``."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid("metadata must be an object")
    if any(isinstance(each, float) and not math.isfinite(each) for level in levels(value) for each in level):
        raise Invalid("metadata must contain only finite numbers")
    return value


def fit(value: dict[str, Json]) -> None:
    """Raises ``Invalid`` for metadata that is too large, then for what is nested too deep."""
    size = deepest = 0
    for depth, level in enumerate(levels(value), start=1):
        for each in level:
            size += _own(each)
            if size > MOST_BYTES:
                raise Invalid(f"metadata must be at most {MOST_BYTES} bytes")
            if isinstance(each, dict | list):
                deepest = depth
    if deepest > MOST_LEVELS:
        raise Invalid(f"metadata must be nested at most {MOST_LEVELS} levels deep")


def _own(value: Json) -> int:
    """What a value takes as compact JSON, without the values that it holds."""
    if isinstance(value, dict):
        return _brackets(value) + sum(len(_TEXT(name).encode()) + len(":") for name in value)
    return _brackets(value) if isinstance(value, list) else len(_TEXT(value).encode())


def _brackets(value: dict[str, Json] | list[Json]) -> int:
    return len("{}") + max(0, len(value) - 1) * len(",")
