"""The diagnosis of real runs with a known fault (`scripts/planted`), and of healthy ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from scripts.planted.archive import ARCHIVE, pack, unpack
from scripts.planted.data import write_data
from scripts.planted.making import make
from scripts.planted.scenarios import BY_NAME, KINDS, SCENARIOS, Scenario
from scripts.planted.scoring import Judged, Tally, is_good, judge, tallies, total
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Suggestion
from tui_loop.core.record.files import sha256_of
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader

pytestmark = pytest.mark.slow

NOT_YET: frozenset[tuple[str, str]] = frozenset()
"""(scenario, kind) that must be found and is not yet."""

FALSE_YET: frozenset[tuple[str, str]] = frozenset()
"""(scenario, kind) that must not be found and still is."""

ROWS = ("examples.jsonl", "tokens.jsonl", "training.jsonl")
HEALTHY = [each for each in SCENARIOS if each.is_healthy]
EVERY = [pytest.param(each, id=each.name) for each in SCENARIOS]


Judge = Callable[[str], Judged]


@pytest.fixture(scope="module")
def judged(planted: Path) -> Judge:
    """Diagnoses the record of a scenario, once."""

    @cache
    def judge_once(name: str) -> Judged:
        return judge(BY_NAME[name], planted)

    return judge_once


@pytest.mark.parametrize("scenario", EVERY)
def test_what_was_planted_is_found(scenario: Scenario, judged: Judge) -> None:
    known = {kind for name, kind in NOT_YET if name == scenario.name}
    assert judged(scenario.name).missed == known


@pytest.mark.parametrize("scenario", EVERY)
def test_what_is_not_true_is_not_found(scenario: Scenario, judged: Judge) -> None:
    known = {kind for name, kind in FALSE_YET if name == scenario.name}
    false = judged(scenario.name).false
    assert {each.kind for each in false} == known, [each.message for each in false]


@pytest.mark.parametrize("scenario", HEALTHY, ids=lambda each: each.name)
def test_a_healthy_run_gives_no_alarm(scenario: Scenario, judged: Judge) -> None:
    assert judged(scenario.name).false_alarms == ()


def test_precision_and_recall_are_good_enough(judged: Judge) -> None:
    assert is_good([judged(each.name) for each in SCENARIOS])


UP, DOWN = "up", "down"
DIRECTIONS = {
    "train_longer": ("length", UP),
    "fewer_epochs": ("length", DOWN),
    "keep_best": ("length", DOWN),
    "raise_learning_rate": ("rate", UP),
    "larger_rate": ("rate", UP),
    "lower_learning_rate": ("rate", DOWN),
    "smaller_rate": ("rate", DOWN),
    "raise_rank": ("capacity", UP),
    "all_linear": ("capacity", UP),
    "lower_rank": ("capacity", DOWN),
    "more_dropout": ("capacity", DOWN),
    "weight_decay": ("capacity", DOWN),
    "pack": ("packing", UP),
    "no_packing": ("packing", DOWN),
}
"""What a kind of suggestion asks for more or less of, by the sense of its words."""


@pytest.mark.parametrize("scenario", EVERY)
def test_no_two_suggestions_contradict(scenario: Scenario, planted: Path) -> None:
    loop = LoopsFolder(planted / "loops").loop(scenario.name)
    diagnoser = Diagnoser(LoopReader(loop))
    for number in loop.numbers():
        suggestions = diagnoser.diagnose(number).suggestions
        assert not opposites_in(suggestions), [each.name for each in suggestions]


def opposites_in(suggestions: Sequence[Suggestion]) -> set[str]:
    """The fields and subjects of which more is asked by one suggestion and less by another."""
    asked: dict[str, set[str]] = {}
    for each in suggestions:
        for name, (old, new) in each.changes.items():
            if isinstance(old, int | float) and isinstance(new, int | float):
                asked.setdefault(name, set()).add(UP if new > old else DOWN)
        if each.kind in DIRECTIONS:
            subject, direction = DIRECTIONS[each.kind]
            asked.setdefault(subject, set()).add(direction)
    return {subject for subject, directions in asked.items() if len(directions) > 1}


def test_the_table_plants_every_kind_and_has_healthy_runs() -> None:
    assert len(SCENARIOS) >= 36
    assert len(HEALTHY) >= 6
    assert {kind for each in SCENARIOS for kind in each.must} == set(KINDS)
    assert not any(each.must & each.must_not for each in SCENARIOS)


def test_records_hold_no_weights_and_no_path_of_the_machine_that_made_them(planted: Path) -> None:
    files = [path for path in (planted / "loops").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".toml", ".json", ".jsonl", ".csv", ".txt"}
    absolute = [path for path in files if re.search(rb'"/|[A-Z]:\\\\', _told_of_files(path))]
    assert absolute == []


def test_equal_records_make_equal_archives(tmp_path: Path) -> None:
    for folder, names in (("one", "ab"), ("other", "ba")):
        for name in names:
            path = tmp_path / folder / "loops" / name / "001" / "config.toml"
            path.parent.mkdir(parents=True)
            path.write_text(name)
        (tmp_path / folder / "data").mkdir()
        pack(tmp_path / folder, tmp_path / f"{folder}.tar.xz")
    os.utime(tmp_path / "other" / "loops" / "a" / "001" / "config.toml", (0, 0))
    pack(tmp_path / "other", tmp_path / "other.tar.xz")
    assert (tmp_path / "one.tar.xz").read_bytes() == (tmp_path / "other.tar.xz").read_bytes()
    unpack(tmp_path / "one.tar.xz", tmp_path / "again")
    assert sorted(path.name for path in (tmp_path / "again" / "loops").iterdir()) == ["a", "b"]
    assert (tmp_path / "again" / "loops" / "b" / "001" / "config.toml").read_text() == "b"


def test_the_archive_has_a_record_of_every_scenario(planted: Path) -> None:
    assert {path.name for path in (planted / "loops").iterdir()} == set(BY_NAME)
    assert ARCHIVE.stat().st_size < 1_000_000


def test_the_data_that_the_records_were_made_of_can_be_had_again(
    tmp_path: Path, planted: Path
) -> None:
    for scenario in SCENARIOS:
        loop = LoopsFolder(planted / "loops").loop(scenario.name)
        for number in loop.numbers():
            for split in loop.iteration(number).read_splits().values():
                path = tmp_path / split.path
                if not path.exists():
                    write_data(path.stem, path.parent, seed=0)
                assert sha256_of(path) == split.sha256, (scenario.name, split.path)


def test_found_and_false_findings_are_counted_by_kind() -> None:
    ill = Scenario(
        name="ill",
        planted="two",
        must=frozenset({"diverged", "slow"}),
        must_not=frozenset({"leakage"}),
    )
    well = Scenario(name="well", must_not=frozenset({"diverged"}))
    said = Diagnosis(1, (_finding("diverged"), _finding("leakage"), _finding("plateau")))
    rows = [Judged(ill, said), Judged(well, said)]
    by_kind = tallies(rows)
    assert by_kind["diverged"] == Tally(planted=1, found=1, false=1)
    assert by_kind["slow"] == Tally(planted=1, found=0, false=0)
    assert by_kind["leakage"] == Tally(planted=0, found=0, false=1)
    assert by_kind["plateau"] == Tally(planted=0, found=0, false=0)
    overall = total(by_kind)
    assert overall.precision == pytest.approx(1 / 3)
    assert overall.recall == pytest.approx(1 / 2)
    assert by_kind["slow"].precision is None
    assert by_kind["plateau"].recall is None
    assert not is_good(rows)


def test_an_alarm_about_a_healthy_run_is_told_and_not_good_enough(judged: Judge) -> None:
    ill = Judged(
        Scenario(name="ill", planted="it", must=frozenset({"slow"})),
        Diagnosis(1, (_finding("slow"),)),
    )
    alarmed = Judged(Scenario(name="well"), Diagnosis(1, (_finding("plateau", "alarm"),)))
    noted = Judged(Scenario(name="well"), Diagnosis(1, (_finding("plateau", "note"),)))
    assert is_good([ill, noted])
    assert alarmed.false_alarms
    assert not is_good([ill, alarmed])


@pytest.mark.train
def test_runs_made_now_are_found_out_too(tmp_path: Path) -> None:
    small = ("max_train_rows=24", "max_eval_rows=12", "evaluation.train_rows=8", "logging_steps=1")
    made = [
        Scenario(
            name="too-high",
            planted="a rate of 1e4",
            settings=("learning_rate=1e4", "max_steps=24", *small),
            base=False,
            must=frozenset({"diverged"}),
            must_not=frozenset({"learning_rate_too_low", "overfitting", "memorised"}),
        ),
        Scenario(
            name="too-low",
            planted="a rate of 1e-6",
            settings=("learning_rate=1e-6", "max_steps=24", *small),
            must=frozenset({"learning_rate_too_low"}),
            must_not=frozenset({"diverged", "learning_rate_too_high", "overfitting", "memorised"}),
        ),
    ]
    assert make(made, tmp_path) == []
    rows = [judge(each, tmp_path) for each in made]
    assert [each.missed for each in rows] == [frozenset(), frozenset()]
    assert [each.false for each in rows] == [(), ()]


def _told_of_files(path: Path) -> bytes:
    """What a file of a record says that may name another file: all but the rows."""
    return b"" if path.name in ROWS or path.parent.name == "evals" else path.read_bytes()


def _finding(kind: str, severity: str = "warning") -> Finding:
    return Finding(kind, severity, f"{kind} it is")  # type: ignore[arg-type]
