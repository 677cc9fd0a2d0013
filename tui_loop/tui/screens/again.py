"""Examples generated again with other settings: the recorded output beside the new one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from textual.timer import Timer

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.retry_settings import Retried, passing
from tui_loop.core.inference_messages import ServerStatus
from tui_loop.core.reasoning import answer_of, split_reasoning
from tui_loop.core.record.structs import Example
from tui_loop.core.text.figures import counted
from tui_loop.tui.backend import RetryProcess
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.keys import bindings
from tui_loop.tui.screens.rows import RowsScreen, fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

POLL_SECONDS = 0.1
SIGNS = {True: ("✓", "good"), False: ("✗", "bad"), None: ("·", "muted")}
TEXT = 24
"""The most cells of a reference or an output."""

Lines = list[list[Span]]


class AgainList(RowList):
    """The examples in their listed order, each with its recorded and its new outcome."""

    def __init__(self, examples: Sequence[Example]) -> None:
        super().__init__(id="again-rows")
        self.examples = list(examples)
        self.found: dict[str, Retried] = {}
        self.is_done = False

    @property
    def count(self) -> int:
        return len(self.examples)

    def head(self, width: int) -> list[Span] | None:
        text, prompt = self._widths(width)
        names = (fit(each, text) for each in ("wanted", "said", "says now"))
        return [("  was now  " + "  ".join(names) + f"  {fit('prompt', prompt)}", "head")]

    def row(self, index: int, width: int) -> list[Span]:
        example = self.examples[index]
        found = self.found.get(example.id)
        text, prompt = self._widths(width)
        was, now = SIGNS[example.passed], (" " if self.is_done else "…", "muted")
        if found is not None:
            now = SIGNS[found.passed]
        said = "" if found is None else answer_of(found.response.output).strip() or "(empty)"
        return [
            self.pointer(index),
            (f" {was[0]} ", was[1]),
            (f"  {now[0]}   ", now[1]),
            (fit(flat(example.reference, 200), text), ""),
            ("  ", ""),
            (fit(flat(answer_of(example.output).strip(), 200), text), "muted"),
            ("  ", ""),
            (fit(flat(said, 200), text), "strong" if found is not None and found.passed else ""),
            ("  ", ""),
            (fit(flat(example.prompt, 400), prompt), "muted"),
        ]

    def _widths(self, width: int) -> tuple[int, int]:
        room = max(12, width - 11 - 6)
        text = min(TEXT, room // 4) if width >= 60 else room // 3
        return text, max(0, room - 3 * text)


class AgainScreen(RowsScreen):
    """Shows results as they arrive; closing the screen stops the generation."""

    BINDINGS = bindings("again")
    scopes = ("again", "list", "search", "sheet", "app")
    FOOTER = ("again.read", "again.copy", "app.back", "app.help")

    def __init__(
        self, title: str, examples: Sequence[Example], settings: Sequence[str], left_out: int = 0
    ) -> None:
        """`left_out`: how many listed examples are not generated."""
        self.rows = AgainList(examples)
        super().__init__(title, self.rows)
        self._settings, self._left_out = shlex.join(settings), left_out
        self._state = "starting ..."
        self._fault: TuiLoopError | None = None
        self._work: RetryProcess | None = None
        self._timer: Timer | None = None
        self._is_unmounted = False

    def begin(self, work: RetryProcess) -> None:
        """Takes the process that generates them; closes it where the screen is closed already."""
        if self._is_unmounted:
            work.close()
            return
        self._work = work
        self._timer = self.set_interval(POLL_SECONDS, self._poll)

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why no more results will come."""
        self._fault = fault
        self._end()

    def on_unmount(self) -> None:
        self._is_unmounted = True
        if self._work is not None:
            self._work.close()

    def action_copy(self) -> None:
        example = self.rows.examples[self.rows.cursor]
        found = self.rows.found.get(example.id)
        now = found.response.output if found is not None else ""
        texts = (example.prompt, example.reference, example.output or "", now)
        self.app.copy_to_clipboard("\n".join(texts))
        self.notify("copied: prompt, reference, output, new output", markup=False)

    def draw(self) -> None:
        done, total = len(self.rows.found), self.rows.count
        state = self._state
        if not state:
            state = "" if self.rows.is_done else f"{done:,} of {total:,} ..."
        entitle(self.query_one("#found"), self._heading, state)
        self.head.show(self._head_lines())
        self.rows.refresh()
        self.show_row(keep_place=True)

    def row_lines(self) -> tuple[str, Lines]:
        example = self.rows.examples[self.rows.cursor]
        return example.id, again_lines(example, self.rows.found.get(example.id))

    def _head_lines(self) -> Lines:
        lines: Lines = []
        if self._settings:
            lines.append([("with  ", "muted"), (self._settings, "changed")])
        if self._left_out:
            listed = self.rows.count + self._left_out
            text = (
                f"Only the first {self.rows.count:,} of {listed:,} listed examples are generated "
                "again."
            )
            lines.append([("! ", "warn"), (text, "warn")])
        if self._fault is not None:
            return [*lines, *fault_lines(self._fault, services_of(self).keys)]
        found = list(self.rows.found.values())
        if not found:
            return [*lines, [("The results are not recorded.", "muted")]]
        so_far = "" if self.rows.is_done else " so far"
        return [*lines, [(f"{sum_of(found)}{so_far}. The results are not recorded.", "strong")]]

    def _poll(self) -> None:
        messages = self._work.take() if self._work is not None else []
        for each in messages:
            self._handle_message(each)
        if messages:
            self.draw()

    def _handle_message(self, message: Retried | ServerStatus) -> None:
        if isinstance(message, Retried):
            self.rows.found[message.example.id] = message
            self._state = ""
            return
        match message.state:
            case "loading":
                self._state = f"loading {message.iteration} ..."
            case "ready":
                self._state = ""
            case "answered":
                self._end()
            case _:
                self.show_fault(
                    TuiLoopError(message.message or "the inference server ended", message.hint)
                )

    def _end(self) -> None:
        self._state, self.rows.is_done = "", True
        if self._timer is not None:
            self._timer.stop()
        if self.is_mounted:  # otherwise on_mount draws it
            self.draw()


