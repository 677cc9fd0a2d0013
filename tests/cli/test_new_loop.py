"""What stands behind the app's new loop and its demo: understanding, creating, laying out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.model_folders import write_model
from tests.waiting import PATIENCE_SECONDS
from tui_loop.cli import demo_loop
from tui_loop.cli.backend import AppBackend
from tui_loop.cli.commands.new import next_steps
from tui_loop.cli.new_loop import Prepared, prepare
from tui_loop.cli.requested_data import requested_tables
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import settings_tables
from tui_loop.core.data.loading import load_data
from tui_loop.core.data.source_rows import Source
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.engine import extras, sources
from tui_loop.tui.backend import DatasetPreview, NewLoop

TRAIN = CHECKOUT / "sample_data" / "support-intents" / "train.jsonl"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own that is not the current one, with small data."""
    folder = tmp_path / "project"
    folder.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    answers = [{"prompt": f"q {n}", "completion": f"answer {n}"} for n in range(20)]
    write(folder / "answers.jsonl", answers)
    write(folder / "texts.jsonl", [{"text": f"line {n}"} for n in range(20)])
    rows = "".join(f"please do {n},{('stop', 'go', 'wait')[n % 3]}\n" for n in range(30))
    (folder / "labels.csv").write_text("text,category\n" + rows)
    return folder


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def loops_in(folder: Path) -> LoopsFolder:
    return LoopsFolder(folder / "loops")


def settings(folder: Path, name: str) -> dict[str, object]:
    return tomllib.loads((folder / "loops" / name / "loop.toml").read_text())


def messages(shown: DatasetPreview | Prepared) -> list[str]:
    return [each.message for each in shown.notices]


def prepared(
    folder: Path, rows: list[dict[str, Any]], *further: str, model: str = "tiny", metric: str = ""
) -> Prepared:
    """Writes the rows and prepares a loop from them; `further` are settings as K=V."""
    write(folder / "data.jsonl", rows)
    requested, _ = requested_tables(folder, data=["data.jsonl"], model=model, metric=metric or None)
    return prepare(folder, settings_tables(further, onto=requested))


def chosen(folder: Path, rows: list[dict[str, Any]], *further: str) -> tuple[str, str]:
    """The metric that is chosen for the rows, and the line that says why."""
    found = prepared(folder, rows, *further)
    [line] = [text for text in messages(found) if text.startswith("metric ")]
    return found.metric, line


def pairs(*answers: str) -> list[dict[str, Any]]:
    return [{"prompt": f"question {n}", "completion": text} for n, text in enumerate(answers)]


def chats(*answers: str) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "user", "content": f"question {n}"},
                {"role": "assistant", "content": text},
            ]
        }
        for n, text in enumerate(answers)
    ]


ESSAYS = [" ".join(f"word{n}{place}" for place in range(40)) for n in range(20)]


def test_conversations_that_end_in_few_answers_are_scored_by_label(project: Path) -> None:
    found = prepared(project, chats(*["yes", "no"] * 20))
    assert (found.metric, found.data.labels) == ("label", ["no", "yes"])
    assert "metric label: 2 labels in 40 rows" in messages(found)
    assert "prompt_template" not in found.defaults["data"]


