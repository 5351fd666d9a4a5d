import pytest

from commonplace.settings import VARIABLES, Settings
from template_document import ROOT

NAMES = sorted({*VARIABLES.values(), "PORT", "COMMONPLACE_API_KEY"})


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_that_can_be_set_stands_in_the_readme(name: str) -> None:
    assert f"`{name}`" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_setting_has_a_variable() -> None:
    assert set(VARIABLES) == set(Settings.__slots__)
