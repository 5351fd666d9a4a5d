from pathlib import Path

import pytest

from commonplace.settings import VARIABLES, SettingError, Settings, read


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read({}) == Settings()
    assert read(dict.fromkeys(VARIABLES.values(), "")) == Settings()
    assert read({"PATH": "/bin", "COMMONPLACE_UNHEARD_OF": "x"}) == Settings()


def test_every_variable_sets_its_field() -> None:
    given = {
        "engines": "AWS",
        "environment": "prod",
        "data": "/somewhere",
        "table": "T",
        "embedding_queue": "E",
        "delivery_queue": "D",
        "max_receives": "7",
        "vector_weight": "0.25",
        "candidates": "50",
        "embedder_threads": "3",
        "private_webhooks": "True",
        "webhook_timeout": "2.5",
    }
    assert set(given) == set(VARIABLES)
    assert read({VARIABLES[field]: value for field, value in given.items()}) == Settings(
        engines="aws",
        environment="prod",
        data=Path("/somewhere"),
        table="T",
        embedding_queue="E",
        delivery_queue="D",
        max_receives=7,
        vector_weight=0.25,
        candidates=50,
        embedder_threads=3,
        private_webhooks=True,
        webhook_timeout=2.5,
    )


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("engines", "azure"),
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
        ("webhook_timeout", ("0.1", "30")),
    ],
)
def test_the_ends_of_a_range_belong_to_it(field: str, edges: tuple[str, str]) -> None:
    for edge in edges:
        assert getattr(read({VARIABLES[field]: edge}), field) == float(edge)
