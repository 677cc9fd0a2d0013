"""What a launcher left in the environment: dropped in every home of a run, and recorded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.runs import MakeLoop, told
from tui_loop.core.record.reader import iteration_of
from tui_loop.engine import launch
from tui_loop.engine.launch import drop_launcher_variables, dropped_names, original_environment
from tui_loop.engine.run_host import RunHost

pytestmark = pytest.mark.train

LEFT_BEHIND = {
    "WORLD_SIZE": "2",
    "RANK": "0",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29511",
    "OMPI_COMM_WORLD_SIZE": "2",
    "PMI_SIZE": "2",
    "MV2_COMM_WORLD_SIZE": "2",
    "ACCELERATE_MIXED_PRECISION": "bf16",
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "TORCHELASTIC_RUN_ID": "none",
}


@pytest.fixture
def left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_dropped", {})
    monkeypatch.setattr(launch, "_replaced", {})
    for name, value in LEFT_BEHIND.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("left_behind")
def test_only_what_a_launcher_sets_is_dropped_and_a_child_process_can_still_see_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {
        "SLURM_PROCID": "1",
        "OMPI_MCA_btl": "self",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "NCCL_DEBUG": "INFO",
        "OMP_NUM_THREADS": "4",
    }
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    drop_launcher_variables()
    assert dropped_names() == sorted(LEFT_BEHIND)
    assert dict(os.environ) == {k: v for k, v in before.items() if k not in LEFT_BEHIND}
    assert original_environment() == before
    drop_launcher_variables()
    assert dropped_names() == sorted(LEFT_BEHIND)


@pytest.mark.slow
@pytest.mark.usefixtures("left_behind")
def test_a_run_in_the_apps_process_is_one_process_and_names_what_it_ignored(
    tiny_loop: MakeLoop,
) -> None:
    loop = tiny_loop(training={"max_steps": 1, "eval_steps": 0})
    folder = loop.loop.existing(loop.plan())
    assert RunHost(folder, runner="thread").run() == "finished"
    assert f"variables of a launcher are ignored: {', '.join(sorted(LEFT_BEHIND))};" in (
        told(folder)
    )


@pytest.mark.slow
def test_a_run_in_a_process_of_its_own_does_not_wait_for_other_ranks(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop(training={"max_steps": 1, "eval_steps": 0})
    folder = loop.loop.existing(loop.plan())
    command = [sys.executable, "-m", "tui_loop.engine.host", str(loop.loop.path), "1"]
    environment = {**os.environ, **LEFT_BEHIND}
    assert subprocess.run(command, env=environment, timeout=300, check=False).returncode == 0
    assert iteration_of(folder).state == "finished"
    assert "environment variables of a launcher are ignored" in told(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "arguments"), [("inference_server", "1"), ("holdout_evaluation", "1")]
)
def test_processes_that_load_models_drop_the_variables_before_anything_else(
    tmp_path: Path, module: str, arguments: str
) -> None:
    program = (
        "import os, sys, contextlib\n"
        f"from tui_loop.engine.{module} import main\n"
        "with contextlib.suppress(BaseException):\n"
        "    main(sys.argv[1:])\n"
        "print(sorted(set(os.environ) & set(os.environ['NAMES'].split())), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "none"), arguments],
        env={**os.environ, **LEFT_BEHIND, "NAMES": " ".join(LEFT_BEHIND)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "[]"
