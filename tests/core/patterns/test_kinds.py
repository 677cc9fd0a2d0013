"""Thresholds, directions, and what the best share: what is told, and what is not."""

from __future__ import annotations

import pytest

from tests.core.patterns.trying import RATE, changed, trial
from tui_loop.core.patterns.all_patterns import hints_for, patterns_of
from tui_loop.core.patterns.directions import directions, tried_outcomes
from tui_loop.core.patterns.pattern import Pattern
from tui_loop.core.patterns.thresholds import best_so_far, thresholds
from tui_loop.core.patterns.trials import BATCH, Trial

FINE = [trial(n, rate=rate) for n, rate in enumerate((1e-5, 1e-4, 5e-4), 1)]


def too_high(*rates: float) -> list[Trial]:
    return [trial(10 + n, rate=rate, ended="diverged") for n, rate in enumerate(rates)]


def only(patterns: list[Pattern]) -> Pattern:
    assert len(patterns) == 1, [each.sentence for each in patterns]
    return patterns[0]


def test_the_lowest_rate_from_which_on_runs_diverged_is_found() -> None:
    found = only(thresholds([*FINE, *too_high(1e-3, 1e-2, 1e-1)]))
    assert found.sentence == (
        "at learning_rate 1e-3 or more, 3 of 3 runs diverged on tiny; "
        "none of the 3 runs with lower values diverged (nearest value: 5e-4)"
    )
    assert found.short == "at 1e-3 or more: diverged 3 of 3 times on this base"
    assert (found.value, found.side, found.field) == (1e-3, "up", RATE)
    assert found.iterations == ("intents/10", "intents/11", "intents/12")
    assert found.others == ("intents/1", "intents/2", "intents/3")
    assert found.low == pytest.approx(0.4385, abs=1e-3)
    assert found.weight == "so far", "three of three leave room for 44%"


def test_once_is_told_as_once_and_four_of_four_are_a_law() -> None:
    once = only(thresholds([*FINE, *too_high(1e-2)]))
    assert "at learning_rate 1e-2 or more, the one run diverged on tiny" in once.sentence
    assert once.weight == "so far"
    law = only(thresholds([*FINE, *too_high(1e-3, 1e-2, 1e-2, 1e-1)]))
    assert law.weight == "law"
    assert "4 of 4" in law.figures


def test_runs_of_one_config_are_no_law_and_that_is_said() -> None:
    seeds = [trial(20 + n, rate=1e-2, seed=n, ended="diverged") for n in range(6)]
    found = only(thresholds([*FINE, *seeds]))
    assert (found.count, found.total, found.weight) == (6, 6, "so far")
    assert "6 of 6 runs of one config diverged" in found.sentence


def test_most_of_them_will_do_but_not_where_as_many_went_well_below() -> None:
    found = only(thresholds([*FINE, *too_high(1e-3, 1e-2, 1e-2), trial(30, rate=1e-2)]))
    assert "3 of 4 runs diverged" in found.sentence
    mixed = [trial(40 + n, rate=1e-2) for n in range(4)]
    assert only(thresholds([*FINE, *mixed, *too_high(1e-2, 1e-1)])).value == 1e-1
    low = [trial(50 + n, rate=rate, ended="diverged") for n, rate in enumerate([1e-5, 1e-4] * 2)]
    fine = [trial(60 + n, rate=rate) for n, rate in enumerate([1e-4, 1e-4, 1e-3])]
    assert thresholds([*low, *fine, *too_high(1e-2)]) == []


def test_where_nothing_lower_was_tried_that_is_said_and_of_the_rate_alone() -> None:
    found = only(thresholds(too_high(1e-2, 1e-1)))
    assert found.sentence.endswith("2 of 2 runs diverged on tiny; no lower value was tried")


def test_at_a_low_rate_nothing_is_better_than_the_base() -> None:
    none, better = "no difference shown", "consistent with better"
    found = only(
        thresholds(
            [
                trial(1, rate=1e-6, against_base=none),
                trial(2, rate=1e-5, against_base="consistent with worse"),
                trial(3, rate=1e-3, against_base=better),
                trial(4, rate=1e-2, against_base=better),
                *too_high(1e-1),
                trial(6, rate=1e-1, against_base=""),
            ]
        )
    )
    assert found.short == "at 1e-5 or less: no better than the base 2 of 2 times on this base"
    assert (
        "none of the 2 runs with higher values ended no better than the base (nearest value: 1e-3)"
        in found.sentence
    )


