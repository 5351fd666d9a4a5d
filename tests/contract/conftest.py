"""Every adapter of a port, for the suite of that port.

Another engine for the Table port needs an entry in ``TABLES`` and a fixture of that name that yields from
``fresh_dynamo_table`` with a client of its own.
"""

import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aioboto3
import pytest
from botocore.config import Config
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from commonplace.adapters.aws import dynamodb, sqs
from commonplace.adapters.aws.dynamodb import DynamoTable
from commonplace.adapters.aws.sqs import SqsQueue
from commonplace.adapters.embedded import queue as embedded_queue
from commonplace.adapters.embedded import table as embedded_table
from commonplace.adapters.embedded.database import Database
from commonplace.adapters.embedded.queue import SqliteQueue
from commonplace.adapters.embedded.table import SqliteTable
from commonplace.ports.queue import Queue
from commonplace.ports.table import Table
from contract.consumers import Consumer, SqliteConsumer, SqsConsumer, kept
from fakes import FakeClock

TABLES = {"sqlite": "sqlite_table", "dynamodb-moto": "moto_table", "dynamodb-local": "local_table"}
DOWN_TABLES = {"sqlite": "closed_sqlite_table", "dynamodb": "unreachable_dynamo_table"}
QUEUES = {"sqlite": "sqlite_consumer", "sqs-moto": "moto_consumer"}
DOWN_QUEUES = {"sqlite": "closed_sqlite_queue", "sqs": "unreachable_sqs_queue"}


@pytest.fixture(params=list(TABLES.values()), ids=list(TABLES))
def table(request: pytest.FixtureRequest) -> Table:
    found: Table = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=list(DOWN_TABLES.values()), ids=list(DOWN_TABLES))
def down_table(request: pytest.FixtureRequest) -> Table:
    found: Table = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=list(QUEUES.values()), ids=list(QUEUES))
def consumer(request: pytest.FixtureRequest) -> Consumer:
    found: Consumer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=list(DOWN_QUEUES.values()), ids=list(DOWN_QUEUES))
def down_queue(request: pytest.FixtureRequest) -> Queue:
    found: Queue = request.getfixturevalue(request.param)
    return found


# SQLite


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "contract.db", (embedded_table.prepare, embedded_queue.prepare))
    yield database
    database.close()


@pytest.fixture
def sqlite_table(database: Database) -> Table:
    return SqliteTable(database)


@pytest.fixture
def closed_sqlite_table(database: Database) -> Table:
    database.close()
    return SqliteTable(database)


@pytest.fixture
def sqlite_consumer(database: Database) -> Consumer:
    return SqliteConsumer(database)


@pytest.fixture
def closed_sqlite_queue(database: Database) -> Queue:
    database.close()
    return SqliteQueue(database, "embedding", FakeClock())


# AWS


@asynccontextmanager
async def aws_client(service: str, url: str, config: Config) -> AsyncIterator[Any]:
    session = aioboto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    async with session.client(service, endpoint_url=url, config=config) as client:
        yield client


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    werkzeug = server._server  # noqa: SLF001 - no other way to the application
    assert werkzeug is not None
    application, turn = werkzeug.app, threading.Lock()

    def one_at_a_time(*call: Any) -> Any:
        """moto's transactions copy the table and put it back: between threads they lose each other's writes."""
        with turn:
            return application(*call)

    werkzeug.app = one_at_a_time
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def closed_port_url() -> Iterator[str]:
    with socket.socket() as bound:  # bound, but not listening: nobody else gets the port, and nobody answers
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture(scope="session")
async def moto_dynamodb(moto_url: str) -> AsyncIterator[Any]:
    async with aws_client("dynamodb", moto_url, dynamodb.client_config()) as client:
        yield client


@asynccontextmanager
async def fresh_dynamo_table(client: Any) -> AsyncIterator[Table]:
    name = f"commonplace-{uuid4()}"
    await client.create_table(**dynamodb.table_definition(name))
    await client.get_waiter("table_exists").wait(TableName=name)
    yield DynamoTable(client, name)
    await client.delete_table(TableName=name)


@pytest.fixture
async def moto_table(moto_dynamodb: Any) -> AsyncIterator[Table]:
    async with fresh_dynamo_table(moto_dynamodb) as table:
        yield table


@pytest.fixture(scope="session")
async def local_dynamodb(dynamodb_local_url: str) -> AsyncIterator[Any]:
    async with aws_client("dynamodb", dynamodb_local_url, dynamodb.client_config()) as client:
        yield client


@pytest.fixture
async def local_table(local_dynamodb: Any) -> AsyncIterator[Table]:
    async with fresh_dynamo_table(local_dynamodb) as table:
        yield table


@pytest.fixture
async def unreachable_dynamo_table(closed_port_url: str) -> AsyncIterator[Table]:
    async with aws_client("dynamodb", closed_port_url, dynamodb.client_config()) as client:
        yield DynamoTable(client, "commonplace", patience=0.1)


@pytest.fixture(scope="session")
async def moto_sqs(moto_url: str) -> AsyncIterator[Any]:
    async with aws_client("sqs", moto_url, sqs.client_config()) as client:
        yield client


@pytest.fixture
async def moto_consumer(moto_sqs: Any) -> AsyncIterator[Consumer]:
    name = f"commonplace-{uuid4()}"
    dead = (await moto_sqs.create_queue(QueueName=f"{name}-dead"))["QueueUrl"]
    asked = await moto_sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    policy = {"deadLetterTargetArn": asked["Attributes"]["QueueArn"], "maxReceiveCount": 1000}
    created = await moto_sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(policy)})
    yield SqsConsumer(moto_sqs, created["QueueUrl"], dead)
    for url in (created["QueueUrl"], dead):
        await moto_sqs.delete_queue(QueueUrl=url)


@pytest.fixture
async def unreachable_sqs_queue(closed_port_url: str) -> AsyncIterator[Queue]:
    async with aws_client("sqs", closed_port_url, sqs.client_config()) as client:
        yield SqsQueue(kept(client), f"{closed_port_url}/000000000000/embedding")
