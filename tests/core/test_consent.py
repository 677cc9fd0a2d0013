"""Consent to foreign code: for these very files, remembered for the user, never by a loop."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tui_loop.core.consent import (
    INHERITED,
    ForeignCode,
    NeedsConsent,
    allow_code,
    code_file,
    consent_file,
    require_consent,
)


@pytest.fixture
def code(tmp_path: Path) -> ForeignCode:
    (tmp_path / "one.py").write_text("ONE = 1\n")
    (tmp_path / "two.py").write_text("TWO = 2\n")
    return code_in(tmp_path)


def code_in(folder: Path) -> ForeignCode:
    files = tuple(code_file(folder / name, name) for name in ("one.py", "two.py"))
    return ForeignCode("model.id", "./mine", files)


def in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process of this user knows."""
    monkeypatch.setenv(INHERITED, "")


def test_code_is_refused_until_it_is_allowed(
    code: ForeignCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NeedsConsent) as refused:
        require_consent([code])
    assert refused.value.code == (code,)
    assert refused.value.exit_code == 2
    assert refused.value.message == "model.id: ./mine brings its own Python code: one.py, two.py"
    assert "--allow-code" in refused.value.hint
    require_consent([code], allow=True)
    in_another_process(monkeypatch)
    require_consent([code])


def test_changed_code_asks_again(
    code: ForeignCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_consent([code], allow=True)
    (tmp_path / "two.py").write_text("TWO = 3\n")
    in_another_process(monkeypatch)
    with pytest.raises(NeedsConsent):
        require_consent([code_in(tmp_path)])


def test_a_copy_of_allowed_code_elsewhere_is_the_same_code(
    code: ForeignCode, tmp_path: Path
) -> None:
    require_consent([code], allow=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("one.py", "two.py"):
        (elsewhere / name).write_bytes((tmp_path / name).read_bytes())
    require_consent([code_in(elsewhere)])


def test_only_what_nobody_allowed_is_asked_for(code: ForeignCode) -> None:
    allow_code([ForeignCode(code.field, code.owner, code.files[:1])])
    other = ForeignCode("evaluation.metric", "mine:score", code.files[:1])
    with pytest.raises(NeedsConsent) as refused:
        require_consent([code, other, code])
    assert refused.value.code == (code,)


def test_consent_lies_with_the_user_and_is_readable_by_no_one_else(code: ForeignCode) -> None:
    allow_code([code])
    allow_code([code])
    assert consent_file().parent == Path(os.environ["TUI_LOOP_STATE"])
    assert stat.S_IMODE(consent_file().stat().st_mode) == 0o600
    assert len(consent_file().read_text().splitlines()) == 2


def test_where_nothing_can_be_remembered_consent_reaches_child_processes(
    code: ForeignCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUI_LOOP_STATE", str(tmp_path / "file"))
    require_consent([code], allow=True)
    require_consent([code])
    assert os.environ[INHERITED].split() == [each.sha256 for each in code.files]
    in_another_process(monkeypatch)
    with pytest.raises(NeedsConsent):
        require_consent([code])


def test_a_damaged_line_allows_nothing(code: ForeignCode, monkeypatch: pytest.MonkeyPatch) -> None:
    allow_code([code])
    lines = consent_file().read_text().splitlines()
    consent_file().write_text("{\n" + lines[0][:-9] + "\n" + lines[1] + "\n")
    in_another_process(monkeypatch)
    with pytest.raises(NeedsConsent):
        require_consent([code])
    require_consent([ForeignCode("model.id", "./mine", code.files[1:])])


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("")
    name = "a\x1b]0;title\x07\n.py"
    code = ForeignCode("model.id", "./m\x1b[2J", (code_file(tmp_path / "x.py", name),))
    with pytest.raises(NeedsConsent) as refused:
        require_consent([code])
    assert "\x1b" not in refused.value.message
    assert "\n" not in refused.value.message
