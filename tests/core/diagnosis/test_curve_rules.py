"""Findings on training curves, the fit and the setup, on curves that are written for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.diagnosis.written import Written, asked
from tui_loop.core.audit.structs import Moved, WeightsAudit
from tui_loop.core.diagnosis.advice.capacity import smaller_batches
from tui_loop.core.diagnosis.advice.lengths import less_memory
from tui_loop.core.diagnosis.diagnose import SETTING_RULES, TRAINING_RULES, Rule
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.rules import (
    evaluation_set,
    generalization,
    learning_rate,
    run_health,
    settings,
)
from tui_loop.core.diagnosis.rules.common import has_much_left

ROWS = asked(60)
FLAT = [0.3] * 60
FLAT_HIGH = [1.2] * 60
SIZES = {"q_proj": 0.4, "k_proj": 5.0, "v_proj": 9.0}
FALLING = [3.0 * 0.95**n for n in range(60)]

MakeRun = Callable[..., IterationFacts]


@pytest.fixture
def run(tmp_path: Path) -> MakeRun:
    """Writes a base and one iteration with curves; its case (`Written.trained`)."""
    written = Written(tmp_path)
    written.base(ROWS, loss=5.0)

    def make(losses: Sequence[float] = FLAT, *settings: str, **more: Any) -> IterationFacts:
        return written.trained(ROWS, losses, *settings, **{"wrong": 5, **more})

    return make


def one(rule: Rule, case: IterationFacts) -> Finding:
    [found] = list(rule(case))
    return found


def none(rule: Rule, case: IterationFacts) -> bool:
    return not list(rule(case))


def test_a_steady_run_has_nothing_odd_about_its_training(run: MakeRun) -> None:
    case = run(FALLING, evals={20: 1.0, 40: 0.5, 60: 0.45})
    for rule in (*TRAINING_RULES, *SETTING_RULES):
        assert none(rule, case), rule


def test_a_gradient_of_exactly_nothing_is_told(run: MakeRun) -> None:
    found = one(run_health.nothing_trained, run(FLAT, grads=[0.0] * 60))
    assert found.severity == "alarm"
    assert "exactly 0 in 60 of 60 logged steps" in found.message


def test_losses_that_are_all_the_base_s_show_that_nothing_moved(
    tmp_path: Path,
) -> None:
    written = Written(tmp_path)
    written.base(ROWS, loss=5.0)
    same = written.loop.iteration(0).read_examples()
    written.add(same, "learning_rate=1e-30")
    found = one(run_health.nothing_trained, written.case())
    assert "on each of the 60 held-out rows, the loss differs from the base model's by less" in (
        found.message
    )
    assert none(learning_rate.learning_rate_too_low, written.case())
    written.add([msgspec.structs.replace(same[0], loss=4.998), *same[1:]])
    assert none(run_health.nothing_trained, written.case())


def test_a_loss_on_long_prompts_is_told_to_be_diluted(run: MakeRun) -> None:
    found = one(settings.diluted_loss, run(FLAT, "data.train_on=all", tokens_a_row=50))
    assert "only about 2 of 50 tokens per row belong to answers" in found.message
    assert none(settings.diluted_loss, run(FLAT, "data.train_on=all", tokens_a_row=8))
    assert none(settings.diluted_loss, run(FLAT, "data.train_on=assistant", tokens_a_row=50))


def test_a_loss_that_jumps_again_and_again_is_unsteady_a_single_hard_batch_is_not(
    run: MakeRun,
) -> None:
    jumping = [3.0 if n % 15 == 14 else 0.4 for n in range(60)]
    found = one(run_health.unstable, run(jumping, "max_grad_norm=0"))
    assert "jumped up 4 times, to as much as 3.000 at step 15" in found.message
    assert found.message.endswith("and gradients were not clipped")
    assert found.steps == (15, 30, 45, 60)
    assert none(run_health.unstable, run([*FLAT[:30], 3.0, *FLAT[31:]]))


def test_a_loss_that_rises_for_good_is_unsteady(run: MakeRun) -> None:
    risen = [*FALLING[:35], *([1.3] * 25)]
    found = one(run_health.unstable, run(risen))
    assert "after step 38 the training loss rose again, from about 0.628 to 1.300" in found.message
    assert none(run_health.unstable, run([*([0.5] * 30), *([0.6] * 30)]))


def test_both_losses_that_rise_are_no_overfitting_but_unsteady(run: MakeRun) -> None:
    case = run([*([0.7] * 30), *([0.8] * 30)], evals={20: 0.8, 40: 0.9, 60: 1.3})
    found = one(run_health.unstable, case)
    assert "after step 20 the eval loss rose from 0.800 to 1.300, and the training loss" in (
        found.message
    )
    assert none(generalization.overfitting, case)
    assert none(run_health.unstable, run(FALLING, evals={20: 0.8, 40: 0.9, 60: 1.3}))


def test_logs_that_are_not_finite_are_unsteady(run: MakeRun) -> None:
    grads = [1.0] * 60
    grads[9] = float("inf")
    found = one(run_health.unstable, run(FLAT, grads=grads))
    assert "NaN or infinite values were logged at 1 step, first at step 10" in found.message


def test_a_run_that_ran_out_of_memory_is_told_with_what_takes_less(run: MakeRun) -> None:
    error = {"kind": "oom", "message": "out of memory", "hint": "try less", "step": 3}
    case = run(FLAT[:3], "per_device_train_batch_size=12", error=error)
    found = one(run_health.failed, case)
    assert found.message == "the run ran out of memory at step 3: out of memory; try less"
    smaller, twice = less_memory(case, found)
    assert smaller.changes == {
        "training.per_device_train_batch_size": (12, 6),
        "training.gradient_accumulation_steps": (1, 2),
    }
    assert twice.changes == {"training.activation_checkpointing": (False, True)}


def test_a_rate_that_diverged_is_held_against_what_is_advised(run: MakeRun) -> None:
    error = {"kind": "diverged", "message": "diverged at step 3: loss not finite", "step": 3}
    case = run(FLAT[:3], "learning_rate=1.0", error=error)
    found = one(run_health.diverged, case)
    assert found.message == "the run diverged at step 3 at a learning rate of 1: loss not finite"
    assert "10,000 times the usual one" in one(learning_rate.learning_rate_too_high, case).message
    assert none(
        learning_rate.learning_rate_too_high, run(FLAT[:3], "learning_rate=1e-5", error=error)
    )


def test_a_finite_loss_far_above_the_base_s_has_diverged_all_the_same(run: MakeRun) -> None:
    found = one(run_health.diverged, run(FLAT, metrics={"eval_loss": 12.5}))
    assert "12.500, far above the base model's 5.000" in found.message


def test_a_gradient_that_shoots_up_before_a_loss_that_stands_still_is_too_high_a_rate(
    run: MakeRun,
) -> None:
    grads = [1.0] * 60
    grads[4] = 80.0
    found = one(
        learning_rate.learning_rate_too_high, run([1.0] * 60, "learning_rate=2e-2", grads=grads)
    )
    assert "jumped to 80 at step 5" in found.message
    assert none(
        learning_rate.learning_rate_too_high, run(FALLING, "learning_rate=2e-2", grads=grads)
    )
    assert none(
        learning_rate.learning_rate_too_high, run([1.0] * 60, "learning_rate=1e-4", grads=grads)
    )


def test_a_loss_that_rises_far_above_its_start_and_stays_is_too_high_a_rate(run: MakeRun) -> None:
    risen = [3.0, 3.0, 9.0, *([2.5] * 57)]
    found = one(learning_rate.learning_rate_too_high, run(risen, "learning_rate=2e-2"))
    assert found.severity == "warning"
    assert found.steps == (3,)
    assert "the training loss rose from 3.000 to 9.000 at step 3" in found.message
    recovered = [3.0, 3.0, 9.0, *FALLING[3:]]
    assert none(learning_rate.learning_rate_too_high, run(recovered, "learning_rate=2e-2"))
    assert none(learning_rate.learning_rate_too_high, run(risen, "learning_rate=1e-4"))


def test_a_loss_that_jumps_up_from_what_was_reached_is_too_high_a_rate(run: MakeRun) -> None:
    bounced = [8.0, 2.0, 7.0, 5.0, *([1.5] * 56)]
    found = one(learning_rate.learning_rate_too_high, run(bounced, "learning_rate=2e-2"))
    assert found.steps == (3,)
    assert "the training loss rose from 2.000 to 7.000 at step 3" in found.message
    wobbling = [8.0, 4.0, 4.8, 3.0, *([1.5] * 56)]
    assert none(learning_rate.learning_rate_too_high, run(wobbling, "learning_rate=2e-2"))


def test_a_rise_and_a_shot_are_enough_where_most_answers_are_wrong(run: MakeRun) -> None:
    """The form of the answers is learned all the same, so the loss ends low."""
    bounced = [4.0, 0.75, 2.5, 2.2, *([0.25] * 56)]
    grads = [4.0, 8.0, 4.0, 160.0, *([0.5] * 56)]
    told = {"eval_loss": 0.25}
    case = run(bounced, "learning_rate=1e-2", grads=grads, metrics=told, wrong=50)
    found = one(learning_rate.learning_rate_too_high, case)
    assert "the training loss rose from 0.750 to 2.500 at step 3" in found.message
    right = run(bounced, "learning_rate=1e-2", grads=grads, metrics=told, wrong=5)
    assert none(learning_rate.learning_rate_too_high, right)
    calm = run(bounced, "learning_rate=1e-2", metrics=told, wrong=50)
    assert none(learning_rate.learning_rate_too_high, calm)


def test_an_adapter_larger_than_the_weights_is_too_high_a_rate(run: MakeRun) -> None:
    case = run(FLAT_HIGH, "learning_rate=2e-2", wrong=50, metrics={"eval_loss": 4.0})
    moved = tuple(Moved(name, 4, size / 2, size, 2 * size) for name, size in SIZES.items())
    case.folder.write_audit_part("weights", WeightsAudit(100, 1000, moved))
    found = one(learning_rate.learning_rate_too_high, case)
    assert "the adapter became 5 times as large as the weights that it changes" in found.message
    assert found.figures["adapter_size"] == 5.0


def test_a_steep_start_is_no_shot_of_the_gradient(run: MakeRun) -> None:
    grads = [30.0, 20.0, 10.0, *([1.0] * 57)]
    sunk = [5.0, 4.0, 3.0, *([0.9 * 0.995**n for n in range(57)])]
    case = run(sunk, "learning_rate=2e-2", grads=grads)
    assert none(learning_rate.learning_rate_too_high, case)


def test_a_straight_slope_that_has_hardly_begun_is_too_low_a_rate(run: MakeRun) -> None:
    decaying = [1e-6 * (60 - n) / 60 for n in range(60)]
    spent = [sum(decaying[:n]) / sum(decaying) for n in (20, 40, 60)]
    evals = {20 * (n + 1): 5.0 - 0.2 * share for n, share in enumerate(spent)}
    told = {"eval_loss": 4.8}
    case = run([5.0] * 60, "learning_rate=1e-6", learning_rates=decaying, evals=evals, metrics=told)
    assert learning_rate.pace_kept(case) == pytest.approx(1.0, abs=0.1)
    found = one(learning_rate.learning_rate_too_low, case)
    assert "went from 5.000 to 4.800 in 60 steps (by 4.0%), without slowing" in found.message
    assert none(learning_rate.underfitting, case)
    assert none(learning_rate.loss_plateau, case)


def test_without_evaluations_on_the_way_the_rate_itself_must_be_low(run: MakeRun) -> None:
    told = {"eval_loss": 4.8}
    found = one(
        learning_rate.learning_rate_too_low, run([5.0] * 60, "learning_rate=2e-5", metrics=told)
    )
    assert "in 60 steps (by 4.0%). The gradient was not 0 (norm 1)" in found.message
    assert none(
        learning_rate.learning_rate_too_low, run([5.0] * 60, "learning_rate=2e-4", metrics=told)
    )


def test_a_small_gain_that_has_converged_is_not_too_low_a_rate(run: MakeRun) -> None:
    evals = {20: 4.5, 40: 4.41, 60: 4.4}
    case = run([4.5] * 60, "learning_rate=1e-5", evals=evals, metrics={"eval_loss": 4.4})
    assert none(learning_rate.learning_rate_too_low, case)


def test_an_eval_loss_that_still_falls_at_the_end_is_underfitting(run: MakeRun) -> None:
    found = one(learning_rate.underfitting, run(FALLING, evals={20: 2.0, 40: 1.2, 60: 0.8}))
    assert found.steps == (40, 60)
    assert "still fell from 1.200 to 0.800" in found.message
    assert none(learning_rate.underfitting, run(FALLING, evals={20: 2.0, 40: 0.81, 60: 0.8}))


@pytest.mark.parametrize("steps", [5, 20])
def test_few_steps_that_taught_little_are_underfitting(steps: int, run: MakeRun) -> None:
    told = {"eval_loss": 4.0}
    found = one(learning_rate.underfitting, run([4.5] * steps, metrics=told, wrong=50))
    assert found.severity == "warning"
    assert found.figures == {"steps": steps, "eval_loss": 4.0, "base_eval_loss": 5.0}
    assert found.message == (
        f"the run ended after {steps} steps, which is too few to learn much: "
        "the eval loss is 4.000 (base model: 5.000)"
    )
    learned = [3.0 * 0.6**n for n in range(steps)]
    assert none(learning_rate.underfitting, run(learned, metrics={"eval_loss": 0.1}))


def test_a_fall_of_a_loss_that_is_nearly_gone_is_only_noted(run: MakeRun) -> None:
    case = run(FALLING, evals={20: 0.4, 40: 0.2, 60: 0.1}, metrics={"eval_loss": 0.1})
    assert one(learning_rate.underfitting, case).severity == "note"
    left = {"eval_loss": 2.0}
    far = run(FALLING, evals={20: 4.0, 40: 3.0, 60: 2.0}, metrics=left)
    assert one(learning_rate.underfitting, far).severity == "warning"


def test_rows_that_stay_hard_leave_much_where_the_score_is_low(run: MakeRun) -> None:
    low = {"eval_loss": 0.4}
    assert has_much_left(run([0.9] * 60, wrong=50, metrics=low))
    assert not has_much_left(run([0.9] * 60, wrong=2, metrics=low))
    assert not has_much_left(run([0.1] * 60, wrong=50, metrics=low))
    assert has_much_left(run([0.1] * 60, wrong=2, metrics={"eval_loss": 3.0}))


BATCH, PASSES = "training.per_device_train_batch_size", "training.gradient_accumulation_steps"


@pytest.mark.parametrize(
    ("batch", "passes", "wanted"),
    [
        (64, 1, [{BATCH: (64, 16)}]),
        (16, 4, [{PASSES: (4, 1)}]),
        (64, 4, [{PASSES: (4, 1), BATCH: (64, 16)}]),
        (2, 1, []),
    ],
)
def test_too_few_steps_of_large_batches_are_answered_with_smaller_ones(
    batch: int, passes: int, wanted: list[dict[str, tuple[int, int]]], run: MakeRun
) -> None:
    sizes = (f"{BATCH}={batch}", f"{PASSES}={passes}")
    case = run([4.5] * 12, *sizes, metrics={"eval_loss": 4.0}, wrong=50)
    told = smaller_batches(case, one(learning_rate.underfitting, case))
    assert [each.changes for each in told] == wanted


def test_a_small_micro_batch_keeps_enough_passes_for_a_usual_batch(run: MakeRun) -> None:
    sizes = (f"{BATCH}=1", f"{PASSES}=64")
    case = run([4.5] * 12, *sizes, metrics={"eval_loss": 4.0}, wrong=50)
    [told] = smaller_batches(case, one(learning_rate.underfitting, case))
    assert told.changes == {PASSES: (64, 16)}


def test_an_eval_loss_that_turns_up_while_training_goes_on_is_overfitting(run: MakeRun) -> None:
    found = one(generalization.overfitting, run(FALLING, evals={20: 1.0, 40: 1.2, 60: 1.6}))
    assert found.figures["step"] == 20
    assert "rose after step 20 of 60 (1.000 → 1.600" in found.message
    assert none(generalization.overfitting, run(FALLING, evals={20: 1.0, 40: 0.9, 60: 0.92}))
    assert none(generalization.overfitting, run(FLAT, evals={20: 1.0, 40: 1.2, 60: 1.6}))


def test_rows_known_by_heart_are_told_with_the_gap(run: MakeRun) -> None:
    known = [(row, 0.001) for row in asked(40)]
    told = {"train_rows_loss": 0.001, "eval_loss": 0.9, "epochs": 20.0}
    found = one(generalization.memorised, run(FALLING, measured=known, metrics=told, wrong=30))
    assert found.message.startswith(
        "the model has memorized its 80 training rows in 20 epochs (training loss 0.001"
    )
    assert found.severity == "warning"
    near = run(FALLING, measured=known, metrics={**told, "eval_loss": 0.35}, wrong=8)
    assert one(generalization.memorised, near).severity == "note"


def test_a_gap_that_is_more_than_chance_is_a_note(run: MakeRun) -> None:
    measured = [(row, 0.2 + 0.1 * (n % 2)) for n, row in enumerate(asked(40))]
    case = run(FLAT, measured=measured, wrong=30)
    found = one(generalization.generalisation_gap, case)
    assert found.severity == "note"
    assert "A gap is no reason to change the learning rate" in found.otherwise
    assert none(generalization.generalisation_gap, run(FLAT, measured=measured, wrong=8))


def test_a_plateau_says_whether_training_has_converged_too(run: MakeRun) -> None:
    flat = {20: 0.9, 40: 0.85, 60: 0.85}
    converged = one(learning_rate.loss_plateau, run([0.8] * 60, evals=flat))
    assert "about 0.850 since step 40, and the training loss is about 0.800" in converged.message
    falling = one(learning_rate.loss_plateau, run(FALLING, evals=flat))
    assert "More epochs on these rows will not help" in falling.message
    assert none(learning_rate.loss_plateau, run([0.01] * 60, evals=flat))
    assert none(learning_rate.loss_plateau, run(FALLING, evals={20: 2.0, 40: 1.2, 60: 0.8}))


def test_a_small_adapter_that_leaves_the_loss_standing_is_told(run: MakeRun) -> None:
    small = ("lora.r=2", "learning_rate=2e-3")
    told = {"eval_loss": 1.5, "trainable_parameters": 2048}
    found = one(settings.undertrained_adapter, run([1.4] * 60, *small, metrics=told))
    assert "the adapter (r = 2, 2,048 parameters) may be too small for this task" in found.message
    assert none(settings.undertrained_adapter, run([1.4] * 60, "lora.r=16", metrics=told))
    assert none(settings.undertrained_adapter, run([0.2] * 60, *small, metrics={"eval_loss": 0.3}))


def test_time_that_goes_into_evaluations_or_padding_is_told(run: MakeRun) -> None:
    every = dict.fromkeys(range(2, 61, 2), 0.5)
    found = one(settings.slow, run(FLAT, evals=every, seconds=dict.fromkeys(every, 4.0)))
    assert (
        "evaluations during the run took 60% of the training time (set by eval_steps)"
        in found.message
    )
    padded = one(settings.slow, run(FLAT, metrics={"padding_share": 0.81}))
    assert padded.message == "training time is wasted: 81% of the computed tokens are padding"
    assert none(settings.slow, run(FLAT, evals={60: 0.5}, metrics={"padding_share": 0.2}))


@pytest.mark.parametrize(
    ("count", "share", "examples", "luck"), [(10, 0.5, 24, 0.11), (10, 0.6, 1000, 0.017)]
)
def test_the_luck_of_the_best_falls_with_the_examples(
    count: int, share: float, examples: int, luck: float
) -> None:
    assert evaluation_set.luck_of(count, [share] * count, examples) == pytest.approx(luck, rel=0.05)
