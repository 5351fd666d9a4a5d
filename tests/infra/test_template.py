import importlib
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from cloudformation import NOTHING, Choices, Form, Reference
from commonplace.adapters.aws import bedrock
from commonplace.http.endpoint import Operation
from commonplace.ports.table import INDEXES, TTL_ATTRIBUTE
from commonplace.settings import VARIABLES, Settings, read
from provision.app import DEFINITION
from provision.cluster import SECONDS
from template import HttpRoute
from template_document import (
    DOCUMENT,
    DOMAIN_ARN,
    ELSEWHERE,
    FUNCTIONS,
    PARAMETERS,
    RESOURCES,
    ROLES,
    ROOT,
    of_type,
    references,
    setting,
    statements,
    written,
)
from world import TEMPLATE, World

HTTP = TEMPLATE.functions
QUEUES = of_type("AWS::SQS::Queue")
TABLES = of_type("AWS::DynamoDB::Table")
LOGS = of_type("AWS::Logs::LogGroup")
TAKEN = [name for name, queue in QUEUES.items() if "RedrivePolicy" in queue]
"""The queues that a function takes messages from."""

DEFAULTS = Choices(DOCUMENT)


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


def spoken() -> list[tuple[str, str]]:
    """Each function with each dialect that it speaks: functions/<function>/<dialect>.py has its operations."""
    dialects = {path.parent.name for path in ROOT.glob("shared/commonplace/dialects/*/errors.py")}
    return [
        (name, dialect) for name in HTTP for dialect in dialects if (ROOT / f"functions/{name}/{dialect}.py").exists()
    ]


def speaker(dialect: str) -> Any:
    """The one class of a dialect's errors.py that is a dialect: it says where it is mounted."""
    module = importlib.import_module(f"commonplace.dialects.{dialect}.errors")
    (found,) = [each for each in vars(module).values() if isinstance(each, type) and hasattr(each, "prefixes")]
    return found


def mounted(world: World, name: str, dialect: str) -> set[tuple[str, str]]:
    """Method and path of each operation of a function in a dialect, in each of its mounts."""
    operations: Sequence[Operation] = importlib.import_module(f"{name}.{dialect}").operations(world.services)
    prefixes: Sequence[str] = speaker(dialect).prefixes
    return {(operation.method, prefix + operation.path) for operation in operations for prefix in prefixes}


TOGETHER = [("account", "memsy", "/api/{path+}"), ("account", "memsy", "/memsy/api/{path+}")]
"""Paths, of any method, each of which is one route for all that a function serves there in a dialect."""


def routed(function: str, dialect: str, method: str, path: str) -> HttpRoute:
    """The route of an operation, as the template writes it."""
    for name, its_dialect, every in TOGETHER:
        if (function, dialect) == (name, its_dialect) and path.startswith(every.removesuffix("{path+}")):
            return HttpRoute(function, "ANY", every)
    return HttpRoute(function, method, re.sub(r"\{(\w+):path\}", r"{\1+}", path))


@pytest.mark.anyio
async def test_every_operation_has_its_route_in_each_mount_and_every_route_its_operation(world: World) -> None:
    served = {
        routed(name, dialect, method, path)
        for name, dialect in spoken()
        for method, path in mounted(world, name, dialect)
    }
    # Only this API says that HEAD works wherever GET does.
    heads = {
        HttpRoute(route.function, "HEAD", route.path)
        for route in served
        if route.method == "GET"
        and HttpRoute(route.function, "GET", f"/edge{route.path.removeprefix('/edge')}") in served
    }
    assert set(TEMPLATE.routes) == {*served, *heads, HttpRoute("account", "ANY", "$default")}


@pytest.mark.anyio
async def test_a_dialect_that_tells_a_wrong_method_from_an_unknown_path_knows_all_that_any_function_serves(
    world: World,
) -> None:
    telling = {dialect for _, dialect in spoken() if speaker(dialect).routes}
    assert telling == {"memsy"}
    for dialect in telling:
        known: Sequence[tuple[str, str]] = speaker(dialect).routes
        served = [each for name, its in spoken() if its == dialect for each in sorted(mounted(world, name, dialect))]
        assert sorted(known) == sorted(served)


