"""Implements the app's backend: runs, models, data and new loops."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tui_loop.cli.app_runs import AppRuns
from tui_loop.core.errors import BadInput, file_error
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, by_severity, info, warning
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.scoring import LIBRARY_METRICS, NO_METRIC, PURE_METRICS
from tui_loop.core.text.figures import counted
from tui_loop.tui.backend import (
    DatasetPreview,
    HoldoutRun,
    ModelClient,
    NearestRows,
    NewLoop,
    RetryProcess,
    SuspectRows,
)

if TYPE_CHECKING:
    from tui_loop.cli.new_loop import Prepared
    from tui_loop.cli.training_row_search import TrainingRowSearch
    from tui_loop.core.config.tables import Tables
    from tui_loop.core.data.source_rows import ReadProgress
    from tui_loop.core.record.structs import Example

ROWS_SHOWN = 30
MAX_SUSPECTS = 50
"""The app lists at most so many training rows with a high loss."""


class AppBackend(AppRuns):
    """Implements `tui.backend.Backend`."""

    _row_search: TrainingRowSearch | None = None
    _prepared_last: tuple[object, Prepared] | None = None
    """The data of the last preview, which `create` reuses."""

    def models(self) -> list[str]:
        """Returns the models that are shipped or can be fetched by a short name."""
        from tui_loop.engine.model_source import SMOLLM2, TINY

        return [TINY, SMOLLM2]

    def inference_client(self, loop: LoopFolder, number: int) -> ModelClient:
        """Starts an inference server for iteration `number`, its parent and the base."""
        from tui_loop.cli.inference_client import client_of

        return client_of(loop, number, allow_code=self._allow_code)

    def nearest(self, loop: LoopFolder, number: int, example: Example) -> NearestRows:
        """Returns the training rows nearest to a held-out example; raises TuiLoopError."""
        from tui_loop.cli.training_row_search import TrainingRowSearch

        with _os_errors_as_bad_input():
            self._row_search = self._row_search or TrainingRowSearch()
            return self._row_search.nearest(loop.existing(number), example)

    def suspects(self, loop: LoopFolder, number: int) -> SuspectRows:
        """Returns the training rows of an iteration that may be wrong; raises TuiLoopError."""
        from tui_loop.cli.training_row_search import suspected_rows

        with _os_errors_as_bad_input():
            return suspected_rows(loop.existing(number), MAX_SUSPECTS)

    def retry(
        self, loop: LoopFolder, number: int, examples: Sequence[Example], settings: Sequence[str]
    ) -> RetryProcess:
        """Starts generating an iteration's examples again; raises TuiLoopError."""
        from tui_loop.cli.retried_examples import start_retry

        folder = loop.existing(number)
        return start_retry(folder, examples, settings, allow_code=self._allow_code)

    def holdout_cost(self, loop: LoopFolder, number: int) -> tuple[str, ...]:
        """Says what a holdout evaluation does and costs, a sentence each; raises TuiLoopError."""
        from tui_loop.cli.holdout_process import holdout_cost

        with _os_errors_as_bad_input():
            return holdout_cost(loop.existing(number)).sentences

    def evaluate_holdout(self, loop: LoopFolder, number: int) -> HoldoutRun:
        """Starts a holdout evaluation; raises TuiLoopError."""
        from tui_loop.cli.holdout_process import HoldoutProcess

        with _os_errors_as_bad_input():
            return HoldoutProcess(loop.existing(number), allow_code=self._allow_code)

    def draft_fresh_split(self, loop: LoopFolder, parent: int | None, why: str) -> tuple[str, ...]:
        """Replaces the draft by one on another split; returns messages about the change."""
        from tui_loop.cli.training_row_search import read_any
        from tui_loop.core.workflow.fresh_split import create_fresh_split

        with _os_errors_as_bad_input():
            split = create_fresh_split(loop, parent, why=why, overwrite=True, read=read_any)
        return (*split.messages, *([split.warning] if split.warning else []))

    def gpu_words(self) -> str:
        """Says how many GPUs there are and how many are free, "" without one."""
        from tui_loop.engine.gpus.claim import usable_gpus, use_of, uses_cuda
        from tui_loop.engine.gpus.listing import GpusUnreadable

        try:
            gpus = usable_gpus() if uses_cuda() else []
        except GpusUnreadable:
            gpus = []
        free = sum(not use_of(gpu) for gpu in gpus)
        return f"{counted(len(gpus), 'GPU')}, {free} free" if gpus else ""

    def run_queue(self, loop: LoopFolder, at_once: str) -> str:
        """Starts a process that runs the loop's queue; returns a message about it."""
        from tui_loop.cli.queue_runner import queue_words, require_queue_consent
        from tui_loop.cli.unattended_runs import launch_in_background
        from tui_loop.engine.extras import require_train

        require_train("running the queue")
        require_queue_consent(loop, allow=self._allow_code)
        with _os_errors_as_bad_input():
            words = queue_words(loop, allow_code=self._allow_code, parallel=at_once)
            process = launch_in_background(loop, words)
        return f"the queue is running in the background (process {process.pid}); log: {loop.output}"

    def auto_preview(self, loop: LoopFolder, start: int | None) -> list[str]:
        """Says what `auto` would do first, a sentence each; raises TuiLoopError."""
        from tui_loop.cli.autopilot_runner import first_step, require_start_consent
        from tui_loop.engine.extras import require_train

        require_train("auto")
        with _os_errors_as_bad_input():
            require_start_consent(loop, start, allow=self._allow_code)
            return first_step(loop, start)

    def run_auto(
        self,
        loop: LoopFolder,
        start: int | None,
        iterations: int,
        hours: float | None,
        at_once: str,
    ) -> str:
        """Starts `auto` in a separate process, returns a message; raises TuiLoopError."""
        from tui_loop.cli.autopilot_runner import AutoRequest, require_start_consent
        from tui_loop.cli.unattended_runs import launch_in_background
        from tui_loop.core.workflow.stop_rules import Limits
        from tui_loop.engine.extras import require_train

        require_train("auto")
        require_start_consent(loop, start, allow=self._allow_code)
        request = AutoRequest(
            Limits(iterations, hours),
            start=start,
            allow_code=self._allow_code,
            parallel=at_once,
        )
        with _os_errors_as_bad_input():
            process = launch_in_background(loop, request.words(loop))
        return f"auto is running in the background (process {process.pid}); log: {loop.output}"

    def metrics(self) -> list[str]:
        """Returns the names of the metrics, `none` last."""
        pure = [name for name in PURE_METRICS if name != NO_METRIC]
        return [*pure, *LIBRARY_METRICS, NO_METRIC]

    def preview_data(
        self, loops: LoopsFolder, new_loop: NewLoop, poll: ReadProgress | None = None
    ) -> DatasetPreview:
        """Reads a new loop's data; raises TuiLoopError. Opens no network connection."""
        from tui_loop.cli.new_loop import read_as

        with _os_errors_as_bad_input():
            prepared = self._prepared(loops, new_loop, poll)
            of_model = _model_notices(prepared.config.model.id, _root(loops))
        data = prepared.data
        return DatasetPreview(
            read_as=read_as(data),
            train_rows=len(data.train),
            eval_rows=len(data.eval),
            labels=data.labels,
            metric=prepared.metric,
            rows=[(row.prompt, row.reference) for row in data.train[:ROWS_SHOWN]],
            notices=by_severity([*prepared.notices, *of_model]),
        )

    def create(self, loops: LoopsFolder, new_loop: NewLoop) -> LoopFolder:
        """Creates a loop; raises TuiLoopError without leaving anything behind."""
        from tui_loop.cli.new_loop import check_base, create

        loops.check_free(new_loop.name)

        with _os_errors_as_bad_input():
            prepared = self._prepared(loops, new_loop)
            check_base(prepared.config, _root(loops))
            created = create(loops, new_loop.name, new_loop.goal, prepared)
        self._prepared_last = None
        return created

    def demo(self, loops: LoopsFolder) -> LoopFolder:
        """Returns a recorded demo loop, copied where needed; raises TuiLoopError."""
        from tui_loop.cli.demo_loop import demo_loop

        with _os_errors_as_bad_input():
            return demo_loop(loops)

    def _prepared(
        self, loops: LoopsFolder, new_loop: NewLoop, poll: ReadProgress | None = None
    ) -> Prepared:
        from tui_loop.cli.new_loop import prepare
        from tui_loop.cli.requested_data import requested_tables
        from tui_loop.core.data.source_rows import no_progress

        root = _root(loops)
        if not new_loop.data:
            raise BadInput(
                "no data file given", "type the path of a data file, or choose one from the list"
            )
        if new_loop.metric and new_loop.metric not in self.metrics():
            raise BadInput(
                f"metric: unknown metric {new_loop.metric!r}", f"one of {', '.join(self.metrics())}"
            )
        tables, notes = requested_tables(
            root,
            data=_data_files(new_loop.data, root),
            eval_data=_data_files(new_loop.eval, root),
            holdout=_data_file(new_loop.holdout, root) if new_loop.holdout else None,
            model=self._model(new_loop.model, root) if new_loop.model else None,
            metric=new_loop.metric or None,
        )
        if new_loop.skips_rows:
            tables["data"]["on_bad_row"] = "skip"
        key = tables, _versions(tables, root)
        if self._prepared_last is None or self._prepared_last[0] != key:
            prepared = prepare(root, copy.deepcopy(tables), poll or no_progress)
            of_registry = [info(CheckKind.DATA, note) for note in notes]
            prepared = msgspec.structs.replace(prepared, notices=[*of_registry, *prepared.notices])
            self._prepared_last = key, prepared
        return self._prepared_last[1]

    def _model(self, entry: str, root: Path) -> str:
        """Returns a model's name unchanged, and a path resolved from the folder above `loops/`."""
        path = root / os.path.expanduser(entry)
        return str(path) if entry not in self.models() and path.exists() else entry


