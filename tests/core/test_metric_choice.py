"""The metric that references call for where the user names none."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tui_loop.core.config.schema import Evaluation
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.data.rows import Mapping, Message, Row, Shape, ToolCall
from tui_loop.core.metric_choice import MetricChoice, choose_metric
from tui_loop.core.scoring import LIBRARY_METRICS

SENTENCE = "the parcel left our house on monday and will be with you before the end of the week"
RUSSIAN = (
    "посылка отправлена в понедельник и будет у вас до конца недели как мы и обещали вам тогда"
)
CHINESE = "包裹已于周一寄出，预计本周末之前送达您的地址，请注意查收。"


def row_of(reference: str, calls: tuple[ToolCall, ...] = ()) -> Row:
    last = Message("assistant", reference, tool_calls=calls)
    return Row("", "a prompt", reference, 1, (Message("user", "a prompt"), last))


def data_of(
    rows: Sequence[Row], shape: Shape = "prompt_completion", answers: str = "completion"
) -> LoadedData:
    mapping = Mapping(shape, {"prompt": "prompt", "completion": answers})
    return LoadedData(list(rows[1:]), list(rows[:1]), mapping, {}, [], [], [])


def choice(
    references: Sequence[str],
    *,
    answers: str = "completion",
    shape: Shape = "prompt_completion",
    settings: Evaluation | None = None,
    installed: Sequence[str] = LIBRARY_METRICS,
) -> MetricChoice:
    data = data_of([row_of(each) for each in references], shape, answers)
    return choose_metric(data, settings or Evaluation(), installed)


@pytest.mark.parametrize(
    ("references", "metric", "reason"),
    [
        (["refund", " refund", "cancel"] * 10, "label", "2 labels in 30 rows"),
        (["true", "false"] * 10, "label", "2 labels in 20 rows"),
        (["1,200", " -3.5", "7e3", ".5"], "numeric", "references are numbers"),
        (["2", "3"] * 30, "numeric", "references are numbers"),
        (
            ["3 and 4 make 7.\n#### 7", "#### 1,200 "],
            "numeric",
            "references end with #### and a number",
        ),
        (['{"a": 1}', ' {"b": [2]}\n'], "json_match", "references are JSON objects"),
        (["[1, 2]", '{"a": 1}'], "exact_match", "references have 2 words (median)"),
        (["{not json}", '{"a": 1}'], "exact_match", "references have 2 words (median)"),
        (["Paris", "New York"], "exact_match", "references have 2 words (median)"),
        ([SENTENCE, SENTENCE + " again"], "rouge_l", "references have 18 words (median)"),
        (
            [RUSSIAN, RUSSIAN + "!"],
            "chrf",
            "references have 17 words (median), and rouge_l supports only Latin letters",
        ),
    ],
)
def test_the_references_decide(references: list[str], metric: str, reason: str) -> None:
    assert choice(references) == MetricChoice(metric, reason)


def test_a_script_without_blanks_is_measured_by_its_characters() -> None:
    assert choice([CHINESE, CHINESE + "谢谢"]).metric == "chrf"
    assert choice(["巴黎", "纽约"]).metric == "exact_match"


def test_few_numbers_are_labels_only_in_a_column_that_is_named_so() -> None:
    stars = ["1", "2", "3"] * 10
    assert choice(stars).metric == "numeric"
    assert choice(stars, answers="Category").metric == "label"


def test_labels_are_few_short_and_repeated() -> None:
    assert choice(["yes", "no"] * 4).metric == "exact_match"  # fewer than 5 rows a label
    assert choice(["always"] * 40).metric == "exact_match"
    assert choice(["a" * 61, "b"] * 20).metric == "exact_match"
    assert choice([f"label {n % 101}" for n in range(2000)]).metric == "exact_match"
    assert choice([f"label {n % 100}" for n in range(2000)]).metric == "label"


@pytest.mark.parametrize("shape", ["prompt_completion", "messages", "instruction"])
def test_labels_are_seen_in_every_shape_with_references(shape: Shape) -> None:
    assert choice(["up", "down"] * 10, shape=shape).metric == "label"


def test_tool_calls_are_the_answer_where_most_rows_end_in_them() -> None:
    call = (ToolCall("weather", '{"city": "Oslo"}'),)
    text = json.dumps({"name": "weather", "arguments": {"city": "Oslo"}})
    rows = [row_of(text, call)] * 6
    found = choose_metric(data_of(rows, "messages"), Evaluation(), ())
    assert found.message == "metric tool_call: references are tool calls"
    mixed = [*rows, *[row_of("It is cold in Oslo.")] * 4]
    found = choose_metric(data_of(mixed, "messages"), Evaluation(), ())
    assert found.message == "metric tool_call: 6 of 10 references are tool calls"
    rare = [*rows, *[row_of(f"It is cold, {n}.") for n in range(20)]]
    assert choose_metric(data_of(rare, "messages"), Evaluation(), ()).metric == "exact_match"


def test_without_its_package_a_metric_of_words_gives_way_to_none() -> None:
    found = choice([SENTENCE, SENTENCE + " again"], installed=["chrf"])
    assert found.metric == "none"
    assert found.reason == "references have 18 words (median), and rouge_l is not installed here"


def test_plain_text_has_no_metric() -> None:
    assert choice(["some text", "more"], shape="text").metric == "none"


def test_a_setting_of_one_metric_chooses_it() -> None:
    assert choice(["Paris", "Rome"], settings=Evaluation(labels=["Paris"])).metric == "label"
    assert choice(["Paris", "Rome"], settings=Evaluation(pattern="R.*")).metric == "regex"


def test_long_files_are_sampled_from_beginning_to_end() -> None:
    short_then_long = [f"answer {n}" for n in range(15_000)]
    short_then_long += [f"{SENTENCE} {n}" for n in range(20_000)]
    assert choice(short_then_long).metric == "rouge_l"
