"""What commands print."""

from __future__ import annotations

import pytest

from tui_loop.cli.output import Output
from tui_loop.core.commands import command

DATA = f"a model wrote {command('stop', 'chat')}"


def test_data_is_printed_as_it_is_and_a_hint_as_a_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = Output(as_json=False)
    out.line(DATA)
    out.table(["output"], [[DATA]])
    out.advice(f"stop it: {command('stop', 'chat')}")
    assert capsys.readouterr().out == f"{DATA}\noutput\n{DATA}\nstop it: tui-loop stop chat\n"
