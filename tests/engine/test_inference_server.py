"""Models of a loop in one process give the outputs that the record has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.engine.conftest import SMALL
from tui_loop.cli.inference_client import InferenceClient
from tui_loop.core.data.loading import load_data
from tui_loop.core.inference_messages import (
    GenerateResponse,
    ServerMessage,
    ServerStatus,
    iterations_to_compare,
)
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.shipped import shipped
from tui_loop.core.workflow.plan import base_config, create_base, create_iteration, plan_next
from tui_loop.engine.run_host import RunHost
from tui_loop.engine.sources import read_source
from tui_loop.engine.weights import checked_weights

pytestmark = [pytest.mark.train, pytest.mark.slow]

VARIANTS = [
    ["evaluation.train_rows=5"],
    ["lora.r=2", "lora.use_dora=true", "evaluation.train_rows=0"],
    ["lora.use_dora=false", "lora.bias=all", "evaluation.train_rows=256"],
    ["lora.bias=none", "lora.enabled=false", "training.learning_rate=1e-3"],
]
"""What stands on a base beside others, and what needs one to itself."""


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> LoopFolder:
    """A loop with the base and one iteration a variant, run once for all of these tests."""
    data = shipped("sample_data", "support-intents")
    tables: dict[str, dict[str, object]] = {"model": {"id": "tiny"}}
    tables |= {group: dict(table) for group, table in SMALL.items()}
    tables["data"] |= {"train": str(data / "train.jsonl"), "eval": str(data / "eval.jsonl")}
    tables["data"]["max_eval_rows"] = 20
    tables["training"]["max_steps"] = 12  # fewer leave what they say as the base says it
    tables["evaluation"] = {"batch_size": 4}  # so that there is a first look
    folder = LoopsFolder(tmp_path_factory.mktemp("asking") / "loops")
    made = folder.create("asked", LoopSettings(metric="label", defaults=tables))
    for settings in VARIANTS:
        plan = plan_next(made, parent=None, settings=settings, why="a test")
        splits = load_data(plan.config, made.root, read_source).splits
        if not made.numbers():
            create_base(made, base_config(made, plan), splits)
            RunHost(made.existing(0), runner="thread").run()
        RunHost(create_iteration(made, plan, splits), runner="thread").run()
    assert made.numbers() == [0, 1, 2, 3, 4]
    return made


@pytest.fixture(scope="module")
def client(loop: LoopFolder) -> Iterator[InferenceClient]:
    """All five models in one process."""
    with closing(InferenceClient(loop, iterations_to_compare(loop, 4, (1, 2, 3)))) as made:
        yield made


def answers_of(messages: list[ServerMessage]) -> list[GenerateResponse]:
    return [each for each in messages if isinstance(each, GenerateResponse)]


@pytest.mark.slow
def test_an_examples_prompt_gives_its_recorded_output_from_every_model(
    loop: LoopFolder, client: InferenceClient
) -> None:
    assert client.iterations == (4, 1, 2, 3, 0)
    recorded = {
        number: {each.id: each for each in loop.iteration(number).read_examples()}
        for number in client.iterations
    }
    question = client.ask_examples(list(recorded[0]))
    messages = list(client.answers_to(question))
    assert [each.state for each in messages if isinstance(each, ServerStatus)][-1] == "ready"
    answers = answers_of(messages)
    assert len(answers) == 5 * 20
    for answer in answers:
        example = recorded[answer.iteration][answer.example]
        assert (answer.output, answer.tokens, answer.truncated) == (
            example.output,
            example.output_tokens,
            example.truncated,
        )
    said = {number: [each.output for each in rows.values()] for number, rows in recorded.items()}
    assert len({tuple(outputs) for outputs in said.values()}) >= 4  # they are different models


def test_a_free_prompt_is_rendered_as_an_examples_is(
    loop: LoopFolder, client: InferenceClient
) -> None:
    example = loop.iteration(1).read_examples()[0]
    free = answers_of(list(client.answers_to(client.ask(example.prompt))))
    seeded = answers_of(list(client.answers_to(client.ask("", example=example.id))))
    assert [each.output for each in free] == [each.output for each in seeded]
    assert [each.iteration for each in free] == [4, 1, 2, 3, 0]
    assert {each.prompt_tokens for each in free} == {each.prompt_tokens for each in seeded}
    assert free[0].example == ""


def test_settings_count_for_one_question_alone(client: InferenceClient) -> None:
    short = answers_of(
        list(client.answers_to(client.ask("hello", settings=["evaluation.max_new_tokens=1"])))
    )
    assert all(each.tokens <= 1 for each in short)
    messages = list(
        client.answers_to(client.ask("hello", settings=["evaluation.max_new_tokens=9999"]))
    )
    assert [each.state for each in messages if isinstance(each, ServerStatus)] == ["error"] * 5
    after = answers_of(list(client.answers_to(client.ask("hello"))))
    assert len(after) == 5


def test_a_cancelled_request_is_not_answered_and_the_next_one_is(client: InferenceClient) -> None:
    long = ["evaluation.max_new_tokens=200", "evaluation.do_sample=true"]
    dropped = client.ask("tell me everything " * 20, settings=long)
    client.drop()
    question = client.ask("hello")
    messages: list[ServerMessage] = []
    for each in client.answers():
        messages.append(each)
        if isinstance(each, ServerStatus) and each.state == "answered" and each.id == question:
            break
    cancelled = [each for each in messages if isinstance(each, ServerStatus) and each.id == dropped]
    assert [(each.state, each.message) for each in cancelled] == [("error", "cancelled")]
    assert len([each for each in answers_of(messages) if each.id == question]) == 5


@pytest.mark.slow
def test_who_has_no_weights_here_is_left_out_and_the_others_answer(
    loop: LoopFolder, tmp_path: Path
) -> None:
    away = loop.iteration(2).adapter.rename(tmp_path / "away")
    odd = loop.iteration(1).adapter / "adapter_config.json"
    before = odd.read_text()
    odd.write_text(json.dumps({**json.loads(before), "megatron_config": {"a": 1}}))
    try:
        with closing(InferenceClient(loop, (2, 1, 0))) as client:
            question = client.ask("hello")
            messages = list(client.answers_to(question))
            left = [each for each in messages if isinstance(each, ServerStatus) and each.message]
            assert [(each.state, each.iteration) for each in left] == [
                ("left_out", 2),
                ("left_out", 1),
            ]
            assert "no weights" in left[0].message
            assert "megatron_config" in left[1].message
            assert [each.iteration for each in answers_of(messages)] == [0]
            client.close()
            assert list(client.answers())[-1] == ServerStatus("ended")
            assert list(client.answers()) == []
    finally:
        odd.write_text(before)
        away.rename(loop.iteration(2).adapter)
    assert checked_weights(loop.iteration(1), is_adapter=True).is_dir()


@pytest.mark.slow
def test_retry_generates_what_failed_and_changes_no_record(loop: LoopFolder, cli: Cli) -> None:
    folder = loop.iteration(1)
    before = {path: path.read_bytes() for path in folder.path.glob("*.json*")}
    done = cli("--loops", str(loop.path.parent), "retry", "asked/1", "--all", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert all(each["output"] == each["output_before"] for each in record["examples"])
    assert record["passed_before_pass_now"] == record["passed_before"]
    assert record["failed_before_pass_now"] == 0
    assert record["passed_before"] + record["failed_before"] == 20
    assert {path: path.read_bytes() for path in folder.path.glob("*.json*")} == before


def test_ask_shows_the_models_side_by_side(loop: LoopFolder, cli: Cli) -> None:
    loops = str(loop.path.parent)
    example = loop.iteration(1).read_examples()[0]
    done = cli("--loops", loops, "ask", "asked/1", "--id", example.id, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["reference"] == example.reference
    assert [each["iteration"] for each in record["answers"]] == [1, 0]
    assert record["answers"][0]["output"] == example.output


def test_the_first_outputs_are_logged_and_change_no_output(loop: LoopFolder) -> None:
    """The outputs asked for above come in one plain order; here is that the run's did not."""
    for number, parent in ((2, "failed by iteration 1"), (3, "failed by iteration 2")):
        journal = loop.iteration(number).journal.read_text()
        (line,) = [each for each in journal.splitlines() if "first outputs: " in each]
        assert parent in line
        assert "a subset, not the score" in line
    assert "first outputs" not in loop.iteration(0).journal.read_text()


def test_the_loss_of_training_rows_is_measured_after_training(loop: LoopFolder) -> None:
    few, none, all_rows = (loop.iteration(number).read_training_rows() for number in (1, 2, 3))
    assert [len(few), len(none), len(all_rows)] == [5, 0, 32]
    assert not loop.iteration(2).training_rows.exists()
    assert not loop.iteration(0).training_rows.exists()
    assert {each.sampled_of for each in few + all_rows} == {32}
    summary = loop.iteration(3).read_summary()
    assert summary is not None
    tokens = sum(each.supervised_tokens for each in all_rows)
    total = sum(float(each.loss or 0) * each.supervised_tokens for each in all_rows)
    assert summary.metrics["train_rows_loss"] == pytest.approx(total / tokens)
    base = loop.iteration(2).read_summary()
    assert base is not None
    assert "train_rows_loss" not in base.metrics