def _versions(tables: Tables, root: Path) -> list[tuple[str, int, int]]:
    """Returns the path, size and time of each data file, which show whether it has changed."""
    from tui_loop.core.data.source_rows import resolved

    found = []
    for value in tables["data"].values():
        entries = [each["path"] for each in value.values()] if isinstance(value, dict) else [value]
        for path in (resolved(entry, root) for entry in entries):
            if path.is_file():
                status = path.stat()
                found.append((str(path), status.st_size, status.st_mtime_ns))
    return found


def _root(loops: LoopsFolder) -> Path:
    return Path(os.path.abspath(loops.path)).parent.resolve()


def _data_files(typed: str, root: Path) -> list[str]:
    """Returns the full path of each source that was typed, with its name; raises BadInput."""
    from tui_loop.core.config.data_sources import split_source
    from tui_loop.core.data.offered_files import sources_in
    from tui_loop.core.data.registries import is_registry

    if (root / os.path.expanduser(typed.strip())).is_file():
        return [_data_file(typed.strip(), root)]
    files = []
    for entry in sources_in(typed):
        path = entry if (root / entry).exists() else split_source(entry)[1]
        file, sign, names = path.partition("#") if is_registry(path) else (path, "", "")
        files.append(entry.removesuffix(path) + _data_file(file, root) + sign + names)
    return files


