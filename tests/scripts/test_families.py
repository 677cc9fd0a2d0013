"""The families of planted problems: rows, edits, sealed sets, scores."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from scripts.planted.families import sealed as sealing
from scripts.planted.families.__main__ import listed, main, typical
from scripts.planted.families.family import DataEdit, Family, sound_train
from scripts.planted.families.open_families import OPEN
from scripts.planted.families.row_changes import (
    hinted,
    relabelled,
    repeated,
    texts,
    without,
    wrong_answers,
)
from scripts.planted.families.running import Scores, make, set_words
from scripts.planted.families.sealed import BrokenSeal, seal, sealed, sets
from scripts.planted.families.tasks import TASKS, Rows, Task
from tui_loop.core.config.settings import full_name, settings_tables


def halved(rows: Rows, strength: float, random_: random.Random) -> Rows:
    return random_.sample(rows, int(len(rows) * strength))


HALF = Family(
    name="half",
    fault="Only a share `strength` of the rows is left.",
    cause="too few rows",
    task="urgency",
    strength=0.5,
    train=halved,
    remedies={DataEdit.ADD_ROWS: True},
    edits={DataEdit.ADD_ROWS: sound_train("urgency", 0)},
)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_no_evaluation_row_of_a_task_is_a_training_row(task: Task) -> None:
    train, held_out = task.rows(0)
    texts = {json.dumps(row, sort_keys=True) for row in held_out}
    assert 60 <= len(held_out) <= 120
    assert not texts & {json.dumps(row, sort_keys=True) for row in train}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_seed_changes_the_training_rows_and_not_the_evaluation_rows(task: Task) -> None:
    assert task.rows(0) == task.rows(0)
    assert task.rows(0)[0] != task.rows(1)[0]
    assert task.rows(0)[1] == task.rows(1)[1]


def test_a_family_changes_rows_in_the_same_way_each_time() -> None:
    trained, _ = HALF.rows()
    assert len(trained[0]) == len(HALF.base_task().rows(0)[0]) // 2
    assert HALF.rows() == HALF.rows()


def test_a_declared_edit_repairs_the_rows_and_any_other_edit_changes_nothing() -> None:
    trained, held_out = HALF.rows()
    assert HALF.edited("add_rows") == HALF.base_task().rows(0)
    assert HALF.edited("shuffle") == (trained[0], held_out)


def test_settings_are_written_as_the_command_line_reads_them() -> None:
    settings = {
        "training.learning_rate": 1e-5,
        "data.prompt_template": "Message: {prompt}\nWhen:",
        "training.lr_scheduler_kwargs": {"power": 2.0},
        "evaluation.stop": [","],
        "lora.use_rslora": True,
    }
    words = set_words(settings)
    assert settings_tables(words[1::2]) == {
        "training": {"learning_rate": 1e-5, "lr_scheduler_kwargs": {"power": 2.0}},
        "data": {"prompt_template": "Message: {prompt}\nWhen:"},
        "evaluation": {"stop": [","]},
        "lora": {"use_rslora": True},
    }


def test_recovered_is_the_share_of_the_lost_score_in_either_direction() -> None:
    assert Scores(base=0, sound=0.9, faulty=0.5, repaired=0.7).recovered == pytest.approx(0.5)
    assert Scores(base=0, sound=0.6, faulty=1.0, repaired=0.6).recovered == pytest.approx(1)
    assert Scores(base=0, sound=0.9, faulty=None, repaired=0.9).recovered == pytest.approx(1)
    assert Scores(base=0, sound=0.9, faulty=0.5).recovered is None


def test_the_typical_value_of_a_remedy_is_the_middle_of_its_range_or_its_first_value() -> None:
    assert typical((1e-3, 1e-1)) == pytest.approx(1e-2)
    assert typical((4, 16, None)) == 8
    assert typical((0, 0.2)) == 0
    assert typical((False,)) is False
    assert typical(("linear", "cosine")) == "linear"


@pytest.mark.parametrize("name", sets())
def test_a_sealed_set_holds_what_the_register_lists(name: str) -> None:
    families = sealed(name)
    assert len(families) == sets()[name]["families"]
    assert len({family.name for family in families}) == len(families)


@pytest.mark.parametrize("name", sets())
def test_the_families_of_a_sealed_set_name_fields_and_edits_that_exist(name: str) -> None:
    for family in sealed(name):
        check_names(family)


@pytest.mark.parametrize("family", OPEN, ids=lambda family: family.name)
def test_an_open_family_names_fields_and_edits_that_exist(family: Family) -> None:
    check_names(family)
    for edit in family.edits:
        assert family.edited(edit) != (family.rows()[0][-1], family.rows()[1])


def test_the_open_families_have_different_names_and_use_every_task() -> None:
    names = [family.name for family in OPEN]
    assert len(set(names)) == len(names)
    assert {family.task for family in OPEN} == {task.name for task in TASKS}


def check_names(family: Family) -> None:
    """Checks that the fields and the edits that a family names exist."""
    for settings in (family.settings, *(later.settings for later in family.later)):
        settings_tables(set_words(settings)[1::2])
    for remedy, values in family.remedies.items():
        if values is True:
            assert remedy in family.edits
        else:
            assert full_name(remedy) == remedy
    assert family.remedies


@pytest.mark.parametrize("name", sets())
def test_a_list_of_sealed_sets_hides_the_faults_unless_opened(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    families = sealed(name)
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert f"{name}: {len(families)} families" in shown
    lines = shown.splitlines()
    is_open = [f"  {family.name} ({family.task}): {family.fault}" for family in OPEN]
    assert set(is_open) <= set(lines)
    rest = "\n".join(line for line in lines if line not in is_open)
    assert not any(family.fault in rest or family.name in rest for family in families)
    assert families[0].fault in "\n".join(listed({name: families}, is_open=True))


ROWS: Rows = [
    {"prompt": "a", "completion": " yes"},
    {"prompt": "b", "completion": " no"},
    {"prompt": "c", "completion": " yes"},
    {"prompt": "d", "completion": " no"},
]
CHAT: Rows = [
    {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "yes"},
        ]
    }
]


def test_answers_get_other_names_in_a_share_of_the_rows() -> None:
    change = relabelled({"yes": "ja"})
    rows = change(ROWS, 1, random.Random(0))
    assert [row["completion"] for row in rows] == [" ja", " no", " ja", " no"]
    assert change(CHAT, 1, random.Random(0))[0]["messages"][1]["content"] == "ja"
    longer = texts(prompt=lambda text: text * 2)(ROWS, 0.5, random.Random(0))
    assert sorted(len(row["prompt"]) for row in longer) == [1, 1, 2, 2]


def test_a_wrong_answer_is_never_the_right_one_and_a_hint_always_is() -> None:
    wrong = wrong_answers(ROWS, 1, random.Random(0))
    assert [row["completion"] for row in wrong] == [" no", " yes", " no", " yes"]
    assert hinted(ROWS, 1, random.Random(0))[0]["prompt"] == "[yes] a"


def test_rows_are_left_out_by_answer_or_repeated_in_their_place() -> None:
    assert without("yes")(ROWS, 1, random.Random(0)) == [ROWS[1], ROWS[3]]
    assert len(without("yes")(ROWS, 0.5, random.Random(0))) == 3
    assert repeated(ROWS, 2, random.Random(0)) == [*ROWS[:2], *ROWS[:2]]


def test_a_sealed_set_with_another_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "other_1.py"
    module.write_text("FAMILIES = ()\n", encoding="utf-8")
    sha256 = seal(module, tmp_path / "other-1.zip")
    register = tmp_path / "sealed.toml"
    register.write_text(f'[other-1]\nsha256 = "{sha256}"\nfamilies = 0\n', encoding="utf-8")
    monkeypatch.setattr(sealing, "FOLDER", tmp_path)
    monkeypatch.setattr(sealing, "REGISTER", register)
    assert sealed("other-1") == ()
    module.write_text("FAMILIES = (1,)\n", encoding="utf-8")
    seal(module, tmp_path / "other-1.zip")
    with pytest.raises(BrokenSeal):
        sealed("other-1")


@pytest.mark.slow
@pytest.mark.train
def test_a_family_is_made_by_real_runs(tmp_path: Path) -> None:
    scores = make(HALF, tmp_path)
    assert scores.base is not None
    assert scores.sound is not None
    assert scores.faulty is not None
    assert scores.sound > scores.base
    assert (tmp_path / "loops" / "half" / "001" / "summary.json").exists()
