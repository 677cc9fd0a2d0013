"""Pre-flight of the next iteration, put together from what needs a tokenizer and what does not.

Nothing is created here, and nothing raised for what is wrong: it is found, all of it at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from tui_loop.cli.output import Output
from tui_loop.cli.start import Start, refusals
from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.consent import require_consent
from tui_loop.core.data.loading import LoadedData, Refused, load_data
from tui_loop.core.errors import BadInput, NeedsExtra, TuiLoopError
from tui_loop.core.preflight.check_kinds import CheckKind
from tui_loop.core.preflight.check_result import (
    CheckResult,
    by_severity,
    error,
    errors_of,
    info,
    warnings_of,
)
from tui_loop.core.preflight.data_checks import check_data, check_metric, odd_settings
from tui_loop.core.preflight.effort import pace_of, steps_findings
from tui_loop.core.preflight.row_checks import TrainedRow, refused_rows
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.text.untrusted import one_line
from tui_loop.core.workflow.draft import Draft
from tui_loop.core.workflow.plan import config_before

if TYPE_CHECKING:
    from tui_loop.engine.loss_mask import LossMasker

WARNINGS_SHOWN = 5
"""Warnings that `run` prints before it starts."""

Poll = Callable[[], None]


class Preflight:
    """The checks of one config: `of_rows` first, then `of_tokens`; `row` where one is asked for."""

    def __init__(
        self,
        loop: LoopFolder,
        config: Config,
        *,
        allow_code: bool = False,
        problems: Sequence[CheckResult] = (),
    ) -> None:
        """`problems`: what is wrong with the wanted config; then `config` is the one before it."""
        self._loop, self._config, self._allow_code = loop, config, allow_code
        self._problems = list(problems)
        self._data: LoadedData | None = None
        self._made_masker: LossMasker | None = None
        self._lock = threading.Lock()  # a tokenizer serves one thread at a time

    def of_rows(self) -> list[CheckResult]:
        """All that needs no tokenizer: settings, rows, steps.

        Raises NeedsExtra where the data cannot be read without an extra.
        """
        from tui_loop.engine.sources import read_source

        refused: Refused = {}
        findings = [*self._problems]
        try:
            self._data = load_data(self._config, self._loop.root, read_source, refused)
        except NeedsExtra:
            raise  # without its rows there is nothing to look at
        except TuiLoopError as fault:
            findings += [*refused_rows(refused), _told(fault, CheckKind.DATA)]
        refusals_found = self._refusals()
        self._problems += errors_of(refusals_found)
        findings += refusals_found
        if not self._problems:
            findings += odd_settings(self._config)
        if self._data is not None:
            findings += check_metric(self._config, self._data)
            findings += check_data(self._data, refused)
            pace = pace_of(self._loop, self._config)
            findings += steps_findings(self._config, len(self._data.train), pace)
        return by_severity(findings)

    def of_tokens(self, poll: Poll = lambda: None) -> list[CheckResult]:
        """All that needs the training stack: lengths, masks, memory, disk.

        Empty where the rows could not be read or the config is not one. `poll` may raise to
        end it.
        """
        from tui_loop.engine.extras import has_train

        if self._data is None or not self._data.train or self._problems:
            return []
        if not has_train():
            lacking = NeedsExtra("checking tokens, memory and disk", "train")
            return [info(CheckKind.LEFT_OUT, lacking.message, lacking.hint)]
        try:
            with self._lock:
                return by_severity(self._measured(poll))
        except TuiLoopError as fault:
            return [_told(fault, CheckKind.MODEL)]
        except (OSError, ValueError) as fault:  # a model's files that cannot be read, say
            reason = one_line(str(fault), 200)
            text = f"{self._config.model.id}: {reason}"
            return [
                error(CheckKind.MODEL, text, "check the model's files, or choose another model")
            ]

    def require_consent(self) -> None:
        """Raises NeedsConsent where the checks would run code that nobody allowed."""
        from tui_loop.engine.foreign_code import config_code

        if self._problems:
            return
        try:
            code = config_code(self._config, self._loop.root)
        except TuiLoopError:  # the checks find what is wrong
            return
        require_consent(code, allow=self._allow_code)

    def row(self, number: int) -> TrainedRow:
        """The `number`-th training row, token by token. Raises TuiLoopError."""
        from tui_loop.engine.extras import require_train

        require_train("showing the tokens of a row")
        if self._data is None:
            from tui_loop.engine.sources import read_source

            self._data = load_data(self._config, self._loop.root, read_source)
        total = len(self._data.train)
        if not 1 <= number <= total:
            raise BadInput(f"--row {number}: there are {total} training rows", f"--row {total}")
        with self._lock:
            return self._masker().row(number)

    def _measured(self, poll: Poll) -> list[CheckResult]:
        poll()
        rows, findings = self._masker().render(poll)
        poll()
        from tui_loop.engine.token_checks import (
            argument_problems,
            size_findings,
            sizes_of,
            token_findings,
        )

        findings += [error(CheckKind.CONFIG, each) for each in argument_problems(self._config)]
        sizes = sizes_of(self._config, self._loop.root)
        assert self._data is not None
        total = len(self._data.train)
        longest = max((len(each.ids) for _, each in rows), default=0)
        return [
            *findings,
            *token_findings(self._config.training, rows, total, sizes.context),
            *size_findings(self._config, sizes, self._loop.path, total, longest),
        ]

    def _masker(self) -> LossMasker:
        if self._made_masker is None:
            from tui_loop.engine.foreign_code import require_config_consent
            from tui_loop.engine.loss_mask import LossMasker
            from tui_loop.engine.output_capture import set_environment

            set_environment()
            require_config_consent(self._config, self._loop.root, allow=self._allow_code)
            assert self._data is not None
            self._made_masker = LossMasker(self._config, self._loop.root, self._data)
        return self._made_masker

    def _refusals(self) -> list[CheckResult]:
        findings = []
        labels = self._data.labels if self._data is not None else []
        for check in refusals(self._loop, self._config, labels, self._allow_code):
            try:
                check()
            except TuiLoopError as fault:
                findings.append(_told(fault, CheckKind.CONFIG))
        return findings


def preflight_of_draft(loop: LoopFolder, draft: Draft, *, allow_code: bool) -> Preflight:
    """The checks of a draft, of whose config nothing is required."""
    try:
        return Preflight(loop, draft.config, allow_code=allow_code)
    except BadInput as fault:
        problems = config_findings(fault)
    before = config_before(loop, draft.parent)
    return Preflight(loop, before, allow_code=allow_code, problems=problems)


def config_findings(fault: BadInput) -> list[CheckResult]:
    """Every problem of a config that cannot be read."""
    if isinstance(fault, ConfigError):
        hint = "change the named field"
        return [error(CheckKind.CONFIG, problem, hint) for problem in fault.problems]
    return [_told(fault, CheckKind.CONFIG)]


def start_findings(start: Start) -> list[CheckResult]:
    """What is to be known before a checked plan is run; needs no training stack."""
    config = start.plans[0].config
    steps = steps_findings(config, len(start.data.train), None)
    metric = check_metric(config, start.data)
    return by_severity([*metric, *check_data(start.data), *odd_settings(config), *steps])


def warn_before(loop: LoopFolder, start: Start, out: Output) -> None:
    """Prints what a run is warned of, a line each; raises BadInput where it makes no sense."""
    findings = start_findings(start)
    if errors := errors_of(findings):
        raise BadInput(errors[0].message, errors[0].hint)
    warnings = warnings_of(findings)
    for each in warnings[:WARNINGS_SHOWN]:
        out.note(f"warning: {each.message}")
    if len(warnings) > WARNINGS_SHOWN:
        out.note(f"and {len(warnings) - WARNINGS_SHOWN} more: tui-loop check {loop.name}")


class CheckRecord(msgspec.Struct, frozen=True):
    """What `check --json` prints."""

    loop: str
    iteration: int
    errors: int
    warnings: int
    findings: list[CheckResult]


def record_of(loop: LoopFolder, findings: list[CheckResult]) -> CheckRecord:
    number = max(loop.numbers(), default=0) + 1
    return CheckRecord(
        loop.name, number, len(errors_of(findings)), len(warnings_of(findings)), findings
    )


def _told(fault: TuiLoopError, kind: CheckKind) -> CheckResult:
    """A refusal as a finding; what only lacks an extra here is left out, not wrong."""
    if isinstance(fault, NeedsExtra):
        return info(CheckKind.LEFT_OUT, fault.message, fault.hint)
    return error(kind, fault.message, fault.hint)
