"""Every endpoint of the API: another method at one of these paths is refused in other words than an unknown path."""

from collections.abc import Sequence

GROUPS = ("orgs", "roles", "teams")

DATA: Sequence[tuple[str, str]] = (
    ("POST", "/v1/ingest"),
    ("POST", "/v1/status"),
    ("POST", "/v1/search"),
    ("GET", "/v1/health"),
    ("DELETE", "/v1/clear/{container_tag}"),
    *(
        (method, f"/v1/{groups}{path}")
        for groups in GROUPS
        for method, path in (
            ("GET", ""),
            ("POST", ""),
            ("GET", "/{id}"),
            ("PATCH", "/{id}"),
            ("POST", "/{id}/regenerate-prompt"),
            ("DELETE", "/{id}"),
        )
    ),
    ("GET", "/v1/console/memories"),
    ("GET", "/v1/console/memories/stats"),
    ("GET", "/v1/console/memories/{id}"),
    ("GET", "/v1/actors"),
    ("GET", "/v1/actors/{id:path}"),
)
"""The data plane."""

CONTROL: Sequence[tuple[str, str]] = (
    ("GET", "/api/me"),
    ("GET", "/api/health"),
    ("GET", "/api/console/events"),
    ("GET", "/api/keys"),
    ("POST", "/api/keys"),
    ("DELETE", "/api/keys/{id}"),
    ("GET", "/api/keys/{id}/usage"),
    ("GET", "/api/usage/summary"),
    ("GET", "/api/usage/timeseries"),
    ("GET", "/api/billing/summary"),
    ("GET", "/api/billing/invoices"),
    ("POST", "/api/interest/pro"),
    ("GET", "/api/interest/pro/status"),
    ("GET", "/api/connectors"),
    ("GET", "/api/connectors/providers"),
    ("POST", "/api/connectors/s3/configure"),
    ("GET", "/api/connectors/{provider}/status"),
    ("POST", "/api/connectors/{provider}/connect"),
    ("GET", "/api/connectors/{id}"),
    ("DELETE", "/api/connectors/{id}"),
    ("GET", "/api/connectors/{id}/resources"),
    ("PUT", "/api/connectors/{id}/resources"),
    ("GET", "/api/connectors/{id}/branches"),
    ("GET", "/api/connectors/{id}/picker-token"),
    ("POST", "/api/connectors/{id}/sync"),
    ("POST", "/api/agents/signup"),
)
"""The control plane."""

PREFIXES = ("", "/memsy")

ROUTES = tuple((method, prefix + path) for method, path in (*DATA, *CONTROL) for prefix in PREFIXES)
