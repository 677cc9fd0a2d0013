"""A recorded loop, scripted runs, and the app on them: what the tests of the screens stand on."""

from __future__ import annotations

import asyncio
import math
import shlex
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual import events
from textual.app import App
from textual.pilot import Pilot
from textual.widget import Widget

from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.config.tables import to_tables
from tui_loop.core.data.row_files import RowFiles
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.retry_settings import Retried
from tui_loop.core.examples.tfidf_index import Answer as Neighbours
from tui_loop.core.inference_messages import GenerateResponse as Said
from tui_loop.core.inference_messages import ServerMessage, ServerStatus
from tui_loop.core.preflight.check_result import CheckResult, info
from tui_loop.core.preflight.row_checks import TrainedRow, TurnTokens
from tui_loop.core.record.events import (
    AnyEvent,
    Evaluated,
    LineLogged,
    MetricsLogged,
    PhaseStarted,
    Progressed,
    RequestSeen,
    RunEnded,
    RunStarted,
)
from tui_loop.core.record.fingerprint import fingerprint_of
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.iteration import iteration_from
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.ledger import write_ledger
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.requests import RequestReader
from tui_loop.core.record.structs import EndState, Example, Split, TokenLosses
from tui_loop.core.slurm.record import JobRecord, write_job
from tui_loop.core.workflow.draft import Draft, drop_draft, new_draft, plan_of, write_draft
from tui_loop.core.workflow.holdout import HoldoutMessage
from tui_loop.core.workflow.plan import create_base, create_iteration, plan_next
from tui_loop.tui.app import LoopApp
from tui_loop.tui.backend import DatasetPreview, NearestRows, NewLoop, Preview, SuspectRows
from tui_loop.tui.messages import MessageLine
from tui_loop.tui.settings import Memory, Settings
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.workbench.workbench import Workbench

PAUSE_SECONDS = 0.005

SIGNS = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "full_stop": ".",
    "underscore": "_",
    "space": " ",
}
"""Characters of keys that have a name."""

LABELS = ("card arrival", "refund", "top up failed", "pin blocked")
ROWS = 24
STEPS = 30
SPLITS = {
    "train": Split("train.jsonl", rows=96, digest="aaaaaaaaaaaa"),
    "eval": Split("eval.jsonl", rows=ROWS, digest="bbbbbbbbbbbb"),
}
DIVERGED = {
    "kind": "diverged",
    "message": "the loss is not finite from step 4 on",
    "hint": "lower the learning rate (it was 20; try 2)",
    "step": 4,
}


class ScriptedRun:
    """A run that does what a test says: its lock is held, its journal is written by the real
    writer, and nothing is trained.
    """

    def __init__(self, folder: IterationFolder, attempt: int = 1) -> None:
        self.folder, self.attempt = folder, attempt
        self._lock = RunLock(folder.lock)
        self._lock.__enter__()
        self._journal = Journal(folder.journal)
        self._requests = RequestReader(folder.requests, attempt)
        self.is_open = True

    def does(self, *happened: AnyEvent) -> ScriptedRun:
        """Writes events."""
        for event in happened:
            self._journal.append(event)
        return self

    def starts(self, phase: str = "training", total: int = STEPS) -> ScriptedRun:
        """Begins, and goes on to a phase."""
        name, number = self.folder.loop.name, self.folder.number
        self.does(
            RunStarted(loop=name, iteration=number, attempt=self.attempt, pid=4711, host="box"),
            PhaseStarted(name="loading"),
            LineLogged(level="info", source="tui-loop", text="model tiny, 1.1M parameters"),
        )
        return self.goes_on_to(phase, total)

    def goes_on_to(self, phase: str, total: int | None = None) -> ScriptedRun:
        self.does(PhaseStarted(name=phase))
        return self.does(Progressed(phase=phase, done=0, total=total)) if total else self

    def steps(self, *losses: float, first: int = 1, total: int = STEPS) -> ScriptedRun:
        """Logs a training step a loss."""
        for step, loss in enumerate(losses, first):
            values = {
                "loss": loss,
                "grad_norm": math.nan if math.isnan(loss) else round(0.5 + 1 / step, 4),
                "learning_rate": round(5e-3 * (1 - (step - 1) / total), 9),
                "num_tokens": 400.0 * step,
            }
            self.does(
                MetricsLogged(step=step, epoch=step / 12, values=values),
                Progressed(phase="training", done=step, total=total),
            )
        return self

    def evaluates(self, step: int, loss: float, **more: float) -> ScriptedRun:
        return self.does(Evaluated(step=step, epoch=step / 12, values={"eval_loss": loss, **more}))

    def says(self, text: str, level: str = "info", source: str = "tui-loop") -> ScriptedRun:
        return self.does(LineLogged(level=level, source=source, text=text))

    def takes_requests(self) -> list[Any]:
        """Acknowledges what was asked since the last call; gives the requests."""
        fresh = self._requests.read()
        self.does(*(RequestSeen(id=each.id, name=each.name) for each in fresh))
        return fresh

    def ends(
        self,
        state: EndState = "finished",
        *,
        error: dict[str, Any] | None = None,
        examples: Sequence[Example] = (),
        tokens: Sequence[TokenLosses] = (),
        metrics: dict[str, Any] | None = None,
    ) -> None:
        """Writes the examples, the run's end and the summary, and lets go of the lock."""
        folder = self.folder
        if examples:
            folder.write_examples(examples, tokens)
        self.does(RunEnded(state=state, error=error))
        self._journal.close()
        folder.write_summary(_summary(folder, state, examples, metrics or {}))
        self.closes()
        write_ledger(folder.loop)

    def dies(self) -> None:
        """Goes without a word, as a killed process does."""
        self.closes()

    def closes(self) -> None:
        if self.is_open:
            self.is_open = False
            self._journal.close()
            self._lock.__exit__()


