from pathlib import Path

import pytest

from commonplace.model.usage import Dimension
from commonplace.settings import SHORT, VARIABLES, SettingError, Settings, read


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read({}) == Settings()
    assert read(dict.fromkeys(VARIABLES.values(), "")) == Settings()
    assert read({"PATH": "/bin", "COMMONPLACE_UNHEARD_OF": "x"}) == Settings()


def test_every_variable_sets_its_field() -> None:
    given = {
        "rows": "DynamoDB",
        "index": "opensearch",
        "queues": "sqs",
        "embedder": "openai",
        "environment": "prod",
        "stack": "commonplace-prod",
        "data": "/somewhere",
        "table": "T",
        "embedding_queue": "E",
        "delivery_queue": "D",
        "max_receives": "7",
        "vector_weight": "0.25",
        "candidates": "50",
        "opensearch": "https://search.example.com/",
        "opensearch_engine": "faiss",
        "opensearch_shards": "3",
        "opensearch_replicas": "2",
        "opensearch_refresh": "1s",
        "embedding_model": "text-embedding-3-small",
        "embedding_dimension": "1536",
        "embedding_window": "128",
        "calibration": "0:0 0.3:0.25  1:1",
        "embedder_threads": "3",
        "openai_url": "http://localhost:11434/v1",
        "openai_key": "k",
        "openai_key_secret": "arn:x",
        "private_webhooks": "True",
        "webhook_timeout": "2.5",
        "auth_mode": "Open",
        "cors_origins": "https://memo.st, http://localhost:3000 https://memo.st",
        "shared_path_dialect": "edge",
        "max_dimensions": "1536",
        "organization_lengths": "2",
        "tenant_lengths": "8",
        "embed_given": "False",
        "strict_vectors": "true",
        "most_groups": "7",
        "most_keys": "3",
        "quotas": "api_calls=10000, search_queries=0",
        "extractor": "OpenAI",
        "text_model": "gpt-5-mini",
    }
    assert set(given) == set(VARIABLES)
    assert read({VARIABLES[field]: value for field, value in given.items()}) == Settings(
        rows="dynamodb",
        index="opensearch",
        queues="sqs",
        embedder="openai",
        environment="prod",
        stack="commonplace-prod",
        data=Path("/somewhere"),
        table="T",
        embedding_queue="E",
        delivery_queue="D",
        max_receives=7,
        vector_weight=0.25,
        candidates=50,
        opensearch="https://search.example.com",
        opensearch_engine="faiss",
        opensearch_shards=3,
        opensearch_replicas=2,
        opensearch_refresh="1s",
        embedding_model="text-embedding-3-small",
        embedding_dimension=1536,
        embedding_window=128,
        calibration=((0.0, 0.0), (0.3, 0.25), (1.0, 1.0)),
        embedder_threads=3,
        openai_url="http://localhost:11434/v1",
        openai_key="k",
        openai_key_secret="arn:x",
        private_webhooks=True,
        webhook_timeout=2.5,
        auth_mode="open",
        cors_origins=("https://memo.st", "http://localhost:3000"),
        shared_path_dialect="edge",
        max_dimensions=1536,
        organization_lengths=2,
        tenant_lengths=8,
        embed_given=False,
        strict_vectors=True,
        most_groups=7,
        most_keys=3,
        quotas=((Dimension.API_CALLS, 10_000), (Dimension.SEARCH_QUERIES, 0)),
        extractor="openai",
        text_model="gpt-5-mini",
    )


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("rows", "azure"),
        ("index", "faiss"),
        ("queues", "kafka"),
        ("embedder", "word2vec"),
        ("opensearch", "localhost:9200"),
        ("opensearch", "https://user:password@host"),
        ("opensearch_refresh", "often"),
        ("opensearch_shards", "0"),
        ("opensearch_replicas", "11"),
        ("embedding_dimension", "4097"),
        ("openai_url", "ftp://host"),
        ("embedding_window", "-1"),
        ("calibration", "0:0 1"),
        ("calibration", "0:0.5 1:0.4"),
        ("calibration", "0:0 0:1"),
        ("calibration", "0:0 1:1.5"),
        ("calibration", "a:b"),
        ("private_webhooks", "maybe"),
        ("max_receives", "0"),
        ("max_receives", "1001"),
        ("max_receives", "5.0"),
        ("max_receives", "many"),
        ("vector_weight", "1.01"),
        ("vector_weight", "-0.1"),
        ("vector_weight", "nan"),
        ("vector_weight", "half"),
        ("candidates", "9"),
        ("candidates", "1001"),
        ("embedder_threads", "0"),
        ("embedder_threads", "65"),
        ("webhook_timeout", "0"),
        ("webhook_timeout", "31"),
        ("webhook_timeout", "inf"),
        ("auth_mode", "session"),
        ("shared_path_dialect", "cognipeer"),
        ("max_dimensions", "0"),
        ("max_dimensions", "4097"),
        ("max_dimensions", "1e3"),
        ("organization_lengths", "0"),
        ("organization_lengths", "4097"),
        ("tenant_lengths", "0"),
        ("tenant_lengths", "all"),
        ("embed_given", "yes"),
        ("strict_vectors", "2"),
        ("most_groups", "-1"),
        ("most_groups", "10001"),
        ("most_keys", "0"),
        ("most_keys", "1001"),
        ("quotas", "api_calls"),
        ("quotas", "api_calls=1=2"),
        ("quotas", "api_calls=many"),
        ("quotas", "api_calls=1.5"),
        ("quotas", "api_calls=-1"),
        ("quotas", "api_calls=1 api_calls=2"),
        ("quotas", "calls=1"),
        ("quotas", "API_CALLS=1"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_and_its_variable_named(field: str, bad: str) -> None:
    with pytest.raises(SettingError, match=rf"^{VARIABLES[field]} must be .*, not .*{bad}"):
        read({VARIABLES[field]: bad})


@pytest.mark.parametrize(
    ("field", "edges"),
    [
        ("max_receives", ("1", "1000")),
        ("vector_weight", ("0", "1")),
        ("candidates", ("10", "1000")),
        ("embedder_threads", ("1", "64")),
        ("opensearch_shards", ("1", "1024")),
        ("opensearch_replicas", ("0", "10")),
        ("embedding_dimension", ("0", "4096")),
        ("webhook_timeout", ("0.1", "30")),
        ("max_dimensions", ("1", "4096")),
        ("organization_lengths", ("1", "4096")),
        ("tenant_lengths", ("1", "4096")),
        ("most_groups", ("0", "10000")),
        ("most_keys", ("1", "1000")),
    ],
)
def test_the_ends_of_a_range_belong_to_it(field: str, edges: tuple[str, str]) -> None:
    for edge in edges:
        assert getattr(read({VARIABLES[field]: edge}), field) == float(edge)


@pytest.mark.parametrize(("field", "value"), [("auth_mode", "open"), ("max_dimensions", "1536")])
def test_a_short_name_counts_where_the_longer_one_is_not_set(field: str, value: str) -> None:
    short, longer, default = SHORT[field], VARIABLES[field], getattr(Settings(), field)
    set_ = getattr(read({short: value}), field)
    assert str(set_) == value
    assert getattr(read({short: value, longer: ""}), field) == set_
    assert getattr(read({short: "", longer: value}), field) == set_
    assert getattr(read({short: value, longer: str(default)}), field) == default
    assert getattr(read({longer: value, short: str(default)}), field) == set_


@pytest.mark.parametrize(("field", "bad"), [("auth_mode", "session"), ("max_dimensions", "0")])
def test_a_short_name_is_checked_as_the_longer_one_is(field: str, bad: str) -> None:
    with pytest.raises(SettingError, match=f"not '?{bad}"):
        read({SHORT[field]: bad})
    assert read({SHORT[field]: bad, VARIABLES[field]: str(getattr(Settings(), field))}) == Settings()


def test_only_two_settings_have_short_names() -> None:
    assert SHORT == {"auth_mode": "AUTH_MODE", "max_dimensions": "MAX_DIMENSIONS"}
    assert read({"CORS_ORIGINS": "none", "EMBED_GIVEN": "false", "TABLE": "x"}) == Settings()


@pytest.mark.parametrize("field", ["private_webhooks", "embed_given", "strict_vectors"])
def test_a_truth_is_told_in_four_words(field: str) -> None:
    for word, meant in {"true": True, "TRUE": True, "1": True, "false": False, "False": False, "0": False}.items():
        assert getattr(read({VARIABLES[field]: word}), field) is meant


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("none", ()),
        ("https://a.example", ("https://a.example",)),
        (
            " https://a.example,http://b.example:8080 ,, http://127.0.0.1:1",
            ("https://a.example", "http://b.example:8080", "http://127.0.0.1:1"),
        ),
    ],
)
def test_origins_are_separated_by_spaces_or_commas(value: str, origins: tuple[str, ...]) -> None:
    assert read({"COMMONPLACE_CORS_ORIGINS": value}).cors_origins == origins


@pytest.mark.parametrize(
    ("value", "quotas"),
    [
        ("", {}),
        ("events_ingested=5000", {Dimension.EVENTS_INGESTED: 5000}),
        (" llm_tokens=2500000,memories_stored=0 ,, ", {Dimension.LLM_TOKENS: 2_500_000, Dimension.MEMORIES_STORED: 0}),
    ],
)
def test_quotas_are_separated_by_spaces_or_commas(value: str, quotas: dict[Dimension, int]) -> None:
    assert dict(read({"COMMONPLACE_QUOTAS": value}).quotas) == quotas


@pytest.mark.parametrize(
    "bad",
    [
        "*", "a.example", "https://a.example/", "https://a.example/path", "HTTPS://A.EXAMPLE", "https://", "https://u@h",
        "ftp://a.example", "https://a.example:port", "null", "none https://a.example", "https://*.example",
    ],
)  # fmt: skip
def test_what_no_browser_sends_as_an_origin_is_refused(bad: str) -> None:
    with pytest.raises(SettingError, match=r"^COMMONPLACE_CORS_ORIGINS must be origins such as https://example\.org"):
        read({"COMMONPLACE_CORS_ORIGINS": f"https://good.example {bad}"})
