"""A file is opened in the user's own editor, at the line where that editor can."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_loop.tui.terminal import opening_words

PATH = Path("/data/my rows.jsonl")
TEXT = str(PATH)


@pytest.mark.parametrize(
    ("editor", "words"),
    [
        *(
            (name, [name, "+12", TEXT])
            for name in ("vi", "vim", "nvim", "nano", "emacs", "emacsclient", "micro", "kak")
        ),
        ("/usr/bin/vim.basic", ["/usr/bin/vim.basic", "+12", TEXT]),
        ("/usr/local/bin/nvim", ["/usr/local/bin/nvim", "+12", TEXT]),
        ("nvim -u NONE --noplugin", ["nvim", "-u", "NONE", "--noplugin", "+12", TEXT]),
        ("emacsclient -t -a ''", ["emacsclient", "-t", "-a", "", "+12", TEXT]),
        ("code", ["code", "-g", f"{TEXT}:12"]),
        ("code --wait", ["code", "--wait", "-g", f"{TEXT}:12"]),
        ("codium -w", ["codium", "-w", "-g", f"{TEXT}:12"]),
        ("subl -w", ["subl", "-w", f"{TEXT}:12"]),
        ("hx", ["hx", f"{TEXT}:12"]),
        ("helix", ["helix", f"{TEXT}:12"]),
        ("kate", ["kate", "--line", "12", TEXT]),
        ("'/opt/my tools/vim' -n", ["/opt/my tools/vim", "-n", "+12", TEXT]),
        ("ed", ["ed", TEXT]),
        ("my-editor --flag", ["my-editor", "--flag", TEXT]),
        ("Code.exe", ["Code.exe", "-g", f"{TEXT}:12"]),
        ("vim 'half", ["vim", "'half", "+12", TEXT]),
    ],
)
def test_each_editor_gets_the_line_in_its_own_way(editor: str, words: list[str]) -> None:
    assert opening_words(PATH, 12, {"EDITOR": editor}) == words


@pytest.mark.parametrize("line", [None, 0, -1])
@pytest.mark.parametrize("editor", ["vim", "code", "hx", "kate", "ed"])
def test_without_a_line_the_path_stands_alone(editor: str, line: int | None) -> None:
    assert opening_words(PATH, line, {"EDITOR": editor}) == [editor, TEXT]


@pytest.mark.parametrize(
    ("environ", "editor"),
    [
        ({"VISUAL": "hx", "EDITOR": "ed"}, "hx"),
        ({"VISUAL": "", "EDITOR": "ed"}, "ed"),
        ({"VISUAL": "  ", "EDITOR": "ed"}, "ed"),
        ({"VISUAL": "''", "EDITOR": "ed"}, "ed"),
        ({}, "vi"),
        ({"EDITOR": " "}, "vi"),
    ],
)
def test_the_first_that_is_set_is_taken(environ: dict[str, str], editor: str) -> None:
    assert opening_words(PATH, None, environ) == [editor, TEXT]


def test_a_path_is_never_an_option_of_the_editor() -> None:
    assert opening_words(Path("-c quit"), 3, {"EDITOR": "vim"}) == ["vim", "+3", "./-c quit"]
