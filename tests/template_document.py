"""template.yaml as a document, for assertions on what is deployed."""

from pathlib import Path
from typing import Any

import yaml

from template import TemplateLoader

ROOT = Path(__file__).parents[1]
DOCUMENT: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text("utf-8"), TemplateLoader)  # noqa: S506 - a subclass of the safe loader
RESOURCES: dict[str, Any] = DOCUMENT["Resources"]


def of_type(kind: str) -> dict[str, Any]:
    """The properties of all resources of a type, by name."""
    return {name: body["Properties"] for name, body in RESOURCES.items() if body["Type"] == kind}


FUNCTIONS: dict[str, Any] = {
    properties["Handler"].partition(".")[0]: properties for properties in of_type("AWS::Serverless::Function").values()
}
"""The properties of each function, by its package."""


def statements(function: str) -> list[dict[str, Any]]:
    """The statements of a function's policies."""
    return [statement for policy in FUNCTIONS[function]["Policies"] for statement in policy["Statement"]]


def setting(function: str, name: str) -> Any:
    """A property of a function, or of all of them."""
    return FUNCTIONS[function].get(name, DOCUMENT["Globals"]["Function"].get(name))