@pytest.mark.train
def test_essays_are_scored_by_their_words_and_without_the_package_not_at_all(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows in (pairs(*ESSAYS), chats(*ESSAYS)):
        metric, line = chosen(project, rows)
        assert (metric, line) == ("rouge_l", "metric rouge_l: references have 40 words (median)")
    monkeypatch.setattr(extras, "is_installed", lambda module: module != "rouge_score")
    metric, line = chosen(project, pairs(*ESSAYS))
    assert metric == "none"
    assert line.endswith("(median), and rouge_l is not installed here")


def test_a_metric_that_is_given_is_kept_whatever_the_references_are(project: Path) -> None:
    found = prepared(project, pairs(*ESSAYS), metric="contains")
    assert found.metric == "contains"
    assert not any(text.startswith("metric ") for text in messages(found))
    assert prepared(project, pairs(*ESSAYS), "evaluation.metric=chrf").metric == "chrf"


def test_a_text_with_its_language_stays_text_and_one_with_its_label_does_not(
    project: Path,
) -> None:
    texts = [{"text": f"line {n}", "language": ("en", "fr")[n % 2]} for n in range(40)]
    assert prepared(project, texts).data.mapping.shape == "text"
    labelled = [{"text": f"line {n}", "label": n % 3} for n in range(40)]
    found = prepared(project, labelled)
    assert (found.metric, found.data.labels) == ("label", ["0", "1", "2"])
    assert found.defaults["data"]["columns"] == {"prompt": "text", "completion": "label"}
    assert prepared(project, labelled, "data.shape=text").metric == "none"
    [line] = [each for each in found.notices if each.message.startswith("metric label")]
    assert line.hint == "use --metric none to train on the text alone"
    alone = prepared(project, labelled, metric="none")
    assert (alone.data.mapping.shape, alone.metric) == ("text", "none")


def test_a_file_is_read_once_whatever_is_found_in_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries: list[str] = []
    read = sources.read_source

    def counting(entry: str, root: Path, config: Config) -> Source:
        entries.append(entry)
        return read(entry, root, config)

    monkeypatch.setattr(sources, "read_source", counting)
    for column, label in (("text", "label"), ("message", "intent")):
        rows = [{column: f"line {n}", label: "ab"[n % 2]} for n in range(40)]
        assert prepared(project, rows).metric == "label"
    assert entries == ["data.jsonl"] * 2


def test_a_column_that_repeats_no_values_is_no_label_where_columns_are_unclear(
    project: Path,
) -> None:
    with pytest.raises(BadInput, match="match no known shape"):
        prepared(project, [{"a": f"some text {n}", "b": f"x{n // 3}"} for n in range(30)])


def test_a_template_is_added_for_labels_alone_and_says_how_to_change_it(project: Path) -> None:
    labels = ["left", "right"] * 20
    found = prepared(project, pairs(*labels))
    assert found.defaults["data"]["prompt_template"] == "{prompt}\nLabel:"
    [notice] = [each for each in found.notices if "prompt template" in each.message]
    assert "nothing in the data separates a prompt from its label" in notice.message
    assert "--set data.prompt_template=TEXT" in notice.hint
    asked = [{"instruction": f"turn {n}", "output": text} for n, text in enumerate(labels)]
    assert prepared(project, asked).defaults["data"]["prompt_template"] == "{prompt}\nLabel:"
    for setting in ("data.prompt_template=unset", "data.prompt_template={prompt} ->"):
        kept = prepared(project, pairs(*labels), setting)
        assert kept.defaults["data"]["prompt_template"] == setting.partition("=")[2]
        assert not any("prompt template" in text for text in messages(kept))
    marked = [{**row, "prompt": f"{row['prompt']}\n"} for row in pairs(*labels)]
    assert "prompt_template" not in prepared(project, marked).defaults["data"]


def test_training_rows_are_cut_to_the_context_where_the_models_files_name_it(
    project: Path,
) -> None:
    rows = pairs(*ESSAYS)
    found = prepared(project, rows)
    assert found.defaults["training"]["max_length"] == 256
    line = "training.max_length lowered from 1024 to 256, the context length of model tiny"
    assert line in messages(found)
    own = prepared(project, rows, "training.max_length=300")
    assert own.defaults["training"]["max_length"] == 300
    for name, context in (("short", 512), ("long", 4096)):
        write_model(project / name, {"max_position_embeddings": context})
    assert prepared(project, rows, model="short").defaults["training"] == {"max_length": 512}
    assert "training" not in prepared(project, rows, model="long").defaults
    assert "training" not in prepared(project, rows, model="some/model").defaults


def test_tools_need_a_template_that_can_express_them(project: Path) -> None:
    write_model(project / "chat")
    template = project / "chat" / "chat_template.jinja"
    template.write_text("{{ messages }}")
    call = {"type": "function", "function": {"name": "look", "arguments": {}}}
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"look {n}"},
                {"role": "assistant", "tool_calls": [call]},
            ]
        }
        for n in range(40)
    ]
    for model, lacks in (("chat", True), ("smollm2", True), ("some/model", False)):
        found = prepared(project, rows, model=model)
        assert found.lacks_tools is lacks
        notices = [
            each.message for each in found.notices if "does not support tools" in each.message
        ]
        assert len(notices) == lacks
    steps = next_steps("new", prepared(project, rows, model="chat"), project)
    assert "data.chat_template=" in steps[-1]
    assert steps[-1].count("calls.jinja") == 1
    answers = json.dumps([{"name": "look", "arguments": {}}])
    columns = {"tools": json.dumps([{"name": "look"}]), "answers": answers}
    bare = [{"query": f"look {n}", **columns} for n in range(40)]
    assert prepared(project, bare, model="tiny").lacks_tools
    template.write_text("{% for call in m.tool_calls %}{% endfor %}")
    assert not prepared(project, rows, model="chat").lacks_tools
    assert not prepared(project, chats(*ESSAYS), model="chat").lacks_tools