class ScriptedChecks:
    """A pre-flight that finds what a test says; its tokens wait until they may come."""

    def __init__(self) -> None:
        self.found: list[CheckResult] = [info("steps", "30 optimizer steps of 8 rows")]
        self.of_tokens_found: list[CheckResult] = [info("tokens", "tokens per row: median 21")]
        self.tokens: list[tuple[str, bool]] = []
        self.may_count = threading.Event()
        self.may_count.set()
        self.was_ended = False

    def of_rows(self) -> list[CheckResult]:
        return self.found

    def of_tokens(self, poll: Callable[[], None]) -> list[CheckResult]:
        try:
            while not self.may_count.wait(PAUSE_SECONDS):
                poll()
        except Exception:
            self.was_ended = True
            raise
        return self.of_tokens_found

    def row(self, number: int) -> TrainedRow:
        tokens = [("Message:", False), (f" row {number}", False), (" refund", True)]
        tokens = self.tokens or tokens
        trained = sum(each for _, each in tokens)
        turns = [TurnTokens("text", 0, len(tokens), trained)]
        return TrainedRow(number, 3, 10 + number, f"id{number}", tokens, turns)


class ScriptedAgain:
    """Examples that are generated again: what a test puts into `told` is taken."""

    def __init__(self) -> None:
        self.told: list[Retried | ServerStatus] = []
        self.is_closed = False

    def take(self) -> list[Retried | ServerStatus]:
        told, self.told = self.told, []
        return told

    def close(self) -> None:
        self.is_closed = True


class ScriptedLook:
    """A look at the holdout: what a test puts into `to_tell` is taken."""

    def __init__(self) -> None:
        self.is_recorded = False
        self.to_tell: list[HoldoutMessage] = []
        self.is_closed = False

    def take(self) -> list[HoldoutMessage]:
        told, self.to_tell = self.to_tell, []
        return told

    def close(self) -> None:
        self.is_closed = True


class ScriptedAsker:
    """Models that answer when a test says so."""

    iterations = (2, 1, 0)

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.drops = 0
        self.is_closed = False
        self._told: list[ServerMessage] = []

    def ask(self, prompt: str, *, example: str = "", settings: Sequence[str] = ()) -> int:
        self.asked.append(example or prompt)
        return len(self.asked)

    def tells(self, *told: ServerMessage) -> ScriptedAsker:
        self._told += told
        return self

    def answers_all(self, *outputs: str) -> None:
        """The newest question, by each of the models."""
        number = len(self.asked)
        for iteration, output in zip(self.iterations, outputs, strict=True):
            self.tells(Said(number, iteration, output, 3, truncated=False, seconds=0.25))
        self.tells(ServerStatus(state="answered", id=number))

    def drop(self) -> None:
        self.drops += 1
        self.tells(ServerStatus(state="error", id=len(self.asked), message="it was given up"))

    def take(self) -> list[ServerMessage]:
        told, self._told = self._told, []
        return told

    def answers(self) -> Iterator[ServerMessage]:
        raise AssertionError("a screen never waits")

    def close(self) -> None:
        self.is_closed = True


