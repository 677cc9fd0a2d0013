"""What every phase of a run needs, what it comes to, and the ways in which it can go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.divergence import Trouble
from tui_loop.core.record.checkpoints import Resumption
from tui_loop.core.record.events import LineLogged, PhaseStarted, Recovered
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.structs import NO_METRICS, Fingerprint
from tui_loop.core.scoring import Scorer
from tui_loop.core.text.secrets import redacted
from tui_loop.engine.run_control import Control

if TYPE_CHECKING:
    from tui_loop.engine.evaluation import EvalSet
    from tui_loop.engine.memory import EvalBatch
    from tui_loop.engine.models import LoadedModel
    from tui_loop.engine.rendering import Renderer


class Diverged(Exception):
    """The run diverged at `step`, or trained nothing.

    `sound_step`: the last one whose weights were sound; `kept_step`: of the weights that are kept.
    """

    def __init__(
        self,
        kind: Trouble,
        step: int,
        reason: str,
        rate: float,
        *,
        sound_step: int,
        kept_step: int | None,
    ) -> None:
        super().__init__(reason)
        self.kind, self.step, self.reason, self.rate = kind, step, reason, rate
        self.sound_step, self.kept_step = sound_step, kept_step


class TrainingOutOfMemory(Exception):
    """Memory ran out while training; `told` is what the backend said."""

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told


class Outcome(msgspec.Struct):
    """What a run came to; filled in as it goes, so that a failed one keeps what it had.

    `has_begun`: it trains or measures, and what an earlier attempt measured is gone. `saved_step`:
    of the weights that it saved.
    """

    metrics: dict[str, Any] = msgspec.field(default_factory=lambda: dict(NO_METRICS))
    fingerprint: Fingerprint | None = None
    stopped: bool = False
    has_begun: bool = False
    saved_step: int | None = None
    sizes: dict[str, int] = {}
    """Bytes of the base's and of the trainable weights, and tokens of the longest batch's rows."""


class Prepared(msgspec.Struct, frozen=True):
    """A loaded base, and the data rendered for it."""

    loaded: LoadedModel
    data: LoadedData
    renderer: Renderer
    eval_set: EvalSet
    eval_batch: EvalBatch
    scorer: Scorer | None


class Run(msgspec.Struct, frozen=True):
    """One attempt at an iteration."""

    folder: IterationFolder
    config: Config
    journal: Journal
    control: Control
    outcome: Outcome
    resumption: Resumption

    def begin(self, phase: str) -> None:
        """Enters a phase, unless the run is to end."""
        self.control.poll()
        self.journal.append(PhaseStarted(name=phase))

    def begin_work(self, phase: str) -> None:
        """Enters a phase that trains or measures: what an earlier attempt measured goes first."""
        self.control.poll()
        if not self.outcome.has_begun:
            self.folder.remove_results(self.resumption.step)
            self.outcome.has_begun = True
        self.journal.append(PhaseStarted(name=phase))

    def say(self, text: str) -> None:
        self.journal.append(LineLogged(level="info", source="tui-loop", text=redacted(text)))

    def warn(self, source: str, text: str) -> None:
        self.journal.append(LineLogged(level="warning", source=source, text=redacted(text)))

    def recovered(self, kind: str, message: str, changes: dict[str, Any] | None = None) -> None:
        """Records that the run goes on after something that would have ended it."""
        self.journal.append(Recovered(kind=kind, message=redacted(message), changes=changes or {}))
