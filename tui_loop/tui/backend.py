"""What the app asks of the rest of the program; the command line hands one in.

The app itself only reads records: whatever needs the training stack stands behind this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.inference_messages import ServerMessage, ServerStatus
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.preflight.row_checks import TrainedRow
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.workflow.draft import Draft

if TYPE_CHECKING:
    from pathlib import Path

    from tui_loop.core.data.rows import Row
    from tui_loop.core.examples.retry_settings import Retried
    from tui_loop.core.examples.suspects import Suspect
    from tui_loop.core.examples.tfidf_index import Answer
    from tui_loop.core.workflow.holdout import HoldoutMessage


class Preview(msgspec.Struct, frozen=True):
    """What a start would do; `steps` None where it cannot be known beforehand."""

    number: int
    changes: dict[str, Any]
    base_first: bool
    train_rows: int
    eval_rows: int
    steps: int | None
    notices: list[str]
    findings: list[CheckResult] = []


class NewLoop(msgspec.Struct, frozen=True):
    """A loop to be created; empty texts are left to what the data shows."""

    name: str
    data: str
    eval: str = ""
    holdout: str = ""
    model: str = ""
    metric: str = ""
    goal: str = ""


class Understood(msgspec.Struct, frozen=True):
    """What the data of a new loop was read as. `rows`: the first ones as (prompt, reference)."""

    shape: str
    columns: dict[str, str]
    train_rows: int
    eval_rows: int
    labels: list[str]
    metric: str
    rows: list[tuple[str, str]]
    notices: list[str]


class Checks(Protocol):
    """The pre-flight of one draft: `of_rows` is asked first, `of_tokens` may take seconds."""

    def of_rows(self) -> list[CheckResult]:
        """What needs no tokenizer."""

    def of_tokens(self, poll: Callable[[], None]) -> list[CheckResult]:
        """Lengths, masks, memory, disk; `poll` may raise to end it."""

    def row(self, number: int) -> TrainedRow:
        """The `number`-th training row (from 1), token by token; raises TuiLoopError."""


class Asker(Protocol):
    """Models of a loop, loaded once in a process of their own, that answer prompts side by side.

    It is there at once and loads meanwhile: `ask` may come before the models are `ready`. It
    reports `core.inference_messages.GenerateResponse` (one per model and prompt, in the order of
    `iterations`) and `ServerStatus` (loading, left_out, ready, answered, error, ended). Prompts are
    answered in the order in which they came. Nothing is recorded. No method but `answers` waits.
    """

    @property
    def iterations(self) -> tuple[int, ...]:
        """Who is asked: the iteration, its parent, 0 for the base; some may be `left_out`."""

    def ask(self, prompt: str, *, example: str = "", settings: Sequence[str] = ()) -> int:
        """Sends a prompt, or a held-out example's own (by id); gives the question's number.

        `settings`: `evaluation.*` fields as K=V, for this question alone.
        """

    def drop(self) -> None:
        """Gives up what was asked and is not answered; an output under way ends at its token."""

    def take(self) -> list[ServerMessage]:
        """What was told since it was last taken; never waits."""

    def answers(self) -> Iterator[ServerMessage]:
        """What is told, as it comes; waits, and ends after `ended`. For a thread."""

    def close(self) -> None:
        """Ends the process at once, whatever it does; further calls do nothing."""


class Nearest(msgspec.Struct, frozen=True):
    """What training had for an example; `name`: the file that its rows come from.

    `notice`: in how far these may not be the rows that were trained on. `path`: the file, where it
    is one of this machine.
    """

    answer: Answer
    name: str
    notice: str = ""
    path: Path | None = None


class Suspected(msgspec.Struct, frozen=True):
    """Training rows that may be wrong: hard ones, the hardest first, and what was found of all.

    `measured` rows of `sampled_of` have a loss, half of them one below `median_loss`. `rows`: those
    that `findings` name, by line. `name` and `path`: their file, no path where it is not here.
    `notices`: in how far these may not be the rows that were trained on.
    """

    measured: int
    sampled_of: int | None
    median_loss: float | None
    suspects: list[Suspect]
    findings: list[CheckResult]
    rows: dict[int, Row]
    name: str
    path: Path | None
    notices: list[str]


class GeneratingAgain(Protocol):
    """Examples that are generated again in a process of their own; nothing of it is recorded.

    `take` gives results one by one, and how it stands with the model: `ServerStatus` loading,
    ready, and as the last one answered, or error with the reason. Neither method waits.
    """

    def take(self) -> list[Retried | ServerStatus]:
        """What came since it was last taken; never waits."""

    def close(self) -> None:
        """Ends the process at once; further calls do nothing."""


class LookingAtHoldout(Protocol):
    """A look at the locked holdout in a process of its own, which records it when it is done.

    `take` gives progress, and as the last one the look, or a fault with the reason. Neither method
    waits.
    """

    def take(self) -> list[HoldoutMessage]:
        """What came since it was last taken; never waits."""

    def close(self) -> None:
        """Ends the process at once; a look that is not done then does not count."""


class Backend(Protocol):
    """All of these may take a while and are called off the screen's thread."""

    def preview(self, loop: LoopFolder, draft: Draft) -> Preview:
        """What running the draft would do; raises TuiLoopError for whatever would fail."""

    def preflight(self, loop: LoopFolder, draft: Draft) -> Checks:
        """The checks of a draft, of whose config nothing is required; raises TuiLoopError."""

    def start(self, loop: LoopFolder, draft: Draft) -> int:
        """Makes the draft an iteration and runs it; gives its number. Raises TuiLoopError."""

    def hosted(self) -> str:
        """`loop/N` of the run that this very process hosts, empty if there is none."""

    def stop_hosted(self) -> None:
        """Asks the run that this process hosts to save its weights and end."""

    def dangers(self) -> list[str]:
        """What here may end a run that is left in the background; told at once."""

    def resumption(self, loop: LoopFolder, number: int) -> tuple[str, list[str]]:
        """Where an iteration would go on, and what is to be noted; raises TuiLoopError."""

    def resume(self, loop: LoopFolder, number: int) -> None:
        """Goes on with an iteration's run; raises TuiLoopError."""

    def asker(self, loop: LoopFolder, number: int) -> Asker:
        """Starts what answers prompts as iteration `number`, its parent and the base do.

        Loads nothing itself; raises TuiLoopError (no training stack, no such iteration).
        """

    def nearest(self, loop: LoopFolder, number: int, example: Example) -> Nearest:
        """The training examples that a held-out one is nearest to; raises TuiLoopError.

        Reads the data file that the iteration names, for the first time in a moment or two.
        """

    def suspects(self, loop: LoopFolder, number: int) -> Suspected:
        """The training rows of an iteration that may be wrong; raises TuiLoopError.

        Reads what was measured, and the data file that the iteration names.
        """

    def again(
        self, loop: LoopFolder, number: int, examples: Sequence[Example], settings: Sequence[str]
    ) -> GeneratingAgain:
        """Begins to generate an iteration's examples again under other `evaluation.*` settings.

        Loads nothing itself; raises TuiLoopError (no training stack, no metric, a wrong setting).
        """

    def look_ahead(self, loop: LoopFolder, number: int) -> Sequence[str]:
        """What a look at the holdout does and costs, a sentence each; raises TuiLoopError."""

    def look(self, loop: LoopFolder, number: int) -> LookingAtHoldout:
        """Begins a look at the holdout with an iteration's weights; raises TuiLoopError."""

    def fresh(self, loop: LoopFolder, parent: int | None, why: str) -> Sequence[str]:
        """Drafts the next iteration on another split, in place of any draft; raises TuiLoopError.

        Says what it did, a sentence each.
        """

    def run_queue(self, loop: LoopFolder) -> str:
        """Has what waits in the loop's queue run by a process of its own; says so.

        Raises TuiLoopError.
        """

    def auto_ahead(self, loop: LoopFolder, start: int | None) -> Sequence[str]:
        """What going by itself would do first, a sentence each; raises TuiLoopError.

        `start`: the iteration to go on from, None for the best so far.
        """

    def run_auto(
        self, loop: LoopFolder, start: int | None, iterations: int, hours: float | None
    ) -> str:
        """Has the loop go by itself in a process of its own; says so. Raises TuiLoopError."""

    def take_fault(self) -> TuiLoopError | None:
        """What kept a start from becoming a run, told once."""

    def models(self) -> list[str]:
        """Names of models that are at hand."""

    def metrics(self) -> list[str]:
        """Names of the metrics that outputs can be scored by."""

    def understand(self, loops: LoopsFolder, wanted: NewLoop) -> Understood:
        """Reads a new loop's data; raises TuiLoopError."""

    def create(self, loops: LoopsFolder, wanted: NewLoop) -> LoopFolder:
        """Creates a loop; raises TuiLoopError."""

    def demo(self, loops: LoopsFolder) -> LoopFolder:
        """A recorded loop to look around in, laid out beside the others."""