class FakeBackend:
    """What stands behind the app in tests: iterations are created as the real one creates them,
    and their runs are scripted.
    """

    def __init__(self) -> None:
        self.runs: list[ScriptedRun] = []
        self.stops = 0
        self.queues_run: list[tuple[str, str]] = []
        self.gpus = ""
        self.runners: list[str] = []
        self.autos: list[tuple[int | None, int, float | None, str]] = []
        self.fault: TuiLoopError | None = None
        self.refusal: TuiLoopError | None = None
        self.notices: list[str] = []
        self.found_dangers: list[str] = []
        self.base_first = False
        self.findings: list[CheckResult] = []
        self.checks = ScriptedChecks()
        self.generating = ScriptedAgain()
        self.generated: list[tuple[int, list[str], list[str]]] = []
        self.suspected: SuspectRows | None = None
        self.askers: list[ScriptedAsker] = []
        self.looks: list[ScriptedLook] = []
        self.near = NearestRows(
            Neighbours("no similar training row", is_new=True, neighbours=[]),
            RowFiles({"": "train.jsonl"}, {}),
        )
        self.may_preview = threading.Event()
        self.may_preview.set()
        self.may_start_process = threading.Event()
        self.may_start_process.set()

    @property
    def run(self) -> ScriptedRun:
        """The newest run."""
        return self.runs[-1]

    def preview(self, loop: LoopFolder, draft: Draft) -> Preview:
        assert self.may_preview.wait(PATIENCE_SECONDS)
        if self.refusal:
            raise self.refusal
        plan = plan_of(loop, draft)
        number = max(loop.numbers(), default=0) + 1
        return Preview(
            number, plan.changes, self.base_first, 96, ROWS, STEPS, self.notices, self.findings
        )

    def preflight(self, loop: LoopFolder, draft: Draft) -> ScriptedChecks:
        if self.refusal:
            raise self.refusal
        return self.checks

    def start(self, loop: LoopFolder, draft: Draft, runner: str) -> int:
        if self.refusal:
            raise self.refusal
        self.runners.append(runner)
        folder = create_iteration(loop, plan_of(loop, draft), SPLITS)
        drop_draft(loop)
        self.runs.append(ScriptedRun(folder))
        return folder.number

    def job_script(self, loop: LoopFolder, draft: Draft, sbatch: str) -> str:
        if self.refusal:
            raise self.refusal
        return f"#!/bin/bash\n#SBATCH {sbatch}\nsrun the run\n"

    def submit(self, loop: LoopFolder, draft: Draft, sbatch: str) -> tuple[int, str]:
        if self.refusal:
            raise self.refusal
        folder = create_iteration(loop, plan_of(loop, draft), SPLITS)
        drop_draft(loop)
        write_job(folder, JobRecord(id="4713", t=1.0, sbatch=sbatch))
        return folder.number, "4713"

    def hosted(self) -> str:
        return next((str(each.folder) for each in self.runs if each.is_open), "")

    def stop_hosted(self) -> None:
        self.stops += 1

    def dangers(self) -> list[str]:
        return self.found_dangers

    def resumption(self, loop: LoopFolder, number: int) -> tuple[str, list[str]]:
        if self.refusal:
            raise self.refusal
        return "checkpoint 40 (not 60: optimizer.pt is cut short)", self.notices

    def resume(self, loop: LoopFolder, number: int) -> None:
        if self.refusal:
            raise self.refusal
        self.runs.append(ScriptedRun(loop.existing(number)))

    def inference_client(self, loop: LoopFolder, number: int) -> ScriptedAsker:
        assert self.may_start_process.wait(PATIENCE_SECONDS)
        if self.refusal:
            raise self.refusal
        self.askers.append(ScriptedAsker())
        return self.askers[-1]

    def nearest(self, loop: LoopFolder, number: int, example: Example) -> NearestRows:
        if self.refusal:
            raise self.refusal
        return self.near

    def suspects(self, loop: LoopFolder, number: int) -> SuspectRows:
        if self.suspected is None:
            raise BadInput(
                f"{loop.name}/{number}: no losses of training rows were recorded", "run it again"
            )
        return self.suspected

    def retry(
        self, loop: LoopFolder, number: int, examples: Sequence[Example], settings: Sequence[str]
    ) -> ScriptedAgain:
        assert self.may_start_process.wait(PATIENCE_SECONDS)
        if self.refusal:
            raise self.refusal
        self.generated.append((number, [each.id for each in examples], list(settings)))
        return self.generating

    def holdout_cost(self, loop: LoopFolder, number: int) -> tuple[str, ...]:
        if self.refusal:
            raise self.refusal
        return f"a look measures {number} and the base", "the 2nd look at this holdout"

    def evaluate_holdout(self, loop: LoopFolder, number: int) -> ScriptedLook:
        assert self.may_start_process.wait(PATIENCE_SECONDS)
        self.looks.append(ScriptedLook())
        return self.looks[-1]

    def draft_fresh_split(self, loop: LoopFolder, parent: int | None, why: str) -> tuple[str, ...]:
        if self.refusal:
            raise self.refusal
        draft = new_draft(loop, parent).with_value("data.split_seed", 1).with_why(why)
        write_draft(loop, draft)
        return ("24 rows drawn from training",)

    def gpu_words(self) -> str:
        return self.gpus

    def run_queue(self, loop: LoopFolder, at_once: str) -> str:
        if self.refusal:
            raise self.refusal
        self.queues_run.append((loop.name, at_once))
        return "the queue is running in the background (process 4711)"

    def auto_preview(self, loop: LoopFolder, start: int | None) -> list[str]:
        if self.refusal:
            raise self.refusal
        place = f"iteration {start}" if start else "the best iteration"
        return [f"first from {place}: learning_rate 5e-3 → 1e-3, because"]

    def run_auto(
        self,
        loop: LoopFolder,
        start: int | None,
        iterations: int,
        hours: float | None,
        at_once: str,
    ) -> str:
        if self.refusal:
            raise self.refusal
        self.autos.append((start, iterations, hours, at_once))
        return "auto is running in the background (process 4712)"

    def take_fault(self) -> TuiLoopError | None:
        fault, self.fault = self.fault, None
        return fault

    def models(self) -> list[str]:
        return ["tiny", "smollm2"]

    def metrics(self) -> list[str]:
        return ["exact_match", "label", "none"]

    def preview_data(
        self, loops: LoopsFolder, wanted: NewLoop, poll: Callable[[str, int], None]
    ) -> DatasetPreview:
        raise AssertionError("no test of the workbench asks for that")

    def create(self, loops: LoopsFolder, wanted: NewLoop) -> LoopFolder:
        raise AssertionError("no test of the workbench asks for that")

    def demo(self, loops: LoopsFolder) -> LoopFolder:
        raise AssertionError("no test of the workbench asks for that")


