"""The stack of ``template.yaml``, built and deployed by SAM into an emulator."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config

from deployed.emulator import Emulator
from service import ROOT

STACK = "commonplace-e2e"
ENVIRONMENT = "test"
MODEL, DIMENSION = "all-minilm", 384
"""What tests/embedding_server.py serves under this name is the model of one machine."""

BUILD_SECONDS = 600
DEPLOY_SECONDS = 300
CLIENT_SECONDS = 30

_INTEGRATED = re.compile(r"functions/\$\{(\w+?)(?:\.Arn)?\}/invocations")


@dataclass(frozen=True, slots=True)
class ServedRoute:
    """A route of the API's OpenAPI document. ``target`` is the logical id of what it invokes, which is ``function`` or an
    alias of it."""

    method: str
    path: str
    target: str
    function: str

    @property
    def key(self) -> str:
        """Its name in API Gateway."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


def build(sam: Path, python: Path, work: Path, parameters: Mapping[str, str]) -> Path:
    """Runs ``sam build``; the built template. The layer is compiled by the Python that ``python``, an environment's, is
    made of: it will run it.

    Raises ``RuntimeError`` with what SAM said if it fails.
    """
    base = subprocess.run(
        [python, "-c", "import sys; print(sys._base_executable)"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()
    _run(
        [
            sam,
            "build",
            "--no-cached",
            "--template-file",
            ROOT / "template.yaml",
            "--build-dir",
            work / "build",
            "--parameter-overrides",
            *_overrides(parameters),
        ],
        {"PYTHON313": base},
        BUILD_SECONDS,
    )
    return work / "build" / "template.yaml"


class Deployment:
    """The stack in an emulator, its resources by their logical ids, and clients to look at them."""

    def __init__(self, emulator: Emulator, sam: Path) -> None:
        self.emulator = emulator
        self._sam = sam

    def deploy(self, template: Path, parameters: Mapping[str, str]) -> None:
        """Runs ``sam deploy``. Where the emulator falls short of AWS, in four ways, that is mended here and told of below.

        Raises ``RuntimeError`` with what SAM said if it fails.
        """
        emulated = template.with_name("emulated.yaml")
        emulated.write_text(_without_expressions(template.read_text(encoding="utf-8")), encoding="utf-8")
        _run(
            [
                self._sam,
                "deploy",
                "--template-file",
                emulated,
                "--stack-name",
                STACK,
                "--resolve-s3",
                "--capabilities",
                "CAPABILITY_IAM",
                "--no-confirm-changeset",
                "--no-progressbar",
                "--parameter-overrides",
                *_overrides(parameters),
            ],
            self.emulator.variables,
            DEPLOY_SECONDS,
        )
        self._add_routes()
        self._bound_pollers()
        self._let_senders_send_batches()

    def client(self, service: str) -> Any:
        """A boto3 client with the rights of the account's root."""
        given = self.emulator.variables
        return boto3.client(
            service,
            endpoint_url=self.emulator.url,
            region_name=given["AWS_REGION"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            config=Config(connect_timeout=5, read_timeout=CLIENT_SECONDS),
        )

    @cached_property
    def resources(self) -> Mapping[str, str]:
        """The physical ids of the stack's resources by their logical ids."""
        found = self.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    @cached_property
    def template(self) -> Mapping[str, Any]:
        """The template as SAM's transform expanded it."""
        body = self.client("cloudformation").get_template(StackName=STACK, TemplateStage="Processed")["TemplateBody"]
        document: dict[str, Any] = body if isinstance(body, dict) else json.loads(body)
        return document

    @property
    def functions(self) -> list[str]:
        """The logical ids of the functions."""
        return self._created("AWS::Lambda::Function")

    @property
    def url(self) -> str:
        """Where the API answers. MiniStack serves an API under this path as AWS does under a host of its own."""
        return f"{self.emulator.url}/_aws/execute-api/{self.resources['Api']}/$default"

    def routes(self) -> Iterator[ServedRoute]:
        """The routes of the API's OpenAPI document."""
        for path, operations in self.template["Resources"]["Api"]["Properties"]["Body"]["paths"].items():
            for method, operation in operations.items():
                uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
                integrated = _INTEGRATED.search(uri)
                assert integrated is not None, uri
                verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                target = self.template["Resources"][integrated[1]]
                aliased = target["Type"] == "AWS::Lambda::Alias"
                function = target["Properties"]["FunctionName"]["Ref"] if aliased else integrated[1]
                # In a document that is to be imported without a warning, SAM writes the path $default as /$default.
                yield ServedRoute(verb, path.replace("/$default", "$default"), integrated[1], function)

    def arn(self, id: str) -> str:
        """The ARN of a function or of an alias of one."""
        physical = self.resources[id]
        if physical.startswith("arn:"):
            return physical
        found: str = self.client("lambda").get_function(FunctionName=physical)["Configuration"]["FunctionArn"]
        return found

    def invoke(self, id: str, event: object) -> dict[str, Any]:
        """What a function returns for an event. Raises ``RuntimeError`` if it fails."""
        answer = self.client("lambda").invoke(FunctionName=self.resources[id], Payload=json.dumps(event).encode())
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise RuntimeError(f"{id}: {payload}")
        return payload

    def variables(self, function: str) -> Mapping[str, str]:
        """The environment variables of a function."""
        found = self.client("lambda").get_function_configuration(FunctionName=self.resources[function])
        given: dict[str, str] = found["Environment"]["Variables"]
        return given

    def set_variables(self, variables: Mapping[str, str], functions: Sequence[str]) -> None:
        """Sets environment variables of functions, as an operator may; the template stays as it is.

        What is published under an alias does not change by itself, so the alias is given a new version.
        """
        client = self.client("lambda")
        for name in (self.resources[id] for id in functions):
            given = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            client.update_function_configuration(FunctionName=name, Environment={"Variables": {**given, **variables}})
            for alias in client.list_aliases(FunctionName=name)["Aliases"]:
                version = client.publish_version(FunctionName=name)["Version"]
                client.update_alias(FunctionName=name, Name=alias["Name"], FunctionVersion=version)

    def logged(self, group: str) -> list[str]:
        """What was written into a log group, by its logical id."""
        logs = self.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=self.resources[group])
        return [event["message"] for page in pages for event in page["events"]]

    def operate(self, *arguments: str) -> str:
        """Runs ``commonplace.cli`` with the settings of the functions, as an operator does; what it prints."""
        variables = {
            **self.emulator.variables,
            **self.variables("Account"),
            "PYTHONPATH": str(ROOT / "shared"),
        }
        return _run([sys.executable, "-m", "commonplace.cli", *arguments], variables, CLIENT_SECONDS)

    def _created(self, kind: str) -> list[str]:
        """The logical ids of the resources of a type, but not of those whose condition was false."""
        given = self.template["Resources"]
        return sorted(id for id in self.resources if given[id]["Type"] == kind)

    def _add_routes(self) -> None:
        """MiniStack makes no routes of an HTTP API's OpenAPI document, which is where SAM puts them. So they are read from
        the document as SAM expanded it, and made one by one.
        """
        gateway = self.client("apigatewayv2")
        api = self.resources["Api"]
        integrations: dict[str, str] = {}
        for route in self.routes():
            if route.target not in integrations:
                integrations[route.target] = gateway.create_integration(
                    ApiId=api,
                    IntegrationType="AWS_PROXY",
                    IntegrationUri=self.arn(route.target),
                    PayloadFormatVersion="2.0",
                )["IntegrationId"]
            target = f"integrations/{integrations[route.target]}"
            gateway.create_route(ApiId=api, RouteKey=route.key, Target=target)

    def _bound_pollers(self) -> None:
        """MiniStack takes a parameter's number for text, and its pollers stop at a concurrency that is text. So it is told
        the number again.
        """
        client = self.client("lambda")
        for source in client.list_event_source_mappings()["EventSourceMappings"]:
            most = int(source["ScalingConfig"]["MaximumConcurrency"])
            client.update_event_source_mapping(UUID=source["UUID"], ScalingConfig={"MaximumConcurrency": most})

    def _let_senders_send_batches(self) -> None:
        """MiniStack asks for a permission that AWS does not know: there ``sqs:SendMessage`` allows SendMessageBatch too. So
        whoever may send, may send batches.
        """
        iam = self.client("iam")
        for role in (self.resources[id] for id in self._created("AWS::IAM::Role")):
            for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
                sending = [each for each in document["Statement"] if "sqs:SendMessage" in each["Action"]]
                if sending:
                    batches = [{**each, "Action": ["sqs:SendMessageBatch"]} for each in sending]
                    allowed = json.dumps({**document, "Statement": batches})
                    iam.put_role_policy(RoleName=role, PolicyName=f"{policy}Batches", PolicyDocument=allowed)


def _without_expressions(template: str) -> str:
    """A built template without the alarms that watch an expression of several metrics: MiniStack refuses those, and the
    stack with them. SAM has written the long forms of CloudFormation's functions into it, so it is plain YAML.
    """
    document = yaml.safe_load(template)
    document["Resources"] = {
        id: each
        for id, each in document["Resources"].items()
        if each["Type"] != "AWS::CloudWatch::Alarm" or "Metrics" not in each["Properties"]
    }
    return yaml.safe_dump(document, sort_keys=False)


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in parameters.items()]


def _run(command: list[str | Path], variables: Mapping[str, str], seconds: int) -> str:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COMMONPLACE_", "PYTHON"))
    }
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**kept, "SAM_CLI_TELEMETRY": "0", **variables},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout
