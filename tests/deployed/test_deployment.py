"""The deployed stack by itself: its routes, its functions, what its roles allow."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from deployed.deployment import Deployment
from deployed.emulator import REGION
from service import ROOT
from template import load

EVENTS = {
    "Account": "health",
    "Create": "create_v1",
    "Directory": "memsy_orgs",
    "Memories": "memory_list",
    "Recall": "context",
    "Search": "search",
    "Sessions": "session_create",
    "Stores": "cognipeer_store_list",
    "Sweeper": "sweep",
    "Worker": "embed",
}
"""For each function an event of infra/events that it can answer with what the stack holds."""


def test_the_stack_gives_the_address_of_its_api(deployment: Deployment) -> None:
    assert deployment.outputs["Url"].startswith(f"https://{deployment.resources['Api']}.execute-api.{REGION}.")


def test_the_api_has_the_routes_that_one_machine_serves(deployment: Deployment) -> None:
    handlers = {id: deployment.template["Resources"][id]["Properties"]["Handler"] for id in deployment.functions}
    deployed = {(handlers[each.function].partition(".")[0], each.method, each.path) for each in deployment.routes()}
    local = {(route.function, route.method, route.path) for route in load(ROOT / "template.yaml").routes}
    assert deployed == local


def test_there_is_an_event_for_each_function(deployment: Deployment) -> None:
    assert sorted(EVENTS) == deployment.functions


@pytest.mark.parametrize("function", EVENTS)
def test_a_function_answers_when_it_is_invoked_directly(deployment: Deployment, key: str, function: str) -> None:
    event = json.loads((ROOT / "infra" / "events" / f"{EVENTS[function]}.json").read_text(encoding="utf-8"))
    if "headers" in event:
        event["headers"]["authorization"] = f"Bearer {key}"
    answer = deployment.invoke(function, event)
    match function:
        case "Worker":
            assert answer == {"batchItemFailures": []}
        case "Sweeper":
            assert answer.keys() == {"pending", "expired", "deliveries", "stores", "events", "promotions"}
        case _:
            assert answer["statusCode"] in (200, 201), answer


def test_the_policies_of_search_let_it_read_rows_that_it_can_name_and_not_the_whole_table(
    deployment: Deployment,
) -> None:
    searcher = _with_policies_of(deployment, "SearchRole")
    table = deployment.resources["Table"]
    key = {"partition": {"S": "nobody"}, "sort": {"S": "nothing"}}
    assert "Item" not in searcher.get_item(TableName=table, Key=key)
    with pytest.raises(ClientError) as caught:
        searcher.scan(TableName=table)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def _with_policies_of(deployment: Deployment, role: str) -> Any:
    """A DynamoDB client that may do what the inline policies of a role allow, and nothing else."""
    iam = deployment.client("iam")
    name = deployment.resources[role]
    iam.create_user(UserName=role)
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        iam.put_user_policy(UserName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
    made = iam.create_access_key(UserName=role)["AccessKey"]
    return boto3.client(
        "dynamodb",
        endpoint_url=deployment.emulator.url,
        region_name=REGION,
        aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
    )