class Driven:
    """An open app in the hands of a test."""

    def __init__(self, app: LoopApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def lines(self) -> list[str]:
        return screen_text(self.app)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def text_in(self, name: str) -> str:
        """What a widget shows, its lines joined as if nothing had been wrapped."""
        box = self.app.screen.query_one(name).region
        rows = self.lines[box.y : box.bottom]
        words = " ".join(row[box.x : box.right].strip(" │") for row in rows)
        return " ".join(words.split())

    async def shows_in(self, name: str, *texts: str) -> None:
        """Waits until a widget shows all of `texts`, wrapped or not."""
        for text in texts:
            await self.until(lambda text=text: text in self.text_in(name), f"{text!r} in {name}")

    async def press(self, *keys: str) -> None:
        """Presses keys one after the other, each once the one before has been processed.

        `g p` is a leader key and the key after it.
        """
        for key in (each for keys_of_one in keys for each in keys_of_one.split(" ")):
            self.app.post_message(events.Key(key, _character_of(key)))
            await self._dealt_with()

    async def _dealt_with(self) -> None:
        """Waits until the keys pressed have reached their widget, on a busy machine too."""
        for _ in range(2):
            await self.pilot.pause()
            await self.until(
                lambda: self.app._typed.empty() or not self.app.is_running, "the keys taken"
            )
            if self.app.is_running:
                await self._handlers_done()

    async def _handlers_done(self) -> None:
        """Waits until the handlers of what has focus are done with what they were given."""
        settled = asyncio.create_task(self.app._settled())
        ends = time.monotonic() + PATIENCE_SECONDS
        while not settled.done() and self.app.is_running:
            assert time.monotonic() < ends, f"a handler that does not end\n{self.text}"
            await asyncio.wait({settled}, timeout=PAUSE_SECONDS)
        settled.cancel()

    async def type(self, text: str) -> None:
        """Types `text`, replacing what the field in focus has."""
        await self.press("end", "ctrl+u")
        for sign in text:
            self.app.post_message(events.Key("space" if sign == " " else sign, sign))
        await self._dealt_with()

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Waits for a condition; fails with the screen when it does not come."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            never = f"never came: {what or condition}"
            assert time.monotonic() < ends, f"{never}\n{self.text}\n{self.told}"
            await self.pilot.pause()

    async def shows(self, *texts: str) -> None:
        """Waits until the screen has all of `texts`."""
        for text in texts:
            await self.until(lambda text=text: text in self.text, f"{text!r}")

    async def tells(self, *texts: str) -> None:
        """Waits until messages say all of `texts`."""
        for text in texts:
            await self.until(lambda text=text: text in self.told, f"a message with {text!r}")

    @property
    def told(self) -> str:
        """The messages that have not gone yet, a line each; the last one is on the screen."""
        return "\n".join(each.message for each in self.app._notifications)

    async def hides(self, text: str) -> None:
        await self.until(lambda: text not in self.text, f"no {text!r}")


class Opened(Driven):
    """An app that is open on a loop."""

    def __init__(self, app: LoopApp, pilot: Pilot[None], backend: FakeBackend) -> None:
        super().__init__(app, pilot)
        self.backend = backend

    @property
    def bench(self) -> Workbench:
        """The workbench, whatever lies over it."""
        found = [each for each in self.app.screen_stack if isinstance(each, Workbench)]
        return found[-1]

    def get(self, kind: type[Widget]) -> Any:
        """The workbench's only widget of a kind."""
        return self.bench.query_one(kind)

    async def looks(self, times: int = 1) -> None:
        """Waits for that many polls from now on."""
        for _ in range(times):
            before = self.bench.snapshot
            self.bench.poll_now()
            await self.until(lambda before=before: self.bench.snapshot is not before, "a poll")

    async def opens_again(self, number: int) -> None:
        """The loop once more, with what is remembered of it."""
        self.app.open_loop(self.bench.loop, number)
        await self.until(lambda: _has_settled(self.app), "the first snapshot")

    async def begins_again(self, number: int) -> None:
        """A fresh workbench on the loop, without a draft; nothing of the last one returns."""
        memory = self.app.memory
        for name in [*memory._values]:
            memory.put(name, None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory, "put", lambda *_: None)  # the last one remembers as it leaves
            loop = self.bench.loop
            loop.draft.unlink(missing_ok=True)
            self.app.open_loop(loop, number)
            await self.until(lambda: _has_settled(self.app), "the first snapshot")

    async def goes_to(self, number: int | str) -> None:
        """Selects an iteration or the draft."""
        self.bench.select(number)
        await self.looks(2)


OpenApp = Callable[..., AbstractAsyncContextManager[Opened]]


def screen_text(app: App[Any]) -> list[str]:
    """The screen as lines of plain text, as the compositor hands them to a terminal."""
    strips = app.screen._compositor.render_strips()
    return ["".join(part.text for part in strip if not part.control) for strip in strips]


def _character_of(key: str) -> str | None:
    if len(key) == 1:
        return key
    return {"enter": "\r", "tab": "\t", **SIGNS}.get(key)


def example_of(
    index: int, *, passed: bool | None = True, said: str | None = None, **more: Any
) -> tuple[Example, TokenLosses]:
    """An example with its tokens; its loss is higher where it failed."""
    wanted = LABELS[index % len(LABELS)]
    wrong = LABELS[(index + 1) % len(LABELS)]
    loss = round((0.1 if passed else 2.5) + index / 100, 4)
    fields: dict[str, Any] = {
        "id": f"{index:012x}",
        "prompt": f"Message: my case number {index} is about {wanted}\nIntent:",
        "reference": wanted,
        "output": said if said is not None else wanted if passed else wrong,
        "score": None if passed is None else float(passed),
        "passed": passed,
        "causes": (),
        "loss": loss,
        "supervised_tokens": 2,
        "output_tokens": 2,
        "truncated": False,
        "source_line": index + 1,
        **more,
    }
    example = Example(**fields)
    head, _, tail = wanted.partition(" ")
    pairs: list[tuple[str, float | str]] = [(f" {head}", loss + 0.05), (f" {tail}", loss - 0.05)]
    return example, TokenLosses(example.id, pairs)


def examples_of(passed: set[int], count: int = ROWS) -> tuple[list[Example], list[TokenLosses]]:
    """Examples and tokens, those with an index in `passed` passed."""
    pairs = [example_of(index, passed=index in passed) for index in range(count)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


async def finds(opened: Opened, name: str) -> None:
    """Goes to a field of the config as a user does: a search, then the next match."""
    await opened.press("2", "slash")
    await opened.type(name.partition(".")[2])
    await opened.press("enter")
    rows = opened.get(ConfigPane).list
    await opened.until(lambda: opened.app.focused is rows)
    for _ in range(rows.count):
        if rows.key_of(rows.cursor) == name:
            return
        await opened.press("n")
    raise AssertionError(f"no search finds {name}")


def an_editor(folder: Path, body: str) -> str:
    """A command for $EDITOR: a Python program that has the file as `path`."""
    script = folder / "an_editor.py"
    script.write_text(f"import pathlib, sys\npath = pathlib.Path(sys.argv[1])\n{body}\n")
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))}"