def _data_file(entry: str, root: Path) -> str:
    """Returns the full path of a data file; raises BadInput where there is none.

    The app reads the data while the user types, so only the command line takes folders and hub ids.
    """
    path = root / os.path.expanduser(entry)
    if path.is_dir():
        raise BadInput(
            f"{entry} is a folder",
            "choose a file in this folder; on the command line, tui-loop new takes a folder of "
            "splits",
        )
    if not path.is_file():
        raise BadInput(
            f"{entry}: no such file",
            f"relative paths start at {root}; on the command line, tui-loop new also takes a hub "
            "id",
        )
    return str(path)


def _model_notices(model: str, root: Path) -> list[CheckResult]:
    """Returns what to know about a model before its first use; raises BadInput for a wrong one."""
    from tui_loop.engine.model_source import SMOLLM2, check_model, find_model

    try:
        source = find_model(model, root)
        if source.is_local:
            check_model(model, None, root)
    except BadInput as error:
        if model != SMOLLM2:
            raise
        return [warning(CheckKind.MODEL, error.message, error.hint)]
    if source.is_local:
        return []
    return [info(CheckKind.MODEL, f"model {model} is downloaded from the hub on first use")]


@contextmanager
def _os_errors_as_bad_input() -> Iterator[None]:
    """Raises BadInput instead of OSError, which the app would report as a fault of the program."""
    try:
        yield
    except OSError as error:
        raise file_error(error) from error
