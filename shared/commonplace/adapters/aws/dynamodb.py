"""The Table port on DynamoDB.

How a value is stored: text as S, bytes as B, a bool as BOOL, an int as N. A float is an SS of one element, its ``repr``:
DynamoDB's numbers do not tell 1 from 1.0, end at 1E126 and know neither -0.0 nor infinity, and nothing here compares
floats or adds to them.
"""

import asyncio
import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, assert_never

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from commonplace.model.errors import CommonplaceError, Malformed, TooLarge, Unavailable
from commonplace.ports.table import (
    INDEXES,
    MAX_TRANSACTION,
    Absent,
    Attributes,
    Check,
    ConditionFailed,
    Delete,
    Item,
    Key,
    Present,
    Put,
    Query,
    RevisionIs,
    Slice,
    Table,
    Update,
    Value,
    Write,
)

PARTITION, SORT = "partition", "sort"
"""The table's key attributes."""

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
        answer = await self._call("get_item", {"TableName": self._name, "Key": _key(key), "ConsistentRead": True})
        return _item(answer["Item"]) if "Item" in answer else None

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
                kind, request = self._request(write)
                await self._call(f"{kind.lower()}_item", request, repeatable=_has_same_effect_twice(write))
            case _:
                requests = [dict([self._request(write)]) for write in writes]
                token = str(uuid.uuid4())
                await self._call("transact_write_items", {"TransactItems": requests, "ClientRequestToken": token})

    async def query(self, query: Query) -> Slice:
        """The keys of a slice of a partition. Reads one key more than asked for, so that ``next`` never leads nowhere."""
        if query.low is not None and query.high is not None and query.low > query.high:
            return Slice((), None)
        request = _query_request(self._name, query)
        rows: list[dict[str, Any]] = []
        while len(rows) <= query.limit:
            answer = await self._call("query", {**request, "Limit": query.limit + 1 - len(rows)})
            rows += answer["Items"]
            if "LastEvaluatedKey" not in answer:
                break
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        keys = tuple(Key(row[PARTITION]["S"], row[SORT]["S"]) for row in rows[: query.limit])
        return Slice(keys, _position(query, rows[query.limit - 1]) if len(rows) > query.limit else None)

    async def _batch(self, keys: Sequence[Key]) -> list[Item]:
        items: list[Item] = []
        pending: Any = {self._name: {"Keys": [_key(key) for key in keys], "ConsistentRead": True}}
        pauses = self._pauses()
        while True:
            answer = await self._call("batch_get_item", {"RequestItems": pending})
            items += map(_item, answer["Responses"].get(self._name, ()))
            pending = answer.get("UnprocessedKeys")
            if not pending:
                return items
            pause = next(pauses, None)
            if pause is None:
                raise Unavailable("The storage is overloaded")
            await asyncio.sleep(pause)

    def _request(self, write: Write) -> tuple[str, dict[str, Any]]:
        """The kind of the write and its parameters, as TransactWriteItems has them."""
        expression = _Expression()
        request: dict[str, Any] = {"TableName": self._name}
        match write:
            case Put():
                kind = "Put"
                request["Item"] = {**_encoded(write.attributes), **_key(write.key)}
            case Update():
                kind = "Update"
                request |= {"Key": _key(write.key), "UpdateExpression": expression.update(write)}
            case Delete():
                kind = "Delete"
                request["Key"] = _key(write.key)
            case Check():
                kind = "ConditionCheck"
                request["Key"] = _key(write.key)
            case _:
                assert_never(write)
        if write.condition is not None:
            request["ConditionExpression"] = expression.condition(write.condition)
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return kind, request | expression.parameters()

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