def sum_of(retried: Sequence[Retried]) -> str:
    """Returns how many pass now, by recorded outcome."""
    groups = {False: "failed", True: "passed", None: "unscored"}
    parts = [
        f"{passing(these):,} of {len(these):,} {which}"
        for was, which in groups.items()
        if (these := [each for each in retried if each.example.passed is was])
    ]
    return f"now passing: {', '.join(parts)} examples"


def again_lines(example: Example, found: Retried | None) -> Lines:
    """Returns an example in full: reference, recorded output and new output."""
    lines: Lines = [
        [("wanted   ", "muted"), (example.reference, "good")],
        _output_line("was", answer_of(example.output), SIGNS[example.passed]),
    ]
    if found is not None:
        response = found.response
        end = "cut at the token limit" if response.truncated else "ended before the token limit"
        score = f", score {found.score:.2f}" if found.score not in (0.0, 1.0) else ""
        reasoning, now = split_reasoning(response.output)
        lines.append(_output_line("is now", now, SIGNS[found.passed]))
        length = f"{counted(response.tokens, 'token')}, {end}{score}"
        if reasoning:
            length += f", reasoning: {counted(len(reasoning.split()), 'word')}"
        lines.append([("         ", ""), (length, "muted")])
    lines += [[], [("prompt   ", "muted"), (example.prompt, "")]]
    return lines


def _output_line(name: str, text: str, sign: Span) -> list[Span]:
    return [(f"{name:<7}", "muted"), (f"{sign[0]} ", sign[1]), (text.strip() or "(empty)", "")]
