"""The cost of sampling the machine: one sample, and training steps while samples are taken."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Result, at_share, paired_ratio, seconds
from benchmarks.scale import sized
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.record.events import SystemSampled
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.journal import Journal
from tui_loop.engine import system_sampler
from tui_loop.engine.model_source import TINY, find_model
from tui_loop.engine.output_capture import set_environment
from tui_loop.engine.system_sampler import SystemSampler

SAMPLES, STEPS, PAIRS = sized((500, 40, 15), (5, 2, 1))
TIMES_AS_OFTEN = 100
"""At the real interval most pairs would have no sample; the excess is divided by this."""


def results() -> list[Result]:
    with tempfile.TemporaryDirectory() as name:
        folder = LoopFolder(Path(name) / "loops" / "a").iteration(1)
        folder.path.mkdir(parents=True)
        journal = Journal(folder.journal)
        costs = _sample_costs(journal, folder)
        step = _training_step()
        system_sampler.SAMPLE_SECONDS /= TIMES_AS_OFTEN

        def sampled() -> float:
            with SystemSampler(journal, folder):
                return seconds(lambda: [step() for _ in range(STEPS)])

        def bare() -> float:
            return seconds(lambda: [step() for _ in range(STEPS)])

        sampled(), bare()  # the first steps allocate
        ratio, left, right = paired_ratio(sampled, bare, PAIRS)
        journal.close()
    worst = f"median of {SAMPLES}; p99 {1e3 * at_share(costs, 0.99):.1f} ms"
    medians = f"{1e3 * median(left) / STEPS:.1f} against {1e3 * median(right) / STEPS:.1f} ms"
    note = f"ratio {ratio:.2f} with {TIMES_AS_OFTEN} times as many samples, {PAIRS} pairs of "
    note += f"{STEPS} steps of tiny: {medians}"
    return [
        Result("one sample of the machine", 1e3 * median(costs), 5, " ms", note=worst),
        Result(
            "training steps, longer with samples by",
            100 * (ratio - 1) / TIMES_AS_OFTEN,
            0.5,
            "%",
            note=note,
        ),
    ]


def _sample_costs(journal: Journal, folder: IterationFolder) -> list[float]:
    """Seconds of CPU that single samples take, written to the journal as in a run."""
    machine = system_sampler.Machine(folder, print)
    system_sampler.CPU_SECONDS = 0.0  # so that each sample reads all values
    costs = []
    for _ in range(SAMPLES):
        started = time.thread_time()
        journal.append(SystemSampled(values=machine.read()))
        costs.append(time.thread_time() - started)
    return costs


def _training_step() -> Callable[[], None]:
    """Returns a step on a batch of 8 rows of 64 tokens: forward, backward, AdamW."""
    set_environment()
    import torch

    from tui_loop.engine.models import load_model

    torch.set_num_threads(1)  # as a run on this base does
    config = with_settings(Config(), [f"model.id={TINY}"])
    model: Any = load_model(config, find_model(TINY, Path())).model
    tokens = torch.randint(0, 1000, (8, 64))
    optimizer = torch.optim.AdamW(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()

    return step
