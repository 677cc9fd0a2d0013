"""What `new` sees in the data, says, and writes down."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from tests.conftest import CHECKOUT, Cli


def settings(folder: Path, name: str = "mine") -> dict[str, Any]:
    return tomllib.loads((folder / "loops" / name / "loop.toml").read_text())


def test_a_label_column_is_found_and_the_messages_are_set_off_from_it(
    cli: Cli, tmp_path: Path
) -> None:
    rows = "".join(f"please do thing {n},{'stop' if n % 2 else 'go'}\n" for n in range(20))
    (tmp_path / "rows.csv").write_text("text,category\n" + rows)
    done = cli("new", "mine", "--data", "rows.csv", "--metric", "label", "--model", "tiny")
    assert done.returncode == 0, done.stderr
    assert "18 training rows, 2 evaluation rows" in done.stdout
    assert "prompt = text, completion = category" in done.stdout
    assert "2 labels: go, stop" in done.stdout
    assert (
        "no eval data given: 2 of 20 rows of rows.csv are held out for evaluation (seed 0)"
        in done.stdout
    )
    data = settings(tmp_path)["defaults"]["data"]
    assert data["columns"] == {"prompt": "text", "completion": "category"}
    assert data["prompt_template"] == "{prompt}\nLabel:"
    assert data["train"] == "rows.csv"


def test_text_needs_no_metric(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text(
        "".join(json.dumps({"text": f"line {n}"}) + "\n" for n in range(4))
    )
    done = cli("new", "mine", "--data", "texts.jsonl")
    assert done.returncode == 0, done.stderr
    assert settings(tmp_path)["metric"] == "none"


def test_an_unset_field_is_written_down_as_such(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"prompt": f"q{n}", "completion": "a"}) + "\n" for n in range(4))
    )
    done = cli("new", "mine", "--data", "rows.jsonl", "--set", "training.max_length=unset")
    assert done.returncode == 0, done.stderr
    assert settings(tmp_path)["defaults"]["training"]["max_length"] == "unset"


def test_the_loops_folder_may_be_named_before_or_after_the_command(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text(
        '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n'
    )
    assert cli("--loops", "deep/loops", "new", "one", "--data", "rows.jsonl").returncode == 0
    assert cli("new", "two", "--data", "rows.jsonl", "--loops", "deep/loops").returncode == 0
    listed = json.loads(cli("list", "--json", "--loops", "deep/loops").stdout)
    assert [loop["name"] for loop in listed["loops"]] == ["one", "two"]
    assert settings(tmp_path / "deep", "one")["defaults"]["data"]["train"].endswith("rows.jsonl")


def test_the_gitignore_keeps_weights_and_logs_out(cli: Cli, tmp_path: Path) -> None:
    data = CHECKOUT / "sample_data" / "support-intents" / "train.jsonl"
    assert cli("new", "mine", "--data", str(data)).returncode == 0
    ignored = (tmp_path / "loops" / ".gitignore").read_text().split()
    assert ignored == ["adapter/", "checkpoints/", "output.log", "*.lock"]


def test_help_names_every_field_with_its_default(cli: Cli) -> None:
    text = cli("new", "--help").stdout
    assert "training.learning_rate = 1e-4" in text
    assert "evaluation.max_new_tokens = unset" in text


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_what_is_not_used_is_named_and_what_changes_the_meaning_is_a_warning(
    cli: Cli, tmp_path: Path
) -> None:
    write(
        tmp_path / "rows.jsonl",
        [
            {"prompt": f"q{n}", "completion": "a", "url": f"u{n}", "tools": "[]", "weight": n % 2}
            for n in range(10)
        ],
    )
    done = cli("new", "mine", "--data", "rows.jsonl")
    assert done.returncode == 0, done.stderr
    assert "\ncolumns not used: url\n" in done.stdout
    warnings = [line for line in done.stderr.splitlines() if "hint:" not in line]
    assert warnings == [
        "warning: only 1 row is held out: it decides the whole score",
        "warning: column tools is not used: the model never sees the tools it calls (in 10 of 10 "
        "rows)",
        "warning: column weight is not used: all rows count equally (in 10 of 10 rows); "
        "5 rows with the value 0 or false, the first in line 1, are used like the others",
    ]


def test_the_chosen_answers_of_preference_data_are_read_and_written_down(
    cli: Cli, tmp_path: Path
) -> None:
    def chat(n: int, reply: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": reply}]

    rows = [{"chosen": chat(n, "yes"), "rejected": chat(n, "no")} for n in range(10)]
    write(tmp_path / "rows.jsonl", rows)
    done = cli("new", "mine", "--data", "rows.jsonl")
    assert done.returncode == 0, done.stderr
    assert "read as messages (messages = chosen)" in done.stdout
    assert "warning: preference data: training uses column chosen, not rejected\n" in done.stderr
    assert settings(tmp_path)["defaults"]["data"]["columns"] == {"messages": "chosen"}


def test_answers_that_are_marked_as_bad_are_left_out_and_counted(cli: Cli, tmp_path: Path) -> None:
    rows = [{"prompt": f"q{n}", "completion": "a", "label": n % 5 > 0} for n in range(20)]
    write(tmp_path / "rows.jsonl", rows)
    done = cli("new", "mine", "--data", "rows.jsonl")
    assert done.returncode == 0, done.stderr
    assert "14 training rows, 2 evaluation rows" in done.stdout
    left_out = "warning: preference data: 4 of 20 rows are left out because column label is false\n"
    assert left_out in done.stderr
