"""Nothing that a library prints reaches a terminal: it goes to `line` events or output.log."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui_loop.core.record.events import LineLogged
from tui_loop.core.record.journal import Journal
from tui_loop.core.text.secrets import redact_file, redacted
from tui_loop.engine.launch import drop_launcher_variables

__all__ = ["logging_to", "output_to", "redacted", "set_environment"]

SAME_LINE_LIMIT = 20
"""A library that repeats itself is recorded this often, then only in output.log."""

_HARMLESS = ("mtime may not be reliable on this filesystem",)
"""Beginnings of messages of which a user can make nothing: checkpoints sort by number as well."""

_LIBRARIES = ("transformers", "trl", "peft", "datasets", "accelerate", "huggingface_hub")


def set_environment() -> None:
    """Switches off telemetry, bars and forks, and drops what a launcher left in the environment;
    before the first heavy import."""
    drop_launcher_variables()
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TQDM_DISABLE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # one process trains on one GPU
    os.environ.setdefault("GOMP_SPINCOUNT", "0")  # waiting threads that spin cost 8 to 30 times
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # the time where cores are shared


class _ToJournal(logging.Handler):
    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal
        self._counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # a library's faulty format string
            text = str(record.msg)
        if text.startswith(_HARMLESS):
            return
        self._counts[text] += 1
        if record.exc_info or self._counts[text] > SAME_LINE_LIMIT:
            sys.stderr.write(redacted(self.format(record)) + "\n")  # to output.log
        if self._counts[text] <= SAME_LINE_LIMIT:
            level = "error" if record.levelno >= logging.ERROR else "warning"
            source = record.name.partition(".")[0]
            self._journal.append(LineLogged(level=level, source=source, text=redacted(text)))


@contextmanager
def logging_to(journal: Journal) -> Iterator[None]:
    """Routes warnings and log records into `journal` while a run lasts.

    Libraries attach handlers of their own at import, which hold the real stderr: those go.
    """
    import datasets
    import transformers

    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    handler = _ToJournal(journal)
    root = logging.getLogger()
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    root.addHandler(handler)
    shown, warnings.showwarning = warnings.showwarning, _shows_warnings_in(journal)
    try:
        yield
    finally:
        warnings.showwarning = shown
        root.removeHandler(handler)


def _shows_warnings_in(journal: Journal) -> Callable[..., None]:
    """Python warnings as `line` events; what only a library's developer can act on is left out."""

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, (DeprecationWarning, FutureWarning, PendingDeprecationWarning)):
            return
        text = redacted(str(message).strip())
        journal.append(LineLogged(level="warning", source=category.__name__, text=text))

    return show


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Descriptors 1 and 2 of this process end in `path`; for a process without a screen."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    target = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, old in zip((1, 2), kept, strict=True):
            os.dup2(old, descriptor)
            os.close(old)
        redact_file(path)
