"""Every way for a run to fail, in the record's words: what happened, and what to do next."""

from __future__ import annotations

import traceback

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.divergence import lower_rate
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import RunError
from tui_loop.core.text.figures import brief_number
from tui_loop.core.text.secrets import redacted
from tui_loop.engine.run_context import Diverged, Outcome, TrainingOutOfMemory

DISK_FULL = (28, 122)
"""ENOSPC and EDQUOT."""

GIB = 2**30


def run_error_of(
    error: BaseException, folder: IterationFolder, config: Config, outcome: Outcome
) -> RunError:
    """The error of a run, known secrets masked; nobody's mistake leaves a traceback in its log."""
    told = _told(error, folder, config, outcome)
    return msgspec.structs.replace(told, message=redacted(told.message), hint=redacted(told.hint))


def _told(
    error: BaseException, folder: IterationFolder, config: Config, outcome: Outcome
) -> RunError:
    from tui_loop.engine.memory import OutOfMemory, first_line, is_out_of_memory

    step = outcome.metrics.get("steps")
    if isinstance(error, Diverged):
        return _diverged(error, folder, config)
    if isinstance(error, ConfigError):
        return RunError("config", error.message, error.hint, step)
    if isinstance(error, TuiLoopError):
        return RunError("data", error.message, error.hint, step)
    if isinstance(error, (TrainingOutOfMemory, OutOfMemory)) or is_out_of_memory(error):
        doing = "evaluating" if isinstance(error, OutOfMemory) else "training"
        told = getattr(error, "told", None) or first_line(error)
        return RunError("oom", f"out of memory: {told}", _knobs(config, outcome, doing), step)
    return _unforeseen(error, folder, step)


def _unforeseen(error: BaseException, folder: IterationFolder, step: int | None) -> RunError:
    """What nobody's data or settings explain: its traceback goes to output.log."""
    from tui_loop.engine.memory import first_line, is_device_fault

    traceback.print_exception(error)
    message = f"{type(error).__name__}: {first_line(error)}"
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return RunError("disk", message, f"free disk space, then {command('resume', folder)}", step)
    if is_device_fault(error):
        hint = f"this process can no longer use the GPU; in a new one: {command('resume', folder)}"
        return RunError("crashed", message, hint, step)
    return RunError("crashed", message, f"the traceback is in {folder.output}", step)


def _diverged(error: Diverged, folder: IterationFolder, config: Config) -> RunError:
    if error.kind == "nothing_trained":
        return RunError(
            "data",
            f"nothing is being trained at step {error.step}: {error.reason}",
            f"no token of these rows is trained on: {command('check', folder.loop.name)}",
            error.step,
        )
    step = error.kept_step
    kept = f"; the weights of step {step} are kept" if step is not None else ""
    return RunError(
        "diverged",
        f"diverged at step {error.step}: {error.reason}{kept}",
        f"lower the learning rate (it was {brief_number(error.rate)}; "
        f"try {brief_number(lower_rate(error.rate, with_adapter=config.lora.enabled))})",
        error.step,
    )


def _knobs(config: Config, outcome: Outcome, doing: str) -> str:
    """What is left that takes less memory, each with its figures, the cheapest first."""
    training, sizes = config.training, outcome.sizes
    knobs = []
    if doing == "evaluating":
        knobs.append("a smaller evaluation.max_length or max_new_tokens")
    elif not training.activation_checkpointing:
        knobs.append("activation_checkpointing=true (about a third slower)")
    longest = sizes.get("longest")
    if doing == "training" and longest:
        knobs.append(f"max_length={max(1, longest // 2)} (the longest row has {longest} tokens)")
    trainable = sizes.get("trainable")
    if doing == "training" and trainable and config.lora.enabled and config.lora.r > 1:
        saved = trainable * 2 / GIB  # weights, gradients and Adam's two states, halved
        knobs.append(f"lora.r={config.lora.r // 2} (saves about {saved:.2g} GiB)")
    if not config.lora.enabled and trainable:
        knobs.append(f"lora.enabled=true (weights and Adam take {trainable * 4 / GIB:.2g} GiB)")
    base = sizes.get("base")
    if config.model.quantization == "none" and config.lora.enabled and base:
        knobs.append(f"quantization=4bit (the base takes {base / GIB:.2g} GiB, on CUDA)")
    return "one row at a time does not fit; try " + ", or ".join(knobs or ["a smaller model"])
