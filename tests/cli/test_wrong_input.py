"""Every wrong input: exit code 2, one error and one hint, and nothing created or changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Cli
from tui_loop.cli.main import main

GOOD = "".join(json.dumps({"prompt": f"q {n}", "completion": f"a{n % 2}"}) + "\n" for n in range(9))

FILES: dict[str, bytes] = {
    "good.jsonl": GOOD.encode(),
    "malformed.jsonl": GOOD.encode() + b'{"prompt": "x", "completion": \n',
    "column.jsonl": GOOD.encode() + b'{"prompt": "no completion here"}\n',
    "empty.jsonl": b"",
    "binary.jsonl": b"\x00\x01\x02PNG" * 50,
    "latin.jsonl": '{"prompt": "caf\u00e9", "completion": "x"}\n'.encode("latin-1"),
    "value.json": b'{"rows": [1, 2]}',
    "list.json": b'[{"prompt": "a", "completion": "b"}, 7]',
    "fields.csv": b"prompt,completion\na,b\nc,d,e\n",
    "null.jsonl": b'{"prompt": null, "completion": "x"}\n',
    "odd.doc": b"some text",
    "open.jsonl": b'{"id": "1", "items": ["hello", "there"]}\n',
    "pairs.jsonl": b'{"question": "q", "chosen": "yes", "rejected": "no"}\n' * 4,
    "roles.jsonl": b'{"messages": [{"role": "narrator", "content": "x"}]}\n',
    "two.csv": b"kind,tone,message\n"
    + b"".join(f"k{n % 2},t{n % 3},message number {n}\n".encode() for n in range(12)),
}

NEW = ["new", "mine", "--data"]

CASES: list[tuple[list[str], list[str]]] = [
    ([*NEW, "malformed.jsonl"], ["malformed.jsonl:10", "not JSON"]),
    ([*NEW, "column.jsonl"], ["column.jsonl:10", "'completion'"]),
    ([*NEW, "empty.jsonl"], ["empty.jsonl", "empty"]),
    ([*NEW, "binary.jsonl"], ["binary.jsonl", "binary"]),
    ([*NEW, "latin.jsonl"], ["latin.jsonl:1", "UTF-8"]),
    ([*NEW, "value.json"], ["value.json", "a single JSON object without rows"]),
    ([*NEW, "list.json"], ["list.json:1", "must be a JSON object"]),
    ([*NEW, "fields.csv"], ["fields.csv:3", "3 fields"]),
    ([*NEW, "null.jsonl"], ["null.jsonl:1", "'prompt'", "null"]),
    ([*NEW, "odd.doc"], ["odd.doc", "unknown format"]),
    (
        [*NEW, "open.jsonl"],
        ["open.jsonl: the columns match no known shape", 'items (["hello"', "=PROMPT_COLUMN"],
    ),
    (
        [*NEW, "pairs.jsonl"],
        ["preference data", "hint: --set data.columns.prompt=question --set", "completion=chosen"],
    ),
    ([*NEW, "roles.jsonl"], ["roles.jsonl:1", "turn 1 of 'messages'", "'narrator'"]),
    ([*NEW, "missing.jsonl"], ["missing.jsonl", "no such file"]),
    ([*NEW, "good.jsonl", "--eval", "missing.jsonl"], ["missing.jsonl", "no such file"]),
    ([*NEW, "good.jsonl", "--holdout", "empty.jsonl"], ["empty.jsonl", "empty"]),
    (
        [*NEW, "two.csv", "--metric", "label"],
        ["two.csv", "which columns are label and text", "--set data.columns."],
    ),
    ([*NEW, "good.jsonl", "--set", "learning_rte=1"], ["did you mean learning_rate"]),
    ([*NEW, "good.jsonl", "--set", "training.foo=1"], ["training.foo", "no such field"]),
    ([*NEW, "good.jsonl", "--set", "lora.r=eight"], ["lora.r", "whole number"]),
    ([*NEW, "good.jsonl", "--set", "learning_rate=0"], ["training.learning_rate", "above 0"]),
    ([*NEW, "good.jsonl", "--set", "learning_rate=inf"], ["training.learning_rate", "finite"]),
    (
        [*NEW, "good.jsonl", "--set", "lora.r=0", "--set", "lora_dropout=1"],
        ["2 problems", "lora.r", "lora.lora_dropout"],
    ),
    ([*NEW, "good.jsonl", "--set", "training.output_dir=x"], ["output_dir", "cannot be set"]),
    ([*NEW, "good.jsonl", "--set", "nonsense"], ["must be K=V"]),
    ([*NEW, "good.jsonl", "--metric", "exactmatch"], ["evaluation.metric", "exact_match"]),
    ([*NEW, "good.jsonl", "--model", "./nowhere"], ["model.id", "nowhere"]),
    ([*NEW, "good.jsonl", "--model", "nosuch.gguf"], ["nosuch.gguf", "no such file"]),
    (["new", "../mine", "--data", "good.jsonl"], ["cannot be a loop's name"]),
    (["new", "a/b", "--data", "good.jsonl"], ["cannot be a loop's name"]),
    (["new", "run", "--data", "good.jsonl"], ["is a command"]),
    (["new", "Mine", "--data", "good.jsonl"], ["cannot be a loop's name"]),
    (["new", "mine"], ["--data"]),
    (["Frobnicate"], ["cannot be a loop's name"]),
    ([], ["needs a terminal"]),
    (["show", "../../etc"], ["cannot be a loop's name"]),
    (["show", "mine/../../etc"], ["must be a number"]),
    (["show", ".."], ["cannot be a loop's name"]),
]


@pytest.mark.parametrize(("arguments", "said"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_wrong_input_is_one_error_one_hint_and_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    said: list[str],
) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    code = main(arguments)
    out, err = capfd.readouterr()
    assert code == 2, err
    assert out == ""
    assert_error_and_hint(err)
    for words in said:
        assert words in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*NEW, "malformed.jsonl"], "malformed.jsonl:10"),
        ([], "needs a terminal"),
        (["show", ".."], "cannot be a loop's name"),
        # Without the stack a model is checked when it is first run.
        pytest.param(
            [*NEW, "good.jsonl", "--model", "nosuchmodel"], "nosuchmodel", marks=pytest.mark.train
        ),
    ],
)
def test_wrong_input_is_the_exit_code_of_the_process(
    cli: Cli, tmp_path: Path, arguments: list[str], said: str
) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    done = cli(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert_error_and_hint(done.stderr)
    assert said in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == FILES


def assert_error_and_hint(err: str) -> None:
    """One line of each, and nothing else."""
    lines = err.splitlines()
    assert len(lines) == 2, err
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "lora.r=0"], "lora.r"),
        (["--set", "learning_rate=1e-4", "--set", "modle.id=x"], "did you mean model"),
        (["--set", "model.id=./gone"], "gone"),
        (["--set", "evaluation.metric=mine:score"], "there is no module mine"),
        (["--set", "evaluation.metric=subprocess:call"], "--allow-code"),
        (["--set", "evaluation.labels=['a0']"], "not in evaluation.labels"),
        (["--repeat", "0"], "at least 1"),
    ],
)
@pytest.mark.train
def test_a_run_that_cannot_be_is_refused_before_anything_is_created(
    cli: Cli, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "good.jsonl").write_text(GOOD)
    assert cli("new", "mine", "--data", "good.jsonl", "--metric", "label").returncode == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = cli("run", "mine", *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "loops" / "mine" / "000").exists()


def test_what_is_not_there_is_exit_code_four(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_text(GOOD)
    assert cli("show", "nothing").returncode == 4
    cli("new", "mine", "--data", "good.jsonl")
    done = cli("show", "mine/3")
    assert done.returncode == 4
    assert "there are: none yet" in done.stderr


def test_a_name_that_is_taken_is_refused_and_stays_as_it_was(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_text(GOOD)
    assert cli("new", "mine", "--data", "good.jsonl", "--goal", "first").returncode == 0
    settings = (tmp_path / "loops" / "mine" / "loop.toml").read_text()
    assert cli("new", "mine", "--data", "good.jsonl", "--goal", "second").returncode == 2
    assert (tmp_path / "loops" / "mine" / "loop.toml").read_text() == settings


def test_hostile_bytes_in_a_file_do_not_reach_the_terminal(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(b"a\x1b]52;c;aGk=\x07,b\nx,y\n")
    done = cli("new", "mine", "--data", "bad.csv", "--metric", "label")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr


def test_a_word_that_is_no_command_is_taken_for_a_loop_and_a_near_command_is_named(
    cli: Cli,
) -> None:
    done = cli("compre")
    assert done.returncode == 4
    assert done.stderr.splitlines()[0].startswith("error: no loop 'compre'")
    assert done.stderr.splitlines()[1] == "hint: did you mean tui-loop compare?"
