"""Wall time of `tui-loop run` beyond evaluation against the bare script, whole processes."""

from __future__ import annotations

import sys
import tempfile
from itertools import count
from pathlib import Path
from statistics import median

from benchmarks.measure import Result, paired_ratio, seconds
from benchmarks.processes import run, run_bare_script
from benchmarks.scale import sized
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import read_run
from tui_loop.core.shipped import shipped

STEPS, EVAL_ROWS, PAIRS = sized((400, 16, 3), (4, 2, 1))
BATCH = 8
DATA = shipped("sample_data", "support-intents")
SETTINGS = (
    'data.prompt_template="Message: {prompt}\\nIntent:"',
    *(f"data.max_eval_rows={EVAL_ROWS}", "evaluation.base=false", "eval_steps=0"),
    *("lora.r=8", "lora_alpha=16", "lora_dropout=0.05"),
    *(f"max_steps={STEPS}", "learning_rate=1e-3", "training.max_length=256"),
)


def results() -> list[Result]:
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder, numbers = Path(name), count(1)
        ratio, left, right = paired_ratio(
            lambda: _run(folder / "loops", f"bench-{next(numbers)}", ours),
            lambda: _bare(folder / "bare.json", theirs),
            PAIRS,
        )
    unlike = sum(losses != theirs[0] for losses in ours + theirs)
    medians = f"{median(left):.1f} s against {median(right):.1f} s"
    note = f"tiny, {STEPS} steps, medians of {PAIRS}: {medians}"
    return [
        Result("run beyond evaluation / bare SFTTrainer script", ratio, 1.05, note=note),
        Result("of these runs, with another loss in any step", unlike, 0),
    ]


def _run(loops: Path, name: str, losses: list[list[float]]) -> float:
    """Seconds of a run without its evaluation, as iteration 1 of a loop of its own: a second run
    of the same config in one loop would be refused.
    """
    tui_loop = [sys.executable, "-P", "-m", "tui_loop", "--loops", str(loops)]
    data = ("--data", str(DATA / "train.jsonl"), "--eval", str(DATA / "eval.jsonl"))
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    run([*tui_loop, "new", name, *data, "--model", "tiny", "--metric", "label", *settings])
    wall = seconds(lambda: run([*tui_loop, "run", name, "--why", "a benchmark"]))
    folder = LoopsFolder(loops).loop(name).iteration(1)
    summary = folder.read_summary()
    assert summary is not None
    losses.append([point.values["loss"] for point in read_run(folder).metrics])
    return wall - float(summary.metrics["eval_runtime"])


def _bare(out: Path, losses: list[list[float]]) -> float:
    def train() -> None:
        losses.append(run_bare_script(STEPS, BATCH, out).losses)

    return seconds(train)