def test_memory_that_ran_out_is_told_of_the_batch_that_was_asked_for() -> None:
    runs = [
        trial(1, training__per_device_train_batch_size=8),
        trial(2, training__per_device_train_batch_size=16, asked={BATCH: 64}),
        trial(3, training__per_device_train_batch_size=1, asked={BATCH: 32}, ended="oom"),
    ]
    found = only([each for each in thresholds(runs) if each.field == BATCH])
    assert found.short == "at 32 or more: out of memory 2 of 2 times on this base"


def test_fields_that_set_the_same_runs_apart_are_named_with_each_other() -> None:
    runs = [trial(n, rate=1e-4, lora__lora_alpha=32) for n in (1, 2)]
    runs += [trial(n, rate=1e-2, lora__lora_alpha=256, ended="diverged") for n in (3, 4)]
    assert [(each.label, each.otherwise) for each in thresholds(runs)] == [
        ("learning_rate", "the same runs also differ from the others in lora_alpha"),
        ("lora_alpha", "the same runs also differ from the others in learning_rate"),
    ]


def test_bases_and_full_fine_tuning_are_told_apart() -> None:
    runs = [*FINE, *too_high(1e-2)]
    other = [
        trial(n, rate=1e-2, base="smollm2", is_lora=False, score=0.5, ended=e, loop="b")
        for n, e in ((1, "finished"), (2, "diverged"))
    ]
    found = [each for each in patterns_of([*runs, *other]) if each.outcome == "diverged"]
    assert [each.base for each in found] == ["tiny"]
    full = [trial(n, rate=n / 10, is_lora=False, ended="diverged") for n in (1, 2)]
    assert "on tiny (full fine-tuning)" in only(thresholds(full)).sentence


def rises(claims: list[str], *, start: int = 1) -> list[Trial]:
    """Parents of their own, and children that raise r."""
    runs: list[Trial] = []
    for place, claim in enumerate(claims):
        number = start + 2 * place
        parent = trial(number, training__num_train_epochs=number, lora__r=8)
        runs += [parent, changed(number + 1, parent, claim, lora__r=16)]
    return runs


def test_a_direction_counts_what_helped_what_made_no_difference_and_what_was_worse() -> None:
    claims = ["no difference shown", "no difference shown", "worse", "no difference shown"]
    found = only(directions(rises(claims)))
    assert found.sentence == (
        "raising r never helped on tiny (0 of 4 tries, values from 8 to 16): 3 showed no "
        "difference, 1 made the result worse; both configs have replicates in 1 of the tries"
    )
    assert found.short == "higher values helped 0 of 4 times on this base"
    assert (found.count, found.total, found.with_replicates, found.weight) == (0, 4, 1, "law")
    tried = tried_outcomes(rises(claims), "lora.r", "up")
    assert [tried.count("helped"), tried.count("same"), tried.count("worse")] == [0, 3, 1]
    assert tried_outcomes(rises(claims), "lora.r", "down").changes == ()


def test_one_change_is_told_as_once() -> None:
    found = only(directions(rises(["consistent with better"])))
    assert found.sentence == "raising r 8 → 16 was tried once on tiny and helped"
    assert found.short == "8 → 16: tried once on this base, helped"
    assert found.weight == "so far"


def test_only_changes_of_one_field_that_can_be_judged_count() -> None:
    parent = trial(1, lora__r=8, score=0.5)
    runs = [
        parent,
        changed(2, parent, "better", lora__r=16, rate=1e-3),
        changed(3, parent, "", lora__r=16),
        changed(4, parent, "training noise", seed=7),
        changed(5, parent, "better", lora__r=16, ended="unfinished"),
        changed(6, parent, "better", lora__r=16, asked={RATE: 1.0}),
        trial(7, parent=0, lora__r=64, against_parent="better"),
    ]
    assert directions(runs) == []


def test_a_pair_of_configs_is_judged_once_by_its_replicates() -> None:
    parent = trial(1, lora__r=8)
    runs = [
        parent,
        changed(2, parent, "consistent with better", lora__r=16),
        changed(3, parent, "no difference shown", lora__r=16, seed=7, replicates=2),
        changed(4, parent, "no difference shown", lora__r=16, seed=8, replicates=3),
    ]
    found = only(directions(runs))
    assert (found.count, found.total, found.with_replicates) == (0, 1, 1)
    assert found.sentence.endswith("; both configs have replicates")


