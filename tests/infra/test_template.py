import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from commonplace.dialects.relay.errors import Relay
from commonplace.ports.table import INDEXES, TTL_ATTRIBUTE
from commonplace.settings import VARIABLES, Settings, read
from template import HttpRoute
from template_document import DOCUMENT, FUNCTIONS, RESOURCES, ROOT, of_type, setting, statements
from world import TEMPLATE, World

HTTP = TEMPLATE.functions
QUEUES = of_type("AWS::SQS::Queue")
TABLES = of_type("AWS::DynamoDB::Table")
LOGS = of_type("AWS::Logs::LogGroup")
TAKEN = [name for name, queue in QUEUES.items() if "RedrivePolicy" in queue]
"""The queues that a function takes messages from."""


def sources() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each function with each queue that feeds it."""
    for function, properties in FUNCTIONS.items():
        for event in properties.get("Events", {}).values():
            if event["Type"] == "SQS":
                yield function, event["Properties"]


def test_every_function_of_the_folder_is_deployed_and_no_other() -> None:
    assert set(FUNCTIONS) == {path.parent.name for path in ROOT.glob("functions/*/handler.py")}
    for name, properties in FUNCTIONS.items():
        assert properties["Handler"] == f"{name}.handler.handler"


@pytest.mark.anyio
async def test_every_operation_has_its_route_in_both_mounts_and_every_route_its_operation(world: World) -> None:
    served = {
        HttpRoute(name, operation.method, prefix + operation.path)
        for name in HTTP
        for operation in importlib.import_module(f"{name}.relay").operations(world.services)
        for prefix in Relay().prefixes
    }
    assert set(TEMPLATE.routes) == {*served, HttpRoute("account", "ANY", "$default")}


def test_no_route_stands_twice() -> None:
    routes = [(route.method, route.path) for route in TEMPLATE.routes]
    assert len(routes) == len(set(routes))


def test_every_route_is_one_of_the_one_api() -> None:
    events = [event for each in FUNCTIONS.values() for event in each["Events"].values() if event["Type"] == "HttpApi"]
    assert {event["Properties"]["ApiId"].name for event in events} == {"Api"}
    assert list(of_type("AWS::Serverless::HttpApi")) == ["Api"]


@pytest.mark.parametrize("function", HTTP)
def test_a_function_of_the_api_ends_before_the_gateway_gives_it_up(function: str) -> None:
    assert setting(function, "Timeout") < 30


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_logs_json_into_a_group_of_its_own_that_forgets(function: str) -> None:
    assert DOCUMENT["Globals"]["Function"]["LoggingConfig"]["LogFormat"] == "JSON"
    own = FUNCTIONS[function]["LoggingConfig"]
    assert own.get("LogFormat", "JSON") == "JSON"
    group = own["LogGroup"].name
    assert group == f"{function.capitalize()}Logs"
    assert LOGS[group]["RetentionInDays"].name == "LogRetentionDays"


def test_every_log_group_forgets() -> None:
    assert all("RetentionInDays" in group for group in LOGS.values())
    assert DOCUMENT["Parameters"]["LogRetentionDays"]["Default"] == 30


def test_every_access_to_the_api_is_logged_without_a_header_or_a_body() -> None:
    access = RESOURCES["Api"]["Properties"]["AccessLogSettings"]
    assert access["DestinationArn"].name == "AccessLogs"
    assert not any(word in access["Format"].lower() for word in ("header", "body", "authorization"))


def test_the_api_is_throttled() -> None:
    throttle = RESOURCES["Api"]["Properties"]["DefaultRouteSettings"]
    assert throttle["ThrottlingBurstLimit"] > 0
    assert throttle["ThrottlingRateLimit"] > 0


def test_every_queue_that_feeds_a_function_has_a_dead_letter_queue() -> None:
    fed = {source["Queue"].name for _, source in sources()}
    assert set(TAKEN) == fed == {"EmbeddingQueue", "DeliveryQueue"}
    dead = [QUEUES[name]["RedrivePolicy"]["deadLetterTargetArn"].name for name in TAKEN]
    assert set(QUEUES) == {*TAKEN, *dead}
    assert len(set(dead)) == len(TAKEN)


@pytest.mark.parametrize("name", QUEUES)
def test_a_queue_is_encrypted_and_a_dead_letter_outlives_the_message_that_it_was(name: str) -> None:
    assert QUEUES[name]["SqsManagedSseEnabled"] is True
    if name in TAKEN:
        dead = QUEUES[QUEUES[name]["RedrivePolicy"]["deadLetterTargetArn"].name]
        assert dead["MessageRetentionPeriod"] > QUEUES[name]["MessageRetentionPeriod"]


def test_a_message_is_hidden_for_at_least_six_times_as_long_as_its_function_may_take() -> None:
    for function, source in sources():
        window = source.get("MaximumBatchingWindowInSeconds", 0)
        assert QUEUES[source["Queue"].name]["VisibilityTimeout"] >= 6 * setting(function, "Timeout") + window


def test_messages_fail_alone_and_a_bounded_number_of_batches_is_in_work() -> None:
    for _, source in sources():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert 2 <= source["ScalingConfig"]["MaximumConcurrency"] <= 1000
        assert source["BatchSize"] <= 10 or source["MaximumBatchingWindowInSeconds"] >= 1


def test_the_number_of_tries_reaches_the_queues_and_the_worker_from_one_parameter() -> None:
    for name in TAKEN:
        assert QUEUES[name]["RedrivePolicy"]["maxReceiveCount"].name == "MaxReceives"
    assert setting("worker", "Environment")["Variables"][VARIABLES["max_receives"]].name == "MaxReceives"
    default = DOCUMENT["Parameters"]["MaxReceives"]["Default"]
    assert {policy.max_receives for policy in TEMPLATE.queues} == {default}
    assert default == Settings().max_receives


def test_one_sweep_is_in_work_at_a_time_and_ends_before_the_next() -> None:
    assert FUNCTIONS["sweeper"]["ReservedConcurrentExecutions"] == 1
    (schedule,) = TEMPLATE.schedules
    assert (schedule.function, schedule.period) == ("sweeper", 60)
    assert setting("sweeper", "Timeout") < schedule.period


def test_the_table_is_kept_encrypted_and_can_be_put_back_to_any_second() -> None:
    (name,) = TABLES
    assert RESOURCES[name]["DeletionPolicy"] == RESOURCES[name]["UpdateReplacePolicy"] == "Retain"
    table = TABLES[name]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}


def keys(schema: list[dict[str, str]]) -> tuple[str, str]:
    found = {each["KeyType"]: each["AttributeName"] for each in schema}
    return found["HASH"], found["RANGE"]


def test_the_table_has_the_keys_and_the_indexes_of_the_port() -> None:
    (table,) = TABLES.values()
    assert keys(table["KeySchema"]) == ("partition", "sort")
    assert {each["IndexName"]: keys(each["KeySchema"]) for each in table["GlobalSecondaryIndexes"]} == dict(INDEXES)
    assert all(each["Projection"] == {"ProjectionType": "KEYS_ONLY"} for each in table["GlobalSecondaryIndexes"])
    attributes = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    used = {"partition", "sort", *(part for parts in INDEXES.values() for part in parts)}
    assert attributes == dict.fromkeys(used, "S")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_policy_has_a_wildcard(function: str) -> None:
    for statement in statements(function):
        assert set(statement) == {"Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        assert statement["Action"]
        assert statement["Resource"]
        for word in (*statement["Action"], *(each.text for each in statement["Resource"])):
            assert "*" not in word
        assert all(action.partition(":")[2] for action in statement["Action"])
        assert all(each.tag in ("GetAtt", "Sub") for each in statement["Resource"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_policy_names_resources_of_this_template_only(function: str) -> None:
    for statement in statements(function):
        for resource in statement["Resource"]:
            name = resource.text.removeprefix("${").partition(".")[0]
            assert name in RESOURCES


def test_every_setting_of_the_template_is_one_that_is_read() -> None:
    variables = DOCUMENT["Globals"]["Function"]["Environment"]["Variables"]
    assert set(variables) <= set(VARIABLES.values())
    assert read(TEMPLATE.variables).engines == "aws"
    names = {"table": "Table", "embedding_queue": "EmbeddingQueue", "delivery_queue": "DeliveryQueue"}
    assert {field: variables[VARIABLES[field]].name for field in names} == names


def test_the_names_of_the_queues_on_one_machine_are_those_of_the_template() -> None:
    assert {Settings().embedding_queue, Settings().delivery_queue} == set(TAKEN)


def test_functions_and_layer_agree_on_runtime_and_processor() -> None:
    (layer,) = of_type("AWS::Serverless::LayerVersion").values()
    assert layer["CompatibleRuntimes"] == [DOCUMENT["Globals"]["Function"]["Runtime"]]
    assert layer["CompatibleArchitectures"] == DOCUMENT["Globals"]["Function"]["Architectures"]
    for function in FUNCTIONS.values():
        assert not {"Runtime", "Architectures", "Layers", "CodeUri", "Environment"} & set(function)