class _Expression:
    """The placeholders of one request. Names have them too, since many good ones are reserved words of DynamoDB."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, attribute: str) -> str:
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, value: Value) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = _encoded_value(value)
        return placeholder

    def condition(self, condition: Absent | Present | RevisionIs) -> str:
        match condition:
            case Absent():
                return f"attribute_not_exists({self.name(PARTITION)})"
            case Present():
                return f"attribute_exists({self.name(PARTITION)})"
            case RevisionIs(revision):
                return f"{self.name('revision')} = {self.value(revision)}"

    def update(self, update: Update) -> str:
        # Removing what nobody has makes an update of nothing a good expression, which a transaction demands.
        remove = update.remove or (() if update.set or update.add else ("nothing",))
        clauses = (
            ("SET", [f"{self.name(name)} = {self.value(value)}" for name, value in update.set.items()]),
            ("REMOVE", [self.name(name) for name in remove]),
            ("ADD", [f"{self.name(name)} {self.value(amount)}" for name, amount in update.add.items()]),
        )
        return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)

    def parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = {}
        if self._names:
            parameters["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in self._names.items()}
        if self._values:
            parameters["ExpressionAttributeValues"] = self._values
        return parameters


def _query_request(table: str, query: Query) -> dict[str, Any]:
    expression = _Expression()
    partition, sort = (PARTITION, SORT) if query.index is None else INDEXES[query.index]
    condition = f"{expression.name(partition)} = {expression.value(query.partition)}"
    match query.low, query.high:
        case str(low), str(high):
            condition += f" AND {expression.name(sort)} BETWEEN {expression.value(low)} AND {expression.value(high)}"
        case str(low), None:
            condition += f" AND {expression.name(sort)} >= {expression.value(low)}"
        case None, str(high):
            condition += f" AND {expression.name(sort)} <= {expression.value(high)}"
    request = {
        "TableName": table,
        "KeyConditionExpression": condition,
        "ProjectionExpression": ", ".join(map(expression.name, dict.fromkeys((PARTITION, SORT, sort)))),
        "ScanIndexForward": not query.descending,
        **expression.parameters(),
    }
    if query.index is None:
        request["ConsistentRead"] = True
    else:
        request["IndexName"] = query.index
    if query.after is not None:
        request["ExclusiveStartKey"] = _start_key(query, query.after)
    return request


def _position(query: Query, row: Mapping[str, Any]) -> str:
    """What of the LastEvaluatedKey the query itself does not say."""
    parts = [SORT] if query.index is None else [INDEXES[query.index][1], PARTITION, SORT]
    return json.dumps([row[part]["S"] for part in parts])


def _start_key(query: Query, after: str) -> dict[str, Any]:
    try:
        match query.index, json.loads(after):
            case None, [str(sort)]:
                return _key(Key(query.partition, sort))
            case str(index), [str(index_sort), str(partition), str(sort)]:
                index_key = dict(zip(INDEXES[index], (query.partition, index_sort), strict=True))
                return _encoded(index_key) | _key(Key(partition, sort))
    except ValueError as error:
        raise Malformed("The position cannot be read") from error
    raise Malformed("The position is not one of this query")


def _key(key: Key) -> dict[str, Any]:
    return {PARTITION: {"S": key.partition}, SORT: {"S": key.sort}}


def _item(raw: Mapping[str, Any]) -> Item:
    attributes = {name: _decoded_value(value) for name, value in raw.items() if name not in (PARTITION, SORT)}
    return Item(Key(raw[PARTITION]["S"], raw[SORT]["S"]), attributes)


def _encoded(attributes: Attributes) -> dict[str, Any]:
    return {name: _encoded_value(value) for name, value in attributes.items()}


def _encoded_value(value: Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case float():
            return {"SS": [repr(value)]}
        case bytes():
            return {"B": value}


def _decoded_value(raw: Mapping[str, Any]) -> Value:
    match raw:
        case {"S": str(text)}:
            return text
        case {"N": number}:
            return int(Decimal(number))  # DynamoDB may write a number of its own as 1E+2
        case {"SS": [number]}:
            return float(number)
        case {"BOOL": bool(truth)}:
            return truth
        case {"B": data}:
            return bytes(data)
    raise TypeError(f"an attribute of a type that is never written: {', '.join(raw)}")


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
    return _item(holder["Item"]) if holder.get("Item") else None
