"""The recipes of CONTRIBUTING.md work: their blocks, applied to a copy, do what they promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.recipes import copy_of_repository, python_in, recipe

FIELD, FINDING, KEY = (f"Recipe: add a {what}" for what in ("config field", "finding", "key"))
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")

THE_FIELD_IS_EVERYWHERE = """
import pytest
from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.cli.main import main
from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import to_tables
from tui_loop.core.record.codec import to_toml
from tui_loop.tui.widgets.config_form import ConfigPane

NAME = "training.label_smoothing_factor"


def test_the_form_edits_it(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("i", "2", "slash")
        await opened.type("label_smoothing")
        await opened.press("enter")
        rows = opened.get(ConfigPane).list
        assert rows.key_of(rows.cursor) == NAME
        await opened.press("enter")
        await opened.type("2")
        await opened.shows("below 1")
        await opened.press("backspace")
        await opened.type("0.2")
        await opened.press("enter")
        await opened.until(lambda: opened.bench.state.draft.value(NAME) == 0.2)

    on_app(open_app(number=2), steps)


def test_the_help_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["new", "--help"])
    assert f"{NAME} = 0" in capsys.readouterr().out


def test_toml_has_it() -> None:
    assert "label_smoothing_factor = 0.0" in to_toml(to_tables(Config()))
"""

THE_TRAINER_GETS_IT = """
from pathlib import Path
from types import SimpleNamespace
import torch
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.engine.trainer_arguments import sft_config

config = with_settings(Config(), ["label_smoothing_factor=0.1"])
loaded = SimpleNamespace(device=torch.device("cpu"))
assert sft_config(config, Path("."), loaded).label_smoothing_factor == 0.1
"""

THE_FINDING_IS_REPORTED = """
from pathlib import Path
from scripts.planted.archive import unpacked
from tui_loop.core.diagnosis.diagnose import diagnose
from tui_loop.core.record.loops_folder import LoopsFolder


def test_it_is_found_with_its_advice() -> None:
    with unpacked() as folder:
        diagnosis = diagnose(LoopsFolder(Path(folder) / "loops").loop("endless-warmup"), 1)
    found = {each.kind: each for each in diagnosis.findings}
    assert "warm-up takes 20000 steps" in found["long_warm_up"].message
    advice = [each for each in diagnosis.suggestions if each.name.startswith("long_warm_up/")]
    assert [each.changes for each in advice] == [{"training.warmup_steps": (20000.0, 0.05)}]
"""

THE_RECORD_SHOWS_IT = """
from scripts.planted.archive import unpacked
from scripts.planted.scenarios import BY_NAME
from scripts.planted.scoring import judge

with unpacked() as folder:
    judged = judge(BY_NAME["long-warm-up"], folder)
assert not judged.missed, judged.diagnosis
assert not judged.false, judged.false
"""

THE_KEY_IS_SHOWN = """
from tests.tui.conftest import OpenApp, Opened, on_app


def test_help_and_palette_have_it(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("question_mark")
        await opened.until(lambda: opened.app.screen is not opened.bench)
        for _ in range(40):
            if "loop.where" in opened.text:
                break
            await opened.press("pagedown")
        assert "show the folder of the loop" in opened.text
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        await opened.press("colon")
        await opened.type("show the folder")
        await opened.shows("loop.where")
        await opened.press("enter")
        await opened.tells(opened.bench.loop.path.name)

    on_app(open_app(size=(160, 48)), steps)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository."""
    return copy_of_repository(tmp_path)


@pytest.mark.parametrize("title", [FIELD, FINDING, KEY])
def test_the_blocks_of_a_recipe_apply_and_compile(title: str, copy: Path) -> None:
    wanted = recipe(title)
    wanted.apply(copy)
    names = {edit.path for edit in wanted.edits} | set(wanted.files)
    for name in sorted(names):
        text = (copy / name).read_text(encoding="utf-8")
        if name.endswith(".py"):
            compile(text, name, "exec")


@pytest.mark.slow
def test_a_new_field_is_in_form_help_toml_and_docs(copy: Path) -> None:
    wanted = recipe(FIELD)
    wanted.apply(copy)
    (copy / "tests" / "tui" / "test_new_field.py").write_text(THE_FIELD_IS_EVERYWHERE)
    python_in(copy, "-m", "scripts.docs")
    assert "| `training.label_smoothing_factor` | `0.0` |" in _text(copy, "docs/commands.md")
    generated = "tests/docs/test_generated_pages.py"
    own = ("tests/core/config", "tests/tui/test_new_field.py", generated)
    python_in(copy, *PYTEST, *own, *wanted.files)


@pytest.mark.slow
@pytest.mark.train
def test_a_new_field_reaches_the_trainer(copy: Path) -> None:
    recipe(FIELD).apply(copy)
    python_in(copy, "-c", THE_TRAINER_GETS_IT)


@pytest.mark.slow
def test_a_new_finding_is_reported_with_its_advice(copy: Path) -> None:
    recipe(FINDING).apply(copy)
    own = copy / "tests" / "core" / "diagnosis"
    (own / "test_new_finding.py").write_text(THE_FINDING_IS_REPORTED)
    names = ("test_new_finding.py", "test_kinds.py", "test_every_suggestion.py")
    python_in(copy, *PYTEST, *(str(own / name) for name in names))


@pytest.mark.slow
@pytest.mark.train
def test_a_planted_record_is_made_and_its_finding_found(copy: Path) -> None:
    recipe(FINDING).apply(copy)
    python_in(copy, "-m", "scripts.planted", "make", "long-warm-up")
    python_in(copy, "-c", THE_RECORD_SHOWS_IT)


@pytest.mark.slow
def test_a_new_key_works_and_is_in_help_and_docs(copy: Path) -> None:
    recipe(KEY).apply(copy)
    python_in(copy, "-m", "scripts.docs")
    row = "| `f6` | show the folder of the loop | `loop.where` |"
    assert row in _text(copy, "docs/keys.md")
    (copy / "tests" / "tui" / "test_new_key.py").write_text(THE_KEY_IS_SHOWN)
    actions = copy / "tests" / "tui" / "test_actions.py"
    chosen = ("-k", "loop.where or no_action_is_left_out or test_new_key")
    files = (str(actions), str(actions.with_name("test_new_key.py")))
    python_in(copy, *PYTEST, *chosen, *files, "tests/docs/test_generated_pages.py")


def _text(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8")
