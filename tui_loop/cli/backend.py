"""What the app gets from the rest of the program: runs, new loops, the demo."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tui_loop.cli.app_runs import AppRuns
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.column_checks import column_findings
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.names import check_new_loop_name
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import LIBRARY_METRICS, NO_METRIC, PURE_METRICS
from tui_loop.tui.backend import (
    Asker,
    GeneratingAgain,
    LookingAtHoldout,
    Nearest,
    NewLoop,
    Suspected,
    Understood,
)

if TYPE_CHECKING:
    from tui_loop.cli.new_loop import Prepared
    from tui_loop.cli.training_row_search import LookUp

ROWS_SHOWN = 30
SUSPECTS = 50
"""Hard training rows that the app lists at most."""


class AppBackend(AppRuns):
    """Stands behind the app (`tui.backend.Backend`)."""

    _look_up: LookUp | None = None

    def models(self) -> list[str]:
        """Names of models that are at hand, or can be fetched by their plain name."""
        from tui_loop.engine.model_source import SMOLLM2, TINY

        return [TINY, SMOLLM2]

    def asker(self, loop: LoopFolder, number: int) -> Asker:
        """Starts what answers prompts as iteration `number`, its parent and the base do."""
        from tui_loop.cli.inference_client import asker_of

        return asker_of(loop, number, allow_code=self._allow_code)

    def nearest(self, loop: LoopFolder, number: int, example: Example) -> Nearest:
        """The training examples that a held-out one is nearest to; raises TuiLoopError."""
        from tui_loop.cli.training_row_search import LookUp

        with _told_as_input():
            self._look_up = self._look_up or LookUp()
            return self._look_up.nearest(loop.existing(number), example)

    def suspects(self, loop: LoopFolder, number: int) -> Suspected:
        """The training rows of an iteration that may be wrong; raises TuiLoopError."""
        from tui_loop.cli.training_row_search import suspected

        with _told_as_input():
            return suspected(loop.existing(number), SUSPECTS)

    def again(
        self, loop: LoopFolder, number: int, examples: Sequence[Example], settings: Sequence[str]
    ) -> GeneratingAgain:
        """Begins to generate an iteration's examples again; raises TuiLoopError."""
        from tui_loop.cli.retried_examples import generate_again

        folder = loop.existing(number)
        return generate_again(folder, examples, settings, allow_code=self._allow_code)

    def look_ahead(self, loop: LoopFolder, number: int) -> tuple[str, ...]:
        """What a look at the holdout does and costs, a sentence each; raises TuiLoopError."""
        from tui_loop.cli.holdout_process import look_ahead

        with _told_as_input():
            return look_ahead(loop.existing(number)).sentences

    def look(self, loop: LoopFolder, number: int) -> LookingAtHoldout:
        """Begins a look at the holdout; raises TuiLoopError."""
        from tui_loop.cli.holdout_process import HoldoutLook

        with _told_as_input():
            return HoldoutLook(loop.existing(number), allow_code=self._allow_code)

    def fresh(self, loop: LoopFolder, parent: int | None, why: str) -> tuple[str, ...]:
        """Drafts the next iteration on another split, in place of any draft; says what it did."""
        from tui_loop.cli.training_row_search import read_any
        from tui_loop.core.workflow.fresh_split import create_fresh_split

        with _told_as_input():
            return create_fresh_split(loop, parent, why=why, overwrite=True, read=read_any).messages

    def run_queue(self, loop: LoopFolder) -> str:
        """Has what waits in the loop's queue run by a process of its own; says so."""
        from tui_loop.cli.queue_runner import require_queue_consent
        from tui_loop.cli.unattended_runs import begin_in_background
        from tui_loop.engine.extras import require_train

        require_train("running the queue")
        require_queue_consent(loop, allow=self._allow_code)
        words = ["queue", loop.name, "--run", *(["--allow-code"] if self._allow_code else [])]
        with _told_as_input():
            process = begin_in_background(loop, words)
        return f"the queue runs in the background, process {process.pid}: what it says is in " + (
            f"{loop.output}"
        )

    def auto_ahead(self, loop: LoopFolder, start: int | None) -> list[str]:
        """What going by itself would do first, a sentence each; raises TuiLoopError."""
        from tui_loop.cli.auto import look_ahead, require_start_consent
        from tui_loop.engine.extras import require_train

        require_train("auto")
        with _told_as_input():
            require_start_consent(loop, start, allow=self._allow_code)
            return look_ahead(loop, start)

    def run_auto(
        self, loop: LoopFolder, start: int | None, iterations: int, hours: float | None
    ) -> str:
        """Has the loop go by itself in a process of its own; says so. Raises TuiLoopError."""
        from tui_loop.cli.auto import require_start_consent
        from tui_loop.cli.unattended_runs import begin_in_background
        from tui_loop.engine.extras import require_train

        require_train("auto")
        require_start_consent(loop, start, allow=self._allow_code)
        words = ["auto", loop.name, "--iterations", str(iterations)]
        words += [] if hours is None else ["--hours", str(hours)]
        words += [] if start is None else ["--from", str(start)]
        words += ["--allow-code"] if self._allow_code else []
        with _told_as_input():
            process = begin_in_background(loop, words)
        return f"auto is at work in the background, process {process.pid}: what it says is in " + (
            f"{loop.output}"
        )

    def metrics(self) -> list[str]:
        """Names of the metrics that outputs can be scored by, `none` last."""
        pure = [name for name in PURE_METRICS if name != NO_METRIC]
        return [*pure, *LIBRARY_METRICS, NO_METRIC]

    def understand(self, loops: LoopsFolder, wanted: NewLoop) -> Understood:
        """Reads a new loop's data; raises TuiLoopError. Opens no network connection."""
        with _told_as_input():
            prepared, notices = self._prepared(loops, wanted)
            notices += _model_notices(prepared.config.model.id, _root(loops))
        data = prepared.data
        columns = [each.message for each in column_findings(data)]
        return Understood(
            shape=data.mapping.shape,
            columns=data.mapping.columns,
            train_rows=len(data.train),
            eval_rows=len(data.eval),
            labels=data.labels,
            metric=prepared.metric,
            rows=[(row.prompt, row.reference) for row in data.train[:ROWS_SHOWN]],
            notices=[*data.notices, *data.warnings, *columns, *notices],
        )

    def create(self, loops: LoopsFolder, wanted: NewLoop) -> LoopFolder:
        """Creates a loop; raises TuiLoopError, and then there is none."""
        from tui_loop.cli.new_loop import check_base, create

        check_new_loop_name(wanted.name)
        with _told_as_input():
            prepared, _ = self._prepared(loops, wanted)
            check_base(prepared.config, _root(loops))
            return create(loops, wanted.name, wanted.goal, prepared)

    def demo(self, loops: LoopsFolder) -> LoopFolder:
        """A recorded loop to look around in; raises TuiLoopError."""
        from tui_loop.cli.demo_loop import demo_loop

        with _told_as_input():
            return demo_loop(loops)

    def _prepared(self, loops: LoopsFolder, wanted: NewLoop) -> tuple[Prepared, list[str]]:
        from tui_loop.cli.new_loop import asked, understand_with_metric

        root = _root(loops)
        if not wanted.data:
            raise BadInput("no data file is named", "type its path, or choose one of the list")
        if wanted.metric and wanted.metric not in self.metrics():
            raise BadInput(f"metric: no {wanted.metric!r}", f"one of {', '.join(self.metrics())}")
        told = asked(
            root,
            data=_data_file(wanted.data, root),
            eval_data=_data_file(wanted.eval, root) if wanted.eval else None,
            holdout=_data_file(wanted.holdout, root) if wanted.holdout else None,
            model=self._model(wanted.model, root) if wanted.model else None,
            metric=wanted.metric or None,
        )
        prepared, remark = understand_with_metric(root, told)
        return prepared, [remark] if remark else []

    def _model(self, entry: str, root: Path) -> str:
        """A model's name as it is; a path whole, since it starts from the folder above `loops/`."""
        path = root / os.path.expanduser(entry)
        return str(path) if entry not in self.models() and path.exists() else entry


