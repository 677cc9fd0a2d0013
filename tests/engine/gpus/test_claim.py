"""Which GPUs a run gets, which it never gets, and what it says of those that are in use."""

from __future__ import annotations

import os

import pytest

from tests.gpus.fake import Card, FakeGpus
from tui_loop.core.config.schema import Config, Run
from tui_loop.core.config.settings import with_settings
from tui_loop.core.errors import BadInput
from tui_loop.engine.gpus.claim import (
    GpuClaim,
    GpuRequest,
    NoneFree,
    checked_request,
    claim,
    claim_in_time,
    request_of,
    use_of,
)
from tui_loop.engine.gpus.listing import list_gpus

pytestmark = pytest.mark.train

ANY = GpuRequest()


def uuids(claimed: GpuClaim) -> list[str]:
    return [gpu.uuid for gpu in claimed.gpus]


def test_the_gpu_without_processes_comes_before_the_one_with_more_free_memory(
    gpus: FakeGpus,
) -> None:
    gpus.show(Card("GPU-a", processes=((1, 0.5),)), Card("GPU-b", used=9), Card("GPU-c", used=5))
    order = [uuids(claim(ANY, f"support/{number}")) for number in (1, 2, 3)]
    assert order == [["GPU-c"], ["GPU-b"], ["GPU-a"]]


def test_a_gpu_is_given_once_and_again_after_its_release(gpus: FakeGpus) -> None:
    gpus.show(1)
    first = claim(ANY, "support/1")
    with pytest.raises(NoneFree) as refused:
        claim(ANY, "support/2")
    first.release()
    first.release()
    assert uuids(claim(ANY, "support/2")) == ["GPU-0"]
    text = refused.value.message
    assert "no GPU is free: GPU 0: run support/1 of " in text
    assert f"(process {os.getpid()}, for 0s)" in text
    assert "run.gpu_wait" in refused.value.hint


def test_a_gpu_with_little_free_memory_is_not_free_and_its_users_are_named(gpus: FakeGpus) -> None:
    mine, gone = os.getppid(), 4_194_303
    gpus.show(Card("GPU-a", used=41, processes=((gone, 30), (mine, 11))))
    with pytest.raises(NoneFree) as refused:
        claim(ANY, "support/1")
    text = refused.value.message
    assert "GPU 0: 41.0 GiB of 80.0 GiB in use by process 4194303, " in text
    assert f" (process {mine})" in text
    gpus.show(Card("GPU-a", used=39, processes=((gone, 30), (mine, 9))))
    assert uuids(claim(ANY, "support/1")) == ["GPU-a"]


def test_the_memory_of_this_process_counts_as_free(gpus: FakeGpus) -> None:
    gpus.show(Card("GPU-a", used=60, processes=((os.getpid(), 55), (1, 5))))
    [gpu] = list_gpus()
    assert gpu.free_bytes == 75 * 2**30
    assert [each.pid for each in gpu.processes] == [1]
    assert uuids(claim(ANY, "support/1")) == ["GPU-a"]


def test_an_exclusive_gpu_takes_no_second_process(gpus: FakeGpus) -> None:
    gpus.show(Card("GPU-a", is_exclusive=True, processes=((1, 1),)))
    with pytest.raises(NoneFree, match=r"reserved for .*compute mode"):
        claim(ANY, "support/1")
    gpus.show(Card("GPU-a", is_exclusive=True))
    assert uuids(claim(ANY, "support/1")) == ["GPU-a"]


def test_several_gpus_are_claimed_all_or_not_at_all(gpus: FakeGpus) -> None:
    gpus.show(3)
    first = claim(GpuRequest(2), "support/1")
    assert uuids(first) == ["GPU-0", "GPU-1"]
    with pytest.raises(NoneFree, match=r"fewer than 2 GPUs are free: GPU 0: .*; GPU 1: "):
        claim(GpuRequest(2), "support/2")
    assert [use_of(gpu) for gpu in list_gpus()][2] == ""
    first.release()
    assert uuids(claim(GpuRequest(3), "support/3")) == ["GPU-0", "GPU-1", "GPU-2"]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (("2",), ["GPU-cc"]),
        (("GPU-b",), ["GPU-bb"]),
        (("gpu-bb", "0"), ["GPU-bb", "GPU-aa"]),
    ],
)
def test_a_gpu_is_named_by_its_index_or_the_start_of_its_uuid(
    gpus: FakeGpus, entries: tuple[str, ...], expected: list[str]
) -> None:
    gpus.show(Card("GPU-aa"), Card("GPU-bb"), Card("GPU-cc"))
    assert uuids(claim(GpuRequest(len(expected), entries), "support/1")) == expected


def test_a_gpu_that_is_named_twice_is_refused(gpus: FakeGpus) -> None:
    gpus.show(Card("GPU-aa"), Card("GPU-bb"))
    with pytest.raises(BadInput, match="twice"):
        claim(GpuRequest(2, ("1", "GPU-bb")), "support/1")


