"""The GPUs of a run as NVML shows them: which ones, their values, and faults."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.gpus.nvml import GIB, FakeNvml, Gpu, installed
from tui_loop.core.record.system_metrics import sample_of
from tui_loop.engine.gpus.readings import Gpus, gpu_ids
from tui_loop.engine.gpus.share import visible_id


@pytest.mark.parametrize(
    ("visible", "index", "name"),
    [
        (None, 1, "1"),
        ("", 0, None),
        ("3", 0, "3"),
        ("3", 1, None),
        (" 2 , GPU-ab ,0", 1, "GPU-ab"),
        ("MIG-1f", 0, "MIG-1f"),
        ("1,-1,0", 1, None),  # CUDA ignores all after an entry that is no GPU
        ("1,-1,0", 0, "1"),
        ("NoDevFiles", 0, None),
    ],
)
def test_the_gpu_of_a_run_follows_cuda_visible_devices(
    visible: str | None, index: int, name: str | None
) -> None:
    assert visible_id(index, visible) == name


def test_every_value_of_two_gpus_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(
        monkeypatch,
        Gpu("GPU-a"),
        Gpu("GPU-b", use=7, used=GIB, heat=91, power=99_960, reasons=0x4C),
    )
    notes: list[str] = []
    values = Gpus(["1", "GPU-a"], notes.append).read()
    hot, other = sample_of(values).gpus
    assert (hot.util_percent, hot.memory_used_bytes, hot.memory_total_bytes) == (7, GIB, 80 * GIB)
    assert (hot.temperature_c, hot.power_w) == (91, 100.0)
    assert (hot.thermal_slowdown, hot.power_slowdown, hot.power_capped) == (True, False, True)
    assert (other.util_percent, other.power_w, other.is_throttled) == (90, 300.5, False)
    assert len(values) == 16
    assert notes == []


@pytest.mark.parametrize(
    ("reasons", "flags"),
    [
        (0x0, (False, False, False)),
        (0x1, (False, False, False)),  # idle
        (0x4, (False, False, True)),
        (0x20, (True, False, False)),
        (0x48, (True, False, False)),
        (0x88, (False, True, False)),
        (0x8, (False, True, False)),
        (0xE8, (True, True, False)),
    ],
)
def test_lowered_clocks_have_their_reason(
    monkeypatch: pytest.MonkeyPatch, reasons: int, flags: tuple[bool, ...]
) -> None:
    installed(monkeypatch, Gpu("GPU-a", reasons=reasons))
    (gpu,) = sample_of(Gpus(["0"], pytest.fail).read()).gpus
    assert (gpu.thermal_slowdown, gpu.power_slowdown, gpu.power_capped) == flags


def test_an_old_driver_has_the_reasons_under_their_old_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = installed(monkeypatch, Gpu("GPU-a", reasons=0x20))
    fake.faults["nvmlDeviceGetCurrentClocksEventReasons"] = fake.NVML_ERROR_FUNCTION_NOT_FOUND
    assert Gpus(["0"], pytest.fail).read()["gpu0.thermal_slowdown"] == 1.0


def test_values_that_a_gpu_lacks_are_left_out_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = installed(monkeypatch, Gpu("GPU-a"))
    fake.faults = {
        "nvmlDeviceGetPowerUsage": fake.NVML_ERROR_NOT_SUPPORTED,
        "nvmlDeviceGetUtilizationRates": fake.NVML_ERROR_NO_PERMISSION,
        "nvmlDeviceGetMemoryInfo": fake.NVML_ERROR_NOT_SUPPORTED,
        "nvmlDeviceGetCurrentClocksEventReasons": fake.NVML_ERROR_NOT_SUPPORTED,
        "nvmlDeviceGetCurrentClocksThrottleReasons": fake.NVML_ERROR_NOT_SUPPORTED,
    }
    assert Gpus(["0"], pytest.fail).read() == {"gpu0.temperature_c": 60.0}


def test_a_lost_gpu_is_noted_once_and_the_other_is_still_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = installed(monkeypatch, Gpu("GPU-a"), Gpu("GPU-b"))
    notes: list[str] = []
    gpus = Gpus(["0", "1"], notes.append)
    assert len(sample_of(gpus.read()).gpus) == 2
    fake.faults["nvmlDeviceGetTemperature 0"] = fake.NVML_ERROR_GPU_IS_LOST
    for _ in range(2):
        assert [each.index for each in sample_of(gpus.read()).gpus] == [1]
    assert notes == ["metrics of GPU 0 are no longer recorded: NVML error 15"]


def test_slices_and_unknown_gpus_are_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed(monkeypatch, Gpu("GPU-a"))
    notes: list[str] = []
    assert Gpus(["MIG-1f", "GPU-x", "7"], notes.append).read() == {}
    assert notes == [
        "GPU 0 is a MIG slice, whose utilization cannot be read",
        "metrics of GPU 1 are not recorded: NVML error 6",
        "metrics of GPU 2 are not recorded: NVML error 6",
    ]


class Torch(SimpleNamespace):
    """What `gpu_ids` reads of torch, whose CUDA this machine does not have."""

    def __init__(self, cuda: str | None, uuid: str | None) -> None:
        def properties(_: int) -> Any:
            if uuid is None:
                raise RuntimeError("no CUDA")
            return SimpleNamespace(uuid=uuid)

        super().__init__(
            version=SimpleNamespace(cuda=cuda),
            cuda=SimpleNamespace(get_device_properties=properties),
        )


def device(kind: str, index: int | None = None) -> Any:
    return SimpleNamespace(type=kind, index=index)


@pytest.mark.parametrize(
    ("visible", "torch", "ids"),
    [
        ("1", Torch("13.0", "ab-12"), ["GPU-ab-12"]),
        ("GPU-ab", Torch("13.0", "GPU-ab-12"), ["GPU-ab-12"]),
        ("1", Torch("13.0", None), ["1"]),
        ("MIG-1f", Torch("13.0", "ab-12"), ["MIG-1f"]),
        ("", Torch("13.0", "ab-12"), []),
        ("0", Torch(None, "ab-12"), []),  # ROCm
    ],
)
def test_a_gpu_is_known_by_its_uuid_where_torch_has_one(
    monkeypatch: pytest.MonkeyPatch, visible: str, torch: Torch, ids: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert gpu_ids(device("cuda")) == ids
    assert gpu_ids(device("cpu")) == gpu_ids(device("mps")) == []


@pytest.mark.train
def test_the_fake_has_the_functions_and_numbers_of_the_real_module() -> None:
    import pynvml

    fake = FakeNvml()
    names = [name for name in dir(fake) if name.startswith(("nvml", "NVML"))]
    assert len(names) > 15
    for name in names:
        real, own = getattr(pynvml, name), getattr(fake, name)
        assert callable(real) if callable(own) else real == own, name
