from pathlib import Path

import pytest
import yaml

from template import HttpRoute, QueuePolicy, QueueSource, Reference, Scheduled, Template, load

WHOLE = """
Parameters:
  Tries: {Type: Number, Default: 4}
  Stage: {Type: String}
Globals:
  Function:
    Environment:
      Variables: {PLAIN: x, NUMBER: 5, TRIES: !Ref Tries, STAGE: !Ref Stage, OTHER: !Ref Jobs, ARN: !GetAtt Jobs.Arn}
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
    assert {name: variables[name] for name in ("PLAIN", "NUMBER", "TRIES", "OTHER", "ARN")} == {
        "PLAIN": "x",
        "NUMBER": "5",
        "TRIES": "4",
        "OTHER": "Jobs",
        "ARN": "Jobs",
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
    ],
)
def test_what_is_not_understood_stops_the_start(tmp_path: Path, old: str, new: str) -> None:
    assert old in WHOLE
    with pytest.raises((KeyError, ValueError, yaml.YAMLError)):
        read(tmp_path, WHOLE.replace(old, new))


def test_a_reference_has_a_name_and_its_whole_text() -> None:
    assert Reference("GetAtt", "Table.Arn").name == "Table"
    assert Reference("Sub", "${Table.Arn}/index/x").text == "${Table.Arn}/index/x"
