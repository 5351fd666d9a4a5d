"""The requests to DynamoDB for writes and queries, with their expressions."""

import json
from collections.abc import Mapping
from typing import Any, assert_never

from commonplace.adapters.aws.dynamodb_items import PARTITION, SORT, encoded, encoded_key, encoded_value
from commonplace.model.errors import Malformed
from commonplace.ports.table import (
    INDEXES,
    Absent,
    AtMost,
    Check,
    Delete,
    Key,
    Present,
    Put,
    Query,
    RevisionIs,
    Update,
    Value,
    Write,
)


def write_request(table: str, write: Write) -> tuple[str, dict[str, Any]]:
    """The kind of the write and its parameters, as TransactWriteItems has them."""
    expression = _Expression()
    request: dict[str, Any] = {"TableName": table}
    match write:
        case Put():
            kind = "Put"
            request["Item"] = {**encoded(write.attributes), **encoded_key(write.key)}
        case Update():
            kind = "Update"
            request |= {"Key": encoded_key(write.key), "UpdateExpression": expression.update(write)}
        case Delete():
            kind = "Delete"
            request["Key"] = encoded_key(write.key)
        case Check():
            kind = "ConditionCheck"
            request["Key"] = encoded_key(write.key)
        case _:
            assert_never(write)
    if write.condition is not None:
        request["ConditionExpression"] = expression.condition(write.condition)
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return kind, request | expression.parameters()


def query_request(table: str, query: Query) -> dict[str, Any]:
    """The parameters of Query, but for its ``Limit``: the keys of the slice, and the index's sort key, in order.

    Raises ``Malformed`` when ``query.after`` is no ``position`` of such a query.
    """
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


def position(query: Query, row: Mapping[str, Any]) -> str:
    """Where a row of the answer stands, for the ``after`` of the next query: what the query itself does not say."""
    parts = [SORT] if query.index is None else [INDEXES[query.index][1], PARTITION, SORT]
    return json.dumps([row[part]["S"] for part in parts])


def scan_position(key: Mapping[str, Any]) -> str:
    """Where a scan ended, for ``scan_start``."""
    return json.dumps([key[PARTITION]["S"], key[SORT]["S"]])


def scan_start(after: str) -> dict[str, Any]:
    """Where a scan goes on. Raises ``Malformed`` for what is no ``scan_position``."""
    try:
        match json.loads(after):
            case [str(partition), str(sort)]:
                return encoded_key(Key(partition, sort))
    except ValueError as error:
        raise Malformed("That is no position in a scan") from error
    raise Malformed("That is no position in a scan")


def _start_key(query: Query, after: str) -> dict[str, Any]:
    try:
        match query.index, json.loads(after):
            case None, [str(sort)]:
                return encoded_key(Key(query.partition, sort))
            case str(index), [str(index_sort), str(partition), str(sort)]:
                index_key = dict(zip(INDEXES[index], (query.partition, index_sort), strict=True))
                return encoded(index_key) | encoded_key(Key(partition, sort))
    except ValueError as error:
        raise Malformed("The position cannot be read") from error
    raise Malformed("The position is not one of this query")


class _Expression:
    """The placeholders of one request. Names have them too, since many good ones are reserved words of DynamoDB."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, attribute: str) -> str:
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, value: Value) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = encoded_value(value)
        return placeholder

    def condition(self, condition: Absent | Present | RevisionIs | AtMost) -> str:
        match condition:
            case Absent():
                return f"attribute_not_exists({self.name(PARTITION)})"
            case Present():
                return f"attribute_exists({self.name(PARTITION)})"
            case RevisionIs(revision):
                return f"{self.name('revision')} = {self.value(revision)}"
            case AtMost(attribute, most):
                name, value = self.name(attribute), self.value(most)
                # What is not there equals nothing and is below nothing.
                return f"{name} <= {value} OR attribute_not_exists({name})" if most >= 0 else f"{name} <= {value}"

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
