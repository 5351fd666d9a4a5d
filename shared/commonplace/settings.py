"""The settings, read once from the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from commonplace.model.usage import Dimension

T = TypeVar("T", int, float)


class SettingError(ValueError):
    """A setting has a value that cannot be used; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Each field says its variable in ``VARIABLES``.

    ``rows``, ``index``, ``queues``, ``embedder`` and ``extractor`` name the engine of a port. An ``embedding_dimension`` or
    ``embedding_window`` of 0 and an empty ``calibration`` leave the choice to the adapter of the model.
    """

    rows: str = "sqlite"
    index: str = "sqlite"
    queues: str = "sqlite"
    embedder: str = "onnx"
    extractor: str = "rules"
    environment: str = "local"
    stack: str = "local"
    data: Path = Path(".data")
    table: str = "commonplace"
    embedding_queue: str = "EmbeddingQueue"
    delivery_queue: str = "DeliveryQueue"
    max_receives: int = 5
    opensearch: str = "http://127.0.0.1:9200"
    opensearch_engine: str = "lucene"
    opensearch_shards: int = 1
    opensearch_replicas: int = 0
    opensearch_refresh: str = "200ms"
    embedding_model: str = ""
    embedding_dimension: int = 0
    embedding_window: int = 0
    calibration: tuple[tuple[float, float], ...] = ()
    embedder_threads: int = 2
    text_model: str = ""
    openai_url: str = "https://api.openai.com/v1"
    openai_key: str = ""
    openai_key_secret: str = ""
    vector_weight: float = 0.4
    candidates: int = 100
    private_webhooks: bool = False
    webhook_timeout: float = 15.0
    auth_mode: str = "key"
    cors_origins: tuple[str, ...] = ("https://memo.st", "http://localhost:3000", "http://localhost:3001")
    shared_path_dialect: str = "relay"
    max_dimensions: int = 4096
    organization_lengths: int = 16
    tenant_lengths: int = 64
    embed_given: bool = True
    strict_vectors: bool = False
    most_groups: int = 100
    most_keys: int = 50
    quotas: tuple[tuple[Dimension, int], ...] = ()


VARIABLES: Mapping[str, str] = {field: f"COMMONPLACE_{field.upper()}" for field in Settings.__dataclass_fields__}
"""The environment variable of each setting."""

SHORT: Mapping[str, str] = {"auth_mode": "AUTH_MODE", "max_dimensions": "MAX_DIMENSIONS"}
"""Names that the edge API has for a setting; they count where the longer name is not set."""


def read(environment: Mapping[str, str]) -> Settings:
    """The settings of an environment; what is not set, or empty, has its default. Raises ``SettingError``."""
    given = {field: environment[name] for field, name in [*SHORT.items(), *VARIABLES.items()] if environment.get(name)}
    default = Settings()

    def text(field: str) -> str:
        return given.get(field, str(getattr(default, field)))

    return Settings(
        rows=_one_of(given, "rows", ("sqlite", "dynamodb")),
        index=_one_of(given, "index", ("sqlite", "opensearch")),
        queues=_one_of(given, "queues", ("sqlite", "sqs")),
        embedder=_one_of(given, "embedder", ("onnx", "bedrock", "openai")),
        extractor=_one_of(given, "extractor", ("rules", "bedrock", "openai")),
        environment=text("environment"),
        stack=text("stack"),
        data=Path(text("data")),
        table=text("table"),
        embedding_queue=text("embedding_queue"),
        delivery_queue=text("delivery_queue"),
        max_receives=_number(given, "max_receives", default.max_receives, 1, 1000),
        opensearch=_url(text("opensearch"), "opensearch"),
        opensearch_engine=_one_of(given, "opensearch_engine", ("lucene", "faiss")),
        opensearch_shards=_number(given, "opensearch_shards", default.opensearch_shards, 1, 1024),
        opensearch_replicas=_number(given, "opensearch_replicas", default.opensearch_replicas, 0, 10),
        opensearch_refresh=_duration(text("opensearch_refresh"), "opensearch_refresh"),
        embedding_model=text("embedding_model"),
        embedding_dimension=_number(given, "embedding_dimension", default.embedding_dimension, 0, 4096),
        embedding_window=_number(given, "embedding_window", default.embedding_window, 0, 8192),
        calibration=_curve(text("calibration") if "calibration" in given else "", "calibration"),
        embedder_threads=_number(given, "embedder_threads", default.embedder_threads, 1, 64),
        text_model=text("text_model"),
        openai_url=_url(text("openai_url"), "openai_url"),
        openai_key=text("openai_key"),
        openai_key_secret=text("openai_key_secret"),
        vector_weight=_number(given, "vector_weight", default.vector_weight, 0.0, 1.0),
        candidates=_number(given, "candidates", default.candidates, 10, 1000),
        private_webhooks=_truth(given, "private_webhooks", default.private_webhooks),
        webhook_timeout=_number(given, "webhook_timeout", default.webhook_timeout, 0.1, 30.0),
        auth_mode=_one_of(given, "auth_mode", ("key", "open")),
        cors_origins=_origins(given.get("cors_origins", " ".join(default.cors_origins)), "cors_origins"),
        shared_path_dialect=_one_of(given, "shared_path_dialect", ("relay", "edge")),
        max_dimensions=_number(given, "max_dimensions", default.max_dimensions, 1, 4096),
        organization_lengths=_number(given, "organization_lengths", default.organization_lengths, 1, 4096),
        tenant_lengths=_number(given, "tenant_lengths", default.tenant_lengths, 1, 4096),
        embed_given=_truth(given, "embed_given", default.embed_given),
        strict_vectors=_truth(given, "strict_vectors", default.strict_vectors),
        most_groups=_number(given, "most_groups", default.most_groups, 0, 10_000),
        most_keys=_number(given, "most_keys", default.most_keys, 1, 1_000),
        quotas=_quotas(given.get("quotas", ""), "quotas"),
    )


def _one_of(given: Mapping[str, str], field: str, choices: tuple[str, ...]) -> str:
    value = given.get(field, choices[0]).lower()
    if value not in choices:
        raise SettingError(f"{VARIABLES[field]} must be one of {', '.join(choices)}, not {value!r}")
    return value


def _truth(given: Mapping[str, str], field: str, default: bool) -> bool:
    usual, other = ("true", "false") if default else ("false", "true")
    return _one_of(given, field, (usual, other, "0", "1")) in ("true", "1")


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


def _url(value: str, field: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", value):
        raise SettingError(f"{VARIABLES[field]} must be a URL such as https://host/path, not {value!r}")
    return value.rstrip("/")


def _origins(value: str, field: str) -> tuple[str, ...]:
    """Origins as browsers send them, separated by spaces or commas; ``none`` is none."""
    origins = tuple(dict.fromkeys(value.replace(",", " ").split()))
    if origins == ("none",):
        return ()
    wrong = [origin for origin in origins if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", origin)]
    if wrong:
        raise SettingError(f"{VARIABLES[field]} must be origins such as https://example.org, or none, not {wrong[0]!r}")
    return origins


def _quotas(value: str, field: str) -> tuple[tuple[Dimension, int], ...]:
    """What may be used in a month, as in ``api_calls=10000 search_queries=1000``; what is not named is unlimited."""
    given = [re.fullmatch(r"([a-z_]+)=(\d{1,15})", part) for part in value.replace(",", " ").split()]
    quotas = tuple((Dimension(each[1]), int(each[2])) for each in given if each and each[1] in set(Dimension))
    if len(dict(quotas)) < len(given):
        names = ", ".join(Dimension)
        raise SettingError(f"{VARIABLES[field]} must be numbers by {names}, each once, not {value!r}")
    return quotas


def _curve(value: str, field: str) -> tuple[tuple[float, float], ...]:
    """The points of a rising curve, as in ``0:0 0.3:0.3 1:1``."""
    try:
        points = tuple((float(x), float(y)) for x, y in (point.split(":") for point in value.split()))
    except ValueError:
        points = ((1.0, 0.0), (0.0, 1.0))
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if xs != sorted(set(xs)) or ys != sorted(ys) or not all(0 <= y <= 1 for y in ys):
        raise SettingError(f"{VARIABLES[field]} must be a rising curve such as '0:0 0.3:0.3 1:1', not {value!r}")
    return points


def _duration(value: str, field: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,5}(ms|s)", value):
        raise SettingError(f"{VARIABLES[field]} must be a time such as 200ms or 1s, not {value!r}")
    return value
