"""The gate that every run passes before it owns its number: what its libraries would refuse.

`check`, `run`, the app, `auto` and the queue use the same checks. They load the tokenizer and
render the rows, and build the model, the adapter, the trainer, the optimizer and the scheduler
with weights that have a shape but no values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.preflight.check_result import (
    CheckKind,
    CheckResult,
    by_severity,
    error,
    errors_of,
)
from tui_loop.core.record.folders import LoopFolder
from tui_loop.engine.models import sentence_of
from tui_loop.engine.preflight.dry_run import dry_run
from tui_loop.engine.preflight.loss_mask import LossMasker
from tui_loop.engine.preflight.model_checks import check_architecture, check_tokenizer
from tui_loop.engine.preflight.rendering_checks import check_rendering
from tui_loop.engine.preflight.token_checks import MaskedRow, Sizes, check_sizes, check_tokens

Poll = Callable[[], None]
"""Called often; it may raise to end the checks."""

Progress = Callable[[int, int], None]
"""Called with the rows that are done and their total."""

_Given = ParamSpec("_Given")


def check_run(
    config: Config,
    loop: LoopFolder,
    data: LoadedData,
    make_masker: Callable[[], LossMasker],
    *,
    poll: Poll = lambda: None,
    progress: Progress = lambda done, total: None,
) -> list[CheckResult]:
    """Returns what is wrong with, or unusual about, a run of `config` on `data`, errors first.

    `make_masker` returns the masker of this config, which may exist already. Raises only what
    `poll` or `progress` raises.
    """
    try:
        checks = _checks(
            config, loop, data, make_masker, poll=_ending(poll), progress=_ending(progress)
        )
        return by_severity(checks)
    except _Ended as ended:
        raise ended.reason from None
    except TuiLoopError as fault:
        return [error(CheckKind.MODEL, fault.message, fault.hint)]
    except Exception as fault:  # whatever a library raises would end the run
        text = f"{config.model.id}: the checks could not be completed: {sentence_of(fault)}"
        return [error(CheckKind.MODEL, text, "check the model's files and the settings")]


def _checks(
    config: Config,
    loop: LoopFolder,
    data: LoadedData,
    make_masker: Callable[[], LossMasker],
    *,
    poll: Poll,
    progress: Progress,
) -> list[CheckResult]:
    poll()
    unfit = check_architecture(config, loop.root)
    if errors_of(unfit):
        return unfit
    masker = make_masker()
    rows, refused = masker.render(poll, progress)
    poll()
    built = dry_run(config, loop.root, masker, [each for _, each in rows], data.epoch_rows)
    findings = [*unfit, *refused, *check_rendering(masker, rows), *built.results]
    if built.sizes is not None:
        findings += _of_sizes(config, loop, masker, rows, built.sizes)
    return findings


class _Ended(BaseException):
    """Whoever called the checks ended them; that is no error of theirs."""

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


def _ending(call: Callable[_Given, None]) -> Callable[_Given, None]:
    """Returns `call`, with what it raises as _Ended, which no check takes for a fault."""

    def calling(*args: _Given.args, **more: _Given.kwargs) -> None:
        try:
            call(*args, **more)
        except Exception as reason:
            raise _Ended(reason) from None

    return calling


def _of_sizes(
    config: Config, loop: LoopFolder, masker: LossMasker, rows: list[MaskedRow], sizes: Sizes
) -> list[CheckResult]:
    """Checks the rows against the model's sizes, and these against memory and disk."""
    total = len(masker.data.train)
    longest = max((len(each.ids) for _, each in rows), default=0)
    return [
        *check_tokenizer(config, masker, rows, sizes.embeddings),
        *check_tokens(config.training, rows, total, sizes.context),
        *check_sizes(config, sizes, loop.path, masker.data.epoch_rows, longest),
    ]