def test_a_change_that_makes_a_run_diverge_is_worse_and_the_way_back_helps() -> None:
    parent = trial(1)
    child = changed(2, parent, rate=1.0, ended="diverged")
    back = changed(3, child, rate=1e-4)
    up, down = directions([parent, child, back])
    assert "was tried once on tiny and made the run diverge" in up.sentence
    assert down.sentence == "lowering learning_rate 1 → 1e-4 was tried once on tiny and helped"


def test_values_without_an_order_are_told_pair_by_pair() -> None:
    parent = trial(1, training__lr_scheduler_type="linear", training__max_steps=None)
    runs = [
        parent,
        changed(2, parent, "worse", training__lr_scheduler_type="cosine"),
        changed(3, parent, "better", training__max_steps=50),
    ]
    told = [each.sentence for each in directions(runs)]
    assert told == [
        "setting lr_scheduler_type linear → cosine was tried once on tiny and made the result "
        "worse; both configs have replicates",
        "setting max_steps unset → 50 was tried once on tiny and helped; both configs have "
        "replicates",
    ]


def test_the_best_share_what_others_had_otherwise() -> None:
    runs = [
        trial(n, rate=rate, lora__r=r, score=score)
        for n, (rate, r, score) in enumerate(
            [
                (1e-3, 8, 0.9),
                (1e-3, 16, 0.8),
                (1e-3, 32, 0.7),
                (1e-5, 8, 0.1),
                (1e-4, 16, 0.2),
                (1e-2, 32, 0.3),
            ],
            1,
        )
    ]
    found = only(best_so_far(runs))
    assert found.sentence == (
        "the best 3 configs of 6 tried on tiny all had learning_rate 1e-3 (5% likely by chance); "
        "also tried: 1e-5, 1e-4, 1e-2"
    )
    assert (found.value, found.upper, found.count) == (1e-3, 1e-3, 3)
    assert found.iterations == ("intents/1", "intents/2", "intents/3")


def test_what_nearly_all_had_is_no_mark_of_the_best() -> None:
    runs = [trial(n, rate=1e-4, lora__r=n, score=n / 10) for n in range(1, 6)]
    runs.append(trial(6, rate=1e-3, lora__r=7, score=0.0))
    assert [each.label for each in best_so_far(runs)] == ["r"]
    assert best_so_far(runs[:1]) == []


def test_hints_apply_to_the_side_and_the_base_of_their_pattern() -> None:
    runs = [*FINE, *too_high(1e-3, 1e-2, 1e-1), *rises(["worse", "better"], start=20)]
    hints = hints_for(patterns_of(runs), "tiny")
    told = hints.of(RATE, 1e-3, 1e-4)
    assert told.text == "at 1e-3 or more: diverged 3 of 3 times on this base"
    assert (told.is_warning, told.brief) == (True, "diverged 3 of 3")
    assert not hints.of(RATE, 9e-4, 9e-4).text
    assert not hints.of(RATE, "fast", 1e-4).text
    assert not hints.of("training.weight_decay", 0.1, 0.0).text
    assert hints.of("lora.r", 12, 8).text == "higher values helped 1 of 2 times on this base"
    assert not hints.of("lora.r", 64, 32).text, "nobody went that way"
    assert not hints.of("lora.r", 8, 16).text
    assert not hints_for(patterns_of(runs), "smollm2").of(RATE, 1e-3).text
    assert not hints_for(patterns_of(runs), "tiny", is_lora=False).of(RATE, 1e-3).text


def test_a_change_is_held_against_changes_over_the_same_ground() -> None:
    first = trial(1, rate=1e-4)
    second = changed(2, first, "better", rate=1e-3)
    third = changed(3, second, "worse", rate=1e-2)
    hints = hints_for(patterns_of([first, second, third]), "tiny")
    assert (
        hints.of(RATE, 5e-3, 1e-3).text
        == "1e-3 → 1e-2: tried once on this base, made the result worse"
    )
    assert hints.of(RATE, 5e-4, 1e-4).text == "1e-4 → 1e-3: tried once on this base, helped"
    assert hints.of(RATE, 5e-3, 5e-4).text == "higher values helped 1 of 2 times on this base"
