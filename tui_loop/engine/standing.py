"""What an iteration stands at after an attempt, its earlier ones counted in."""

from __future__ import annotations

import msgspec

from tui_loop.engine.run import Outcome


def standing(
    now: Outcome,
    earlier: Outcome,
    *,
    has_adapter: bool,
    from_step: int = 0,
    trained_before: float = 0.0,
) -> Outcome:
    """The outcome of an iteration whose attempt came to `now`, after what it had `earlier`.

    `weights_step` is the step of the weights that are measured, else of those that are saved, None
    without either. Where saved ones are of another step, `adapter_step` says which. The seconds
    `trained_before` count as training where the attempt went on `from_step`.
    """
    if not now.has_begun:
        return earlier
    metrics = dict(now.metrics)
    saved = now.saved_step
    if saved is None and has_adapter:
        saved = earlier.metrics.get("adapter_step", earlier.metrics.get("weights_step"))
    if "eval_runtime" not in metrics:  # nothing was measured
        metrics["weights_step"] = saved
    elif has_adapter and saved != metrics["weights_step"]:
        metrics["adapter_step"] = saved
    if from_step:
        own = metrics.get("train_runtime")
        if own is None and metrics.get("steps") == from_step:  # nothing was left to train
            own = 0.0
        metrics["train_runtime"] = None if own is None else round(trained_before + own, 4)
    return msgspec.structs.replace(now, metrics=metrics)
