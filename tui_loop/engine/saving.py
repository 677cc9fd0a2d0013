"""Writing `adapter/`: the very weights that are evaluated."""

from __future__ import annotations

import json
import shutil

from tui_loop.core.record import codec
from tui_loop.core.record.files import write_atomically
from tui_loop.engine.control import StopAsked
from tui_loop.engine.run import Run
from tui_loop.engine.training import BEST_WEIGHTS, LoopTrainer


def save_weights(run: Run, trainer: LoopTrainer) -> None:
    """Replaces the iteration's `adapter/`; raises OSError, and then an earlier one stands."""
    folder = run.folder
    temporary = folder.path / ".adapter.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with run.control.saving():
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(str(temporary))
        if run.control.is_given_up:  # the run has ended, and another attempt may have begun
            raise StopAsked
        (temporary / "README.md").unlink(missing_ok=True)
        adapter_config = temporary / "adapter_config.json"
        if adapter_config.exists():  # names the base by its id, not by where this machine keeps it
            values = json.loads(adapter_config.read_text())
            values["base_model_name_or_path"] = run.config.model.id
            write_atomically(adapter_config, codec.to_pretty_json(values))
        shutil.rmtree(folder.adapter, ignore_errors=True)
        temporary.rename(folder.adapter)
    except Exception as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) or "SafetensorError" not in type(error).__name__:
            raise
        raise OSError(f"the weights could not be written: {error}") from error
    run.outcome.saved_step = run.outcome.metrics["weights_step"]
    (folder.checkpoints / BEST_WEIGHTS).unlink(missing_ok=True)
