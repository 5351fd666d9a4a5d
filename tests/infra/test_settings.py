from pathlib import Path

import pytest

from commonplace.settings import VARIABLES, SettingError, Settings, read


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
    ],
)
def test_the_ends_of_a_range_belong_to_it(field: str, edges: tuple[str, str]) -> None:
    for edge in edges:
        assert getattr(read({VARIABLES[field]: edge}), field) == float(edge)
