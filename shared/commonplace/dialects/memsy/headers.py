"""What every answer to a good key says of the plan, in its headers."""

from collections.abc import Mapping

from commonplace.model.usage import Dimension, Usage

NAMES: Mapping[Dimension, str] = {
    Dimension.API_CALLS: "apicalls",
    Dimension.EVENTS_INGESTED: "eventsingested",
    Dimension.MEMORIES_STORED: "memoriesstored",
    Dimension.LLM_TOKENS: "llmtokens",
    Dimension.SEARCH_QUERIES: "searchqueries",
}
"""What each dimension is called in the name of a header."""


def headers(usage: Usage, plan: str) -> dict[str, str]:
    """What was used of which limits. What has no limit has no header for it; the rate limit is that of the API's calls."""
    told = {"x-plan": plan}
    for dimension, name in NAMES.items():
        told[f"x-usage-{name}"] = str(usage.used.get(dimension, 0))
        if dimension in usage.limits:
            told[f"x-usage-{name}-limit"] = str(usage.limits[dimension])
    limit = usage.limits.get(Dimension.API_CALLS)
    if limit is not None:
        told["x-ratelimit-limit"] = str(limit)
        told["x-ratelimit-remaining"] = str(max(0, limit - usage.used.get(Dimension.API_CALLS, 0)))
        told["x-ratelimit-reset"] = str(int(usage.end.timestamp()))
    return told
