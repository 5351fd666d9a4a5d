"""The language of CloudFormation's templates: YAML with short forms, parameters, conditions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Reference:
    """``!Ref Name``, ``!GetAtt Name.Attribute``, ``!Sub text``, ``!Condition Name``."""

    tag: str
    text: str

    @property
    def name(self) -> str:
        """The name of what is referred to."""
        return self.text.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Form:
    """A short form with several parts, as in ``!If [Condition, then, otherwise]`` or ``!Sub [text, {Name: value}]``."""

    tag: str
    parts: tuple[Any, ...]


NOTHING = Reference("Ref", "AWS::NoValue")
"""What stands for a part that is not there."""


class TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, read as ``Reference`` or ``Form``."""


def _short_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return Reference(tag, str(loader.construct_scalar(node)))
    if isinstance(node, yaml.SequenceNode):
        return Form(tag, tuple(loader.construct_sequence(node, deep=True)))
    raise yaml.constructor.ConstructorError(None, None, f"!{tag} has no mapping here", node.start_mark)


TemplateLoader.add_multi_constructor("!", _short_form)


class Choices:
    """What a template's conditions come to. ``given`` are values of parameters; the others have their defaults.

    Raises ``KeyError`` for a parameter or condition that the template does not have, ``ValueError`` for a condition that
    is not understood.
    """

    def __init__(self, document: Mapping[str, Any], given: Mapping[str, str] | None = None) -> None:
        self._parameters = {name: body.get("Default") for name, body in document["Parameters"].items()}
        self._conditions: Mapping[str, Any] = document.get("Conditions", {})
        for name, value in (given or {}).items():
            if name not in self._parameters:
                raise KeyError(name)
            self._parameters[name] = value

    def value(self, given: Any) -> Any:
        """What stands in a setting: a parameter's value, a resource's name, a text as it is written."""
        settled = self.settled(given)
        if isinstance(settled, Reference) and settled.tag != "Sub":
            return self._parameters.get(settled.name, settled.name)
        if isinstance(settled, Reference):
            return settled.text
        if isinstance(settled, Form):
            raise ValueError(f"!{settled.tag} is not understood")  # noqa: TRY004 - the type of a document's part is its value
        return settled

    def holds(self, condition: str) -> bool:
        """Whether a condition is met."""
        return self._truth(self._conditions[condition])

    def settled(self, given: Any) -> Any:
        """A part of the template with every ``!If`` decided, at any depth, and without what is then nothing."""
        if isinstance(given, Form) and given.tag == "If":
            condition, then, otherwise = given.parts
            return self.settled(then if self.holds(condition) else otherwise)
        if isinstance(given, Form):
            return Form(given.tag, tuple(self.settled(list(given.parts))))
        if isinstance(given, dict):
            settled = {name: self.settled(part) for name, part in given.items()}
            return {name: part for name, part in settled.items() if part != NOTHING}
        if isinstance(given, list):
            return [part for part in map(self.settled, given) if part != NOTHING]
        return given

    def _truth(self, given: Any) -> bool:
        match given:
            case Reference(tag="Condition", text=name):
                return self.holds(name)
            case Form(tag="Equals", parts=(one, other)):
                return _text(self.value(one)) == _text(self.value(other))
            case Form(tag="Not", parts=(one,)):
                return not self._truth(one)
            case Form(tag="And", parts=parts):
                return all(map(self._truth, parts))
            case Form(tag="Or", parts=parts):
                return any(map(self._truth, parts))
            case _:
                raise ValueError(f"{given!r} is no condition that is understood")


def _text(value: Any) -> str:
    """A value as CloudFormation compares it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
