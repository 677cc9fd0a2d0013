"""Wall time of `tui-loop run` beyond evaluation against the bare script, whole processes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Result, paired_ratio, seconds
from tui_loop.core.reader import read_run
from tui_loop.core.shipped import shipped
from tui_loop.core.store import LoopsFolder

STEPS, BATCH, PAIRS = 400, 8, 3


def results() -> list[Result]:
    data = shipped("sample_data", "support-intents", "train.jsonl")
    held = shipped("sample_data", "support-intents", "eval.jsonl")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tui_loop = [sys.executable, "-P", "-m", "tui_loop", "--loops", str(folder / "loops")]
        _run(
            [
                *tui_loop,
                "new",
                "bench",
                "--data",
                str(data),
                "--eval",
                str(held),
                "--model",
                "tiny",
                "--metric",
                "label",
                "--set",
                'data.prompt_template="Message: {prompt}\\nIntent:"',
                "--set",
                "data.max_eval_rows=16",
                "--set",
                "evaluation.base=false",
                "--set",
                "lora.r=8",
                "--set",
                "lora_alpha=16",
                "--set",
                "lora_dropout=0.05",
                "--set",
                f"max_steps={STEPS}",
                "--set",
                "learning_rate=1e-3",
                "--set",
                "training.max_length=256",
                "--set",
                "eval_steps=0",
            ]
        )
        loop = LoopsFolder(folder / "loops").loop("bench")

        def ours() -> float:
            wall = seconds(lambda: _run([*tui_loop, "run", "bench", "--why", "a benchmark"]))
            summary = loop.iteration(loop.numbers()[-1]).read_summary()
            assert summary is not None
            return wall - float(summary.metrics["eval_runtime"])

        def theirs() -> float:
            script = Path(__file__).with_name("bare_sft.py")
            return seconds(
                lambda: _run(
                    [
                        sys.executable,
                        str(script),
                        str(data),
                        str(shipped("sample_data", "tiny-base")),
                        str(STEPS),
                        str(BATCH),
                        str(folder / "losses.json"),
                    ]
                )
            )

        ratio, left, right = paired_ratio(ours, theirs, PAIRS)
        bare = json.loads((folder / "losses.json").read_text())["losses"]
        run = [point.values["loss"] for point in read_run(loop.iteration(1)).metrics]
    same = "equal" if run == bare else "DIFFER"
    note = (
        f"tiny, {STEPS} steps, medians of {PAIRS}: {sorted(left)[PAIRS // 2]:.1f} s against "
        f"{sorted(right)[PAIRS // 2]:.1f} s; losses {same}"
    )
    return [Result("run beyond evaluation / bare SFTTrainer script", ratio, 1.05, note=note)]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.stdout}{done.stderr}")
