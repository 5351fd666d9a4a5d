"""Putting an object over another one, key by key."""

import json

from commonplace.model.errors import Invalid
from commonplace.model.values import Metadata

MOST_BYTES = 64 * 1024
"""Of the whole, as JSON: a row has 400 KB (DynamoDB), and holds a memory's content too."""


def merged(field: str, old: Metadata, new: Metadata | None) -> Metadata:
    """The old object with the new one's keys over it. Raises ``Invalid``, naming the field, if many merges have made it
    too large."""
    if not new:
        return old
    whole = {**old, **new}
    if len(json.dumps(whole, ensure_ascii=False).encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise Invalid.field(field, f"must not grow beyond {MOST_BYTES} bytes of JSON")
    return whole
