from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudformation import Choices, Form, Reference, TemplateLoader
from template import HttpRoute, QueuePolicy, QueueSource, Scheduled, Template, load

WHOLE = """
Parameters:
  Tries: {Type: Number, Default: 4}
  Stage: {Type: String}
  Place: {Type: String, Default: ""}
Conditions:
  Here: !Equals [!Ref Place, ""]
Globals:
  Function:
    Environment:
      Variables:
        {PLAIN: x, NUMBER: 5, TRIES: !Ref Tries, STAGE: !Ref Stage, OTHER: !Ref Jobs, ARN: !GetAtt Jobs.Arn,
         PLACE: !If [Here, !Sub "https://${Made.Url}", !Ref Place]}
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties:
      Handler: one.handler.handler
      Events:
        Get: {Type: HttpApi, Properties: {Method: GET, Path: "/things/{id}"}}
        Rest: {Type: HttpApi, Properties: {Method: ANY, Path: $default}}
        Each: {Type: Schedule, Properties: {Schedule: rate(2 hours)}}
  Two:
    Type: AWS::Serverless::Function
    Properties:
      Handler: two.handler.handler
      Events:
        Jobs: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn, BatchSize: 7}}
  Three:
    Type: AWS::Serverless::Function
    Properties: {Handler: three.handler.handler}
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: !Ref Tries}
  Dead:
    Type: AWS::SQS::Queue
"""


def read(folder: Path, text: str) -> Template:
    file = folder / "template.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file)


def test_a_template_says_who_serves_what_and_how_it_is_set(tmp_path: Path) -> None:
    template = read(tmp_path, WHOLE)
    assert template.routes == (HttpRoute("one", "GET", "/things/{id}"), HttpRoute("one", "ANY", "$default"))
    assert template.sources == (QueueSource("two", "Jobs", 7),)
    assert template.queues == (QueuePolicy("Jobs", 60, 4),)
    assert template.schedules == (Scheduled("one", 7200),)
    assert template.functions == ("one",)


def test_a_variable_that_refers_to_a_parameter_has_its_default_and_one_to_a_resource_its_name(tmp_path: Path) -> None:
    variables = read(tmp_path, WHOLE).variables
    assert {name: variables[name] for name in ("PLAIN", "NUMBER", "TRIES", "OTHER", "ARN", "PLACE")} == {
        "PLAIN": "x",
        "NUMBER": "5",
        "TRIES": "4",
        "OTHER": "Jobs",
        "ARN": "Jobs",
        "PLACE": "https://${Made.Url}",
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Type: Schedule", "Type: S3"),
        ("rate(2 hours)", "rate(2 fortnights)"),
        ("rate(2 hours)", '"cron(0 8 * * ? *)"'),
        ("VisibilityTimeout: 60", "DelaySeconds: 60"),
        ("BatchSize: 7", "Batch: 7"),
        (", Path: $default", ""),
        ("!Ref Tries, STAGE", "!Ref Tries, STAGE: !!python/object:os.system x, S"),
        ("Parameters:", "Parameter:"),
        ("!If [Here", "!If [There"),
        ('!Ref Place, ""', "!Ref Place, !Join [a, [b]]"),
        ("!Equals [!Ref Place", "!Alike [!Ref Place"),
        ('!Sub "https://${Made.Url}"', "!Join [a, [b]]"),
        ("!GetAtt Jobs.Arn,", "!GetAtt {Jobs: Arn},"),
    ],
)
def test_what_is_not_understood_stops_the_start(tmp_path: Path, old: str, new: str) -> None:
    assert old in WHOLE
    with pytest.raises((KeyError, ValueError, yaml.YAMLError)):
        read(tmp_path, WHOLE.replace(old, new))


def test_a_reference_has_a_name_and_its_whole_text() -> None:
    assert Reference("GetAtt", "Table.Arn").name == "Table"
    assert Reference("Sub", "${Table.Arn}/index/x").text == "${Table.Arn}/index/x"


CONDITIONS = """
Parameters:
  One: {Type: Number, Default: 1}
  Text: {Type: String, Default: "on"}
  Flag: {Type: String, Default: true}
Conditions:
  IsOne: !Equals [!Ref One, "1"]
  IsOn: !Equals ["on", !Ref Text]
  IsTrue: !Equals [!Ref Flag, "true"]
  Neither: !Not [!Or [!Condition IsOne, !Condition IsOn]]
  Both: !And [!Condition IsOne, !Condition IsOn]
Part:
  Kept: [!If [IsOne, a, b], !If [IsOn, !Ref "AWS::NoValue", c], !If [Neither, d, !If [Both, e, f]]]
  Gone: !If [Both, !Ref "AWS::NoValue", x]
  Inside: !Sub [text, {Name: !If [IsOne, y, z]}]
"""


@pytest.mark.parametrize(
    ("given", "held", "part"),
    [
        ({}, {"IsOne", "IsOn", "IsTrue", "Both"}, {"Kept": ["a", "e"], "Inside": "y"}),
        ({"Text": "off"}, {"IsOne", "IsTrue"}, {"Kept": ["a", "c", "f"], "Gone": "x", "Inside": "y"}),
        ({"One": "2", "Text": "off"}, {"IsTrue", "Neither"}, {"Kept": ["b", "c", "d"], "Gone": "x", "Inside": "z"}),
    ],
)
def test_conditions_decide_what_stands_in_a_part(given: dict[str, str], held: set[str], part: dict[str, Any]) -> None:
    document = yaml.load(CONDITIONS, TemplateLoader)  # noqa: S506 - a subclass of the safe loader
    choices = Choices(document, given)
    assert {name for name in document["Conditions"] if choices.holds(name)} == held
    inside = Form("Sub", ("text", {"Name": part.pop("Inside")}))
    assert choices.settled(document["Part"]) == {**part, "Inside": inside}


def test_a_value_for_a_parameter_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError):
        Choices({"Parameters": {}}, {"Unheard": "x"})
