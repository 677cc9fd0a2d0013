"""Training in the app's own process against `tui-loop run`, from the first log to the last."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from benchmarks.bench_app import (
    RunLog,
    begin_run,
    command,
    draft,
    environment,
    open_app,
    recorded_loop,
)
from benchmarks.measure import Result, paired_ratio
from benchmarks.processes import run
from benchmarks.scale import sized
from tui_loop.core.record.events import MetricsLogged
from tui_loop.core.record.folders import LoopFolder

STEPS, BATCH, PAIRS = sized((200, 12, 3), (4, 2, 1))
PARENT = 6
LEAST_STEP_MS = 50
"""Steps much shorter than real ones would weigh what is constant."""


def results() -> list[Result]:
    here: list[list[MetricsLogged]] = []
    there: list[list[MetricsLogged]] = []
    with recorded_loop() as loop:

        def in_app() -> float:
            here.append(_in_app(loop, is_first=not here))
            return _seconds(here[-1])

        def alone() -> float:
            there.append(_alone(loop))
            return _seconds(there[-1])

        ratio, left, right = paired_ratio(in_app, alone, PAIRS)
    runs = there + here
    unlike = sum(_values(each) != _values(runs[0]) or len(each) != STEPS for each in runs)
    step = 1000 * min(right) / (STEPS - 1)
    usual = median(map(_step, here)) / median(map(_step, there))
    note = (
        f"tiny, {STEPS} steps of {step:.0f} ms, batch {BATCH}, at 160x48, all charts; {PAIRS} "
        f"pairs: {_list(left)} s against {_list(right)} s; median step {usual:.2f} times as long"
    )
    return [
        Result("training in the app / headless", ratio, 1.05, note=note),
        Result("of these runs, with another value in any log", unlike, 0, note=f"{len(runs)} runs"),
        Result("milliseconds a headless step", step, LEAST_STEP_MS, at_least=True),
    ]


def _in_app(loop: LoopFolder, *, is_first: bool) -> list[MetricsLogged]:
    _draft(loop)
    with open_app(loop) as screen:
        log = RunLog(begin_run(screen, loop))
        if is_first:  # later ones show the grid too: the app remembers it
            screen.send("3")
            screen.send("gG")
        log.wait_for_steps(screen, STEPS).wait_for_end(screen)
    return log.metrics


def _alone(loop: LoopFolder) -> list[MetricsLogged]:
    _draft(loop)
    words = command(loop, "run", loop.name, "--draft")
    run(words, folder=loop.root, environment=environment(loop.root))
    return RunLog(loop.iteration(loop.numbers()[-1])).read().metrics


def _draft(loop: LoopFolder) -> None:
    draft(loop, PARENT, max_steps=STEPS, per_device_train_batch_size=BATCH)


def _seconds(logs: list[MetricsLogged]) -> float:
    return logs[-1].t - logs[0].t


def _values(logs: list[MetricsLogged]) -> list[tuple[int, dict[str, object]]]:
    return [(event.step, dict(event.values)) for event in logs]


def _step(logs: list[MetricsLogged]) -> float:
    """The usual seconds of a step, which pauses of the machine leave alone."""
    return median(after.t - before.t for before, after in pairwise(logs))


def _list(seconds: list[float]) -> str:
    return " ".join(f"{each:.1f}" for each in seconds)
