"""Which text model reads events is a setting."""

from pathlib import Path

import pytest

from commonplace.adapters.aws.bedrock_extractor import BedrockExtractor
from commonplace.engines import opened
from commonplace.settings import SettingError, Settings
from embedding_server import KEY
from fakes import FakeClock, event
from text_model_server import GPT, answering

pytestmark = pytest.mark.anyio


async def test_without_a_setting_there_is_none(tmp_path: Path) -> None:
    async with opened(Settings(data=tmp_path), FakeClock()) as engines:
        assert engines.extractor() is None


async def test_an_endpoint_that_speaks_openais_protocol_reads_events(tmp_path: Path) -> None:
    async with answering() as server:
        settings = Settings(
            data=tmp_path, extractor="openai", text_model=GPT, openai_url=f"{server.url}/v1", openai_key=KEY
        )
        async with opened(settings, FakeClock()) as engines:
            extractor = engines.extractor()
            assert extractor is engines.extractor()
            assert extractor is not None
            (extracted,) = await extractor.extract([event()], [])
    assert isinstance(extracted.outcome, tuple)
    assert extracted.tokens > 0


async def test_an_endpoint_needs_the_name_of_the_model(tmp_path: Path) -> None:
    async with opened(Settings(data=tmp_path, extractor="openai"), FakeClock()) as engines:
        with pytest.raises(SettingError, match="COMMONPLACE_EXTRACTOR=openai needs COMMONPLACE_TEXT_MODEL"):
            engines.extractor()


async def test_amazon_bedrock_reads_events_and_is_not_asked_before_there_are_any(tmp_path: Path) -> None:
    async with opened(Settings(data=tmp_path, extractor="bedrock"), FakeClock()) as engines:
        assert isinstance(engines.extractor(), BedrockExtractor)