@pytest.mark.parametrize("entry", ["3", "GPU-", "GPU-x", "-1", "\x1b[2J"])
def test_a_name_that_fits_no_gpu_or_several_is_refused(gpus: FakeGpus, entry: str) -> None:
    gpus.show(Card("GPU-aa"), Card("GPU-bb"), Card("GPU-cc"))
    with pytest.raises(BadInput, match="this machine has no GPU") as refused:
        claim(GpuRequest(1, (entry,)), "support/1")
    assert not isinstance(refused.value, NoneFree)
    assert "0, 1, 2" in refused.value.hint
    assert "\x1b" not in refused.value.message


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ["GPU-0", "GPU-1", "GPU-2"]),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, ["GPU-2", "GPU-0"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1"}, ["GPU-1"]),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,0"}, ["GPU-1"]),
        ({"CUDA_VISIBLE_DEVICES": "7,1"}, ["GPU-1"]),
        ({"SLURM_JOB_GPUS": "0,2"}, ["GPU-0", "GPU-2"]),
        ({"SLURM_JOB_GPUS": "0,2", "SLURM_STEP_GPUS": "2"}, ["GPU-2"]),
        ({"SLURM_JOB_GPUS": "0,2", "CUDA_VISIBLE_DEVICES": "1"}, ["GPU-1"]),
    ],
)
def test_only_the_gpus_of_this_process_are_claimed(
    gpus: FakeGpus,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    expected: list[str],
) -> None:
    gpus.show(3)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert sorted(uuids(claim(GpuRequest(len(expected)), "support/1"))) == sorted(expected)
    with pytest.raises(
        BadInput, match=r"4 GPUs are wanted, but (this machine has|\S+ \S*.*allows)"
    ):
        claim(GpuRequest(4), "support/2")


def test_a_gpu_outside_the_share_is_refused_with_what_limits_it(
    gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus.show(3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    with pytest.raises(
        BadInput, match="GPU 1 is not available here: CUDA_VISIBLE_DEVICES allows only 0, 2"
    ):
        claim(GpuRequest(1, ("1",)), "support/1")


def test_a_process_that_is_fixed_to_a_gpu_claims_no_other(gpus: FakeGpus) -> None:
    gpus.show(2)
    fixed = [list_gpus()[1]]
    assert uuids(claim(ANY, "support/1", fixed)) == ["GPU-1"]
    with pytest.raises(NoneFree):
        claim(ANY, "support/2", fixed)


def test_a_wait_ends_with_the_first_free_gpu_and_announces_each_change_once(gpus: FakeGpus) -> None:
    gpus.show(Card("GPU-a", used=70, processes=((1, 70),)))
    announced: list[str] = []
    polls = 0

    def poll() -> None:
        nonlocal polls
        polls += 1
        gpus.show(Card("GPU-a", used=70 if polls < 2 else 50 if polls < 3 else 2))

    got = claim_in_time(
        ANY, "support/1", None, poll=poll, waits=lambda fault: announced.append(str(fault))
    )
    assert uuids(got) == ["GPU-a"]
    assert len(announced) == 2, "other figures alone are no news"
    assert "NVML does not show" in announced[1]


def test_a_wait_without_time_refuses_at_once(gpus: FakeGpus) -> None:
    gpus.show(Card("GPU-a", used=70))
    polls: list[int] = []
    with pytest.raises(NoneFree):
        claim_in_time(ANY, "a/1", 0, poll=lambda: polls.append(1), waits=lambda _: None)
    assert polls == []
    with pytest.raises(NoneFree):
        claim_in_time(ANY, "a/1", 0.001, poll=lambda: polls.append(1), waits=lambda _: None)
    assert polls == [1]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], GpuRequest(1)),
        (["run.device=cuda"], GpuRequest(1)),
        (["run.device=cpu"], None),
        (["run.device=mps"], None),
        (["run.gpus=3"], GpuRequest(3)),
        (["run.device=cuda:1"], GpuRequest(1, ("1",))),
        (['run.gpus=[1,"GPU-a"]'], GpuRequest(2, ("1", "GPU-a"))),
    ],
)
def test_the_config_says_which_gpus_a_run_wants(
    settings: list[str], expected: GpuRequest | None
) -> None:
    assert request_of(with_settings(Config(), settings).run) == expected


def test_without_gpus_a_run_claims_none_unless_it_asks_for_some(
    gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus.show(0)
    assert checked_request(Run()) is None
    with pytest.raises(BadInput, match="no NVIDIA GPU"):
        checked_request(Run(gpus=1))
    monkeypatch.delenv("FAKE_NVML")
    assert checked_request(Run()) is None
    with pytest.raises(BadInput, match="no NVIDIA driver is loaded"):
        checked_request(Run(gpus=1))


def test_a_run_to_which_no_gpu_is_visible_claims_none(
    gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus.show(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert checked_request(Run()) is None
    assert checked_request(Run(gpus=[0])) == GpuRequest(1, ("0",))
    with pytest.raises(BadInput, match="CUDA_VISIBLE_DEVICES allows none"):
        claim(GpuRequest(1, ("0",)), "support/1")
