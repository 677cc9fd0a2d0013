"""The sample of the README is what the program prints."""

from __future__ import annotations

import pytest

from tests.conftest import CHECKOUT
from tui_loop.cli.main import main
from tui_loop.cli.output import Output

COLUMNS = 94
"""Of the terminal that the README shows."""


def test_the_readme_shows_the_recorded_loop_as_it_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Output, "width", property(lambda _: COLUMNS))
    assert main(["--loops", str(CHECKOUT / "loops"), "show", "support-intents"]) == 0
    printed = capsys.readouterr().out.splitlines()
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    sample = readme.partition("$ tui-loop show support-intents\n")[2].partition("```")[0]
    assert [line.rstrip() for line in sample.splitlines()] == printed