def scripted_iteration(loop: LoopFolder, *settings: str, parent: int = 2) -> ScriptedRun:
    """A run of the loop's next iteration, as another process would host it."""
    plan = plan_next(loop, parent=parent, settings=list(settings), why="a try")
    return ScriptedRun(create_iteration(loop, plan, SPLITS))


def _summary(
    folder: IterationFolder,
    state: EndState,
    examples: Sequence[Example],
    metrics: dict[str, Any],
) -> Any:
    config, run = folder.read_config(), read_run(folder)
    told = iteration_from(folder.number, folder.read_decision(), to_tables(config), run, state)
    figures: dict[str, Any] = dict(told.metrics)
    if examples:
        passed = sum(bool(each.passed) for each in examples)
        figures |= {"score": passed / len(examples), "passed": passed, "total": len(examples)}
        losses = [float(each.loss) for each in examples if isinstance(each.loss, float)]
        figures["eval_loss"] = round(sum(losses) / max(1, len(losses)), 4)
    if run.metrics:
        figures |= {"train_loss": run.metrics[-1].values["loss"], "steps": run.step}
    rows = [Row(each.id, each.prompt, each.reference, each.source_line) for each in examples]
    return msgspec.structs.replace(
        told,
        metrics={**figures, **metrics},
        fingerprint=fingerprint_of(config, rows, list(LABELS)) if rows else None,
    )


