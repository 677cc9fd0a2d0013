"""Keys while the app reads a journal of a million steps, or a gigabyte of held-out examples.

`?` opens the help and escape closes it. An answer has come when the help is drawn or gone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import msgspec

from benchmarks.bench_app import command, environment, recorded_loop
from benchmarks.measure import Result, spread
from benchmarks.scale import sized
from benchmarks.screen import Screen
from tui_loop.core.record.codec import to_json_lines
from tui_loop.core.record.events import AnyEvent, MetricsLogged
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.follower import Follower

STEPS, EXAMPLE_BYTES = sized((1_000_000, 1_000_000_000), (5_000, 2_000_000))
LIMIT_MS = 500
READ_SECONDS = sized(45.0, 2.0)
"""How long keys are pressed: longer than the reading takes beside other work."""

PAUSE_SECONDS = 0.1
HELP = r"In a list|esc back"
WORDS = 120
AT_ONCE = 10_000


def results() -> list[Result]:
    return [
        _result(f"a journal of {STEPS:,} steps", _write_journal),
        _result(f"examples.jsonl of {EXAMPLE_BYTES:,} bytes", _write_examples),
    ]


def _result(what: str, write: Callable[[IterationFolder], None]) -> Result:
    with recorded_loop() as loop:
        write(loop.iteration(loop.numbers()[-1]))
        costs = _answers(loop)
    name = f"key to frame while the app reads {what}, worst"
    return Result(name, 1000 * max(costs), LIMIT_MS, " ms", note=spread(costs))


def _answers(loop: LoopFolder) -> list[float]:
    """Seconds from each key to its answer, from the first frame on."""
    costs: list[float] = []
    with Screen(
        command(loop, loop.name),
        columns=160,
        lines=48,
        folder=loop.root,
        environment=environment(loop.root),
    ) as screen:
        screen.wait_for(rf"▸ +{max(loop.numbers())} ")
        until = time.perf_counter() + READ_SECONDS
        while time.perf_counter() < until:
            for key, answer in (("?", HELP), ("\x1b", r"▸ +\d")):
                at = len(screen.reads)
                sent = screen.send(key)
                costs.append(screen.wait_for(answer, since=at) - sent)
                time.sleep(PAUSE_SECONDS)
    return costs


def _write_journal(folder: IterationFolder) -> None:
    """Replaces the steps of a journal by STEPS others."""
    events = Follower(folder.journal).read_all()
    first = next(at for at, each in enumerate(events) if isinstance(each, MetricsLogged))
    step, draw = events[first], random.Random(1)
    assert isinstance(step, MetricsLogged)
    with folder.journal.open("wb") as file:
        file.write(to_json_lines(events[:first]))
        for start in range(0, STEPS, AT_ONCE):
            steps: list[AnyEvent] = []
            for at in range(start, min(STEPS, start + AT_ONCE)):
                values = {**step.values, "loss": draw.random(), "grad_norm": draw.random()}
                steps.append(
                    msgspec.structs.replace(
                        step, seq=first + at, t=step.t + at, step=at + 1, values=values
                    )
                )
            file.write(msgspec.json.Encoder().encode_lines(steps))
        end = msgspec.structs.replace(events[-1], seq=first + STEPS, t=step.t + STEPS)
        file.write(to_json_lines([end]))


def _write_examples(folder: IterationFolder) -> None:
    """Replaces the examples by copies of the first, as many as there is room for."""
    row, draw = folder.read_examples()[0], random.Random(1)
    encoder = msgspec.json.Encoder()
    with folder.examples.open("wb") as file:
        while file.tell() < EXAMPLE_BYTES:
            passed = draw.random() < 0.6
            rows = [
                msgspec.structs.replace(
                    row,
                    id=f"{draw.getrandbits(48):012x}",
                    prompt="word " * WORDS,
                    loss=draw.random(),
                    passed=passed,
                    score=float(passed),
                    causes=() if passed else ("wrong_label",),
                )
                for _ in range(100)
            ]
            file.write(encoder.encode_lines(rows))
