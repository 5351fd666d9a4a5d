"""Every field of every request body that the contract names, with its kind and with values that are wrong for each kind."""

from typing import Any

WRONG: dict[str, list[Any]] = {
    "string": [5, 1.5, True, [], {}, ["x"]],
    "object": ["x", 5, True, [], [{}]],
    "choice": ["something else", "", 5, True, [], {}],
    "share": ["0.5", True, [], {}, -0.0001, 1.0001, 10**300, 10**399],
    "likeness": ["0.9", False, [], {}, 0.4999, 1.0001],
    "count": ["5", 1.5, True, [], {}, 0, -1, -(10**300)],
    "amount": ["5", True, [], {}, -0.01, 10**399],
    "flag": ["true", 0, 1, [], {}],
    "strings": ["x", 5, {}, [5], [[]], ["x", {}]],
    "choices": ["x", 5, {}, [5], ["something else"], [[]]],
    "items": ["x", 5, {}, []],
}
REQUIRED = "!"
MEMORY = {
    "content": "string!",
    "agent_id": "string!",
    "metadata": "object",
    "memory_type": "choice",
    "session_id": "string",
    "project": "string",
    "project_id": "string",
    "importance": "share",
    "tier": "choice",
    "visibility": "choice",
    "deduplicate": "flag",
    "dedup_threshold": "likeness",
    "user_id": "string",
}
CHANGE = {"content": "string", "metadata": "object"}
SEARCH = {
    "query": "string!",
    "agent_id": "string",
    "limit": "count",
    "min_score": "share",
    "threshold": "share",
    "metadata_filter": "object",
    "include_confidential": "flag",
    "include_archived": "flag",
    "tier": "choice",
    "min_importance": "share",
    "search_mode": "choice",
    "project": "string",
    "user_id": "string",
    "session_id": "string",
}
CONTEXT = {
    "query": "string!",
    "agent_id": "string",
    "limit": "count",
    "threshold": "share",
    "max_tokens": "count",
    "max_memories": "count",
    "exclude_memory_ids": "strings",
    "project": "string",
    "search_mode": "choice",
}
SESSION = {
    "agent_id": "string",
    "external_id": "string",
    "project": "string",
    "title": "string",
    "metadata": "object",
}
END = {"summary": "string", "metadata": "object"}
WEBHOOK = {"url": "string", "event_types": "choices", "secret": "string", "description": "string", "enabled": "flag"}
FIELDS = {
    "POST /v1/memories": MEMORY,
    "POST /v2/memories": {**MEMORY, "webhook_url": "string"},
    "PUT /v1/memories/{id}": CHANGE,
    "PATCH /v1/memories/{id}": CHANGE,
    "PUT /v1/memories/{id}/importance": {"importance": "share!", "tier": "choice"},
    "POST /v1/memories/search": SEARCH,
    "POST /v1/memories/batch": {"memories": "items!", "agent_id": "string"},
    "POST /v1/memories/maintenance": {"action": "choice!"},
    "POST /v2/context/build": CONTEXT,
    "POST /v1/memories/context": CONTEXT,
    "POST /v2/context": CONTEXT,
    "POST /v1/sessions": SESSION,
    "POST /v1/sessions/get-or-create": {**SESSION, "external_id": "string!"},
    "POST /v1/sessions/{id}/end": END,
    "PUT /v1/sessions/{id}/end": END,
    "POST /v1/agents": {"name": "string!", "id": "string", "description": "string", "metadata": "object"},
    "PUT /v1/agents/{id}": {"name": "string", "description": "string", "metadata": "object"},
    "POST /v1/webhooks": {**WEBHOOK, "url": "string!", "enabled": ""},
    "PUT /v1/webhooks/{id}": WEBHOOK,
    "PATCH /v1/webhooks/{id}": WEBHOOK,
    "POST /v1/keys": {
        "name": "string",
        "scopes": "choices",
        "expires_days": "count",
        "daily_spend_limit_usd": "amount",
        "monthly_spend_limit_usd": "amount",
    },
}
"""The fields of each route with a body. A kind that ends in REQUIRED cannot be left out; "" is not this route's."""