def record_loop(loops: LoopsFolder) -> LoopFolder:
    """The recorded loop: the base, a first run, a better child of it, and a diverged one."""
    loop = loops.create(
        "support-intents",
        LoopSettings(
            goal="tell support intents apart",
            metric="label",
            defaults={
                "model": {"id": "tiny"},
                "data": {
                    "train": "train.jsonl",
                    "eval": "eval.jsonl",
                    "prompt_template": "Message: {prompt}\nIntent:",
                },
                "training": {"num_train_epochs": 2.5, "learning_rate": 5e-3, "max_length": 128},
            },
        ),
    )
    base = ScriptedRun(create_base(loop, loop.default_config(), SPLITS))
    examples, tokens = examples_of(set())
    base.starts("evaluating", ROWS).evaluates(0, 2.615)
    base.ends(examples=examples, tokens=tokens)
    falling = [round(3.0 * 0.93**step + 0.2, 4) for step in range(STEPS)]
    first = _begun(loop, 0, [], "the defaults, to begin with")
    _record(first, falling, set(range(10)))
    steeper = [round(3.0 * 0.88**step + 0.1, 4) for step in range(STEPS)]
    passed = {*range(1, 10), *range(12, 20)}
    second = _begun(loop, 1, ["num_train_epochs=5"], "it had not converged")
    _record(second, steeper, passed)
    run = _begun(loop, 2, ["learning_rate=20"], "faster?")
    run.steps(3.1, 9.7, 41.0, math.nan, math.nan)
    run.says("the loss is not finite from step 4 on", level="error", source="diverged")
    run.ends("failed", error=DIVERGED, metrics={"train_loss": "NaN"})
    return loop


