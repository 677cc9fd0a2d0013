"""Metrics: their order, names and units, and which of them smoothing applies to."""

from __future__ import annotations

import pytest

from tui_loop.core.plot.metrics import (
    drawn_scale,
    evaluated_name,
    is_smoothed,
    metric_label,
    metric_names,
    metric_text,
)


@pytest.mark.parametrize(
    "metric",
    [
        *("loss", "train_loss", "grad_norm", "mean_token_accuracy", "entropy", "aux_loss"),
        *("rewards/margins", "rewards/accuracies", "logps/chosen", "kl", "perplexity"),
    ],
)
def test_noisy_metrics_are_smoothed(metric: str) -> None:
    assert is_smoothed(metric)


@pytest.mark.parametrize(
    "metric",
    [
        *("learning_rate", "lr", "num_tokens", "epoch", "total_flos", "num_loss_tokens"),
        *("loss_scale", "tokens_per_second", "loss_tokens_per_second", "memory/peak"),
        *("completions/mean_length", "step_time", "cpu_percent", "zeta", "", "a\x1b[31m"),
    ],
)
def test_rates_counts_and_unknown_metrics_are_not_smoothed(metric: str) -> None:
    assert not is_smoothed(metric)


def test_the_loss_comes_first_each_evaluation_after_its_metric_and_the_machine_last() -> None:
    logged = ["num_tokens", "grad_norm", "zeta", "alpha", "loss"]
    system = ["rss_bytes", "gpu10.power_w", "gpu2.power_w", "loss"]
    assert metric_names(logged, ["eval_loss", "score", "eval_alpha"], system) == [
        *("loss", "eval_loss", "score", "grad_norm", "alpha", "eval_alpha", "zeta", "num_tokens"),
        *("gpu2.power_w", "gpu10.power_w", "rss_bytes"),
    ]


def test_a_metric_has_one_name_in_evaluations() -> None:
    assert evaluated_name("loss", ["score", "eval_loss"]) == "eval_loss"
    assert evaluated_name("eval_loss", ["score", "eval_loss"]) == "eval_loss"
    assert evaluated_name("score", ["score", "eval_loss"]) == "score"
    assert evaluated_name("grad_norm", ["eval_loss"]) is None


@pytest.mark.parametrize(
    ("metric", "recorded", "label", "text"),
    [
        ("grad_norm", 0.8213, "grad norm", "0.821"),
        ("score", 0.705, "score", "70%"),
        ("score", 7.05, "score", "7.050"),
        ("learning_rate", 7.4e-5, "learning rate", "7.4e-5"),
        ("gpu0.util_percent", 96.0, "GPU 0 use", "96%"),
        ("gpu0.memory_used_bytes", 61 * 2.0**30, "GPU 0 memory in use", "61 GiB"),
        ("gpu1.temperature_c", 71.0, "GPU 1 temperature", "71 °C"),
        ("rank_c", 2.0, "rank c", "2.000"),
        ("loss", float("nan"), "loss", "nan"),
        ("a\x1b[31m\u202e", 1.0, "a␛[31m<U+202E>", "1.000"),
        ("", 1.0, "(no name)", "1.000"),
    ],
)
def test_a_metric_has_a_name_and_values_have_a_unit(
    metric: str, recorded: float, label: str, text: str
) -> None:
    assert metric_label(metric) == label
    assert metric_text(metric, recorded * drawn_scale(metric)) == text
