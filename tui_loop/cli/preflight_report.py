"""Preflight of the next iteration: the checks that need no tokenizer, then those that do.

Problems are not raised but returned as check results, all of them at once. Nothing is created.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from tui_loop.cli.output import Output
from tui_loop.cli.start import Start, required_checks
from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.consent import require_consent
from tui_loop.core.data.loading import LoadedData, Refused, load_data
from tui_loop.core.data.source_rows import ReadProgress, no_progress
from tui_loop.core.errors import BadInput, NeedsExtra, TuiLoopError
from tui_loop.core.preflight.check_result import (
    CheckKind,
    CheckResult,
    ChecksFailed,
    by_severity,
    error,
    errors_of,
    info,
    warnings_of,
)
from tui_loop.core.preflight.data_checks import check_data, check_metric
from tui_loop.core.preflight.effort import pace_of, steps_findings
from tui_loop.core.preflight.pattern_checks import check_patterns
from tui_loop.core.preflight.row_checks import TrainedRow, refused_rows
from tui_loop.core.preflight.setting_checks import check_settings
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.draft import Draft
from tui_loop.core.workflow.plan import config_before

if TYPE_CHECKING:
    from tui_loop.engine.preflight.loss_mask import LossMasker

WARNINGS_SHOWN = 5
"""`run` prints at most so many warnings before it starts."""

Poll = Callable[[], None]


class Preflight:
    """The checks of one config: `of_rows` first, then `of_tokens`; `row` shows one row's tokens."""

    def __init__(
        self,
        loop: LoopFolder,
        config: Config,
        *,
        allow_code: bool = False,
        problems: Sequence[CheckResult] = (),
    ) -> None:
        """`problems`: those of an invalid config; then `config` is its parent's instead."""
        self._loop, self._config, self._allow_code = loop, config, allow_code
        self._problems = list(problems)
        self._data: LoadedData | None = None
        self._masker: LossMasker | None = None
        self._lock = threading.Lock()  # a tokenizer serves one thread at a time

    def of_rows(self, reading: ReadProgress = no_progress) -> list[CheckResult]:
        """Runs the checks that need no tokenizer: settings, rows, steps.

        `reading` is called while rows are read, and may raise to end it. Raises NeedsExtra where
        the data cannot be read without an extra.
        """
        from tui_loop.engine.sources import read_source

        refused: Refused = {}
        findings = [*self._problems]
        try:
            self._data = load_data(
                self._config, self._loop.root, read_source, refused, poll=reading
            )
        except NeedsExtra:
            raise  # nothing else can be checked without the rows
        except TuiLoopError as fault:
            findings += [*refused_rows(refused), _check_result(fault, CheckKind.DATA)]
        required = self._required_checks()
        self._problems += errors_of(required)
        findings += required
        if not self._problems:
            findings += check_settings(self._config)
            findings += check_patterns(self._loop, self._config)
        if self._data is not None:
            findings += check_metric(self._config, self._data)
            findings += check_data(self._data, refused)
            pace = pace_of(self._loop, self._config)
            findings += steps_findings(self._config, self._data.epoch_rows, pace)
        return by_severity(findings)

    def of_tokens(self, poll: Poll = lambda: None) -> list[CheckResult]:
        """Runs the checks that need the training stack: lengths, masks, memory, disk.

        Returns nothing where the rows cannot be read or the config is invalid. `poll` may raise to
        end the checks early.
        """
        from tui_loop.engine.extras import has_train

        if self._data is None or not self._data.train or self._problems:
            return []
        if not has_train():
            lacking = NeedsExtra("checking tokens, memory and disk", "train")
            return [info(CheckKind.LEFT_OUT, lacking.message, lacking.hint)]
        from tui_loop.engine.output_capture import set_environment

        set_environment()
        from tui_loop.engine.preflight.gate import check_run

        with self._lock:
            return check_run(self._config, self._loop, self._data, self._loss_masker, poll=poll)

    def require_consent(self) -> None:
        """Raises NeedsConsent where the checks would run code that the user has not allowed."""
        from tui_loop.engine.foreign_code import config_code

        if self._problems:
            return
        try:
            code = config_code(self._config, self._loop.root)
        except TuiLoopError:  # the checks report it
            return
        require_consent(code, allow=self._allow_code)

    def row(self, number: int) -> TrainedRow:
        """Returns the `number`-th training row, token by token; raises TuiLoopError."""
        from tui_loop.engine.extras import require_train

        if self._data is None:
            from tui_loop.engine.sources import read_source

            self._data = load_data(self._config, self._loop.root, read_source)
        total = len(self._data.train)
        if not 1 <= number <= total:
            raise BadInput(f"--row {number}: there are {total} training rows", f"--row {total}")
        require_train("showing the tokens of a row")
        with self._lock:
            return self._loss_masker().row(number)

    def _loss_masker(self) -> LossMasker:
        """Returns the masker; the first call imports the stack and loads the tokenizer."""
        if self._masker is None:
            from tui_loop.engine.foreign_code import require_config_consent
            from tui_loop.engine.output_capture import set_environment
            from tui_loop.engine.preflight.loss_mask import LossMasker

            set_environment()
            require_config_consent(self._config, self._loop.root, allow=self._allow_code)
            assert self._data is not None
            self._masker = LossMasker(self._config, self._loop.root, self._data)
        return self._masker

    def _required_checks(self) -> list[CheckResult]:
        findings = []
        labels = self._data.labels if self._data is not None else []
        for check in required_checks(self._loop, self._config, labels, self._allow_code):
            try:
                check()
            except TuiLoopError as fault:
                findings.append(_check_result(fault, CheckKind.CONFIG))
        return findings


