"""What wakes somebody up."""

import re
from collections.abc import Iterator, Mapping

import pytest

from cloudformation import Choices, Form, Reference
from commonplace.adapters.aws.metrics import NAMESPACE, STACK
from commonplace.ports.meter import METRICS, Metric
from template_document import DOCUMENT, FUNCTIONS, RESOURCES, of_type, references, statements, written

ALARMS = of_type("AWS::CloudWatch::Alarm")
OURS: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}
SERVICES = {name.capitalize() for name in FUNCTIONS} - {"Provision"}
"""The functions that requests, messages and the schedule come to; CloudFormation itself says how another ended."""

OPERATIONS = {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}
"""What the service asks of DynamoDB. Conditions on other items are part of transactions."""

EXAMPLE = Choices(DOCUMENT)


def series(alarm: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """The metrics that an alarm looks at: namespace, name, dimensions."""
    properties = ALARMS[alarm]
    parts = [properties, *(each.get("MetricStat", {}).get("Metric", {}) for each in properties.get("Metrics", ()))]
    for part in parts:
        if "MetricName" in part:
            dimensions = {each["Name"]: written(each["Value"], EXAMPLE) for each in part["Dimensions"]}
            yield part["Namespace"], part["MetricName"], dimensions


def watched(namespace: str, metric: str) -> list[dict[str, str]]:
    """The dimensions with which any alarm looks at a metric."""
    return [dimensions for alarm in ALARMS for *name, dimensions in series(alarm) if name == [namespace, metric]]


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_says_what_it_means_and_where_it_is_explained(name: str) -> None:
    alarm = ALARMS[name]
    assert name.endswith("Alarm")
    title = alarm["AlarmName"].text.removeprefix("${AWS::StackName} ")
    meaning, _, place = alarm["AlarmDescription"].rpartition(" README.md")
    assert meaning.endswith(".")
    assert place == f', "Operating", says what to do ("{title}").'
    assert alarm["TreatMissingData"] == ("breaching" if name == "SweeperSilentAlarm" else "notBreaching")


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_goes_to_the_topic_that_there_is(name: str) -> None:
    given, email = "arn:aws:sns:eu-central-1:123456789012:ops", "ops@example.com"
    for actions in (ALARMS[name]["AlarmActions"], ALARMS[name]["OKActions"]):
        assert EXAMPLE.settled(actions) == []
        for parameters in ({"AlarmTopicArn": given}, {"AlarmTopicArn": given, "AlarmEmail": email}):
            choices = Choices(DOCUMENT, parameters)
            assert [written(each, choices) for each in choices.settled(actions)] == [given]
            assert not choices.holds("CreatesTopic")
        assert Choices(DOCUMENT, {"AlarmEmail": email}).settled(actions) == [Reference("Ref", "AlarmTopic")]


def test_the_topic_is_encrypted_and_cloudwatch_alone_may_speak_there_and_use_its_key() -> None:
    assert RESOURCES["AlarmTopic"]["Properties"]["KmsMasterKeyId"].name == "AlarmKey"
    key = RESOURCES["AlarmKey"]["Properties"]
    assert key["EnableKeyRotation"] is True
    owner, cloudwatch = key["KeyPolicy"]["Statement"]
    assert owner["Principal"] == {"AWS": Reference("Sub", "arn:${AWS::Partition}:iam::${AWS::AccountId}:root")}
    (speaks,) = RESOURCES["AlarmTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    for statement, actions in ((cloudwatch, ["kms:Decrypt", "kms:GenerateDataKey"]), (speaks, ["sns:Publish"])):
        assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        assert statement["Action"] == actions
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": Reference("Ref", "AWS::AccountId")}}


def test_every_letter_in_a_dead_letter_queue_alarms_and_every_queue_that_ages() -> None:
    queues = of_type("AWS::SQS::Queue")
    dead = {name for name in queues if "RedrivePolicy" not in queues[name]}
    depth, age = (
        {each["QueueName"] for each in watched("AWS/SQS", f"Approximate{name}")}
        for name in ("NumberOfMessagesVisible", "AgeOfOldestMessage")
    )
    assert depth == {f"${{{name}.QueueName}}" for name in dead}
    assert age == {f"${{{name}.QueueName}}" for name in set(queues) - dead}
    for name in dead:
        alarm = ALARMS[f"{name}Alarm"]
        assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Period"]) == (0, 1, 60)


def test_errors_and_throttles_of_every_function_are_seen() -> None:
    assert {each["FunctionName"] for each in watched("AWS/Lambda", "Errors")} == {f"${{{name}}}" for name in SERVICES}
    # The one environment of the sweeper is throttled by design when a sweep comes twice.
    throttled = {each["FunctionName"] for each in watched("AWS/Lambda", "Throttles")}
    assert throttled == {f"${{{name}}}" for name in SERVICES - {"Sweeper"}}
    assert watched("AWS/Lambda", "Invocations") == [{"FunctionName": "${Sweeper}"}]


def test_throttles_and_errors_of_every_operation_on_the_table_are_seen() -> None:
    for metric in ("ThrottledRequests", "SystemErrors"):
        seen = watched("AWS/DynamoDB", metric)
        assert {each["Operation"] for each in seen} == OPERATIONS
        assert {each["TableName"] for each in seen} == {"${Table}"}
    actions = {action for name in FUNCTIONS for statement in statements(name) for action in statement.actions}
    of_table = {action.removeprefix("dynamodb:") for action in actions if action.startswith("dynamodb:")}
    assert of_table - {"ConditionCheckItem"} | {"TransactWriteItems"} == OPERATIONS


@pytest.mark.parametrize("name", [name for name, alarm in ALARMS.items() if "Metrics" in alarm])
def test_an_alarm_over_several_metrics_uses_each_of_them_and_no_more_than_cloudwatch_takes(name: str) -> None:
    metrics = ALARMS[name]["Metrics"]
    (result,) = [each for each in metrics if each.get("ReturnData", True)]
    expression = result["Expression"]
    text = expression.text if isinstance(expression, Reference) else expression
    others = {each["Id"] for each in metrics} - {result["Id"]}
    assert set(re.findall(r"\b[a-z]\w*", text)) == others
    assert len(others) <= 10  # Amazon CloudWatch User Guide, "Using metric math": ten metrics in an alarm
    assert all(re.fullmatch("[a-z][A-Za-z0-9_]*", each) for each in others)


def test_lag_failures_and_degraded_answers_are_seen_as_the_service_reports_them() -> None:
    found = {
        (name, tuple(sorted(dimensions)))
        for alarm in ALARMS
        for space, name, dimensions in series(alarm)
        if space == NAMESPACE
    }
    assert {name for name, _ in found} == {"LagToSearchable", "MemoriesFailed", "DegradedAnswers"}
    for name, dimensions in found:
        assert dimensions == (STACK,)
        assert OURS[name].dimension is None or OURS[name].whole
    lag = ALARMS["LagAlarm"]
    assert (lag["ExtendedStatistic"], lag["Threshold"]) == ("p95", 60_000)


def test_the_domain_is_watched_if_it_is_the_stacks_own() -> None:
    own = {name for name, body in RESOURCES.items() if name in ALARMS and body.get("Condition") == "CreatesDomain"}
    seen = {metric for name in own for space, metric, _ in series(name) if space == "AWS/ES"}
    assert seen == {
        "ClusterStatus.red",
        "ClusterIndexWritesBlocked",
        "FreeStorageSpace",
        "JVMMemoryPressure",
        "CPUUtilization",
    }
    for name in own:
        for _, _, dimensions in series(name):
            assert dimensions == {"DomainName": "${Domain}", "ClientId": "${AWS::AccountId}"}
    assert {name for name in ALARMS if "Domain" in references(ALARMS[name])} == own


def test_the_outputs_name_what_an_operator_looks_for() -> None:
    outputs = DOCUMENT["Outputs"]
    assert {"Url", "TableName", "OpenSearchUrl", "DashboardUrl"} <= set(outputs)
    queues = {output["Value"].name for output in outputs.values() if isinstance(output["Value"], Reference)}
    assert set(of_type("AWS::SQS::Queue")) <= queues
    for output in outputs.values():
        assert output["Description"]
        assert isinstance(output["Value"], Reference | Form)
