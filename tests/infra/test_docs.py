from collections.abc import Mapping
from typing import Any

import pytest

from commonplace.settings import VARIABLES, Settings
from template_document import DOCUMENT, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATING = README.partition("\n## Operating\n")[2].partition("\n## ")[0]
ALARMS = {
    name: resource["Properties"]
    for name, resource in DOCUMENT["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
NAMES = sorted({*VARIABLES.values(), "PORT", "COMMONPLACE_API_KEY"})


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_that_can_be_set_stands_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("alarm", ALARMS.values(), ids=list(ALARMS))
def test_an_alarm_is_explained_where_it_says_it_is(alarm: Mapping[str, Any]) -> None:
    title = alarm["AlarmName"].text.removeprefix("${AWS::StackName} ")
    assert f"\n| {title} |" in OPERATING


def test_every_setting_has_a_variable() -> None:
    assert set(VARIABLES) == set(Settings.__slots__)
