"""A run in a process of its own with the app attached, against the bare SFTTrainer script.

From the first step's log to the last one's, in steps of 50 ms and more.
"""

from __future__ import annotations

from benchmarks.bench_app import RunLog, begin_run, draft, open_app, recorded_loop
from benchmarks.measure import Result, paired_ratio
from benchmarks.processes import run_bare_script
from benchmarks.scale import sized
from tui_loop.core.record.folders import LoopFolder

STEPS, BATCH, PAIRS = sized((200, 12, 3), (4, 2, 1))
PARENT = 6
LEAST_STEP_MS = 50


def results() -> list[Result]:
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    with recorded_loop() as loop:
        ratio, left, right = paired_ratio(
            lambda: _attached(loop, ours), lambda: _bare(loop, theirs), PAIRS
        )
    unlike = sum(losses != theirs[0] for losses in ours + theirs)
    step = 1000 * min(right) / (STEPS - 1)
    note = (
        f"tiny, {STEPS} steps of {step:.0f} ms, batch {BATCH}, at 160x48; {PAIRS} pairs: "
        f"{_list(left)} s against {_list(right)} s"
    )
    return [
        Result("training with the app attached / bare script", ratio, 1.05, note=note),
        Result("of these runs, with another loss in any step", unlike, 0),
        Result("milliseconds a bare step", step, LEAST_STEP_MS, at_least=True),
    ]


def _attached(loop: LoopFolder, losses: list[list[float]]) -> float:
    draft(
        loop,
        PARENT,
        {"run.runner": "process", "lora.lora_dropout": 0.05},
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        learning_rate=1e-3,
        seed=42,
    )
    with open_app(loop) as screen:
        log = RunLog(begin_run(screen, loop)).wait_for_steps(screen, STEPS).wait_for_end(screen)
    losses.append([float(event.values["loss"] or 0) for event in log.metrics])
    return log.metrics[-1].t - log.metrics[0].t


def _bare(loop: LoopFolder, losses: list[list[float]]) -> float:
    bare = run_bare_script(STEPS, BATCH, loop.root / "bare.json")
    losses.append(bare.losses)
    return bare.times[-1] - bare.times[0]


def _list(seconds: list[float]) -> str:
    return " ".join(f"{each:.1f}" for each in seconds)