def test_chats_need_a_base_with_a_template(project: Path) -> None:
    write_model(project / "chat")
    for model in ("tiny", "chat"):
        found = prepared(project, chats(*ESSAYS), model=model)
        [notice] = [each for each in found.notices if "chat template" in each.message]
        assert notice.severity == "warning"
        assert notice.message.startswith(f"model {model} has no chat template")
        assert "smollm2" in notice.hint
        assert "--set data.chat_template=FILE" in notice.hint
    (project / "chat" / "chat_template.jinja").write_text("{{ messages }}")
    for model in ("chat", "some/model", "smollm2"):
        assert not prepared(project, chats(*ESSAYS), model=model).lacks_chat_template
    assert not prepared(project, pairs(*ESSAYS)).lacks_chat_template


@pytest.mark.parametrize(
    ("count", "settings", "hint"),
    [
        (40, (), "add rows to the data"),
        (100, (), "hold out more rows: --set data.eval_fraction=0.3"),
        (400, ("data.max_eval_rows=10",), "hold out more rows: --set data.max_eval_rows=30"),
        (400, (), None),
    ],
)
def test_few_held_out_rows_are_a_warning_that_says_how_to_get_more(
    project: Path, count: int, settings: tuple[str, ...], hint: str | None
) -> None:
    found = prepared(project, pairs(*(f"answer {n}" for n in range(count))), *settings)
    few = [each for each in found.notices if each.kind == "few_eval_rows"]
    assert [each.severity for each in few] == (["warning"] if hint else [])
    for each in few:
        assert hint is not None
        assert each.hint.startswith(hint)
        assert f"only {len(found.data.eval)} rows are held out" in each.message


@pytest.fixture
def backend() -> AppBackend:
    return AppBackend(allow_code=False)


def test_answers_are_matched_texts_are_not_scored_and_labels_are_seen(
    project: Path, backend: AppBackend
) -> None:
    loops = loops_in(project)
    answers = backend.preview_data(loops, NewLoop("", "answers.jsonl"))
    assert (answers.read_as, answers.metric) == (
        ["read as prompt/completion (prompt = prompt, completion = completion)"],
        "exact_match",
    )
    assert (answers.train_rows, answers.eval_rows, answers.labels) == (18, 2, [])
    assert ("q 1", "answer 1") in answers.rows
    texts = backend.preview_data(loops, NewLoop("", "texts.jsonl"))
    assert (texts.read_as, texts.metric) == (["read as text (text = text)"], "none")
    labels = backend.preview_data(loops, NewLoop("", "labels.csv"))
    assert (labels.metric, labels.labels) == ("label", ["go", "stop", "wait"])
    assert labels.read_as == ["read as prompt/completion (prompt = text, completion = category)"]
    assert "metric label: 3 labels in 30 rows" in messages(labels)
    assert not (project / "loops").exists()


