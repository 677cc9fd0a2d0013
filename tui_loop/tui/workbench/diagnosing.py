"""The diagnosis of the selected iteration: what it says, where that is seen, what is drafted."""

from __future__ import annotations

from typing import Any

from tui_loop.core.diagnosis.apply_suggestions import with_suggestions
from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Suggestion
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.query import format_term
from tui_loop.core.record.structs import LIVE, Iteration
from tui_loop.core.workflow.draft import Draft
from tui_loop.core.workflow.readiness import Checklist
from tui_loop.tui.chart.widget import LossChart
from tui_loop.tui.diagnosis_lines import evidence_of, why_nothing
from tui_loop.tui.latest import Latest
from tui_loop.tui.screens.diagnosis import DiagnosisScreen, Looked, fault_told
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.workbench.comparing import Comparing
from tui_loop.tui.workbench.drafting import Drafting

NOT_ASKED = ("queued", "unreadable", *LIVE)
"""States in which nothing is to be said of an iteration."""

Found = tuple[Diagnosis, Checklist | None]


class Diagnosing(Comparing, Drafting):
    """What `d` opens. A diagnosis is made in a thread of its own and never holds up a look."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._diagnosis: DiagnosisScreen | None = None
        self._diagnosed_key: int | str = DRAFT
        self._diagnosed: Iteration | None = None
        self._looked: dict[int | str, Looked] = {}
        self._evidence: tuple[int, str] | None = None
        self._diagnoses: Latest[int, Found | Exception] = Latest(self._diagnose, self._hear)

    def action_diagnosis(self) -> None:
        if self.snapshot is None or self.selected is None:
            return
        self._evidence = None
        self._diagnosis = DiagnosisScreen(self)
        self.app.push_screen(self._diagnosis)
        self.run_worker(self._diagnoses.run(), group="diagnosis", exclusive=True)
        self._look_at(self.selected)

    def look_at_diagnosis_again(self) -> None:
        """Asks again where the iteration that is shown has changed: it ended, it was measured."""
        screen = self._diagnosis
        if screen is None or screen not in self.app.screen_stack or self.snapshot is None:
            return
        if self.snapshot.iteration(_number(self._diagnosed_key)) is not self._diagnosed:
            self._look_at(self._diagnosed_key)

    def step_diagnosis(self, by: int) -> None:
        if self.snapshot is None:
            return
        keys: list[int | str] = [each.number for each in self.snapshot.iterations]
        keys += [DRAFT] * (self.draft is not None)
        place = (
            keys.index(self._diagnosed_key) + by if self._diagnosed_key in keys else len(keys) - 1
        )
        if 0 <= place < len(keys):
            self.follows_run = None
            self.select(keys[place])
            self._look_at(keys[place])

    def show_evidence(self, finding: Finding) -> None:
        """Goes to the examples, the step of the chart, or the iteration that it was found in."""
        number = _number(self._diagnosed_key)
        if number is None:
            return
        seen = evidence_of(finding, number)
        if seen is None:
            self.say("there is no more to see: the sentence has its figures")
        elif seen.kind == "examples":
            self._evidence = number, "failures"
            ids = (format_term("id", each).removeprefix("id:") for each in finding.examples)
            self._leave(number)
            self.query_one(FailuresPane).filter_by(f"id:{','.join(ids)}")
            self.go_to("failures")
        elif seen.kind == "step":
            self._evidence = number, "chart"
            self._leave(number)
            chart = self.query_one(LossChart)
            chart.look_at(f"{self.loop.name}/{number}", seen.at)
            self.go_to("chart")
        else:
            self.compare_with(seen.at, number)

    def return_to_diagnosis(self) -> bool:
        """Back to the diagnosis whose evidence is on the screen; whether there is one."""
        if self._evidence != (self.selected, self.current):
            return False
        self.action_diagnosis()
        return True

    def draft_from_diagnosis(self, taken: list[Suggestion]) -> None:
        """Drafts the next iteration with what was taken; asks before a draft is replaced."""
        iteration = self._diagnosed
        if iteration is None or iteration.config is None:
            self.say("its config cannot be read, so nothing can be drafted from it")
            return

        def filled(draft: Draft) -> Draft:
            self._looked.pop(iteration.number, None)
            self._leave(DRAFT)
            return with_suggestions(draft, taken)

        self.draft_next(iteration, filled)

    def _leave(self, key: int | str) -> None:
        """Back to the workbench, with what was shown selected."""
        if self._diagnosis is not None and self.app.screen is self._diagnosis:
            self._diagnosis.dismiss()
        if self.selected != key:
            self.select(key)

    def _look_at(self, key: int | str) -> None:
        """Shows an iteration, as far as it is known, and asks for what is to be said of it."""
        screen, snapshot = self._diagnosis, self.snapshot
        if screen is None or snapshot is None:
            return
        number = _number(key)
        self._diagnosed_key, self._diagnosed = key, snapshot.iteration(number)
        looked = self._looked.setdefault(key, Looked())
        if self._diagnosed is None or self._diagnosed.state in NOT_ASKED:
            screen.show(self._heading, looked, instead=why_nothing(self._diagnosed))
            return
        if looked.known is None:
            told = (f"looking at what the record has of {number} ...",)
            screen.show(self._heading, looked, instead=told)
        else:
            self._show(looked, "looking again ...")
        self._diagnoses.ask(self._diagnosed.number, again=True)

    def _diagnose(self, number: int) -> Found | Exception:
        try:
            return self.observer.diagnosis(number)
        except Exception as error:  # told on the screen, which is not to end with it
            return error

    def _hear(self, number: int, answer: Found | Exception) -> None:
        screen = self._diagnosis
        if screen is None or screen not in self.app.screen_stack or number != self._diagnosed_key:
            return
        looked = self._looked.setdefault(number, Looked())
        if isinstance(answer, Exception):
            fault = answer if isinstance(answer, TuiLoopError) else self.fault_of(answer)
            screen.show(self._heading, looked, instead=fault_told(fault, self.services.keys))
            return
        looked.known, looked.checks = answer
        self._show(looked)

    def _show(self, looked: Looked, doing: str = "") -> None:
        assert self._diagnosis is not None
        assert looked.known is not None
        known = looked.known
        is_bare = not (known.findings or known.suggestions or known.verdict)
        instead = why_nothing(self._diagnosed) if is_bare else ()
        self._diagnosis.show(self._heading, looked, doing=doing, instead=instead)

    @property
    def _heading(self) -> str:
        if self._diagnosed is None:
            return "Diagnosis of the draft"
        return f"Diagnosis of {self.loop.name}/{self._diagnosed.number} · {self._diagnosed.title}"


def _number(key: int | str) -> int | None:
    return key if isinstance(key, int) else None
