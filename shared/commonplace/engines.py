"""From settings to adapters. Only the adapters that are asked for are imported."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from commonplace.adapters import hosted
from commonplace.adapters.system import NoMeter
from commonplace.ports.embedder import Calibration, Embedder
from commonplace.ports.extractor import Extractor
from commonplace.ports.index import Index
from commonplace.ports.meter import Meter
from commonplace.ports.queue import Queue
from commonplace.ports.table import Table
from commonplace.ports.world import Clock, Sender
from commonplace.settings import SettingError, Settings

if TYPE_CHECKING:
    import aioboto3

    from commonplace.adapters.embedded.database import Database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Engines:
    """The adapters of a deployment. ``embedder``, ``extractor`` and ``sender`` are made when they are first asked for: most
    functions never do. There is no ``extractor`` where rules extract."""

    table: Table
    index: Index
    embedding_queue: Queue
    delivery_queue: Queue
    embedder: Callable[[], Embedder]
    extractor: Callable[[], Extractor | None]
    sender: Callable[[], Sender]
    meter: Meter


@asynccontextmanager
async def opened(settings: Settings, clock: Clock, *, eager: bool = False) -> AsyncIterator[Engines]:
    """The engines that the settings name, closed in the end. AWS clients live on the running loop, and take region,
    credentials and endpoints from the usual variables of the environment.

    ``eager``: whether index and embedder get their clients now, because every request will need them, and not when they
    are first used. Nothing is asked of an engine here.
    """
    async with AsyncExitStack() as stack:
        opening = _Opening(settings, clock, stack)
        if eager:
            await opening.connect()
        yield Engines(
            await opening.table(),
            opening.index(),
            opening.queue(settings.embedding_queue),
            opening.queue(settings.delivery_queue),
            cache(opening.embedder),
            cache(opening.extractor),
            cache(opening.sender),
            opening.meter(),
        )


class _Once(Generic[T]):
    """Something that is opened when it is first asked for, and then kept."""

    def __init__(self, open: Callable[[], Awaitable[T]]) -> None:
        self._open = open
        self._turn = asyncio.Lock()
        self._opened: list[T] = []

    async def __call__(self) -> T:
        async with self._turn:
            if not self._opened:
                self._opened.append(await self._open())
        return self._opened[0]


class _Opening:
    """What the engines of one deployment share while they are made."""

    def __init__(self, settings: Settings, clock: Clock, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._clock = clock
        self._stack = stack

    @cached_property
    def _database(self) -> "Database":
        from commonplace.adapters.embedded import index, queue, table
        from commonplace.adapters.embedded.database import Database

        self._settings.data.mkdir(parents=True, exist_ok=True)
        path = self._settings.data / "commonplace.db"
        database = Database(path, (table.prepare, index.prepare, queue.prepare))
        self._stack.callback(database.close)
        return database

    @cached_property
    def _session(self) -> "aioboto3.Session":
        import aioboto3

        return aioboto3.Session()

    async def _client(self, service: str, config: Any) -> Any:
        return await self._stack.enter_async_context(self._session.client(service, config=config))

    async def connect(self) -> None:
        """The clients of the index and of the embedder."""
        if self._settings.index == "opensearch":
            await self._opensearch()
        if self._settings.embedder == "bedrock":
            await self._bedrock_runtime()

    async def table(self) -> Table:
        if self._settings.rows == "sqlite":
            from commonplace.adapters.embedded.table import SqliteTable

            return SqliteTable(self._database)
        from commonplace.adapters.aws import dynamodb

        return dynamodb.DynamoTable(await self._client("dynamodb", dynamodb.client_config()), self._settings.table)

    def queue(self, name: str) -> Queue:
        if self._settings.queues == "sqlite":
            from commonplace.adapters.embedded.queue import SqliteQueue

            return SqliteQueue(self._database, name, self._clock)
        from commonplace.adapters.aws import sqs

        return sqs.SqsQueue(self._sqs, name)

    @cached_property
    def _sqs(self) -> Callable[[], Awaitable[Any]]:
        from commonplace.adapters.aws import sqs

        return _Once(lambda: self._client("sqs", sqs.client_config()))

    def index(self) -> Index:
        if self._settings.index == "sqlite":
            from commonplace.adapters.embedded.index import SqliteIndex

            return SqliteIndex(self._database)
        from commonplace.adapters.aws.opensearch import Layout, OpenSearchIndex

        settings = self._settings
        layout = Layout(
            engine=settings.opensearch_engine,
            shards=settings.opensearch_shards,
            replicas=settings.opensearch_replicas,
            refresh=settings.opensearch_refresh,
        )
        return OpenSearchIndex(self._opensearch, layout)

    @cached_property
    def _opensearch(self) -> Callable[[], Awaitable[Any]]:
        async def open() -> Any:
            from commonplace.adapters.aws import opensearch_client

            client = opensearch_client.connected(self._settings.opensearch, self._session)
            return await self._stack.enter_async_context(client)

        return _Once(open)

    def embedder(self) -> Embedder:
        try:
            match self._settings.embedder:
                case "onnx":
                    return self._onnx()
                case "bedrock":
                    return self._bedrock()
                case _:
                    return self._openai()
        except ValueError as error:
            raise SettingError(f"the embedding model cannot be used so: {error}") from error

    def _onnx(self) -> Embedder:
        from commonplace.adapters.embedded.onnx import OnnxEmbedder

        return OnnxEmbedder(self._settings.embedder_threads)

    def _bedrock(self) -> Embedder:
        from commonplace.adapters.aws import bedrock

        settings = self._settings
        return bedrock.BedrockEmbedder(
            self._bedrock_runtime,
            settings.embedding_dimension or bedrock.DIMENSIONS[-1],
            model=settings.embedding_model or bedrock.MODEL,
            window=settings.embedding_window or hosted.WINDOW,
            calibration=self._calibration(bedrock.CALIBRATION),
        )

    @cached_property
    def _bedrock_runtime(self) -> Callable[[], Awaitable[Any]]:
        from commonplace.adapters.aws import bedrock

        return _Once(lambda: self._client("bedrock-runtime", bedrock.client_config()))

    def _openai(self) -> Embedder:
        from commonplace.adapters.web import openai

        settings = self._settings
        if not (settings.embedding_model and settings.embedding_dimension):
            raise SettingError(
                "COMMONPLACE_EMBEDDER=openai needs COMMONPLACE_EMBEDDING_MODEL and COMMONPLACE_EMBEDDING_DIMENSION"
            )
        embedder = openai.OpenAIEmbedder(
            settings.openai_url,
            settings.embedding_model,
            settings.embedding_dimension,
            key=self._openai_key(),
            window=settings.embedding_window or hosted.WINDOW,
            calibration=self._calibration(openai.CALIBRATION),
        )
        self._stack.push_async_callback(embedder.close)
        return embedder

    def extractor(self) -> Extractor | None:
        settings = self._settings
        match settings.extractor:
            case "rules":
                return None
            case "bedrock":
                from commonplace.adapters.aws import bedrock_extractor

                # Not the embedder's client: that one gives up before a text model has answered.
                connect = _Once(lambda: self._client("bedrock-runtime", bedrock_extractor.client_config()))
                return bedrock_extractor.BedrockExtractor(connect, settings.text_model or bedrock_extractor.MODEL)
            case _:
                return self._openai_extractor()

    def _openai_extractor(self) -> Extractor:
        from commonplace.adapters.web.openai_extractor import OpenAIExtractor

        settings = self._settings
        if not settings.text_model:
            raise SettingError("COMMONPLACE_EXTRACTOR=openai needs COMMONPLACE_TEXT_MODEL")
        extractor = OpenAIExtractor(settings.openai_url, settings.text_model, key=self._openai_key())
        self._stack.push_async_callback(extractor.close)
        return extractor

    def _calibration(self, usual: Calibration) -> Calibration:
        curve = self._settings.calibration
        return replace(usual, together=curve) if curve else usual

    def _openai_key(self) -> Callable[[], Awaitable[str]] | None:
        key, secret = self._settings.openai_key, self._settings.openai_key_secret
        if secret:
            from commonplace.adapters.aws import secrets

            connect = _Once(lambda: self._client("secretsmanager", secrets.client_config()))
            return lambda: secrets.read(connect, secret)

        async def given() -> str:
            return key

        return given if key else None

    def sender(self) -> Sender:
        from commonplace.adapters.web.sender import WebhookSender

        return WebhookSender(private_targets=self._settings.private_webhooks, deadline=self._settings.webhook_timeout)

    def meter(self) -> Meter:
        if self._settings.rows == "sqlite":
            return NoMeter()
        from commonplace.adapters.aws.metrics import EmbeddedMetrics

        return EmbeddedMetrics(self._settings.stack, self._clock, sys.stdout)
