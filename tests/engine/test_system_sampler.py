"""The machine is sampled while a run works: into its journal, and never after its end."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.engine.conftest import TinyLoop
from tests.engine.gpus.nvml import Gpu, installed
from tests.waiting import PATIENCE_SECONDS, wait_until
from tui_loop.core.record.events import LineLogged, RunEnded, RunStarted, SystemSampled
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.requests import send_request
from tui_loop.core.record.system_metrics import sample_of
from tui_loop.engine import system_sampler
from tui_loop.engine.run_host import RunHost
from tui_loop.engine.system_sampler import SystemSampler

CUDA = SimpleNamespace(type="cuda", index=None)


@pytest.fixture
def folder(tmp_path: Path) -> IterationFolder:
    made = LoopFolder(tmp_path / "loops" / "a").iteration(1)
    made.path.mkdir(parents=True)
    return made


@pytest.fixture
def journal(folder: IterationFolder) -> Iterator[Journal]:
    made = Journal(folder.journal)
    yield made
    made.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples every 20 ms, from the start."""
    monkeypatch.setattr(system_sampler, "SAMPLE_SECONDS", 0.02)
    monkeypatch.setattr(system_sampler, "FIRST_SECONDS", 0.0)


@pytest.fixture
def gpu_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes GPU 0 that of the run, without torch."""
    monkeypatch.setattr(system_sampler, "gpu_ids", lambda _: ["0"])


def samples(folder: IterationFolder) -> list[dict[str, float]]:
    events = Follower(folder.journal).read_all()
    return [dict(each.values) for each in events if isinstance(each, SystemSampled)]


def notes(folder: IterationFolder) -> list[str]:
    events = Follower(folder.journal).read_all()
    return [each.text for each in events if isinstance(each, LineLogged)]


def test_a_sample_has_the_real_values_of_this_machine(
    folder: IterationFolder, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    monkeypatch.setattr(system_sampler, "FIRST_SECONDS", 0.45)
    with SystemSampler(journal, folder):
        wait_until(lambda: samples(folder), "samples")
    first = sample_of(samples(folder)[0])
    assert first.memory_total_bytes == psutil.virtual_memory().total
    assert first.cpu_percent is not None
    assert 0 <= first.cpu_percent <= 100
    assert first.process_cpu_percent is not None
    assert 0 <= first.process_cpu_percent <= 100 * psutil.cpu_count() + 50
    assert first.rss_bytes is not None
    assert 10 * 2**20 < first.rss_bytes < first.memory_total_bytes
    assert first.memory_used_bytes is not None
    assert 0 < first.memory_used_bytes < first.memory_total_bytes
    assert first.disk_free_bytes is not None
    assert first.disk_free_bytes > 0
    assert first.swap_used_bytes is not None
    assert first.gpus == ()
    assert notes(folder) == []


def test_the_last_sample_comes_at_the_end_and_none_after_it(
    folder: IterationFolder, journal: Journal
) -> None:
    with SystemSampler(journal, folder):
        pass
    assert len(samples(folder)) == 1
    assert "cpu_percent" not in samples(folder)[0]  # the time was too short for a mean
    assert not [each for each in threading.enumerate() if each.name == "system"]


@pytest.mark.usefixtures("quick", "gpu_of_the_run")
def test_a_gpu_is_sampled_once_the_run_uses_it(
    folder: IterationFolder, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = installed(monkeypatch, Gpu("GPU-a", use=55))
    with SystemSampler(journal, folder) as sampler:
        wait_until(lambda: len(samples(folder)) > 1, "samples")
        assert fake.calls == []
        sampler.note_device(CUDA)
        wait_until(lambda: "gpu0.util_percent" in samples(folder)[-1], "samples")
    assert samples(folder)[-1]["gpu0.util_percent"] == 55.0
    assert fake.calls[-1] == "nvmlShutdown"
    assert notes(folder) == []


@pytest.mark.usefixtures("quick", "gpu_of_the_run")
def test_without_a_driver_the_rest_is_sampled_and_the_log_says_so_once(
    folder: IterationFolder, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = installed(monkeypatch)
    fake.faults["nvmlInit"] = fake.NVML_ERROR_LIBRARY_NOT_FOUND
    with SystemSampler(journal, folder) as sampler:
        sampler.note_device(CUDA)
        wait_until(lambda: len(samples(folder)) > 3, "samples")
    assert notes(folder) == ["GPU metrics are not recorded: NVML error 12"]
    assert fake.calls == ["nvmlInit"]
    assert all("rss_bytes" in each for each in samples(folder))


@pytest.mark.usefixtures("quick", "gpu_of_the_run")
def test_without_pynvml_the_log_says_so(
    folder: IterationFolder, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # what `import` does without a package
    with SystemSampler(journal, folder) as sampler:
        sampler.note_device(CUDA)
        wait_until(lambda: len(samples(folder)) > 2, "samples")
    (text,) = notes(folder)
    assert text.startswith("GPU metrics are not recorded: ")
    assert "pynvml" in text


@pytest.mark.train
@pytest.mark.usefixtures("quick", "gpu_of_the_run")
def test_the_real_nvml_gives_values_or_the_reason_why_not(
    folder: IterationFolder, journal: Journal
) -> None:
    with SystemSampler(journal, folder) as sampler:
        sampler.note_device(CUDA)
        wait_until(lambda: len(samples(folder)) > 2, "samples")
    has_values = any(name.startswith("gpu0.") for name in samples(folder)[-1])
    assert has_values != bool(notes(folder))


@pytest.mark.usefixtures("quick", "gpu_of_the_run")
def test_a_slow_gpu_is_left_out(
    folder: IterationFolder, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, Gpu("GPU-a"))
    monkeypatch.setattr(system_sampler, "SLOW_SECONDS", -1.0)  # as if each reading took longer
    with SystemSampler(journal, folder) as sampler:
        sampler.note_device(CUDA)
        wait_until(lambda: len(samples(folder)) > 2, "samples")
    assert notes(folder) == ["GPU metrics are not recorded: NVML took 0 s"]
    assert not any("gpu0.util_percent" in each for each in samples(folder))


@pytest.mark.usefixtures("quick", "gpu_of_the_run")
def test_a_reading_that_hangs_does_not_hold_up_the_end_and_writes_nothing_after_it(
    folder: IterationFolder, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = installed(monkeypatch, Gpu("GPU-a"))
    fake.hanging = "nvmlDeviceGetMemoryInfo"
    monkeypatch.setattr(system_sampler, "END_SECONDS", 0.05)
    with SystemSampler(journal, folder) as sampler:
        sampler.note_device(CUDA)
        assert fake.reached.wait(PATIENCE_SECONDS)
    journal.append(RunEnded(state="finished"))
    (thread,) = [each for each in threading.enumerate() if each.name == "system"]
    fake.release.set()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    events = Follower(folder.journal).read_all()
    assert isinstance(events[-1], RunEnded)
    assert notes(folder) == ["system metrics ended early: a hardware query hung"]


@pytest.mark.usefixtures("quick")
def test_what_cannot_be_read_is_absent_and_noted_once(
    folder: IterationFolder, journal: Journal
) -> None:
    folder.path = folder.path / "gone"
    with SystemSampler(journal, folder):
        wait_until(lambda: len(samples(journal_folder(journal))) > 3, "samples")
    seen = samples(journal_folder(journal))
    assert all("disk_free_bytes" not in each and "rss_bytes" in each for each in seen)
    (text,) = notes(journal_folder(journal))
    assert text.startswith("metrics of disk are not recorded: FileNotFoundError: ")


def journal_folder(journal: Journal) -> IterationFolder:
    return LoopFolder(journal.path.parent.parent).iteration(1)


def test_a_sampler_imports_no_nvml_before_it_needs_it(folder: IterationFolder) -> None:
    code = (
        "import sys, pathlib\n"
        "import tui_loop.cli.main, tui_loop.engine.host\n"
        "from tui_loop.core.record.folders import LoopFolder\n"
        "from tui_loop.core.record.journal import Journal\n"
        "from tui_loop.engine.system_sampler import SystemSampler\n"
        "folder = LoopFolder(pathlib.Path(sys.argv[1])).iteration(1)\n"
        "with SystemSampler(Journal(folder.journal), folder):\n"
        "    pass\n"
        "sys.exit('pynvml' in sys.modules)\n"
    )
    command = [sys.executable, "-P", "-c", code, str(folder.path.parent)]
    done = subprocess.run(command, check=False, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0
    assert len(samples(folder)) == 1


@pytest.mark.train
@pytest.mark.slow
def test_a_real_run_has_samples_of_every_phase(
    tiny_loop: Callable[..., TinyLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_sampler, "SAMPLE_SECONDS", 0.05)
    tiny = tiny_loop()
    number = tiny.plan("max_steps=12")
    assert tiny.run_number(number).state == "finished"
    folder = tiny.loop.iteration(number)
    events = Follower(folder.journal).read_all()
    kinds = [type(each) for each in events]
    assert kinds[0] is RunStarted
    assert kinds[-2:] == [SystemSampled, RunEnded]
    run = read_run(folder)
    assert (run.missing, run.unknown) == (0, 0)
    assert any(each.is_training and each.step > 1 for each in run.system)
    steps = [each.step for each in run.system]
    assert steps == sorted(steps)
    assert steps[-1] == 12
    assert all(each.values["rss_bytes"] > 2**20 for each in run.system)
    assert any(each.values.get("process_cpu_percent", 0.0) > 20 for each in run.system)


@pytest.mark.train
@pytest.mark.slow
def test_a_paused_run_is_still_sampled(
    tiny_loop: Callable[..., TinyLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_sampler, "SAMPLE_SECONDS", 0.05)
    tiny = tiny_loop()
    number = tiny.plan("max_steps=500", "eval_steps=0")
    folder = tiny.loop.iteration(number)
    host = threading.Thread(target=RunHost(folder, runner="thread").run)
    host.start()
    wait_until(lambda: read_run(folder).step > 0, "a step")
    send_request(folder, "pause")
    wait_until(lambda: read_run(folder).is_paused, "a pause")
    before = len(read_run(folder).system)
    wait_until(lambda: len(read_run(folder).system) > before + 2, "samples")
    assert not read_run(folder).system[-1].is_training
    send_request(folder, "stop", save=False)
    host.join(PATIENCE_SECONDS)
    assert not host.is_alive()
