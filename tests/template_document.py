"""template.yaml as a document, for assertions on what is deployed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cloudformation import Choices, Form, Reference, TemplateLoader

ROOT = Path(__file__).parents[1]
DOCUMENT: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text("utf-8"), TemplateLoader)  # noqa: S506 - a subclass of the safe loader
PARAMETERS: dict[str, Any] = DOCUMENT["Parameters"]
RESOURCES: dict[str, Any] = DOCUMENT["Resources"]
DOMAIN_ARN = "arn:${AWS::Partition}:es:${AWS::Region}:${AWS::AccountId}:domain/commonplace-${Environment}"
"""The domain's ARN where the domain cannot be referred to, because it refers there itself."""

ELSEWHERE = {
    "OpenSearchEndpoint": "https://search.example.com",
    "OpenSearchDomainArn": "arn:aws:es:eu-central-1:123456789012:domain/search",
}
"""Parameters with which the stack uses a domain that is there already."""


def of_type(kind: str) -> dict[str, Any]:
    """The properties of all resources of a type, by name."""
    return {name: body["Properties"] for name, body in RESOURCES.items() if body["Type"] == kind}


FUNCTIONS: dict[str, Any] = {
    properties["Handler"].partition(".")[0]: properties for properties in of_type("AWS::Serverless::Function").values()
}
"""The properties of each function, by its package."""

ROLES: dict[str, str] = {name: function["Role"].name for name, function in FUNCTIONS.items()}
"""The name of each function's role, by its package."""


def setting(function: str, name: str) -> Any:
    """A property of a function, or of all of them."""
    return FUNCTIONS[function].get(name, DOCUMENT["Globals"]["Function"].get(name))


def written(value: Any, choices: Choices) -> str:
    """A value as text, in which ``${Name}`` stands for what only a deployment knows."""
    settled = choices.settled(value)
    match settled:
        case Reference(tag="GetAtt", text=text):
            return f"${{{text}}}"
        case Reference(tag="Ref", text=name) if name in PARAMETERS:
            return str(choices.value(settled))
        case Reference(tag="Ref", text=name):
            return f"${{{name}}}"
        case Reference(tag="Sub", text=text):
            return text
        case Form(tag="Sub", parts=(text, parts)):
            found: str = text
            for name, part in parts.items():
                found = found.replace(f"${{{name}}}", written(part, choices))
            return found
        case str():
            return settled
        case _:
            raise AssertionError(settled)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a role may do, and with what."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    profile: str | None = None
    """Through which inference profile alone, of Amazon Bedrock."""


def statements(function: str, **given: str) -> list[Statement]:
    """What a function's role may do with these parameters beyond what all of them may."""
    choices = Choices(DOCUMENT, given)
    role = ROLES[function]
    documents = [policy["PolicyDocument"] for policy in RESOURCES[role]["Properties"]["Policies"]]
    for body in RESOURCES.values():
        if body["Type"] == "AWS::IAM::Policy" and ("Condition" not in body or choices.holds(body["Condition"])):
            policy = body["Properties"]
            if role in {each.name for each in policy["Roles"]}:
                documents.append(policy["PolicyDocument"])
    return [statement for document in documents for statement in allowed(document, choices)]


def allowed(document: Any, choices: Choices) -> Iterator[Statement]:
    """The statements of a policy, which all have to allow."""
    assert document["Version"] == "2012-10-17"
    for each in choices.settled(document["Statement"]):
        assert each["Effect"] == "Allow"
        assert not set(each) - {"Effect", "Action", "Resource", "Principal", "Condition"}
        assert each["Action"]
        assert each["Resource"]
        resources = tuple(written(resource, choices) for resource in each["Resource"])
        profile = None
        if "Condition" in each:
            assert each["Condition"].keys() == {"ArnEquals"}
            (given,) = each["Condition"]["ArnEquals"].items()
            assert given[0] == "bedrock:InferenceProfileArn"
            profile = written(given[1], choices)
        yield Statement(tuple(each["Action"]), resources, profile)


def references(value: Any) -> set[str]:
    """The names of everything that a value refers to, at any depth, what its conditions refer to among it."""
    found: set[str] = set()
    match value:
        case Reference(tag="Sub", text=text):
            found = {name.partition(".")[0] for name in re.findall(r"\$\{([^}!]+)\}", text)}
        case Reference(tag="Condition", text=name):
            found = references(DOCUMENT["Conditions"][name])
        case Reference():
            found = {value.name}
        case Form(tag="If", parts=(condition, *parts)):
            found = references(DOCUMENT["Conditions"][condition]) | references(parts)
        case Form(tag="Sub", parts=(text, parts)):
            found = (references(Reference("Sub", text)) - set(parts)) | references(parts)
        case Form(parts=parts):
            found = references(list(parts))
        case dict():
            found = references(list(value.values()))
        case list():
            found = {name for part in value for name in references(part)}
    return found
