"""Converts an exception that ends a run into the record's RunError: kind, message and hint."""

from __future__ import annotations

import traceback
from pathlib import Path

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.names import check_loop_name
from tui_loop.core.record.structs import RunError
from tui_loop.core.text.figures import brief_number
from tui_loop.core.text.secrets import redacted
from tui_loop.core.text.unsafe_advice import PLAIN_TENSORS_HINT, has_unsafe_advice
from tui_loop.engine.run_context import Diverged, Outcome, TrainingOutOfMemory

DISK_FULL = (28, 122)
"""ENOSPC and EDQUOT."""

GIB = 2**30


def run_error_of(
    error: BaseException, folder: IterationFolder, config: Config, outcome: Outcome
) -> RunError:
    """Returns the RunError for `error`, redacted.

    Only an unexpected error prints its traceback to output.log; a user's mistake does not.
    """
    run_error = _convert(error, folder, config, outcome)
    return msgspec.structs.replace(
        run_error, message=redacted(run_error.message), hint=redacted(run_error.hint)
    )


def moved_error(folder: IterationFolder, moved: Path) -> RunError:
    """Returns the error of a run whose folder was moved to `moved` while it ran."""
    loop = moved.parent.name
    message = f"the run failed because its folder was moved to {moved} during the run"
    try:
        check_loop_name(loop)
    except BadInput:
        loop = ""
    if loop and moved.name == folder.path.name:
        return RunError("disk", message, command("resume", f"{loop}/{folder.number}"))
    return RunError("disk", message, f"move the folder back, then {command('resume', folder)}")


def _convert(
    error: BaseException, folder: IterationFolder, config: Config, outcome: Outcome
) -> RunError:
    from tui_loop.engine.memory import OutOfMemory, first_line, is_out_of_memory

    step = outcome.metrics.get("steps")
    if isinstance(error, Diverged):
        return _diverged(error, folder)
    if isinstance(error, ConfigError):
        return RunError("config", error.message, error.hint, step)
    if isinstance(error, TuiLoopError):
        return RunError("data", error.message, error.hint, step)
    if isinstance(error, (TrainingOutOfMemory, OutOfMemory)) or is_out_of_memory(error):
        hint = _memory_hint(config, outcome, is_training=not isinstance(error, OutOfMemory))
        reason = getattr(error, "reason", None) or first_line(error)
        return RunError("oom", f"out of memory: {reason}", hint, step)
    return _unexpected(error, folder, step)


def _unexpected(error: BaseException, folder: IterationFolder, step: int | None) -> RunError:
    """The error for what neither data nor settings explain; prints the traceback to output.log."""
    from tui_loop.engine.memory import first_line, is_device_fault

    traceback.print_exception(error)
    message = f"{type(error).__name__}: {first_line(error)}"
    if has_unsafe_advice(str(error)):
        return RunError("data", message, PLAIN_TENSORS_HINT, step)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return RunError("disk", message, f"free disk space, then {command('resume', folder)}", step)
    if is_device_fault(error):
        hint = "this process can no longer use the GPU; resume in a new process: "
        hint += command("resume", folder)
        return RunError("crashed", message, hint, step)
    return RunError("crashed", message, f"the traceback is in {folder.output}", step)


def _diverged(error: Diverged, folder: IterationFolder) -> RunError:
    if error.kind == "nothing_trained":
        return RunError(
            "data",
            f"nothing is being trained at step {error.step}: {error.reason}",
            f"check which tokens are trained on: {command('check', folder.loop.name)}",
            error.step,
        )
    step = error.saved_step
    saved = f"; the weights of step {step} are saved" if step is not None else ""
    return RunError(
        "diverged",
        f"diverged at step {error.step}: {error.reason}{saved}",
        # The diagnosis knows what other rates did here, so that it alone names a rate.
        f"lower the learning rate (it was {brief_number(error.rate)}); the diagnosis suggests a "
        f"value: {command('diagnose', folder)}",
        error.step,
    )


def _memory_hint(config: Config, outcome: Outcome, *, is_training: bool) -> str:
    """Lists the remaining settings that reduce memory, each with its saving, cheapest first."""
    training, sizes = config.training, outcome.sizes
    options = []
    if not is_training:
        options.append("a smaller evaluation.max_length or max_new_tokens")
    elif not training.activation_checkpointing:
        options.append("activation_checkpointing=true (about a third slower)")
    longest = sizes.get("longest")
    if is_training and longest:
        options.append(f"max_length={max(1, longest // 2)} (the longest row has {longest} tokens)")
    trainable = sizes.get("trainable")
    if is_training and trainable and config.lora.enabled and config.lora.r > 1:
        saving = trainable * 2 / GIB  # weights, gradients and Adam's two states, halved
        options.append(f"lora.r={config.lora.r // 2} (saves about {saving:.2g} GiB)")
    if not config.lora.enabled and trainable:
        options.append(
            f"lora.enabled=true (weights and Adam now take {trainable * 4 / GIB:.2g} GiB)"
        )
    base = sizes.get("base")
    if config.model.quantization == "none" and config.lora.enabled and base:
        options.append(f"quantization=4bit on CUDA (the base now takes {base / GIB:.2g} GiB)")
    return "even one row at a time does not fit into memory; try " + ", or ".join(
        options or ["a smaller model"]
    )
