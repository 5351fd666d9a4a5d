"""What an organization has used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Dimension(StrEnum):
    """What is counted."""

    API_CALLS = "api_calls"
    EVENTS_INGESTED = "events_ingested"
    MEMORIES_STORED = "memories_stored"
    LLM_TOKENS = "llm_tokens"
    SEARCH_QUERIES = "search_queries"


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used in a billing month, which is a calendar month in UTC: in [start, end). What is not named is 0.

    ``limits`` are those of the plan; what is not named is unlimited.
    """

    start: datetime
    end: datetime
    used: Mapping[Dimension, int] = field(default_factory=dict)
    limits: Mapping[Dimension, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """How much of a dimension was used in the hour or day that begins at ``start``."""

    start: datetime
    dimension: Dimension
    quantity: int