def _root(loops: LoopsFolder) -> Path:
    return Path(os.path.abspath(loops.path)).parent.resolve()


def _data_file(entry: str, root: Path) -> str:
    """The whole path of a data file; raises BadInput where it is none.

    Folders and hub ids are left to the command line: what is typed here is read at once.
    """
    path = root / os.path.expanduser(entry)
    if path.is_dir():
        raise BadInput(
            f"{entry}: is a folder",
            "choose a file in it; in a shell, tui-loop new takes a folder with splits",
        )
    if not path.is_file():
        raise BadInput(
            f"{entry}: no such file",
            f"paths start from {root}; in a shell, tui-loop new takes a hub id too",
        )
    return str(path)


def _model_notices(model: str, root: Path) -> list[str]:
    """What is to be known of a model before it is used; raises BadInput where it cannot be one."""
    from tui_loop.engine.model_source import SMOLLM2, find_model

    try:
        source = find_model(model, root)
    except BadInput as error:
        if model != SMOLLM2:
            raise
        return [f"{error.message}: {error.hint}"]
    return [] if source.is_local else [f"model {model} is asked for at the hub when it is needed"]


@contextmanager
def _told_as_input() -> Iterator[None]:
    """A file that cannot be read or written is a user's matter, told as such."""
    try:
        yield
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise BadInput(
            f"{place}{error.strerror or error}", "check the path, its permissions and the room"
        ) from error