def preflight_of_draft(loop: LoopFolder, draft: Draft, *, allow_code: bool) -> Preflight:
    """Returns the checks of a draft, whose config may be invalid."""
    return preflight_of(loop, lambda: draft.config, draft.parent, allow_code=allow_code)


def preflight_of(
    loop: LoopFolder, make_config: Callable[[], Config], parent: int | None, *, allow_code: bool
) -> Preflight:
    """Returns the checks of the config that `make_config` returns.

    Where it raises BadInput, the checks use the config of `parent`, so that the data is checked all
    the same, and report every problem.
    """
    try:
        return Preflight(loop, make_config(), allow_code=allow_code)
    except BadInput as fault:
        problems = _config_problems(fault)
    return Preflight(loop, config_before(loop, parent), allow_code=allow_code, problems=problems)


def _config_problems(fault: BadInput) -> list[CheckResult]:
    """Returns every problem of an invalid config as a check result."""
    if isinstance(fault, ConfigError):
        hint = "correct this config field"
        return [error(CheckKind.CONFIG, problem, hint) for problem in fault.problems]
    return [_check_result(fault, CheckKind.CONFIG)]


def start_findings(loop: LoopFolder, start: Start) -> list[CheckResult]:
    """Returns what to know before a checked plan runs; needs no training stack."""
    config = start.plans[0].config
    steps = steps_findings(config, start.data.epoch_rows, None)
    metric = check_metric(config, start.data)
    settings = [*check_settings(config), *check_patterns(loop, config)]
    return by_severity([*metric, *check_data(start.data), *settings, *steps])


def refuse_errors(findings: Sequence[CheckResult]) -> None:
    """Raises ChecksFailed where there are errors among the findings."""
    if errors := errors_of(findings):
        raise ChecksFailed(errors)


def warn_before(loop: LoopFolder, start: Start, out: Output) -> None:
    """Prints the warnings of a start, a line each; raises ChecksFailed where there are errors."""
    findings = start_findings(loop, start)
    refuse_errors(findings)
    warnings = warnings_of(findings)
    for each in warnings[:WARNINGS_SHOWN]:
        out.note(f"warning: {each.message}")
    if len(warnings) > WARNINGS_SHOWN:
        out.note(f"and {len(warnings) - WARNINGS_SHOWN} more warnings: tui-loop check {loop.name}")


class CheckRecord(msgspec.Struct, frozen=True):
    """The record that `check --json` prints."""

    loop: str
    iteration: int
    errors: int
    warnings: int
    findings: list[CheckResult]


def check_record(loop: LoopFolder, findings: list[CheckResult]) -> CheckRecord:
    number = max(loop.numbers(), default=0) + 1
    return CheckRecord(
        loop.name, number, len(errors_of(findings)), len(warnings_of(findings)), findings
    )


def _check_result(fault: TuiLoopError, kind: CheckKind) -> CheckResult:
    """Returns an error as a check result; a missing extra is no error but a check left out."""
    if isinstance(fault, NeedsExtra):
        return info(CheckKind.LEFT_OUT, fault.message, fault.hint)
    return error(kind, fault.message, fault.hint)
