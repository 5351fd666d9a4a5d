"""The settings, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T", int, float)


class SettingError(ValueError):
    """A setting has a value that cannot be used; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Each field says its variable in ``VARIABLES``."""

    engines: str = "embedded"
    environment: str = "local"
    data: Path = Path(".data")
    table: str = "commonplace"
    embedding_queue: str = "EmbeddingQueue"
    delivery_queue: str = "DeliveryQueue"
    max_receives: int = 5
    vector_weight: float = 0.4
    candidates: int = 100
    embedder_threads: int = 2
    private_webhooks: bool = False
    webhook_timeout: float = 15.0


VARIABLES: Mapping[str, str] = {
    "engines": "COMMONPLACE_ENGINES",
    "environment": "COMMONPLACE_ENVIRONMENT",
    "data": "COMMONPLACE_DATA",
    "table": "COMMONPLACE_TABLE",
    "embedding_queue": "COMMONPLACE_EMBEDDING_QUEUE",
    "delivery_queue": "COMMONPLACE_DELIVERY_QUEUE",
    "max_receives": "COMMONPLACE_MAX_RECEIVES",
    "vector_weight": "COMMONPLACE_VECTOR_WEIGHT",
    "candidates": "COMMONPLACE_CANDIDATES",
    "embedder_threads": "COMMONPLACE_EMBEDDER_THREADS",
    "private_webhooks": "COMMONPLACE_PRIVATE_WEBHOOKS",
    "webhook_timeout": "COMMONPLACE_WEBHOOK_TIMEOUT",
}
"""The environment variable of each setting."""


def read(environment: Mapping[str, str]) -> Settings:
    """The settings of an environment; what is not set, or empty, has its default. Raises ``SettingError``."""
    given = {field: environment[name] for field, name in VARIABLES.items() if environment.get(name)}
    default = Settings()
    return Settings(
        engines=_one_of(given, "engines", ("embedded", "aws")),
        environment=given.get("environment", default.environment),
        data=Path(given.get("data", default.data)),
        table=given.get("table", default.table),
        embedding_queue=given.get("embedding_queue", default.embedding_queue),
        delivery_queue=given.get("delivery_queue", default.delivery_queue),
        max_receives=_number(given, "max_receives", default.max_receives, 1, 1000),
        vector_weight=_number(given, "vector_weight", default.vector_weight, 0.0, 1.0),
        candidates=_number(given, "candidates", default.candidates, 10, 1000),
        embedder_threads=_number(given, "embedder_threads", default.embedder_threads, 1, 64),
        private_webhooks=_one_of(given, "private_webhooks", ("false", "true", "0", "1")) in ("true", "1"),
        webhook_timeout=_number(given, "webhook_timeout", default.webhook_timeout, 0.1, 30.0),
    )


def _one_of(given: Mapping[str, str], field: str, choices: tuple[str, ...]) -> str:
    value = given.get(field, choices[0]).lower()
    if value not in choices:
        raise SettingError(f"{VARIABLES[field]} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _number(given: Mapping[str, str], field: str, default: T, low: T, high: T) -> T:
    if field not in given:
        return default
    try:
        value = type(default)(given[field])
    except ValueError as error:
        raise SettingError(f"{VARIABLES[field]} must be a number, not {given[field]!r}") from error
    if not low <= value <= high:
        raise SettingError(f"{VARIABLES[field]} must be between {low} and {high}, not {value}")
    return value
