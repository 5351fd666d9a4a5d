"""A store's configuration: what its callers say, and what they see of it."""

from collections.abc import Mapping

from commonplace.dialects.cognipeer.fields import Fields, refused
from commonplace.model.scope import LEVELS
from commonplace.model.store import Store
from commonplace.model.values import Json

SHOWN: Mapping[str, Json] = {
    "embeddingDimension": 1536,
    "metric": "cosine",
    "defaultScope": "global",
    "deduplication": True,
    "autoSummarize": False,
}
"""What stands in every configuration that says nothing else. The first two and the last are only shown."""


def shown(store: Store) -> dict[str, Json]:
    """The configuration of a store as its callers see it: everything that they ever said, and what goes without saying."""
    return {**SHOWN, **store.config}


def default_scope(store: Store) -> str:
    """The scope of a memory that is added without one."""
    return Fields(shown(store)).choice("defaultScope", LEVELS) or "global"


def default_limit(store: Store) -> int | None:
    """The hits of a search that does not say how many it wants, if the store says it."""
    return Fields(shown(store)).whole("defaultTopK")


def default_floor(store: Store) -> int | float | None:
    """The least score of a search that does not say it, if the store says it."""
    return Fields(shown(store)).number("defaultMinScore")


def given(body: Fields) -> dict[str, Json] | None:
    """The configuration of a request, every key of it but those that are null. Raises ``Invalid`` where a value that has
    an effect cannot have it."""
    config = body.object("config")
    if config is None:
        return None
    fields = Fields(config, "config.")
    fields.choice("defaultScope", LEVELS)
    fields.flag("deduplication")
    quota = fields.whole("maxMemories")
    if quota is not None and quota < 0:
        raise refused("config.maxMemories", "must not be negative")
    fields.whole("defaultTopK")
    fields.number("defaultMinScore")
    said: dict[str, Json] = {key: value for key, value in config.items() if value is not None}
    if quota is not None:
        said["maxMemories"] = quota  # however it was written: 5.0 is 5
    return said
