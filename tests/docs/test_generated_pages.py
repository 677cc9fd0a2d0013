"""The generated pages of docs/ are current, and what they say of settings and exit codes holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.docs import EXIT_CODES, PAGES
from tests.conftest import CHECKOUT
from tui_loop.core import errors
from tui_loop.tui.settings import read_settings


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    page = (CHECKOUT / name).read_text(encoding="utf-8")
    assert page == PAGES[name](), "run python -m scripts.docs"


def test_the_example_of_remapped_keys_is_accepted(tmp_path: Path) -> None:
    page = (CHECKOUT / "docs" / "keys.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    settings = tmp_path / "config.toml"
    settings.write_text(example)
    assert read_settings(settings).keys["run.start"] == "ctrl+r"


def test_every_exit_code_of_an_error_is_explained() -> None:
    kinds = errors.TuiLoopError.__subclasses__()
    assert {kind.exit_code for kind in kinds} <= set(EXIT_CODES)
