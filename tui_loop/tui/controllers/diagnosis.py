"""The diagnosis of the selected iteration: evidence, and a draft from suggestions."""

from __future__ import annotations

from tui_loop.core.diagnosis.apply_suggestions import with_suggestions
from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Suggestion
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.query import format_term
from tui_loop.core.record.structs import LIVE, Iteration
from tui_loop.core.workflow.draft import Draft
from tui_loop.core.workflow.readiness import Checklist
from tui_loop.tui.chart.pane import ChartPane
from tui_loop.tui.controllers.comparison import ComparisonController
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.drafts import DraftsController
from tui_loop.tui.controllers.live_screen import LiveScreen
from tui_loop.tui.keys import with_keys
from tui_loop.tui.screens.diagnosis import DiagnosisProgress, DiagnosisScreen, fault_lines
from tui_loop.tui.widgets.diagnosis_list import evidence_of, why_nothing
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.iterations import DRAFT

NOT_DIAGNOSED = ("queued", "unreadable", *LIVE)
"""States in which an iteration has no diagnosis."""

Found = tuple[Diagnosis, Checklist | None]


class DiagnosisController:
    """Opens the diagnosis, which is made in a thread of its own, and acts on it."""

    def __init__(
        self, context: Context, drafts: DraftsController, comparison: ComparisonController
    ) -> None:
        self._context, self._drafts, self._comparison = context, drafts, comparison
        self._live: LiveScreen[int, Found] = LiveScreen(
            context, "diagnosis", context.poller.diagnosis, self._found, self._failed
        )
        self._screen: DiagnosisScreen | None = None
        self._key: int | str = DRAFT
        self._iteration: Iteration | None = None
        self._progress: dict[int | str, DiagnosisProgress] = {}
        self._evidence: tuple[int, str] | None = None

    def open(self) -> None:
        """Shows the diagnosis of what is selected."""
        state = self._context.state
        if self._context.snapshot is None or state.selected is None:
            return
        self._evidence = None
        self._screen = DiagnosisScreen(self)
        self._live.open(self._screen)
        self._diagnose(state.selected)

    def refresh(self) -> None:
        """Diagnoses again where the iteration on the screen has changed."""
        snapshot = self._context.snapshot
        if not self._live.is_open or snapshot is None:
            return
        if snapshot.iteration(_number(self._key)) is not self._iteration:
            self._diagnose(self._key)

    def step(self, by: int) -> None:
        """Goes to the next iteration, or back."""
        snapshot, state = self._context.snapshot, self._context.state
        if snapshot is None:
            return
        keys: list[int | str] = [each.number for each in snapshot.iterations]
        keys += [DRAFT] * (state.draft is not None)
        place = keys.index(self._key) + by if self._key in keys else len(keys) - 1
        if 0 <= place < len(keys):
            self._context.bench.select(keys[place])
            self._diagnose(keys[place])

    def show_evidence(self, finding: Finding) -> None:
        """Goes to the examples, the step of the chart, or the iteration behind a finding."""
        number = _number(self._key)
        if number is None:
            return
        evidence = evidence_of(finding, number)
        if evidence is None:
            self._context.notify("This finding has no examples or steps to show.")
        elif evidence.kind == "examples":
            self._evidence = number, "failures"
            ids = (format_term("id", each).removeprefix("id:") for each in finding.examples)
            self._leave(number)
            self._context.pane(FailuresPane).filter_by(f"id:{','.join(ids)}")
            self._context.bench.go_to("failures")
        elif evidence.kind == "step":
            self._evidence = number, "chart"
            self._leave(number)
            chart = self._context.pane(ChartPane)
            chart.show_step(f"{self._context.loop.name}/{number}", evidence.at)
            self._context.bench.go_to("chart")
        else:
            self._comparison.compare(evidence.at, number)

    def return_from_evidence(self) -> bool:
        """Opens the diagnosis again whose evidence is on the screen; gives whether there is one."""
        state = self._context.state
        if self._evidence != (state.selected, state.pane):
            return False
        self.open()
        return True

    def draft_with(self, suggestions: list[Suggestion]) -> None:
        """Drafts the next iteration with suggestions; asks before it replaces a draft."""
        iteration = self._iteration
        if iteration is None or iteration.config is None:
            self._context.notify("The config of this iteration cannot be read.")
            return

        def fill(draft: Draft) -> Draft:
            self._progress.pop(iteration.number, None)
            self._leave(DRAFT)
            return with_suggestions(draft, suggestions)

        self._drafts.draft_from(iteration, fill)

    def _leave(self, key: int | str) -> None:
        """Closes the diagnosis and selects what it was about."""
        self._live.close()
        if self._context.state.selected != key:
            self._context.bench.select(key)

    def _diagnose(self, key: int | str) -> None:
        """Shows what is known about an iteration and asks for its diagnosis."""
        screen, snapshot = self._screen, self._context.snapshot
        if screen is None or snapshot is None:
            return
        number = _number(key)
        self._key, self._iteration = key, snapshot.iteration(number)
        progress = self._progress.setdefault(key, DiagnosisProgress())
        if self._iteration is None or self._iteration.state in NOT_DIAGNOSED:
            screen.show(self._heading, progress, instead=self._why_nothing())
            return
        if progress.known is None:
            screen.show(
                self._heading, progress, instead=(f"reading the record of iteration {number} ...",)
            )
        else:
            self._show(progress, "refreshing ...")
        self._live.request(self._iteration.number, again=True)

    def _found(self, number: int, found: Found) -> None:
        if self._live.is_open and number == self._key:
            progress = self._progress.setdefault(number, DiagnosisProgress())
            progress.known, progress.checklist = found
            self._show(progress)

    def _failed(self, number: int, fault: TuiLoopError) -> None:
        if self._screen is not None and self._live.is_open and number == self._key:
            progress = self._progress.setdefault(number, DiagnosisProgress())
            lines = fault_lines(fault, self._context.services.keys)
            self._screen.show(self._heading, progress, instead=lines)

    def _show(self, progress: DiagnosisProgress, status: str = "") -> None:
        assert self._screen is not None
        assert progress.known is not None
        known = progress.known
        is_bare = not (known.findings or known.suggestions or known.verdict)
        instead = self._why_nothing() if is_bare else ()
        self._screen.show(self._heading, progress, status=status, instead=instead)

    def _why_nothing(self) -> tuple[str, ...]:
        keys = self._context.services.keys
        return tuple(with_keys(each, keys) for each in why_nothing(self._iteration))

    @property
    def _heading(self) -> str:
        if self._iteration is None:
            return "Diagnosis of the draft"
        place = f"{self._context.loop.name}/{self._iteration.number}"
        return f"Diagnosis of {place} · {self._iteration.title}"


def _number(key: int | str) -> int | None:
    return key if isinstance(key, int) else None
