"""What code a config would run, found without running any of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.foreign import foreign_metric, foreign_model
from tui_loop.core.config.schema import Config, Evaluation, Model
from tui_loop.core.config.validation import read_config
from tui_loop.core.consent import ForeignCode, NeedsConsent, allow_code
from tui_loop.core.errors import BadInput
from tui_loop.engine.foreign_code import config_code, metric_code, model_code
from tui_loop.engine.model_source import ModelSource, find_model
from tui_loop.engine.scorers import scorer_for

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def names(code: list[ForeignCode]) -> list[str]:
    return sorted(file.name for each in code for file in each.files)


def trusted(folder: Path) -> Config:
    return read_config({"model": {"id": str(folder), "trust_remote_code": True}})


def code_of(folder: Path) -> list[ForeignCode]:
    return model_code(Model(id=str(folder), trust_remote_code=True), ModelSource(str(folder)))


def test_a_model_that_is_not_trusted_runs_none(tmp_path: Path, canary: Path) -> None:
    folder = foreign_model(tmp_path / "model", canary)
    assert model_code(Model(id=str(folder)), ModelSource(str(folder))) == []


def test_a_trusted_folder_without_code_needs_no_consent(tmp_path: Path) -> None:
    config = read_config({"model": {"id": "tiny", "trust_remote_code": True}})
    assert config_code(config, tmp_path) == []


def test_every_python_file_of_a_trusted_folder_counts(tmp_path: Path, canary: Path) -> None:
    folder = foreign_model(tmp_path / "model", canary)
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text("")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "more.py").write_text("")
    (folder / "around").symlink_to(folder)
    (folder / "linked").symlink_to(tmp_path / "linked")
    assert names(code_of(folder)) == [
        "configuration_mine.py",
        "custom_generate/generate.py",
        "linked/more.py",
        "modeling_mine.py",
    ]


@pytest.mark.parametrize(
    "reference", ["/tmp/elsewhere/modeling.Mine", "../elsewhere/modeling.Mine"]
)
def test_code_outside_of_the_folder_is_refused(
    tmp_path: Path, canary: Path, reference: str
) -> None:
    folder = foreign_model(tmp_path / "model", canary)
    table = json.loads((folder / "tokenizer_config.json").read_text())
    table["auto_map"] = {"AutoTokenizer": [None, reference]}
    (folder / "tokenizer_config.json").write_text(json.dumps(table))
    with pytest.raises(BadInput, match="outside the folder"):
        code_of(folder)


def test_code_in_another_folder_counts(tmp_path: Path, canary: Path) -> None:
    other = foreign_model(tmp_path / "other", canary)
    folder = foreign_model(tmp_path / "model", canary)
    for path in folder.glob("*.py"):
        path.unlink()
    table = json.loads((folder / "config.json").read_text())
    table["auto_map"] = {"AutoConfig": f"{other}--configuration_mine.MineConfig"}
    (folder / "config.json").write_text(json.dumps(table))
    assert names(code_of(folder)) == ["configuration_mine.py", "modeling_mine.py"]


@pytest.mark.train
def test_the_code_of_a_hub_model_is_read_from_its_cache(
    tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laid out as the hub's own client does, which is asked without a network."""
    import huggingface_hub.constants as hub

    from tui_loop.engine.models import pretrained_arguments

    cache = tmp_path / "hub"
    repository = cache / "models--someone--mine"
    foreign_model(repository / "snapshots" / COMMIT, canary)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    config = read_config({"model": {"id": "someone/mine", "trust_remote_code": True}})
    assert names(config_code(config, tmp_path)) == ["configuration_mine.py", "modeling_mine.py"]
    source = find_model("someone/mine", tmp_path)
    with pytest.raises(NeedsConsent):
        pretrained_arguments(config, source)
    allow_code(config_code(config, tmp_path))
    assert pretrained_arguments(config, source)["revision"] == COMMIT
    gone = read_config({"model": {"id": "someone/gone", "trust_remote_code": True}})
    with pytest.raises(BadInput, match="cannot download the code"):
        config_code(gone, tmp_path)
    assert not canary.exists()