MOST_ROUTES = 60
"""Routes of a function. Each is a statement in the function's policy, of about 330 bytes; that may have 20 KB in all (AWS
Lambda's quota "function resource-based policy")."""


@pytest.mark.parametrize("function", HTTP)
def test_a_functions_policy_has_room_for_its_routes(function: str) -> None:
    assert len([route for route in TEMPLATE.routes if route.function == function]) <= MOST_ROUTES


def test_whatever_has_operations_is_a_dialect_in_a_function_that_serves_http() -> None:
    modules = {path for path in ROOT.glob("functions/*/*.py") if "\ndef operations(" in path.read_text("utf-8")}
    assert {(path.parent.name, path.stem) for path in modules} == set(spoken())
    assert {name for name, _ in spoken()} == set(HTTP)


OPEN = {"/health", "/v1/health", "/relay/health", "/relay/v1/health", "/edge/health"}
"""What answers without a key."""


@pytest.mark.anyio
async def test_each_function_answers_on_each_of_its_routes(world: World) -> None:
    async with world.client(None) as client:
        for route in TEMPLATE.routes:
            if route.path != "$default":
                methods = ("GET", "PURGE") if route.method == "ANY" else (route.method,)
                for method in methods:
                    answer = await client.http.request(method, re.sub(r"\{\w+\+?\}", "x", route.path))
                    # A route that it does not serve would be a 404; what there is asks for a key first, but for health.
                    assert answer.status_code == (200 if route.path in OPEN else 401), route


def test_no_route_stands_twice() -> None:
    routes = [(route.method, route.path) for route in TEMPLATE.routes]
    assert len(routes) == len(set(routes))


def test_every_route_is_one_of_the_one_api() -> None:
    events = [event for each in FUNCTIONS.values() for event in each.get("Events", {}).values()]
    events = [event for event in events if event["Type"] == "HttpApi"]
    assert {event["Properties"]["ApiId"].name for event in events} == {"Api"}
    assert list(of_type("AWS::Serverless::HttpApi")) == ["Api"]


