"""What all tests share: a folder of their own, small data, and no network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.faults.kit import outcome, pytest_runtest_call
from tests.foreign import canary
from tests.waiting import PATIENCE_SECONDS

__all__ = ["canary", "outcome", "pytest_runtest_call"]

os.environ["HF_HUB_OFFLINE"] = "1"  # huggingface_hub reads it when a test module imports it

settings.register_profile(
    "tests",
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # by the clock
)
settings.load_profile("tests")

CHECKOUT = Path(__file__).resolve().parent.parent

STACK = [
    "accelerate",
    "datasets",
    "peft",
    "pynvml",
    "rouge_score",
    "sacrebleu",
    "torch",
    "transformers",
    "trl",
]
"""The modules of the train extra."""

MISSING = [name for name in STACK if find_spec(name) is None]
NEEDS_TRAIN = f"needs the train extra (not installed: {', '.join(MISSING)})"
MARKED_MODULE = re.compile(r"^pytestmark = .*\bmark\.train\b", re.MULTILINE)

TIME_LIMITS = (
    *("snapshot.COMPARE_SECONDS", "snapshot.EXAMPLES_SECONDS"),
    *("examples.matching.PATTERN_SECONDS", "diagnosis.diagnose.PATTERNS_SECONDS"),
)

POSITIVE = [
    "Classify: positive. The product is lovely and came early.",
    "Classify: negative. The product is broken and came late.",
    "Classify: positive. The product is sturdy and easy to clean.",
    "Classify: negative. The product is loud and hard to return.",
]

Cli = Callable[..., subprocess.CompletedProcess[str]]


class SkippedModule(pytest.Module):
    """A test module of the training stack, which is skipped without being imported."""

    def collect(self) -> Any:
        pytest.skip(NEEDS_TRAIN, allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Any:
    """Skips a module that is marked `train` as a whole before its imports of the stack fail."""
    if MISSING and MARKED_MODULE.search(module_path.read_text(encoding="utf-8")):
        return SkippedModule.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips tests with the marker `train` in a base install, so that plain `pytest` works there."""
    if MISSING:
        for item in items:
            if item.get_closest_marker("train"):
                item.add_marker(pytest.mark.skip(reason=NEEDS_TRAIN))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the program remembers for a user, consent among it, is each test's own."""
    folder = tmp_path_factory.getbasetemp() / f"state-{uuid.uuid4().hex}"
    monkeypatch.setenv("TUI_LOOP_STATE", str(folder))
    monkeypatch.setenv("TUI_LOOP_ALLOWED_CODE", "")


@pytest.fixture(autouse=True, scope="session")
def _no_time_limits() -> Iterator[None]:
    """What stops at a time limit and leaves the rest for later is done whole on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        for limit in TIME_LIMITS:
            patch.setattr(f"tui_loop.core.{limit}", PATIENCE_SECONDS)
        yield


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[[str, Sequence[object]], Path]:
    """Writes objects as JSON lines to a file of that name."""

    def write(name: str, rows: Sequence[object]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs `tui-loop` as a user does: a process of its own, in the test's folder."""

    def run(
        *arguments: str, folder: Path | None = None, **extra: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1", **extra}
        return subprocess.run(
            [sys.executable, "-m", "tui_loop", *arguments],
            cwd=folder or tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run
