"""The engines that a service of these tests runs on: those of one machine, or OpenSearch and DynamoDB Local."""

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aioboto3
import boto3

from commonplace.adapters.aws.dynamodb import DynamoTable, client_config, table_definition
from commonplace.adapters.facts import shortened
from commonplace.adapters.system import RandomIds, SystemClock
from commonplace.core.admit import Admit, KeyOrder
from commonplace.model.apikey import Permission
from commonplace.rows.apikeys import ApiKeys
from service import KEY

REGION = "eu-central-1"
CREDENTIALS = "local"
"""Key and secret alike: requests must be signed, but nobody checks the signature."""


@dataclass(frozen=True, slots=True)
class RealEngines:
    """A table of its own on DynamoDB, and a tenant of its own in the index of OpenSearch.

    The index may hold what other services wrote, as with engines that run already. It never meets in a search: whatever
    an engine is asked is asked inside of a tenant, and no other service has this one.
    """

    dynamodb: str
    opensearch: str
    table: str
    tenant: str

    def settings(self, opensearch: str | None = None) -> Mapping[str, str]:
        """The settings of a service on them; ``opensearch`` is another way to the same cluster."""
        return {
            "COMMONPLACE_ROWS": "dynamodb",
            "COMMONPLACE_TABLE": self.table,
            "COMMONPLACE_INDEX": "opensearch",
            "COMMONPLACE_OPENSEARCH": opensearch or self.opensearch,
            "COMMONPLACE_QUEUES": "sqlite",
            "AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb,
            "AWS_ACCESS_KEY_ID": CREDENTIALS,
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS,
            "AWS_DEFAULT_REGION": REGION,
        }

    def documents(self, index: str = "commonplace-*") -> list[tuple[str, int]]:
        """Memory and passage of each document that OpenSearch holds of the tenant, sorted."""
        self.ask("POST", f"/{index}/_refresh")
        fields = {"docvalue_fields": ["memory", "passage"], "stored_fields": "_none_"}
        question = {"query": {"term": {"tenant": shortened(self.tenant)}}, "size": 10_000, **fields}
        hits = self.ask("POST", f"/{index}/_search", question)["hits"]["hits"]
        return sorted((hit["fields"]["memory"][0], hit["fields"]["passage"][0]) for hit in hits)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """What OpenSearch answers."""
        request = urllib.request.Request(
            self.opensearch + urllib.parse.quote(path, safe="/*"),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read())


@contextmanager
def on_real_engines(dynamodb: str, opensearch: str) -> Iterator[RealEngines]:
    """Engines where the service's usual key is good for a tenant that nobody else has."""
    name = uuid4().hex
    client = boto3.client(
        "dynamodb",
        endpoint_url=dynamodb,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS,
        aws_secret_access_key=CREDENTIALS,
    )
    table = f"commonplace-{name}"
    client.create_table(**table_definition(table))
    client.get_waiter("table_exists").wait(TableName=table)
    engines = RealEngines(dynamodb, opensearch, table, f"tenant-{name}")
    try:
        with asyncio.Runner() as runner:
            runner.run(_accept(engines))
        yield engines
    finally:
        client.delete_table(TableName=table)
        client.close()


async def _accept(engines: RealEngines) -> None:
    """Makes the key good before the service does, which would give it to the tenant of every machine."""
    session = aioboto3.Session(aws_access_key_id=CREDENTIALS, aws_secret_access_key=CREDENTIALS, region_name=REGION)
    async with session.client("dynamodb", endpoint_url=engines.dynamodb, config=client_config()) as client:
        admit = Admit(ApiKeys(DynamoTable(client, engines.table)), SystemClock(), RandomIds())
        await admit.accept(KEY, KeyOrder(tenant=engines.tenant, environment="local", permissions=tuple(Permission)))
