"""The wheel without any extra, in an environment of its own, away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

pytestmark = pytest.mark.slow

LIMIT_BYTES = 44 * 1024 * 1024


def run(*command: str, folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def reviewer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the built wheel and nothing else; gives its `tui-loop`."""
    folder = tmp_path_factory.mktemp("reviewer")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", "--quiet", "--no-deps", "-w", str(folder), str(CHECKOUT), folder=folder)
    wheel = next(folder.glob("*.whl"))
    run(sys.executable, "-m", "venv", "venv", folder=folder)
    empty = size_of(folder / "venv")
    run(
        str(folder / "venv/bin/python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-c",
        str(CHECKOUT / "constraints.txt"),
        str(wheel),
        folder=folder,
    )
    (folder / "grown").write_text(str(size_of(folder / "venv") - empty))
    return folder


def test_it_stays_small_and_brings_no_numpy(reviewer: Path) -> None:
    assert int((reviewer / "grown").read_text()) < LIMIT_BYTES
    packages = run(str(reviewer / "venv/bin/python"), "-m", "pip", "list", folder=reviewer).lower()
    for heavy in ("torch", "numpy", "transformers", "datasets"):
        assert f"\n{heavy} " not in packages


def test_the_recorded_loop_and_the_data_travel_in_the_wheel(reviewer: Path) -> None:
    tui_loop = str(reviewer / "venv/bin/tui-loop")
    shown = json.loads(run(tui_loop, "demo", "--dir", "d", "--json", folder=reviewer))
    assert len(shown["iterations"]) >= 5
    again = run(
        tui_loop, "--loops", "d/loops", "show", "support-intents", "--json", folder=reviewer
    )
    assert json.loads(again) == shown
    failures = run(tui_loop, "--loops", "d/loops", "failures", "support-intents/1", folder=reviewer)
    assert "fail" in failures
    loop, one = "support-intents", "support-intents/1"
    for words in (["diagnose", one], ["patterns"], ["ready", one, "--no-look"], ["progress", loop]):
        told = json.loads(run(tui_loop, "--loops", "d/loops", *words, "--json", folder=reviewer))
        assert told
    report = run(tui_loop, "--loops", "d/loops", "report", loop, "-o", "-", folder=reviewer)
    assert loop in report
    code = "from tui_loop.core.shipped import shipped; print(shipped('sample_data', 'tiny-base'))"
    tiny = Path(run(str(reviewer / "venv/bin/python"), "-c", code, folder=reviewer).strip())
    assert tiny.is_relative_to(reviewer)
    assert (tiny / "model.safetensors").exists()


def test_training_says_what_to_install(reviewer: Path) -> None:
    done = subprocess.run(
        [str(reviewer / "venv/bin/tui-loop"), "demo", "--headless"],
        cwd=reviewer,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5
    assert 'pip install "tui-loop[train]"' in done.stderr
    assert "Traceback" not in done.stderr
