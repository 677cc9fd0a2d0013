"""The gate that every run passes before it owns its number: what its libraries would refuse.

`check`, `run`, the app, `auto` and the queue use the same checks. They load the tokenizer and
render the rows, and build the model, the adapter, the trainer, the optimizer and the scheduler
with weights that have a shape but no values.
"""

from __future__ import annotations

from collections.abc import Callable

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
from tui_loop.core.text.untrusted import one_line
from tui_loop.engine.dry_run import dry_run
from tui_loop.engine.loss_mask import LossMasker
from tui_loop.engine.model_checks import check_architecture, check_tokenizer
from tui_loop.engine.rendering_checks import check_rendering
from tui_loop.engine.token_checks import MaskedRow, Sizes, check_sizes, check_tokens

Poll = Callable[[], None]
"""Called often; it may raise to end the checks."""

Progress = Callable[[int, int], None]
"""Called with the rows that are done and their total."""


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

    `make_masker` returns the masker of this config, which may exist already.
    """
    try:
        poll()
        unfit = check_architecture(config, loop.root)
        if errors_of(unfit):
            return unfit
        masker = make_masker()
        rows, refused = masker.render(poll, progress)
        poll()
        built = dry_run(config, loop.root, masker, [each for _, each in rows], len(data.train))
        findings = [*unfit, *refused, *check_rendering(masker, rows), *built.results]
        if built.sizes is not None:
            findings += _of_sizes(config, loop, masker, rows, built.sizes)
    except TuiLoopError as fault:
        return [error(CheckKind.MODEL, fault.message, fault.hint)]
    except (OSError, ValueError) as fault:  # e.g. model files that transformers cannot read
        text = f"{config.model.id}: {one_line(str(fault), 200)}"
        return [error(CheckKind.MODEL, text, "check the model's files, or choose another model")]
    return by_severity(findings)


def _of_sizes(
    config: Config, loop: LoopFolder, masker: LossMasker, rows: list[MaskedRow], sizes: Sizes
) -> list[CheckResult]:
    """Checks the rows against the model's sizes, and these against memory and disk."""
    total = len(masker.data.train)
    longest = max((len(each.ids) for _, each in rows), default=0)
    return [
        *check_tokenizer(config, masker, rows, sizes.embeddings),
        *check_tokens(config.training, rows, total, sizes.context),
        *check_sizes(config, sizes, loop.path, total, longest),
    ]