def test_a_metric_that_was_told_is_not_second_guessed(project: Path, backend: AppBackend) -> None:
    loops = loops_in(project)
    told = backend.preview_data(loops, NewLoop("", str(TRAIN), metric="contains"))
    assert told.metric == "contains"
    assert not any(text.startswith("metric") for text in messages(told))


def test_numbers_and_rare_answers_are_no_labels(project: Path) -> None:
    sums = [{"prompt": f"{n} + 1", "completion": str(n % 3)} for n in range(30)]
    assert chosen(project, sums)[:2] == ("numeric", "metric numeric: references are numbers")
    rare = [{"prompt": f"q{n}", "completion": f"answer {n // 2}"} for n in range(30)]
    assert chosen(project, rare)[0] == "exact_match"


def test_a_created_loop_trains_on_the_rows_that_were_shown(
    project: Path, backend: AppBackend
) -> None:
    wanted = NewLoop("mine", "labels.csv", model="tiny", goal="a goal")
    loop = backend.create(loops_in(project), wanted)
    told = settings(project, "mine")
    assert (told["goal"], told["metric"]) == ("a goal", "label")
    config = loop.default_config()
    assert config.data.train == "labels.csv"
    assert config.data.prompt_template == "{prompt}\nLabel:"
    assert len(load_data(config, loop.root).train) == 27


def test_paths_start_from_the_folder_above_the_loops(project: Path, backend: AppBackend) -> None:
    write(Path("answers.jsonl"), [{"prompt": "elsewhere", "completion": "x"}] * 4)
    understood = backend.preview_data(loops_in(project), NewLoop("", "answers.jsonl"))
    assert understood.train_rows == 18
    backend.create(loops_in(project), NewLoop("mine", str(project / "answers.jsonl")))
    assert loops_in(project).loop("mine").default_config().data.train == "answers.jsonl"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (NewLoop("mine", ""), "no data file"),
        (NewLoop("mine", "missing.jsonl"), "no such file"),
        (NewLoop("mine", "org/data-set"), "no such file"),
        (NewLoop("mine", "."), "is a folder"),
        (NewLoop("mine", "/"), "is a folder"),
        (NewLoop("mine", "x" * 5000), "name too long"),
        (NewLoop("mine", "answers.jsonl", eval="missing.jsonl"), "missing.jsonl"),
        (NewLoop("mine", "answers.jsonl", metric="exactly"), "unknown metric 'exactly'"),
        (NewLoop("mine", "answers.jsonl", metric="mine:score"), "unknown metric 'mine:score'"),
        (NewLoop("mine", "texts.jsonl", metric="contains"), "needs prompts"),
        (NewLoop("mine", "answers.jsonl", model="./nowhere"), "nowhere"),
        (NewLoop("mine", "answers.jsonl", model="no.gguf"), "no such file"),
    ],
)
def test_what_cannot_be_is_refused_alike_and_creates_nothing(
    project: Path, backend: AppBackend, wanted: NewLoop, said: str
) -> None:
    for attempt in (backend.preview_data, backend.create):
        with pytest.raises(BadInput) as caught:
            attempt(loops_in(project), wanted)
        assert said in caught.value.message.replace("File name", "name")
        assert caught.value.hint
    assert not (project / "loops").exists()


@pytest.mark.parametrize("name", ["", "list", "../mine", "Mine", "taken"])
def test_a_name_that_cannot_be_or_is_taken_creates_nothing(
    project: Path, backend: AppBackend, name: str
) -> None:
    loops_in(project).create("taken", LoopSettings(goal="as it was"))
    with pytest.raises(BadInput):
        backend.create(loops_in(project), NewLoop(name, "answers.jsonl"))
    assert loops_in(project).names() == ["taken"]
    assert settings(project, "taken")["goal"] == "as it was"