def _begun(loop: LoopFolder, parent: int, settings: list[str], why: str) -> ScriptedRun:
    plan = plan_next(loop, parent=parent, settings=settings, why=why)
    return ScriptedRun(create_iteration(loop, plan, SPLITS)).starts()


def _record(run: ScriptedRun, losses: list[float], passed: set[int]) -> None:
    run.steps(*losses[:15]).evaluates(15, round(losses[14] + 0.2, 3))
    run.says("12 prompts are longer than usual", level="warning", source="data")
    run.steps(*losses[15:], first=16).evaluates(STEPS, round(losses[-1] + 0.25, 3))
    examples, tokens = examples_of(passed)
    run.goes_on_to("evaluating", ROWS)
    run.ends(examples=examples, tokens=tokens)


class FixedClock:
    """A clock that goes a quarter of a second at each look, from a known moment on."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded loop, laid out once; tests get copies."""
    folder = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as patch:
        clock = FixedClock()
        patch.setattr("tui_loop.core.record.journal.EventClock", lambda: clock)
        record_loop(LoopsFolder(folder / "loops"))
    return folder / "loops"


@pytest.fixture(autouse=True, scope="session")
def _short_pauses() -> Iterator[None]:
    """A pause looks in shorter intervals whether the app is idle: these tests have thousands.

    Messages stay until their test has seen them.
    """
    notify = MessageLine.notify

    def notify_for_long(app: MessageLine, message: str, **more: Any) -> None:
        notify(app, message, **{**more, "timeout": PATIENCE_SECONDS})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MessageLine, "notify", notify_for_long)
        patch.setattr("textual._wait.SLEEP_GRANULARITY", PAUSE_SECONDS)
        patch.setattr("textual._wait.SLEEP_IDLE", PAUSE_SECONDS / 10)
        yield


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Never the user's own settings, memory, editor, colours or time zone."""
    monkeypatch.setenv("TUI_LOOP_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("TUI_LOOP_CONFIG", str(tmp_path / "config.toml"))
    for name in ("NO_COLOR", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EDITOR", "true")  # leaves the file as it is
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def loops(recorded: Path, tmp_path: Path) -> LoopsFolder:
    """A `loops/` folder with the recorded loop."""
    shutil.copytree(recorded, tmp_path / "loops")
    return LoopsFolder(tmp_path / "loops")


@pytest.fixture
def loop(loops: LoopsFolder) -> LoopFolder:
    """The recorded loop: 0 base, 1 finished, 2 finished from 1, 3 diverged from 2."""
    return loops.loop("support-intents")


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    """A backend whose runs are scripted; none outlives its test."""
    made = FakeBackend()
    yield made
    made.may_preview.set()
    for run in made.runs:
        run.closes()


@pytest.fixture
def open_app(loops: LoopsFolder, backend: FakeBackend) -> OpenApp:
    """Opens the app on a loop, given back once the first snapshot is on the screen."""

    @asynccontextmanager
    async def opening(
        size: tuple[int, int] = (160, 48),
        *,
        number: int | None = None,
        theme: str | None = None,
        settings: Settings | None = None,
        name: str = "support-intents",
        **more: Any,
    ) -> AsyncIterator[Opened]:
        told = settings or Settings()
        if theme is not None:
            told = msgspec.structs.replace(told, theme=theme)
        given: dict[str, Any] = {"settings": told, "memory": Memory(), **more}
        app = LoopApp(loops, backend, loop=name, number=number, **given)
        async with app.run_test(size=size, notifications=True) as pilot:
            opened = Opened(app, pilot, backend)
            await opened.until(lambda: _has_settled(app), "the first snapshot")
            yield opened

    return opening


def _has_settled(app: LoopApp) -> bool:
    bench = app.screen
    if not isinstance(bench, Workbench) or bench.snapshot is None:
        return False
    snapshot = bench.snapshot
    is_there = snapshot.selected is not None or not isinstance(bench.state.selected, int)
    return (
        is_there and snapshot.is_complete and set(bench.rows_in_view()) <= set(snapshot.comparisons)
    )


def on_app(opening: AbstractAsyncContextManager[Opened], steps: Callable[[Opened], Any]) -> None:
    """Runs the steps of a test on an app that is opened for them."""

    async def main() -> None:
        async with opening as opened:
            done: Awaitable[None] = steps(opened)
            await done

    asyncio.run(main())
