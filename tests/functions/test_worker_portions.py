"""What is begun late enough to last too long is not begun: the times that the code and the template agree on."""

import pytest

from commonplace.adapters.aws import bedrock
from commonplace.adapters.aws.opensearch import Patience
from commonplace.adapters.web import openai
from commonplace.core.remember import WAIT
from template_document import setting
from worker.app import BEGINS

HANGING = {
    "bedrock": bedrock.PATIENCE + bedrock.client_config().connect_timeout + bedrock.client_config().read_timeout,
    "openai": openai.PATIENCE + openai.TIMEOUT,
}
"""Seconds after which an embedder that only hangs is given up."""


@pytest.mark.parametrize("embedder", HANGING)
def test_an_embedder_that_begins_to_hang_does_not_cut_a_caller_off(embedder: str) -> None:
    assert WAIT.total_seconds() + HANGING[embedder] < setting("create", "Timeout")


@pytest.mark.parametrize("embedder", HANGING)
def test_a_worker_has_the_time_for_what_it_begins(embedder: str) -> None:
    assert BEGINS.total_seconds() + HANGING[embedder] + Patience().write < setting("worker", "Timeout")