def test_a_model_that_is_not_there_yet_is_said_and_may_be_fetched_later(
    project: Path, backend: AppBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_LOOP_CACHE", str(project / "cache"))
    assert backend.models() == ["tiny", "smollm2"]
    wanted = NewLoop("mine", "answers.jsonl", model="smollm2")
    [notice] = [
        each
        for each in backend.preview_data(loops_in(project), wanted).notices
        if each.kind == "model"
    ]
    assert notice.message == "model smollm2 has not been fetched yet"
    assert notice.hint == "`tui-loop fetch smollm2`"
    loop = backend.create(loops_in(project), wanted)
    assert loop.default_config().model.id == "smollm2"


def test_the_metrics_are_names_without_code(backend: AppBackend) -> None:
    metrics = backend.metrics()
    assert {"exact_match", "label", "rouge_l"} < set(metrics)
    assert metrics[-1] == "none"
    assert not any(":" in name for name in metrics)


def test_nothing_of_the_training_stack_is_loaded(project: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tui_loop.cli.backend import AppBackend\n"
        "from tui_loop.core.record.loops_folder import LoopsFolder\n"
        "from tui_loop.tui.backend import NewLoop\n"
        "backend, loops = AppBackend(allow_code=False), LoopsFolder(Path('loops'))\n"
        "wanted = NewLoop('mine', 'labels.csv', model='smollm2')\n"
        "backend.models(), backend.metrics(), backend.preview_data(loops, wanted)\n"
        "backend.create(loops, wanted); backend.demo(loops)\n"
        "heavy = {'torch', 'transformers', 'datasets', 'numpy', 'huggingface_hub', 'textual'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_demo_lies_among_the_loops_where_there_is_nothing_else(
    empty: Path, backend: AppBackend
) -> None:
    loop = backend.demo(loops_in(empty))
    assert loop.path == empty / "loops" / loop.name
    assert loop.name in loops_in(empty).names()
    assert load_data(loop.default_config(), loop.root).train
    assert (empty / "loops" / ".gitignore").read_text().split()[0] == "adapter/"
    assert sorted(os.listdir(empty)) == ["loops", "sample_data"]
    (loop.path / "notes.md").write_text("mine")
    again = backend.demo(loops_in(empty))
    assert (again.path / "notes.md").read_text() == "mine"


def test_the_demo_lies_apart_where_there_is_other_work(empty: Path, backend: AppBackend) -> None:
    (empty / "work.txt").write_text("mine")
    loop = backend.demo(loops_in(empty))
    assert Path(loop.path).resolve().is_relative_to(empty / demo_loop.SEPARATE_FOLDER)
    assert sorted(os.listdir(empty)) == ["tui-loop-demo", "work.txt"]
    assert backend.demo(loops_in(empty)).path == loop.path


def test_a_loop_of_the_demos_name_stays_what_it_was(empty: Path, backend: AppBackend) -> None:
    for name in ("support-tiny", "support-intents"):
        loops_in(empty).create(name, LoopSettings(goal="mine"))
    loop = backend.demo(loops_in(empty))
    assert loop.read_settings().goal != "mine"
    assert settings(empty, "support-tiny")["goal"] == "mine"


@pytest.mark.parametrize(("ignored", "place"), [("", "tui-loop-demo"), ("*\n", "inner")])
def test_the_demo_is_never_laid_where_git_would_take_it(
    empty: Path, backend: AppBackend, ignored: str, place: str
) -> None:
    subprocess.run(["git", "init", "--quiet", str(empty)], check=True)
    (empty / ".gitignore").write_text(ignored)
    (empty / "inner").mkdir()
    loop = backend.demo(loops_in(empty / "inner"))
    assert Path(loop.path).resolve().relative_to(empty).parts[0] == place


def test_a_demo_folder_with_other_things_in_it_is_left_alone(
    empty: Path, backend: AppBackend
) -> None:
    (empty / "tui-loop-demo").mkdir()
    (empty / "tui-loop-demo" / "work.txt").write_text("mine")
    with pytest.raises(BadInput, match="contains other files"):
        backend.demo(loops_in(empty))
    assert os.listdir(empty / "tui-loop-demo") == ["work.txt"]
