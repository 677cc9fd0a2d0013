"""Redirects what libraries print or log from the terminal to `line` events and output.log."""

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
from tui_loop.core.text.unsafe_advice import without_unsafe_advice
from tui_loop.engine.launch import drop_launcher_variables

__all__ = ["logging_to", "output_to", "redacted", "set_environment"]

SAME_LINE_LIMIT = 20
"""The journal records the same message this often; after that, only output.log does."""

_HARMLESS = ("mtime may not be reliable on this filesystem",)
"""Starts of messages that are dropped. This one is harmless: checkpoints sort by number too."""

_LIBRARIES = ("transformers", "trl", "peft", "datasets", "accelerate", "huggingface_hub")


def set_environment() -> None:
    """Switches off telemetry, progress bars and parallel tokenizers; drops launcher variables.

    Call it before the first heavy import: the libraries read these variables then.
    """
    drop_launcher_variables()
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TQDM_DISABLE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Whether there is a GPU is asked of NVML: CUDA would fix the process to the GPUs it sees.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    # Waiting OpenMP threads that spin made runs take 8 to 30 times as long on shared cores.
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class _ToJournal(logging.Handler):
    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal
        self._counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # the library's format string does not fit its arguments
            text = str(record.msg)
        if text.startswith(_HARMLESS):
            return
        text = without_unsafe_advice(text)
        self._counts[text] += 1
        if record.exc_info or self._counts[text] > SAME_LINE_LIMIT:
            sys.stderr.write(redacted(self.format(record)) + "\n")  # to output.log
        if self._counts[text] <= SAME_LINE_LIMIT:
            level = "error" if record.levelno >= logging.ERROR else "warning"
            source = record.name.partition(".")[0]
            self._journal.append(LineLogged(level=level, source=source, text=redacted(text)))


@contextmanager
def logging_to(journal: Journal) -> Iterator[None]:
    """Redirects warnings and log records to `journal` during a run.

    It removes the handlers that libraries attach at import: they hold the real stderr.
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
    previous, warnings.showwarning = warnings.showwarning, _warnings_to(journal)
    try:
        yield
    finally:
        warnings.showwarning = previous
        root.removeHandler(handler)


def _warnings_to(journal: Journal) -> Callable[..., None]:
    """Returns a `showwarning` that writes `line` events, without warnings for developers."""

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, (DeprecationWarning, FutureWarning, PendingDeprecationWarning)):
            return
        text = redacted(without_unsafe_advice(str(message).strip()))
        journal.append(LineLogged(level="warning", source=category.__name__, text=text))

    return show


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Redirects descriptors 1 and 2 to `path`, for a process without a screen; redacts it after.

    Descriptors rather than `sys.stdout`, since C code of libraries writes to them directly.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    target = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        redact_file(path)
