"""A loop on disk as a stranger might have left it: every text in it is hostile."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from tests.hostile.texts import SPLIT, Hostile
from tests.tui.conftest import example_of
from tui_loop.core.config.tables import to_tables
from tui_loop.core.record.codec import spell
from tui_loop.core.record.files import short_hash
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.structs import Iteration, Split
from tui_loop.core.workflow.draft import Draft, write_draft

EXAMPLES = 8
LONG_LINE = 1_000_000
"""Characters of one model output: a screen shows its beginning, and goes on answering."""

OTHER_NAMES = (b"\x1b[2Jevil", b"[bold]$x", b"a\xe2\x80\xaeb", b"\xff\xfe", b"new\nline", b"A b")
"""Folders that hold a loop under a name that no loop can have."""

DATA_NAMES = (b"\x1b]52;c;eA==\x07.jsonl", b"[red].csv", b"\xffdata.jsonl", b"tab\tnew\nline.txt")


def write_json(path: Path, value: Any) -> None:
    """JSON in plain ASCII: half a surrogate pair is spelled as the escape that it is."""
    path.write_text(json.dumps(value) + "\n")


def write_lines(path: Path, values: list[Any]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))


def make_hostile(loop: LoopFolder, text: Hostile, *, long_line: int = LONG_LINE) -> None:
    """Puts hostile texts wherever the recorded loop has text, and more where it has none."""
    _settings(loop, text)
    _iteration_with_everything(loop, text, long_line)
    _failed_one(loop, text)
    _interrupted_one(loop, text)
    _unreadable_ones(loop, text)
    _draft(loop, text)
    _queue(loop, text)
    _looks(loop, text)
    _neighbours(loop, text)


def _settings(loop: LoopFolder, text: Hostile) -> None:
    table = loop.read_settings()
    changed = msgspec.to_builtins(table) | {"schema": 1, "goal": text.plain("goal")}
    changed["ready"] = {text.plain("ready"): text.plain("ready")}
    changed["defaults"]["model"]["id"] = text.plain("default model")
    loop.settings_file.write_text(tomli_w.dumps(changed))


def _iteration_with_everything(loop: LoopFolder, text: Hostile, long_line: int) -> None:
    folder = loop.iteration(2)

    def change(told: dict[str, Any]) -> None:
        config = told["config"]
        config["model"]["id"] = text.told("model")
        config["data"]["train"] = text.told("data path")
        config["data"]["prompt_template"] = text.told("template") + "{prompt}"
        config["lora"]["target_modules"] = [text.told("module")]
        told["decision"] = text.told("why", more=f"\n{text.told('why, second line')}")
        told["changes"] = {
            "model.id": ["tiny", text.told("changed model")],
            f"training.{text.told('changed field')}": [text.told("old value"), None],
            "data.train": {text.told("row change"): text.told("row count")},
        }
        told["metrics"] |= {text.told("metric"): text.told("figure"), "wer": {"a": ["b"]}}
        told["verdict"] = text.told("verdict")
        told["title"] = text.told("title")

    _rewrite(folder.summary, change)
    rows, tokens = [], []
    for index in range(EXAMPLES):
        row, _ = example_of(index, passed=index % 2 == 0)
        parts = {name: text.told(f"{name} {index}") for name in ("prompt", "reference", "output")}
        told = msgspec.to_builtins(row) | parts | {"causes": [text.told("cause")]}
        told |= {"columns": {text.told("column"): text.told("column value")}, "prompt_cut": -1}
        if index == EXAMPLES - 1:
            told["output"] += "\x1b[2J [/b] x" * (long_line // 11)
        rows.append(told)
        pieces = [text.told(f"token {index}"), *SPLIT]
        tokens.append({"id": row.id, "tokens": [[each, "NaN"] for each in pieces]})
    write_lines(folder.examples, rows)
    write_lines(folder.tokens, tokens)
    write_json(folder.diagnosis, {"number": 2, "findings": [{"kind": text.told("finding")}]})
    predicted = {"metric": "score", "was": 0.4, "low": 0.5, "high": 0.6}
    decision = {"parent": 1, "why": text.plain("decision of 2"), "predicted": predicted}
    decision["suggestion"] = text.plain("taken of 2")
    folder.decision.write_text(tomli_w.dumps(decision))
    flipped = [row | {"passed": not row["passed"], "score": 1 - row["score"]} for row in rows]
    write_lines(loop.iteration(1).examples, flipped)
    folder.notes.write_bytes(text.plain("notes").encode() + b"\xff\xfe")
    _hostile_labels(loop, rows, text)
    _hostile_training(folder, rows, text)
    _hostile_journal(folder.journal, text)


def _hostile_labels(loop: LoopFolder, rows: list[dict[str, Any]], text: Hostile) -> None:
    said = [
        {"id": row["id"], "kind": kind, "iteration": 2, "output": row["output"]}
        | {"reference": short_hash(spell(row["reference"])), "note": text.told(f"said {kind}")}
        | {"by": text.told(f"sayer {kind}"), "t": 1e300}
        for row, kind in zip(rows, ("accepted", "bad_reference", "note", "\x1b[31m"), strict=False)
    ]
    write_lines(loop.labels, said)
    with loop.labels.open("ab") as file:
        file.write(b"\x1b]52;c;anVuaw==\x07\n" + b"[" * 100_000 + b"\n\x00\xff\n")


def _hostile_training(folder: IterationFolder, rows: list[dict[str, Any]], text: Hostile) -> None:
    """Losses of training rows and of steps within the run, with lines that are neither."""
    measured = [
        {"id": f"t{index}", "prompt": text.told(f"trained {index}"), "sampled_of": 96}
        | {"reference": text.told(f"trained reference {index}"), "supervised_tokens": 2}
        | {"loss": [9.0, "NaN", 1e300][index], "source_line": index + 1}
        for index in range(3)
    ]
    write_lines(folder.training_rows, measured)
    folder.evals.mkdir()
    steps = [{"id": row["id"], "loss": "Infinity", "supervised_tokens": -1} for row in rows]
    for step in (1, 2, 10**11):
        write_lines(folder.evals / f"{step}.jsonl", steps)
    with (folder.evals / "2.jsonl").open("ab") as file:
        file.write(b"\x1b]52;c;anVuaw==\x07\n" + b"[" * 100_000 + b"\n\x00\xff\n")
    (folder.evals / "\x1b[2J.jsonl").write_text("{}")


def _hostile_journal(path: Path, text: Hostile) -> None:
    events = [json.loads(line) for line in path.read_text().splitlines()]
    more: list[dict[str, Any]] = [
        {"event": "recovery", "kind": text.told("recovery"), "message": text.told("recovered")},
        {"event": "checkpoint", "step": 3, "path": text.told("checkpoint"), "files": {}},
        {"event": "request", "id": "1", "name": text.told("request")},
        {"event": "metrics", "step": 31, "epoch": None, "values": {text.told("logged"): 1.0}},
        {"event": "evaluation", "step": 31, "epoch": None, "values": {text.told("evaluated"): 2}},
        {"event": text.told("unknown event"), "x": text.told("unknown event")},
    ]
    for level in ("info", "warning", "error", text.told("level")):
        more.append(
            {"event": "line", "level": level, "source": text.told("source"), "text": level}
            | {"text": text.told(f"line {level[:5]}")}
        )
    for piece in SPLIT:
        more.append({"event": "line", "level": "info", "source": "tui-loop", "text": piece})
    events[0] |= {"host": text.told("host"), "device": text.told("device")}
    events[-1:-1] = more
    for number, event in enumerate(events):
        event |= {"seq": number, "t": 1_700_000_000.0 + number}
    write_lines(path, events)
    with path.open("ab") as file:
        file.write(b"\x1b]52;c;anVuaw==\x07\n" + b"[" * 100_000 + b"\n\x00\xff\n")


def _failed_one(loop: LoopFolder, text: Hostile) -> None:
    def change(told: dict[str, Any]) -> None:
        told["config"][text.told("group")] = {text.told("field"): text.told("value")}
        told["error"] = {
            "kind": text.told("error kind"),
            "message": text.told("error message"),
            "hint": text.told("error hint"),
            "step": text.told("error step"),
        }

    _rewrite(loop.iteration(3).summary, change)


def _interrupted_one(loop: LoopFolder, text: Hostile) -> None:
    """Iteration 4 has no summary: what is shown comes of its decision, config and journal."""
    origin, folder = loop.iteration(1), loop.iteration(4)
    folder.path.mkdir()
    config = origin.config.read_text()
    path = json.dumps(text.plain("recorded path"))
    split = (
        f'[splits.train]\npath = {path}\nrows = 3\n[effective.evaluation]\nlabels = ["\\u001b"]\n'
    )
    folder.config.write_text(config.split("[splits")[0] + split)
    decision = {
        "parent": 2,
        "why": text.plain("decision"),
        "changes": [{"field": text.plain("decided"), "old": text.plain("was"), "new": 1}],
        "suggestion": text.plain("suggestion"),
        "predicted": {text.plain("predicted"): text.plain("predicted")},
    }
    folder.decision.write_text(tomli_w.dumps(decision))
    started = {"event": "run_started", "loop": "x", "iteration": 4, "attempt": 1, "pid": 1}
    started |= {"seq": 0, "t": 1_700_000_000.0, "host": text.told("dead host")}
    phase = {"event": "phase", "seq": 1, "t": 1_700_000_001.0, "name": text.told("phase")}
    write_lines(folder.journal, [started, phase])
    holder = {"host": text.plain("lock host"), "pid": 1, "started": 0.0, "boot": "\x1b[2J"}
    write_json(folder.lock, holder)
    request = {"id": text.told("request id"), "attempt": 1, "name": "stop", "by": text.told("by")}
    write_lines(folder.requests, [request])


def _unreadable_ones(loop: LoopFolder, text: Hostile) -> None:
    broken = loop.iteration(5)
    broken.path.mkdir()
    broken.config.write_text(f'[training]\n{json.dumps(text.plain("odd key"))} = "\\u001b[2J"\n')
    half = loop.iteration(6)
    half.path.mkdir()
    half.summary.write_text('{"number": "\x1b[2J", "state": "' + text.plain("odd state") + '"}')
    raw = loop.iteration(7)
    raw.path.mkdir()
    raw.config.write_bytes(b"[training]\n\x1b]52;c;cmF3\x07 = 1\n")


def _draft(loop: LoopFolder, text: Hostile) -> None:
    draft: dict[str, Any] = {"parent": 1, "why": text.plain("draft why")}
    draft["model"] = {"id": text.plain("draft model"), "revision": text.plain("draft revision")}
    draft["training"] = {"learning_rate": text.plain("draft rate"), text.plain("draft field"): 1}
    draft["data"] = {"columns": {text.plain("draft role"): text.plain("draft column")}}
    loop.draft.write_text(tomli_w.dumps(draft))


def _queue(loop: LoopFolder, text: Hostile) -> None:
    """Drafts that wait: one whose texts alone are hostile, and one that nobody could run."""
    odd = {text.plain("queued metric"): text.plain("queued range"), "low": [], "high": {"a": 1}}
    first: dict[str, Any] = {"parent": 3, "why": text.plain("queued why"), "set": {"r": 2}}
    first["predicted"] = odd
    first["suggestion"] = text.plain("queued suggestion")
    first["problem"] = text.plain("queued problem")
    second: dict[str, Any] = {"parent": 99}
    second["set"] = {"model": {"id": text.plain("queued model"), text.plain("queued field"): 1}}
    third = {"parent": 1, "set": {"learning_rate": text.plain("queued rate")}}
    loop.queue.write_text(tomli_w.dumps({"drafts": [first, second, third]}))


def write_bad_queue(loop: LoopFolder, text: Hostile) -> None:
    """A queue with a draft that is none."""
    loop.queue.write_text(tomli_w.dumps({"drafts": [{"set": {text.plain("no field"): 1}}]}))


HOLDOUT_HASH = "c" * 64


def _looks(loop: LoopFolder, text: Hostile) -> None:
    """Looks at a holdout that iteration 1 has, with lines that are none."""
    folder = loop.iteration(1)
    splits = folder.read_splits() | {"holdout": Split("holdout.jsonl", HOLDOUT_HASH, 40)}
    folder.write_config(folder.read_config(), splits)
    look = {"t": 1.0, "iteration": 1, "sha256": HOLDOUT_HASH, "rows": 40, "total": 40}
    look |= {"metric": text.told("look's metric"), "score": 0.5, "passed": 20, "loss": "NaN"}
    look |= {text.told("look's key"): text.told("look's text")}
    odd = [look | {"t": 1e300}, look | {"total": -1}, look | {"score": "Infinity"}, text.told("x")]
    write_lines(loop.holdout, [look, *odd])
    with loop.holdout.open("ab") as file:
        file.write(b"\x1b]52;c;anVuaw==\x07\n" + b"[" * 100_000 + b"\n\x00\xff\n")


def write_criteria(loop: LoopFolder) -> None:
    """Criteria that can be read, in the place of the hostile ones."""
    table = tomllib.loads(loop.settings_file.read_text())
    loop.settings_file.write_text(tomli_w.dumps(table | {"ready": {"target": 0.9}}))


def write_closed(loop: LoopFolder, text: Hostile) -> None:
    """The end of the loop, for a hostile reason."""
    table = tomllib.loads(loop.settings_file.read_text())
    closed = {"why": text.plain("closed"), "t": 1e300, "iteration": 99}
    loop.settings_file.write_text(tomli_w.dumps(table | {"closed": closed}))


def make_told(loop: LoopFolder, text: Hostile) -> None:
    """A loop of which much is to be said, all of it in hostile words: labels, groups, the base."""
    for number in range(4):
        _rewrite(loop.iteration(number).summary, lambda told: _named_model(told, text))
    labels = [text.told(f"label {sign}") for sign in "abc"]
    rows = [_told_row(index, labels, text) for index in range(60)]
    folder = loop.iteration(2)
    write_lines(folder.examples, rows)
    passed = [row | {"passed": True, "score": 1.0, "output": row["reference"]} for row in rows]
    failed = [row | {"passed": False, "score": 0.0, "output": "x", "loss": 3.0} for row in rows]
    write_lines(loop.iteration(1).examples, passed)
    write_lines(loop.iteration(0).examples, failed)
    measured = [
        {"id": f"t{index}", "prompt": row["prompt"], "reference": labels[index % 3]}
        | {"loss": 9.0 if index % 3 else 0.01, "supervised_tokens": 2, "source_line": index + 1}
        | {"sampled_of": 60}
        for index, row in enumerate(rows)
    ]
    write_lines(folder.training_rows, measured)
    change = {"training.learning_rate": [5e-3, 2.5e-3]}
    decision = {"parent": 1, "why": text.plain("told why"), "suggestion": text.plain("told name")}
    decision["predicted"] = {"metric": "score", "was": 0.4, "low": 0.5, "high": 0.6}
    changes = [{"field": name, "old": old, "new": new} for name, (old, new) in change.items()]
    folder.decision.write_text(tomli_w.dumps(decision | {"changes": changes}))


def _named_model(told: dict[str, Any], text: Hostile) -> None:
    told["config"]["model"]["id"] = text.told("base's name")
    metrics = {"passed": 40, "total": 60, "score": 2 / 3} if told["number"] == 2 else {}
    told["metrics"] |= metrics


def _told_row(index: int, labels: list[str], text: Hostile) -> dict[str, Any]:
    """Rows of which those of one label fail; every input comes twice, with two references."""
    row, _ = example_of(index, passed=False)
    reference = labels[index % 3]
    output = reference if index % 3 < 2 else labels[0]
    return msgspec.to_builtins(row) | {
        "prompt": text.told(f"asked {index // 2}"),
        "reference": reference,
        "output": output,
        "passed": output == reference,
        "score": float(output == reference),
        "columns": {text.told("group"): text.told(f"in group {index % 2}")},
        "loss": 0.1 if output == reference else 7.0,
    }


def write_runnable_draft(loop: LoopFolder, text: Hostile) -> None:
    """A draft whose config is whole, so that the dialog before a run tells it."""
    tables = to_tables(loop.iteration(1).read_config())
    tables["model"]["id"] = text.plain("run model")
    tables["data"]["train"] = text.plain("run data")
    write_draft(loop, Draft(1, text.plain("run why"), tables, tables))


def _neighbours(loop: LoopFolder, text: Hostile) -> None:
    """Loops beside it with names that no loop can have, and data files to choose from."""
    home = os.fsencode(loop.path.parent)
    for number, name in enumerate(OTHER_NAMES):
        folder = os.path.join(home, name)
        os.mkdir(folder)
        goal = json.dumps(text.plain(f"other goal {number}"))
        Path(os.fsdecode(folder), "loop.toml").write_text(f"goal = {goal}\n")
    for name in DATA_NAMES:
        with open(os.path.join(os.path.dirname(home), name), "wb") as file:
            file.write(b'{"prompt": "a\\u001b[2J", "completion": "\\u009b2J"}\n' * 3)


def _rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    told = json.loads(path.read_text())
    assert msgspec.convert(told, Iteration)
    change(told)
    write_json(path, told)
