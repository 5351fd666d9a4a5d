from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from commonplace.adapters.aws.dynamodb import DynamoTable
from commonplace.model.errors import CommonplaceError, TooLarge, Unavailable
from commonplace.ports.table import Absent, ConditionFailed, Delete, Item, Key, Put, Query, Update, Write

pytestmark = pytest.mark.anyio

ONE, TWO = Key("tenant", "one"), Key("tenant", "two")
RAW_TWO = {"partition": {"S": "tenant"}, "sort": {"S": "two"}, "revision": {"N": "1E+1"}}


class Script:
    """A client that answers as it was told to, and remembers what it was asked."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self._answers = list(answers)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        async def call(**parameters: Any) -> dict[str, Any]:
            self.calls.append((operation, parameters))
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def table(self, patience: float = 4.0) -> DynamoTable:
        return DynamoTable(self, "rows", patience=patience, jitter=lambda: 0.0)


def refusal(code: str, status: int = 400, message: str = "", **more: Any) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return ClientError(response, "Operation")


def cancelled(*reasons: dict[str, Any]) -> ClientError:
    return refusal("TransactionCanceledException", CancellationReasons=list(reasons))


CONFLICT = cancelled({"Code": "TransactionConflict"}, {"Code": "None"})
THROTTLED = refusal("ProvisionedThroughputExceededException")
CONDITION = {"Code": "ConditionalCheckFailed", "Item": RAW_TWO}
TIME_OUT = ReadTimeoutError(endpoint_url="http://x")
CLOSED = ConnectionClosedError(endpoint_url="http://x")
UNREACHABLE = EndpointConnectionError(endpoint_url="http://x")
INTERNAL = refusal("InternalServerError", 500)

COUNT = Update(ONE, add={"count": 1})


@pytest.mark.parametrize("error", [THROTTLED, refusal("ThrottlingException"), TIME_OUT, CLOSED, UNREACHABLE, INTERNAL])
async def test_a_read_is_repeated_after_whatever_passes(error: Exception) -> None:
    client = Script(error, error, {})
    assert await client.table().get(ONE) is None
    assert len(client.calls) == 3


@pytest.mark.parametrize("error", [CONFLICT, THROTTLED, TIME_OUT, CLOSED, UNREACHABLE, INTERNAL])
async def test_a_transaction_is_repeated_with_its_token(error: Exception) -> None:
    client = Script(error, error, {})
    await client.table().transact([COUNT, Put(TWO, {}, Absent())])
    assert len(client.calls) == 3
    assert len({parameters["ClientRequestToken"] for _, parameters in client.calls}) == 1


@pytest.mark.parametrize("write", [COUNT, Put(ONE, {}, Absent()), Delete(ONE, Absent())])
@pytest.mark.parametrize(
    ("error", "repeated"),
    [
        (THROTTLED, True),
        (refusal("TransactionConflictException"), True),
        (UNREACHABLE, True),
        (TIME_OUT, False),
        (CLOSED, False),
        (INTERNAL, False),
    ],
)
async def test_a_write_that_may_have_been_done_is_not_done_again_if_that_would_tell(
    write: Write, error: Exception, repeated: bool
) -> None:
    client = Script(error, {})
    if repeated:
        await client.table().transact([write])
    else:
        with pytest.raises(Unavailable) as failure:
            await client.table().transact([write])
        assert failure.value.__cause__ is error
    assert len(client.calls) == 1 + repeated


@pytest.mark.parametrize("write", [Put(ONE, {"a": 1}), Delete(ONE), Update(ONE, set={"a": 1}, remove=("b",))])
async def test_a_write_that_has_the_same_effect_twice_is_repeated(write: Write) -> None:
    client = Script(TIME_OUT, {})
    await client.table().transact([write])
    assert len(client.calls) == 2


@pytest.mark.parametrize("error", [CONFLICT, THROTTLED, TIME_OUT, UNREACHABLE, INTERNAL])
async def test_what_does_not_pass_in_time_is_unavailable(error: Exception) -> None:
    client = Script(error)
    with pytest.raises(Unavailable) as failure:
        await client.table(patience=0.1).transact([COUNT, Delete(TWO)])
    assert failure.value.__cause__ is error
    assert 1 < len(client.calls) < 10


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refusal("AccessDeniedException"), Unavailable),
        (refusal("ResourceNotFoundException"), Unavailable),
        (refusal("ValidationException", message="Item size has exceeded the maximum allowed size"), TooLarge),
        (cancelled({"Code": "ValidationError", "Message": "Item size to update has exceeded the maximum"}), TooLarge),
        (BotoCoreError(), Unavailable),
    ],
)
async def test_what_will_not_pass_is_told_at_once(error: Exception, expected: type[CommonplaceError]) -> None:
    client = Script(error)
    with pytest.raises(expected) as failure:
        await client.table().transact([COUNT])
    assert failure.value.__cause__ is error
    assert len(client.calls) == 1


async def test_conditions_that_failed_beside_a_conflict_are_told_when_all_of_them_are_known() -> None:
    failed = cancelled(CONDITION, {"Code": "None"}, {"Code": "ConditionalCheckFailed"})
    client = Script(cancelled(CONDITION, {"Code": "None"}, {"Code": "TransactionConflict"}), failed)
    with pytest.raises(ConditionFailed) as failure:
        await client.table().transact([Put(TWO, {}, Absent()), COUNT, Put(Key("tenant", "three"), {}, Absent())])
    assert failure.value.items == {0: Item(TWO, {"revision": 10}), 2: None}
    assert failure.value.__cause__ is failed


def found(*sorts: str, unprocessed: Sequence[str] = ()) -> dict[str, Any]:
    items = [{"partition": {"S": "tenant"}, "sort": {"S": sort}} for sort in sorts]
    keys = [{"partition": {"S": "tenant"}, "sort": {"S": sort}} for sort in unprocessed]
    return {"Responses": {"rows": items}, "UnprocessedKeys": {"rows": {"Keys": keys}} if keys else {}}


async def test_keys_that_were_not_processed_are_asked_for_again() -> None:
    client = Script(found("one", unprocessed=["two"]), found(unprocessed=["two"]), found("two"))
    assert set(await client.table().batch_get([ONE, TWO])) == {ONE, TWO}
    assert client.calls[2][1]["RequestItems"]["rows"]["Keys"] == [{"partition": {"S": "tenant"}, "sort": {"S": "two"}}]


async def test_keys_that_are_never_processed_make_it_unavailable() -> None:
    client = Script(found("one", unprocessed=["two"]))
    with pytest.raises(Unavailable):
        await client.table(patience=0.1).batch_get([ONE, TWO])


async def test_a_page_that_dynamodb_cuts_short_is_filled_up() -> None:
    def page(*sorts: str, last: str | None) -> dict[str, Any]:
        items = found(*sorts)["Responses"]["rows"]
        return {"Items": items} | ({"LastEvaluatedKey": {"sort": {"S": last}}} if last else {})

    client = Script(page("a", last="a"), page(last="b"), page("c", "d", last=None))
    slice_ = await client.table().query(Query(partition="tenant", limit=2))
    assert ([key.sort for key in slice_.keys], slice_.next) == (["a", "c"], '["c"]')
    assert [parameters["Limit"] for _, parameters in client.calls] == [3, 2, 2]
