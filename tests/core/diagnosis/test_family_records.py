"""The diagnosis of the records of all families (`scripts/planted/families`), and of healthy runs.

The families are open: rules were changed after they were scored. `scorings.toml` has what the
diagnosis reached on each of them the first time.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts.planted.archive import unpack
from scripts.planted.families.family import Family
from scripts.planted.families.open_families import OPEN
from scripts.planted.families.scoring import SCORINGS, Scored, alarms, score_family
from scripts.planted.families.sealed import sealed, sets
from scripts.reliability import CHECKOUT
from tests.core.diagnosis.test_planted import opposites_in
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import LoopReader

pytestmark = pytest.mark.slow

ARCHIVE = CHECKOUT / "tests" / "families.tar.xz"
"""Records of 205 loops without the losses of tokens: families, sound and healthy runs."""

REFUSED = {"blind-1-49"}
"""Families that the program refuses before a run: they have no record."""


def families() -> Mapping[str, Family]:
    each = (*OPEN, *(family for name in sets() for family in sealed(name)))
    return {family.name: family for family in each if family.name not in REFUSED}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("families")
    unpack(ARCHIVE, made)
    return made


@pytest.fixture(scope="module")
def scored(folder: Path) -> Sequence[Scored]:
    return [score_family(each, folder, runs=False) for each in families().values()]


def test_the_archive_has_a_record_of_every_family_and_no_weights(folder: Path) -> None:
    assert families().keys() <= {path.name for path in (folder / "loops").iterdir()}
    files = [path for path in (folder / "loops").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".toml", ".json", ".jsonl", ".txt"}
    assert ARCHIVE.stat().st_size < 2_000_000


def test_causes_are_named_first(scored: Sequence[Scored]) -> None:
    counted = [each for each in scored if each.shows_fault]
    assert len(counted) >= 150
    missed = {each.family: each.named for each in counted if not each.is_found}
    wrong = {each.family: each.named for each in counted if each.is_wrong}
    assert len(missed) <= 0.05 * len(counted), missed
    assert len(wrong) <= 0.05 * len(counted), wrong


def test_healthy_runs_give_no_alarm(folder: Path) -> None:
    found = alarms(folder)
    assert len(found) >= 40
    assert {name: kinds for name, kinds in found.items() if kinds} == {}


def test_no_two_suggestions_contradict(folder: Path) -> None:
    for path in sorted((folder / "loops").iterdir()):
        loop = LoopFolder(path)
        diagnoser = Diagnoser(LoopReader(loop))
        for number in loop.numbers():
            suggestions = diagnoser.diagnose(number).suggestions
            assert not opposites_in(suggestions), (loop.name, [each.name for each in suggestions])


def test_the_log_of_scorings_names_families_that_exist() -> None:
    logged = tomllib.loads(SCORINGS.read_text(encoding="utf-8"))["scoring"]
    for each in logged:
        assert set(each["names"]) <= families().keys()
        assert each["found"] <= each["families"] == len(each["names"])
        assert each.get("useful", 0) <= each["families"]