def test_a_metric_runs_its_module_and_what_that_imports_from_the_project(
    tmp_path: Path, canary: Path
) -> None:
    metric = foreign_metric(tmp_path, canary)
    (tmp_path / "unrelated.py").write_text("")
    assert names(metric_code(metric, tmp_path)) == ["mine_helper.py", "mine_metric.py"]
    assert not canary.exists()
    assert "mine_metric" not in sys.modules


def test_the_packages_around_a_metric_count(tmp_path: Path) -> None:
    (tmp_path / "package" / "inner").mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").write_text("from . import beside\n")
    (tmp_path / "package" / "beside.py").write_text("import json\n")
    (tmp_path / "package" / "inner" / "__init__.py").write_text("")
    (tmp_path / "package" / "inner" / "metric.py").write_text("def score(a, b):\n    return 1\n")
    assert names(metric_code("package.inner.metric:score", tmp_path)) == [
        "package/__init__.py",
        "package/beside.py",
        "package/inner/__init__.py",
        "package/inner/metric.py",
    ]


def test_an_installed_module_needs_consent_too(tmp_path: Path) -> None:
    [code] = metric_code("subprocess:call", tmp_path)
    assert [Path(file.path).name for file in code.files] == ["subprocess.py"]


def test_a_metric_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no module nowhere_at_all"):
        metric_code("nowhere_at_all:score", tmp_path)


def test_the_programs_own_metrics_run_none(tmp_path: Path) -> None:
    assert metric_code("exact_match", tmp_path) == []
    assert metric_code("rouge_l", tmp_path) == []


def test_a_metric_is_imported_only_with_consent(tmp_path: Path, canary: Path) -> None:
    settings = Evaluation(metric=foreign_metric(tmp_path, canary))
    with pytest.raises(NeedsConsent):
        scorer_for(settings, [], tmp_path)
    assert not canary.exists()
    allow_code(metric_code(settings.metric, tmp_path))
    scorer = scorer_for(settings, [], tmp_path)
    assert scorer is not None
    assert scorer.score("a", "b") == 0.5
    assert canary.exists()


def test_a_file_of_the_project_does_not_stand_in_for_a_librarys_module(
    tmp_path: Path, canary: Path
) -> None:
    (tmp_path / "shadow.py").write_text("import wave\n\ndef score(a, b):\n    return 1\n")
    (tmp_path / "wave.py").write_text(f"import os\nos.mkdir({str(canary)!r})\n")
    sys.modules.pop("wave", None)
    code = metric_code("shadow:score", tmp_path)
    assert names(code) == ["shadow.py", "wave.py"]
    allow_code(code)
    scorer_for(Evaluation(metric="shadow:score"), [], tmp_path)
    assert not canary.exists()


@pytest.mark.train
def test_nothing_of_the_stack_loads_a_models_code_without_consent(
    tmp_path: Path, canary: Path
) -> None:
    """The last line of defence: whoever calls these has asked before."""
    from tui_loop.engine.models import load_model
    from tui_loop.engine.preflight.token_checks import meta_model

    folder = foreign_model(tmp_path / "model", canary)
    config = trusted(folder)
    with pytest.raises(NeedsConsent):
        load_model(config, find_model(str(folder), tmp_path))
    with pytest.raises(NeedsConsent):
        meta_model(config, tmp_path)
    plain = read_config({"model": {"id": "tiny", "trust_remote_code": True}})
    with pytest.raises(NeedsConsent):
        load_model(plain, find_model("tiny", tmp_path), trained=folder)
    assert not canary.exists()
    allow_code(code_of(folder))
    loaded = load_model(config, find_model(str(folder), tmp_path))
    assert type(loaded.model).__name__ == "MineForCausalLM"
    assert canary.exists()