@pytest.mark.parametrize("function", HTTP)
def test_a_function_of_the_api_ends_before_the_gateway_gives_it_up(function: str) -> None:
    assert setting(function, "Timeout") < 30


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_logs_json_into_a_group_of_its_own_that_forgets(function: str) -> None:
    common = DOCUMENT["Globals"]["Function"]["LoggingConfig"]
    # Metrics are lines of the level INFO: a higher one would lose them.
    assert common == {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
    own = FUNCTIONS[function]["LoggingConfig"]
    assert set(own) == {"LogGroup"}
    group = own["LogGroup"].name
    assert group == f"{function.capitalize()}Logs"
    assert LOGS[group]["RetentionInDays"].name == "LogRetentionDays"


def test_every_log_group_forgets() -> None:
    assert {group["RetentionInDays"].name for group in LOGS.values()} == {"LogRetentionDays"}
    assert PARAMETERS["LogRetentionDays"]["Default"] == 30


def test_every_access_to_the_api_is_logged_without_a_header_or_a_body() -> None:
    access = RESOURCES["Api"]["Properties"]["AccessLogSettings"]
    assert access["DestinationArn"].name == "AccessLogs"
    assert not any(word in access["Format"].lower() for word in ("header", "body", "authorization"))


def test_the_api_is_throttled() -> None:
    throttle = RESOURCES["Api"]["Properties"]["DefaultRouteSettings"]
    assert throttle["ThrottlingBurstLimit"].name == "ThrottlingBurst"
    assert throttle["ThrottlingRateLimit"].name == "ThrottlingRate"
    assert DEFAULTS.value(throttle["ThrottlingBurstLimit"]) > 0
    assert DEFAULTS.value(throttle["ThrottlingRateLimit"]) > 0
    assert DOCUMENT["Globals"]["HttpApi"]["FailOnWarnings"] is True


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
        assert source["ScalingConfig"]["MaximumConcurrency"].name == "WorkerConcurrency"
        assert source["BatchSize"] <= 10 or source["MaximumBatchingWindowInSeconds"] >= 1
    bound = PARAMETERS["WorkerConcurrency"]
    assert 2 == bound["MinValue"] <= bound["Default"] <= bound["MaxValue"] == 1000


@pytest.mark.parametrize("name", TAKEN)
def test_a_dead_letter_queue_takes_the_letters_of_its_queue_only(name: str) -> None:
    dead = QUEUES[QUEUES[name]["RedrivePolicy"]["deadLetterTargetArn"].name]
    own = f"arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{QUEUES[name]['QueueName'].text}"
    sources = [written(each, DEFAULTS) for each in dead["RedriveAllowPolicy"]["sourceQueueArns"]]
    assert (dead["RedriveAllowPolicy"]["redrivePermission"], sources) == ("byQueue", [own])


def test_the_number_of_tries_reaches_the_queues_and_the_worker_from_one_parameter() -> None:
    for name in TAKEN:
        assert QUEUES[name]["RedrivePolicy"]["maxReceiveCount"].name == "MaxReceives"
    assert setting("worker", "Environment")["Variables"][VARIABLES["max_receives"]].name == "MaxReceives"
    default = PARAMETERS["MaxReceives"]["Default"]
    assert {policy.max_receives for policy in TEMPLATE.queues} == {default}
    assert default == Settings().max_receives


def test_one_sweep_is_in_work_at_a_time_and_ends_before_the_next() -> None:
    reserved = FUNCTIONS["sweeper"]["ReservedConcurrentExecutions"]
    assert DEFAULTS.settled(reserved) == 1
    # An account that may have ten executions at once may reserve none.
    assert Choices(DOCUMENT, {"ReserveConcurrency": "false"}).settled(reserved) == NOTHING
    assert FUNCTIONS["sweeper"]["EventInvokeConfig"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
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
    assert table["DeletionProtectionEnabled"].name == "TableDeletionProtection"
    assert PARAMETERS["TableDeletionProtection"]["Default"] == "true"
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


PARTIAL = re.compile(r"(_alias/)?commonplace-\*(/_bulk|/_mapping)?")
"""Paths in a domain with a star: its indexes are made later, and named for models."""


def given(*names: str) -> dict[str, str]:
    """Parameters that make everything that can be made."""
    everything = {"OperatorRoleArn": "arn:aws:iam::1:role/o", "Embedder": "openai", "OpenAiKeySecretArn": "arn:secret"}
    return {name: everything[name] for name in names}


@pytest.mark.parametrize("parameters", [{}, ELSEWHERE, given("Embedder", "OpenAiKeySecretArn")], ids=repr)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_policy_has_a_wildcard(function: str, parameters: dict[str, str]) -> None:
    for statement in statements(function, **parameters):
        assert not any("*" in action for action in statement.actions)
        for resource in statement.resources:
            domain = next(
                (each for each in ("${Domain.Arn}", ELSEWHERE["OpenSearchDomainArn"]) if resource.startswith(each)),
                None,
            )
            assert "*" not in resource or (domain and PARTIAL.fullmatch(resource.removeprefix(f"{domain}/")))


def test_all_functions_may_trace_which_knows_no_resources_and_nothing_else_together() -> None:
    (statement,) = RESOURCES["Common"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        "Resource": ["*"],
    }
    for role in of_type("AWS::IAM::Role").values():
        assert [each.name for each in role["ManagedPolicyArns"]] == ["Common"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_has_a_role_of_its_own_that_only_lambda_takes_on(function: str) -> None:
    assert list(ROLES.values()).count(ROLES[function]) == 1
    (statement,) = RESOURCES[ROLES[function]]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    assert set(of_type("AWS::IAM::Role")) == set(ROLES.values())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_policy_names_resources_of_this_template_or_of_its_parameters_only(function: str) -> None:
    for statement in statements(function):
        for resource in statement.resources:
            known = resource.startswith((f"{DOMAIN_ARN}/", "arn:${AWS::Partition}:bedrock:${AWS::Region}::"))
            assert known or resource.removeprefix("${").partition(".")[0] in RESOURCES


def test_every_setting_of_the_template_is_one_that_is_read() -> None:
    variables = DOCUMENT["Globals"]["Function"]["Environment"]["Variables"]
    assert set(variables) <= set(VARIABLES.values())
    settings = read({**TEMPLATE.variables, VARIABLES["opensearch"]: "https://search"})
    assert (settings.rows, settings.index, settings.queues) == ("dynamodb", "opensearch", "sqs")
    assert (settings.embedder, settings.embedding_dimension) == ("bedrock", 1024)
    names = {"table": "Table", "embedding_queue": "EmbeddingQueue", "delivery_queue": "DeliveryQueue"}
    assert {field: variables[VARIABLES[field]].name for field in names} == names
    assert variables[VARIABLES["stack"]] == Reference("Ref", "AWS::StackName")


def test_the_index_is_that_of_the_stack_or_the_one_that_was_given() -> None:
    index = DOCUMENT["Globals"]["Function"]["Environment"]["Variables"][VARIABLES["opensearch"]]
    assert DEFAULTS.value(index) == "https://${Domain.DomainEndpoint}"
    assert Choices(DOCUMENT, ELSEWHERE).value(index) == ELSEWHERE["OpenSearchEndpoint"]


def test_the_names_of_the_queues_on_one_machine_are_those_of_the_template() -> None:
    assert {Settings().embedding_queue, Settings().delivery_queue} == set(TAKEN)


def test_functions_and_layer_agree_on_runtime_and_processor() -> None:
    (layer,) = of_type("AWS::Serverless::LayerVersion").values()
    common = DOCUMENT["Globals"]["Function"]
    assert layer["CompatibleRuntimes"] == [common["Runtime"]]
    assert layer["CompatibleArchitectures"] == common["Architectures"] == [Reference("Ref", "Architecture")]
    assert PARAMETERS["Architecture"]["Default"] == "arm64"
    for function in FUNCTIONS.values():
        assert not {"Runtime", "Architectures", "Layers", "CodeUri", "Environment"} & set(function)


def test_snapshots_are_a_switch_and_need_nothing_else() -> None:
    start = DOCUMENT["Globals"]["Function"]["SnapStart"]["ApplyOn"]
    assert DEFAULTS.settled(start) == "None"
    assert Choices(DOCUMENT, {"SnapStart": "on"}).settled(start) == "PublishedVersions"
    # AWS takes no snapshot of a function with more than 512 MB of /tmp, with EFS, or with provisioned concurrency.
    for function in (*FUNCTIONS.values(), DOCUMENT["Globals"]["Function"]):
        assert not {"EphemeralStorage", "FileSystemConfigs", "ProvisionedConcurrencyConfig"} & set(function)


def test_what_calls_a_function_calls_a_version_that_keeps_up_with_code_layer_and_parameters() -> None:
    common = DOCUMENT["Globals"]["Function"]
    assert (common["AutoPublishAlias"], common["VersionDeletionPolicy"]) == ("live", "Delete")
    assert DOCUMENT["Globals"]["LayerVersion"] == {"PublishLambdaVersion": True}
    for function in FUNCTIONS.values():
        assert function["AutoPublishAliasAllProperties"] is True
        assert function["VersionDescription"] == Reference("Ref", "Common")
    described = references(RESOURCES["Common"]["Properties"]["Description"])
    settings = [common, *({**each, "Events": {}} for each in FUNCTIONS.values())]
    of_function = {name for each in settings for name in references(each)} & set(PARAMETERS)
    not_of_a_version = {"ReserveConcurrency"}
    assert described & set(PARAMETERS) == of_function - not_of_a_version


def test_the_parameters_fit_into_the_description_that_carries_them() -> None:
    text = RESOURCES["Common"]["Properties"]["Description"].text
    most = {"AWS::StackName": 128, "Environment": 16, "VectorWeight": 6}
    for name in references(RESOURCES["Common"]["Properties"]["Description"]) - set(most):
        parameter = PARAMETERS[name]
        choices = parameter.get("AllowedValues", [parameter.get("MaxValue", "")])
        most[name] = parameter.get("MaxLength", max(len(str(choice)) for choice in choices))
        assert most[name], name
    longest = re.sub(r"\$\{([^}]+)\}", lambda match: "x" * most[match[1]], text)
    assert len(longest) <= 1000  # IAM, "IAM and AWS STS quotas": a policy's description


def test_every_parameter_says_what_it_is_for_and_stands_in_a_group() -> None:
    groups = DOCUMENT["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(PARAMETERS)
    for name, parameter in PARAMETERS.items():
        assert parameter["Description"].endswith("."), name
        assert "Default" in parameter, name
        assert {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter), name
        if "AllowedPattern" in parameter:
            assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"]), name


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("OpenSearchEndpoint", "https://vpc-x.eu-central-1.es.amazonaws.com", "https://host/path"),
        ("OpenSearchEndpoint", "http://127.0.0.1:9200", "host"),
        (
            "OpenSearchDomainArn",
            "arn:aws:es:eu-central-1:123456789012:domain/a-b",
            "arn:aws:es:eu-central-1:1:domain/*",
        ),
        ("OpenAiKeySecretArn", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a/b-1", "a/b"),
        ("OpenAiKeySecretArn", "", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:*"),
        ("OperatorRoleArn", "arn:aws:iam::123456789012:role/path/name", "arn:aws:iam::123456789012:role/*"),
        ("AlarmTopicArn", "arn:aws:sns:eu-central-1:123456789012:ops", "ops"),
        ("AlarmEmail", "ops@example.com", "ops"),
        ("VectorWeight", "0.35", "1.5"),
        ("CorsOrigins", "https://a.example http://localhost:3000", "https://a.example/path"),
        ("CorsOrigins", "none", "*"),
        ("OpenAiUrl", "https://api.openai.com/v1", "https://user@host"),
        ("EmbeddingModel", "text-embedding-3-small", "*"),
        ("Environment", "prod", "Prod"),
    ],
)
def test_a_parameter_takes_what_it_is_for(name: str, good: str, bad: str) -> None:
    assert re.fullmatch(PARAMETERS[name]["AllowedPattern"], good)
    assert not re.fullmatch(PARAMETERS[name]["AllowedPattern"], bad)


def test_parameters_that_do_not_go_together_are_refused_before_anything_is_made() -> None:
    titan, copies = DOCUMENT["Rules"]["TitanHasThreeDimensions"], DOCUMENT["Rules"]["OneInstanceHoldsNoCopies"]
    assert titan["RuleCondition"] == Form("Equals", (Reference("Ref", "EmbeddingModel"), bedrock.MODEL))
    (assertion,) = titan["Assertions"]
    assert assertion["Assert"].parts[0] == [str(dimension) for dimension in bedrock.DIMENSIONS]
    assert references(copies) == {"OpenSearchEndpoint", "OpenSearchInstanceCount", "OpenSearchReplicas"}
    assert PARAMETERS["EmbeddingModel"]["Default"] == bedrock.MODEL
    assert PARAMETERS["EmbeddingDimension"]["Default"] in bedrock.DIMENSIONS


def test_the_domain_is_kept_encrypted_and_lets_in_roles_only() -> None:
    body, domain = RESOURCES["Domain"], RESOURCES["Domain"]["Properties"]
    assert body["DeletionPolicy"] == body["UpdateReplacePolicy"] == "Retain"
    assert domain["EncryptionAtRestOptions"] == domain["NodeToNodeEncryptionOptions"] == {"Enabled": True}
    assert domain["DomainEndpointOptions"] == {
        "EnforceHTTPS": True,
        "TLSSecurityPolicy": "Policy-Min-TLS-1-2-PFS-2023-10",
    }
    security = domain["AdvancedSecurityOptions"]
    assert (security["Enabled"], security["InternalUserDatabaseEnabled"]) == (True, False)
    assert security["MasterUserOptions"]["MasterUserARN"].name == ROLES["provision"]
    assert domain["EBSOptions"]["VolumeType"] == "gp3"
    assert domain["SoftwareUpdateOptions"] == {"AutoSoftwareUpdateEnabled": True}
    assert domain["EngineVersion"] == "OpenSearch_2.19"


def test_the_domain_has_the_name_that_its_arn_is_made_of_and_a_length_that_aws_takes() -> None:
    name = RESOURCES["Domain"]["Properties"]["DomainName"].text
    assert DOMAIN_ARN.rpartition("/")[2] == name
    assert len(name.replace("${Environment}", "e" * 16)) <= 28


@pytest.mark.parametrize(("count", "zones"), [("1", None), ("3", 3), ("12", 3)])
def test_instances_stand_in_three_zones_or_alone(count: str, zones: int | None) -> None:
    cluster = Choices(DOCUMENT, {"OpenSearchInstanceCount": count}).settled(
        RESOURCES["Domain"]["Properties"]["ClusterConfig"]
    )
    assert cluster["ZoneAwarenessEnabled"] is (zones is not None)
    assert cluster.get("ZoneAwarenessConfig", {}).get("AvailabilityZoneCount") == zones
    assert all(choice == 1 or choice % 3 == 0 for choice in PARAMETERS["OpenSearchInstanceCount"]["AllowedValues"])


def test_the_domain_may_write_its_logs_and_nobody_else() -> None:
    published = RESOURCES["Domain"]["Properties"]["LogPublishingOptions"]
    assert set(published) == {"ES_APPLICATION_LOGS", "SEARCH_SLOW_LOGS", "INDEX_SLOW_LOGS"}
    assert {each["CloudWatchLogsLogGroupArn"].name for each in published.values()} == {"DomainLogs"}
    assert RESOURCES["Domain"]["DependsOn"] == "DomainLogsPolicy"
    policy = json.loads(RESOURCES["DomainLogsPolicy"]["Properties"]["PolicyDocument"].text)
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "es.amazonaws.com"}
    assert statement["Resource"] == "${DomainLogs.Arn}"
    assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": DOMAIN_ARN}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "${AWS::AccountId}"}


def test_what_belongs_to_the_domain_comes_and_goes_with_it() -> None:
    choices = Choices(DOCUMENT, ELSEWHERE)
    there = {name for name, body in RESOURCES.items() if "Condition" not in body or choices.holds(body["Condition"])}
    gone = {name for name, body in RESOURCES.items() if body.get("Condition") == "CreatesDomain"}
    assert {"Domain", "DomainLogs", "DomainLogsPolicy", "IndexAccess", "Provision", "ProvisionRole"} <= gone
    # What stays refers to nothing that is gone.
    for name in there:
        assert not references(choices.settled(RESOURCES[name])) & gone, name
    for part in ("Globals", "Outputs"):
        assert not references(choices.settled(DOCUMENT[part])) & gone


def test_the_domain_is_told_of_the_definition_of_roles_that_the_code_has() -> None:
    access = RESOURCES["IndexAccess"]["Properties"]
    assert access["ServiceToken"] == Reference("GetAtt", "Provision.Arn")
    assert access["Definition"] == DEFINITION
    assert SECONDS + 4 * 20 <= setting("provision", "Timeout") < access["ServiceTimeout"]


@pytest.mark.parametrize(("name", "kind"), [(name, body["Type"]) for name, body in RESOURCES.items()])
def test_what_holds_data_says_what_becomes_of_it(name: str, kind: str) -> None:
    policies = {RESOURCES[name].get("DeletionPolicy"), RESOURCES[name].get("UpdateReplacePolicy")}
    if kind in ("AWS::DynamoDB::Table", "AWS::OpenSearchService::Domain"):
        assert policies == {"Retain"}
    elif kind in ("AWS::SQS::Queue", "AWS::Logs::LogGroup", "AWS::KMS::Key"):
        assert policies == {"Delete"}


@pytest.mark.parametrize("environment", ["default", "prod"])
def test_a_deployment_that_samconfig_describes_sets_parameters_to_what_they_take(environment: str) -> None:
    found = tomllib.loads((ROOT / "samconfig.toml").read_text("utf-8"))
    deploy = found[environment]["deploy"]["parameters"]
    overrides = dict(each.split("=", 1) for each in deploy["parameter_overrides"])
    assert set(overrides) <= set(PARAMETERS)
    for name, value in overrides.items():
        parameter = PARAMETERS[name]
        assert value in map(str, parameter.get("AllowedValues", [value])), name
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value), name
        if parameter["Type"] == "Number":
            assert parameter.get("MinValue", 0) <= int(value) <= parameter.get("MaxValue", int(value)), name
    assert deploy["capabilities"] == "CAPABILITY_IAM"
    assert found[environment]["build"]["parameters"] == {
        "parallel": True
    }  # the cache would miss a changed dependency of the layer
    instances, copies = (
        int(overrides.get(name, PARAMETERS[name]["Default"]))
        for name in ("OpenSearchInstanceCount", "OpenSearchReplicas")
    )
    assert copies < instances
    safe = environment == "prod"
    assert overrides.get("TableDeletionProtection", "true") == ("true" if safe else "false")
    assert overrides["Environment"] == ("prod" if safe else "dev")
