"""The Table port on DynamoDB."""

import asyncio
import itertools
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from commonplace.adapters.aws.dynamodb_expressions import (
    position,
    query_request,
    scan_position,
    scan_start,
    write_request,
)
from commonplace.adapters.aws.dynamodb_items import PARTITION, SORT, decoded_item, decoded_key, encoded_key
from commonplace.model.errors import CommonplaceError, TooLarge, Unavailable
from commonplace.ports.table import (
    INDEXES,
    MAX_TRANSACTION,
    ConditionFailed,
    Delete,
    Item,
    Key,
    Put,
    Query,
    Scanned,
    Slice,
    Table,
    Update,
    Write,
)

MAX_BATCH_GET = 100
"""Keys in one BatchGetItem (DynamoDB's limit)."""

PATIENCE = 4.0
"""Seconds for which a throttled or colliding call is repeated."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.025, 0.8

_NOT_BEGUN = {
    "LimitExceededException",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
"""Codes of errors and of cancellation reasons that pass, and that say that nothing was done."""

_FAILED = {"ConditionalCheckFailed", "ConditionalCheckFailedException"}


def client_config() -> Config:
    """The configuration for the client of a ``DynamoTable``: bounded in time, and without retries of its own, because
    botocore would also repeat a write that may have been done (a counter would count twice)."""
    return Config(
        connect_timeout=1,
        read_timeout=3,
        max_pool_connections=50,
        retries={"mode": "standard", "total_max_attempts": 1},
    )


def table_definition(name: str) -> dict[str, Any]:
    """The arguments of CreateTable: on demand, with every index of the port, holding keys only."""
    attributes = dict.fromkeys((PARTITION, SORT, *(part for parts in INDEXES.values() for part in parts)))
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": attribute, "AttributeType": "S"} for attribute in attributes],
        "KeySchema": _key_schema(PARTITION, SORT),
        "GlobalSecondaryIndexes": [
            {"IndexName": index, "KeySchema": _key_schema(*parts), "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for index, parts in INDEXES.items()
        ],
    }


def _key_schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


class DynamoTable(Table):
    """A table as ``table_definition`` describes it, through an aiobotocore client with ``client_config``.

    What is throttled or collides is repeated with growing, jittered pauses for at most ``patience`` seconds. After a
    time-out or a broken connection only that is repeated which has the same effect twice: reads, transactions (by their
    token), and single writes that neither expect nor add anything.
    """

    def __init__(
        self,
        client: Any,
        table_name: str,
        *,
        patience: float = PATIENCE,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._name = table_name
        self._patience = patience
        self._jitter = jitter

    async def get(self, key: Key) -> Item | None:
        """The item, or None."""
        answer = await self._call(
            "get_item", {"TableName": self._name, "Key": encoded_key(key), "ConsistentRead": True}
        )
        return decoded_item(answer["Item"]) if "Item" in answer else None

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """The items that are there, read by hundreds at the same time."""
        wanted = list(dict.fromkeys(keys))
        starts = range(0, len(wanted), MAX_BATCH_GET)
        found = await asyncio.gather(*(self._batch(wanted[start : start + MAX_BATCH_GET]) for start in starts))
        return {item.key: item for items in found for item in items}

    async def transact(self, writes: Sequence[Write]) -> None:
        """Writes all or nothing. A lone ``Check`` costs a transaction."""
        if len(writes) > MAX_TRANSACTION:
            raise ValueError("too many writes for one transaction")
        if len({write.key for write in writes}) < len(writes):
            raise ValueError("an item may stand only once in a transaction")
        match writes:
            case []:
                return
            case [Put() | Update() | Delete() as write]:
                kind, request = write_request(self._name, write)
                await self._call(f"{kind.lower()}_item", request, repeatable=_has_same_effect_twice(write))
            case _:
                requests = [dict([write_request(self._name, write)]) for write in writes]
                token = str(uuid.uuid4())
                await self._call("transact_write_items", {"TransactItems": requests, "ClientRequestToken": token})

    async def query(self, query: Query) -> Slice:
        """The keys of a slice of a partition. Reads one key more than asked for, so that ``next`` never leads nowhere."""
        if query.low is not None and query.high is not None and query.low > query.high:
            return Slice((), None)
        request = query_request(self._name, query)
        rows: list[dict[str, Any]] = []
        while len(rows) <= query.limit:
            answer = await self._call("query", {**request, "Limit": query.limit + 1 - len(rows)})
            rows += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        keys = tuple(decoded_key(row) for row in rows[: query.limit])
        return Slice(keys, position(query, rows[query.limit - 1]) if len(rows) > query.limit else None)

    async def scan(self, after: str | None, limit: int) -> Scanned:
        """As the port says, in one Scan, strongly consistent."""
        request: dict[str, Any] = {"TableName": self._name, "ConsistentRead": True, "Limit": limit}
        if after is not None:
            request["ExclusiveStartKey"] = scan_start(after)
        answer = await self._call("scan", request)
        last = answer.get("LastEvaluatedKey")
        return Scanned(tuple(map(decoded_item, answer["Items"])), None if last is None else scan_position(last))

    async def _batch(self, keys: Sequence[Key]) -> list[Item]:
        items: list[Item] = []
        pending: Any = {self._name: {"Keys": [encoded_key(key) for key in keys], "ConsistentRead": True}}
        pauses = self._pauses()
        while True:
            answer = await self._call("batch_get_item", {"RequestItems": pending})
            items += map(decoded_item, answer["Responses"].get(self._name, ()))
            pending = answer.get("UnprocessedKeys")
            if not pending:
                return items
            pause = next(pauses, None)
            if pause is None:
                raise Unavailable("The storage is overloaded")
            await asyncio.sleep(pause)

    async def _call(self, operation: str, parameters: dict[str, Any], *, repeatable: bool = True) -> dict[str, Any]:
        pauses = self._pauses()
        while True:
            try:
                answer: dict[str, Any] = await getattr(self._client, operation)(**parameters)
            except (BotoCoreError, ClientError) as error:
                pause = next(pauses, None) if _passes(error, repeatable=repeatable) else None
                if pause is None:
                    raise _translated(error) from error
            else:
                return answer
            await asyncio.sleep(pause)

    def _pauses(self) -> Iterator[float]:
        """The pauses between the attempts at one thing; they end with the patience."""
        now = asyncio.get_running_loop().time
        deadline = now() + self._patience
        for attempt in itertools.count():
            pause = min(SHORTEST_PAUSE * 2**attempt, LONGEST_PAUSE) * (0.5 + self._jitter() / 2)
            if now() + pause > deadline:
                return
            yield pause


def _has_same_effect_twice(write: Write) -> bool:
    return write.condition is None and not (isinstance(write, Update) and write.add)


def _passes(error: BotoCoreError | ClientError, *, repeatable: bool) -> bool:
    """Whether the call may succeed if it is repeated, and may be repeated."""
    if not isinstance(error, ClientError):
        return repeatable or isinstance(error, EndpointConnectionError | ConnectTimeoutError)
    reasons = {reason.get("Code") for reason in _reasons(error)}
    if reasons & _NOT_BEGUN or error.response["Error"]["Code"] in _NOT_BEGUN:
        return True
    return repeatable and error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500  # noqa: PLR2004 - HTTP's own limit


def _reasons(error: ClientError) -> list[dict[str, Any]]:
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])
    return reasons


def _translated(error: BotoCoreError | ClientError) -> CommonplaceError:
    if not isinstance(error, ClientError):
        return Unavailable("The storage cannot be reached")
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code in _FAILED:
        return ConditionFailed({0: _old_item(error.response)})
    reasons = _reasons(error)
    codes = {reason.get("Code") for reason in reasons}
    if codes & _FAILED and not codes & _NOT_BEGUN:
        failed = {n: _old_item(reason) for n, reason in enumerate(reasons) if reason.get("Code") in _FAILED}
        return ConditionFailed(failed)
    messages = (message, *(reason.get("Message") or "" for reason in reasons))
    if any("size" in text.lower() and "exceed" in text.lower() for text in messages):
        return TooLarge("That is more than the storage holds in one piece")
    return Unavailable("The storage cannot be used now")


def _old_item(holder: Mapping[str, Any]) -> Item | None:
    return decoded_item(holder["Item"]) if holder.get("Item") else None
