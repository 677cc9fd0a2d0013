"""The protocol through which the app uses the rest of the program; `cli/backend.py` implements it.

The app itself only reads records. Whatever needs the training stack is behind this protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:  # not imported before the first frame
    from tui_loop.core.data.row_files import RowFiles
    from tui_loop.core.data.rows import Row
    from tui_loop.core.data.source_rows import ReadProgress
    from tui_loop.core.errors import TuiLoopError
    from tui_loop.core.examples.retry_settings import Retried
    from tui_loop.core.examples.suspects import Suspect
    from tui_loop.core.examples.tfidf_index import Answer
    from tui_loop.core.inference_messages import ServerMessage, ServerStatus
    from tui_loop.core.preflight.check_result import CheckResult
    from tui_loop.core.preflight.row_checks import TrainedRow
    from tui_loop.core.record.folders import LoopFolder
    from tui_loop.core.record.loops_folder import LoopsFolder
    from tui_loop.core.record.structs import Example
    from tui_loop.core.workflow.draft import Draft
    from tui_loop.core.workflow.holdout import HoldoutMessage


class Preview(msgspec.Struct, frozen=True):
    """What a start would do. `steps` is None where only the run can count them."""

    number: int
    changes: dict[str, Any]
    base_first: bool
    train_rows: int
    eval_rows: int
    steps: int | None
    notices: list[str]
    findings: list[CheckResult] = []


class NewLoop(msgspec.Struct, frozen=True):
    """A loop to create. The backend detects from the data what an empty text leaves open.

    `skips_rows`: rows that cannot be used are left out (`data.on_bad_row = skip`).
    """

    name: str
    data: str
    eval: str = ""
    holdout: str = ""
    model: str = ""
    metric: str = ""
    goal: str = ""
    skips_rows: bool = False


class DatasetPreview(msgspec.Struct, frozen=True):
    """How the data of a new loop was read. `rows`: the first ones as (prompt, reference).

    `read_as`: the shape and the columns of each source. `notices`: what was chosen and why, and
    what will be a problem, warnings first.
    """

    read_as: list[str]
    train_rows: int
    eval_rows: int
    labels: list[str]
    metric: str
    rows: list[tuple[str, str]]
    notices: list[CheckResult]


class Checks(Protocol):
    """The preflight of one draft: call `of_rows` first; `of_tokens` may take seconds."""

    def of_rows(self) -> list[CheckResult]:
        """Runs the checks that need no tokenizer."""

    def of_tokens(self, poll: Callable[[], None]) -> list[CheckResult]:
        """Checks lengths, masks, memory and disk; `poll` may raise to end the checks early."""

    def row(self, number: int) -> TrainedRow:
        """Returns the `number`-th training row (from 1), token by token; raises TuiLoopError."""


class ModelClient(Protocol):
    """A client of an inference server, whose models answer prompts side by side.

    The server loads its models in the background, so `ask` may be called before they are `ready`.
    Messages are `GenerateResponse` (one per model and prompt, in the order of `iterations`) and
    `ServerStatus` (loading, left_out, ready, answered, error, ended). Prompts are answered in
    order. Nothing is recorded. Only `answers` waits.
    """

    @property
    def iterations(self) -> tuple[int, ...]:
        """Returns the iterations that answer: one, its parent, 0 for the base; some `left_out`."""

    def ask(self, prompt: str, *, example: str = "", settings: Sequence[str] = ()) -> int:
        """Sends a prompt, or that of a held-out example (by id); returns the request's number.

        `settings`: `evaluation.*` fields as K=V, for this request alone.
        """

    def drop(self) -> None:
        """Cancels the requests that are not answered; a running output ends at its next token."""

    def take(self) -> list[ServerMessage]:
        """Returns the messages since the last call; never waits."""

    def answers(self) -> Iterator[ServerMessage]:
        """Yields messages as they arrive, in a thread, because it waits; ends after `ended`."""

    def close(self) -> None:
        """Ends the process at once; further calls do nothing."""


class NearestRows(msgspec.Struct, frozen=True):
    """The training rows nearest to an example, with the files that they come from.

    `notice`: why these may not be the rows that were trained on.
    """

    answer: Answer
    files: RowFiles
    notice: str = ""


class SuspectRows(msgspec.Struct, frozen=True):
    """Training rows that may be wrong: those with the highest losses, and findings about all rows.

    `measured` rows of `sampled_of` have a loss. `rows`: those that `findings` name, by source and
    line. `notices`: why these may not be the rows that were trained on.
    """

    measured: int
    sampled_of: int | None
    median_loss: float | None
    suspects: list[Suspect]
    findings: list[CheckResult]
    rows: dict[tuple[str, int], Row]
    files: RowFiles
    notices: list[str]


class RetryProcess(Protocol):
    """A process that generates examples again; nothing is recorded.

    `take` returns results and the states of the model: `ServerStatus` loading, ready, and last
    answered, or error with the reason. Neither method waits.
    """

    def take(self) -> list[Retried | ServerStatus]:
        """Returns the messages since the last call; never waits."""

    def close(self) -> None:
        """Ends the process at once; further calls do nothing."""


class HoldoutRun(Protocol):
    """A process that evaluates the locked holdout and records the result.

    `take` returns progress, and last the result, or a fault with the reason. Neither method waits.
    """

    @property
    def is_recorded(self) -> bool:
        """Returns whether the evaluation has been recorded, and so counts."""

    def take(self) -> list[HoldoutMessage]:
        """Returns the messages since the last call; never waits."""

    def close(self) -> None:
        """Ends the process at once; an evaluation that has not been recorded does not count."""


class Backend(Protocol):
    """What the app can do beyond reading records.

    Any method may be slow, so call it in a thread other than the screen's.
    """

    def preview(self, loop: LoopFolder, draft: Draft) -> Preview:
        """Describes what running the draft would do; raises TuiLoopError where it would fail."""

    def preflight(self, loop: LoopFolder, draft: Draft) -> Checks:
        """Returns the checks of a draft, whose config may be invalid; raises TuiLoopError."""

    def start(self, loop: LoopFolder, draft: Draft, runner: str) -> int:
        """Makes the draft an iteration, runs it, returns its number; raises TuiLoopError.

        `runner`: as `run.runner`, "thread" or "process".
        """

    def job_script(self, loop: LoopFolder, draft: Draft, sbatch: str) -> str:
        """Returns the script of the draft's job; raises TuiLoopError, also without SLURM."""

    def submit(self, loop: LoopFolder, draft: Draft, sbatch: str) -> tuple[int, str]:
        """Makes the draft an iteration and submits it; returns its number and its job.

        Raises TuiLoopError.
        """

    def hosted(self) -> str:
        """Returns `loop/N` of the run that this process hosts, "" where there is none."""

    def stop_hosted(self) -> None:
        """Requests that the hosted run saves its weights and ends."""

    def dangers(self) -> list[str]:
        """Returns what on this machine may end a run in the background; never slow."""

    def resumption(self, loop: LoopFolder, number: int) -> tuple[str, list[str]]:
        """Returns where an iteration would continue, and notices; raises TuiLoopError."""

    def resume(self, loop: LoopFolder, number: int) -> None:
        """Resumes an iteration's run; raises TuiLoopError."""

    def inference_client(self, loop: LoopFolder, number: int) -> ModelClient:
        """Starts an inference server for iteration `number`, its parent and the base.

        Loads nothing in this process. Raises TuiLoopError (no training stack, no such iteration).
        """

    def nearest(self, loop: LoopFolder, number: int, example: Example) -> NearestRows:
        """Returns the training rows nearest to a held-out example; raises TuiLoopError.

        The first call reads the data file that the iteration names, which takes a second or two.
        """

    def suspects(self, loop: LoopFolder, number: int) -> SuspectRows:
        """Returns the training rows of an iteration that may be wrong; raises TuiLoopError.

        Reads the recorded losses, and the data file that the iteration names.
        """

    def retry(
        self, loop: LoopFolder, number: int, examples: Sequence[Example], settings: Sequence[str]
    ) -> RetryProcess:
        """Starts generating an iteration's examples again with other `evaluation.*` settings.

        Loads nothing in this process. Raises TuiLoopError (no training stack, no metric, a wrong
        setting).
        """

    def holdout_cost(self, loop: LoopFolder, number: int) -> Sequence[str]:
        """Describes a holdout evaluation and its cost, a sentence each; raises TuiLoopError."""

    def evaluate_holdout(self, loop: LoopFolder, number: int) -> HoldoutRun:
        """Starts evaluating an iteration on the holdout; raises TuiLoopError."""

    def draft_fresh_split(self, loop: LoopFolder, parent: int | None, why: str) -> Sequence[str]:
        """Replaces the draft by one on another split; raises TuiLoopError.

        Returns messages about the change.
        """

    def gpu_words(self) -> str:
        """Says how many GPUs there are and how many are free, "" without one."""

    def run_queue(self, loop: LoopFolder, at_once: str) -> str:
        """Starts a process that runs the loop's queue; returns a message about it.

        `at_once`: how many runs train at once, as `--parallel`. Raises TuiLoopError.
        """

    def auto_preview(self, loop: LoopFolder, start: int | None) -> Sequence[str]:
        """Describes what `auto` would do first, a sentence each; raises TuiLoopError.

        `start`: the iteration to continue from, None for the best.
        """

    def run_auto(
        self,
        loop: LoopFolder,
        start: int | None,
        iterations: int,
        hours: float | None,
        at_once: str,
    ) -> str:
        """Starts `auto` in a separate process, returns a message; raises TuiLoopError."""

    def take_fault(self) -> TuiLoopError | None:
        """Returns, once, the error that kept a start from becoming a run."""

    def models(self) -> list[str]:
        """Returns the models that are shipped or can be fetched by a short name."""

    def metrics(self) -> list[str]:
        """Returns the names of the metrics."""

    def preview_data(
        self, loops: LoopsFolder, new_loop: NewLoop, poll: ReadProgress
    ) -> DatasetPreview:
        """Reads a new loop's data; raises TuiLoopError.

        `poll` gets (file, rows read so far), and may raise to end the reading.
        """

    def create(self, loops: LoopsFolder, new_loop: NewLoop) -> LoopFolder:
        """Creates a loop; raises TuiLoopError."""

    def demo(self, loops: LoopsFolder) -> LoopFolder:
        """Returns a recorded demo loop, copied where needed; raises TuiLoopError."""
