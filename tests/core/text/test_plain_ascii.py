"""Our signs in plain ASCII: no arrow as a comparison, no code points, records as they were."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import CHECKOUT, Cli
from tui_loop.core.text import plain_ascii
from tui_loop.tui.cells import fit, flat, sign_for_sign, spell_out, width_of

SHOW = ("--loops", str(CHECKOUT / "loops"), "show", "support-intents")


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("learning_rate 1e-4 → 5e-4", "learning_rate 1e-4 -> 5e-4"),
        ("+9 ±6", "+9 +-6"),
        ("✓ met … ≈", "+ met ... ~"),
        ("naïve", "na\\xefve"),
        ("中", "\\u4e2d"),
        ("plain", "plain"),
    ],
)
def test_our_signs_are_spelled_out_and_others_keep_their_number(told: str, shown: str) -> None:
    assert told.encode("ascii", plain_ascii.HANDLER).decode() == shown


@given(st.dictionaries(st.text(), st.text()))
def test_a_record_in_ascii_is_the_same_record(value: dict[str, str]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert plain_ascii.json_in_ascii(text).isascii()
    assert json.loads(plain_ascii.json_in_ascii(text)) == value


@given(st.text(alphabet="a→±…中 ", max_size=20), st.integers(0, 12))
def test_cells_have_room_for_what_is_spelled_out(text: str, width: int) -> None:
    spell_out(True)
    try:
        cut = fit(text, width)
        assert width_of(cut) == width
        assert flat(cut) == cut
        assert "→" not in flat(text)
        assert "±" not in flat(text)
        assert len(sign_for_sign(text)) == len(text)
    finally:
        spell_out(False)
    assert flat("a → b") == "a → b"


def test_a_command_without_utf_8_prints_words_and_whole_columns(cli: Cli) -> None:
    done = cli(*SHOW, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "\\u" not in done.stdout
    columns = {
        line.find(title)
        for title in ("change", "baseline", "learning_rate 1e-3 -> 1e-2")
        for line in done.stdout.splitlines()
        if title in line
    }
    assert len(columns) == 1


def test_records_without_utf_8_are_whole(cli: Cli) -> None:
    done = cli(*SHOW, "--json", PYTHONIOENCODING="ascii")
    assert done.stdout.isascii()
    assert "learning_rate 1e-3 → 1e-2" in [
        each["title"] for each in json.loads(done.stdout)["iterations"]
    ]
