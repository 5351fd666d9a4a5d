"""Plain values that the nouns are made of."""

from collections.abc import Mapping
from typing import TypeAlias

Json: TypeAlias = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""Any JSON value."""

Metadata: TypeAlias = Mapping[str, Json]
"""A caller's free JSON object."""
