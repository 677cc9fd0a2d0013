"""What a run derived beyond its config, for the record: versions, device, lengths, labels."""

from __future__ import annotations

from typing import Any

from tui_loop import __version__
from tui_loop.engine.extras import installed_versions
from tui_loop.engine.run_context import Prepared, Run


def record_effective(run: Run, effective: dict[str, Any]) -> None:
    """Puts what the run derived into its `config.toml`."""
    run.folder.write_config(run.config, run.folder.read_splits(), effective)


def effective_of(run: Run, prepared: Prepared) -> dict[str, Any]:
    """What the run derived, beyond the config, for the record."""
    import torch

    return {
        "versions": {"tui-loop": __version__, **installed_versions()},
        "device": str(prepared.loaded.device),
        "dtype": str(prepared.loaded.dtype).removeprefix("torch."),
        "cpu_threads": torch.get_num_threads(),
        "shape": prepared.data.mapping.shape,
        "columns": prepared.data.mapping.columns,
        "chat_template": prepared.renderer.template_hash,
        "evaluation": {
            "max_length": prepared.eval_set.max_length,
            "max_new_tokens": prepared.eval_set.max_new_tokens,
            "labels": prepared.data.labels,
        },
    }
