"""What all phases of a run share: its folder, config and control, its outcome, its exceptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.divergence import DivergenceKind
from tui_loop.core.record.checkpoints import Resumption
from tui_loop.core.record.events import LineLogged, PhaseStarted, Recovered
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.structs import NO_METRICS, Fingerprint
from tui_loop.core.scoring import Scorer
from tui_loop.core.text.secrets import redacted
from tui_loop.engine.run_control import RunControl

if TYPE_CHECKING:
    from tui_loop.engine.evaluation import EvalSet
    from tui_loop.engine.memory import EvalBatch
    from tui_loop.engine.models import LoadedModel
    from tui_loop.engine.rendering import Renderer


class Diverged(Exception):
    """The run diverged at `step`, or trained nothing.

    `sound_step` is the last step whose weights were sound, `saved_step` the step of the weights
    that are saved (None without any).
    """

    def __init__(
        self,
        kind: DivergenceKind,
        step: int,
        reason: str,
        rate: float,
        *,
        sound_step: int,
        saved_step: int | None,
    ) -> None:
        super().__init__(reason)
        self.kind, self.step, self.reason, self.rate = kind, step, reason, rate
        self.sound_step, self.saved_step = sound_step, saved_step


class TrainingOutOfMemory(Exception):
    """Memory ran out during training; `reason` is the backend's message."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Outcome(msgspec.Struct):
    """The results of an attempt, filled in as it runs, so that a failed one keeps what it has.

    `has_begun`: it trains or measures, and the results of earlier attempts have been discarded.
    `saved_step`: the step of the weights that it saved.
    """

    metrics: dict[str, Any] = msgspec.field(default_factory=lambda: dict(NO_METRICS))
    fingerprint: Fingerprint | None = None
    stopped: bool = False
    has_begun: bool = False
    saved_step: int | None = None
    sizes: dict[str, int] = {}
    """Bytes of the `base` and of the `trainable` weights; tokens of the `longest` training row."""


class Prepared(msgspec.Struct, frozen=True):
    """A loaded base, and the data rendered for it."""

    loaded: LoadedModel
    data: LoadedData
    renderer: Renderer
    eval_set: EvalSet
    eval_batch: EvalBatch
    scorer: Scorer | None


class Run(msgspec.Struct, frozen=True):
    """One attempt at an iteration. `data`: its data, where they have been read before.

    `note_device` is called with the device of the loaded model.
    """

    folder: IterationFolder
    config: Config
    journal: Journal
    control: RunControl
    outcome: Outcome
    resumption: Resumption
    data: LoadedData | None = None
    note_device: Callable[[Any], None] = lambda _: None

    def begin(self, phase: str) -> None:
        """Starts a phase; raises StopRequested if the run is to end."""
        self.control.poll()
        self.journal.append(PhaseStarted(name=phase))

    def begin_work(self, phase: str) -> None:
        """Starts a phase that trains or measures; discards earlier attempts' results first."""
        self.control.poll()
        if not self.outcome.has_begun:
            self.folder.remove_results(self.resumption.step)
            self.outcome.has_begun = True
        self.journal.append(PhaseStarted(name=phase))

    def info(self, text: str) -> None:
        """Logs a line, redacted."""
        self.journal.append(LineLogged(level="info", source="tui-loop", text=redacted(text)))

    def warn(self, source: str, text: str) -> None:
        """Logs a warning, redacted."""
        self.journal.append(LineLogged(level="warning", source=source, text=redacted(text)))

    def record_recovery(
        self, kind: str, message: str, changes: dict[str, Any] | None = None
    ) -> None:
        """Records that the run continues after an error that would otherwise have ended it."""
        self.journal.append(Recovered(kind=kind, message=redacted(message), changes=changes or {}))
