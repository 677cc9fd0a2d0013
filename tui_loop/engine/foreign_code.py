"""Finds the foreign code that a config would run, without importing any of it.

A model folder runs code where `model.trust_remote_code` is on and an `auto_map` names it
(transformers, dynamic_module_utils). A metric `module:function` runs its module, the packages
that contain it and whatever these import from the project's folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.machinery import PathFinder
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

from tui_loop.core.config.schema import Config, Model
from tui_loop.core.consent import CodeFile, ForeignCode, code_file, require_consent
from tui_loop.core.errors import BadInput
from tui_loop.core.model_folder import has_tokenizer
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.scoring import is_function
from tui_loop.engine.base_identity import pinned
from tui_loop.engine.extras import require_train
from tui_loop.engine.model_source import ModelSource, find_model, go_offline_if_hub_unreachable

_REPOSITORY_SEPARATOR = "--"
"""In an `auto_map`, `ORG/NAME--module.Class` names a class of another repository."""


def require_config_consent(config: Config, root: Path, *, allow: bool = False) -> None:
    """Raises NeedsConsent where `config` would run code without consent; see `core.consent`.

    `allow` gives consent. Raises BadInput where there is no such model or module.
    """
    require_consent(config_code(config, root), allow=allow)


def config_code(config: Config, root: Path) -> list[ForeignCode]:
    """Returns the code that a run executes; raises BadInput where there is no such model."""
    code: list[ForeignCode] = []
    if config.model.trust_remote_code:
        code += model_code(config.model, find_model(config.model.id, root))
    return code + metric_code(config.evaluation.metric, root)


def iteration_code(folder: IterationFolder) -> list[ForeignCode]:
    """Returns the code that loading an iteration executes.

    That is the base's, at its recorded commit, and that in the folder of a whole fine-tuned model.
    """
    config = pinned(folder, folder.read_config())
    own = ModelSource(str(folder.adapter))
    code = model_code(config.model, own) if folder.adapter.is_dir() else []
    needs_base = (
        config.lora.enabled or not folder.adapter.is_dir() or not has_tokenizer(folder.adapter)
    )
    if needs_base:
        code = model_code(config.model, find_model(config.model.id, folder.loop.root)) + code
    return code


def model_code(model: Model, source: ModelSource) -> list[ForeignCode]:
    """Returns the code that loading a model executes; [] without `trust_remote_code`.

    Raises BadInput for code outside of the model's own folder and of hub repositories.
    """
    if not model.trust_remote_code:
        return []
    folder = Path(source.name) if source.is_local else _hub_folder(source.name, model.revision)
    files = {each.name: each for each in _files_of(folder)}
    for reference in _references(folder):
        repository, separator, name = reference.rpartition(_REPOSITORY_SEPARATOR)
        if not separator:
            _check_inside(folder, name)
            continue
        path = Path(repository)
        other = path if path.is_dir() else _hub_folder(repository, None)
        _check_inside(other, name)
        for each in _files_of(other):
            files[f"{repository}/{each.name}"] = each
    return [ForeignCode("model.id", model.id, tuple(files.values()))] if files else []


def metric_code(metric: str, root: Path) -> list[ForeignCode]:
    """Returns the code that a metric `module:function` executes; [] for the built-in metrics."""
    if not is_function(metric):
        return []
    module = metric.partition(":")[0]
    paths = {*_module_files(module, root), *_imported_files(module, root)}
    files = [code_file(path, _name_of(path, root)) for path in sorted(paths)]
    if not files:
        raise BadInput(
            f"evaluation.metric: there is no module {module}",
            f"put the module into {root}, or install it",
        )
    return [ForeignCode("evaluation.metric", metric, tuple(files))]


def _files_of(folder: Path) -> Iterator[CodeFile]:
    """Yields every Python file in a model's folder: a named one may import any other."""
    visited: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(parent)) in visited:  # links may form a cycle
            folders.clear()
            continue
        visited.add(real)
        for name in sorted(names):
            if name.endswith(".py"):
                path = Path(parent) / name
                yield code_file(path, str(path.relative_to(folder)))


def _references(folder: Path) -> Iterator[str]:
    """Yields the classes that the folder's JSON files name in an `auto_map`."""
    for path in sorted(folder.glob("*.json")):
        try:
            table = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):  # loading the model reports it
            continue
        yield from _strings(table.get("auto_map") if isinstance(table, dict) else None)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)


def _check_inside(folder: Path, reference: str) -> None:
    """Raises BadInput for a class outside `folder`: transformers accepts an absolute path."""
    path = os.path.normpath(folder / (reference.rpartition(".")[0] + ".py"))
    if not Path(path).is_relative_to(os.path.normpath(folder)):
        raise BadInput(
            f"model.id: {folder} refers to code outside the folder: {reference}",
            "copy the code into the folder and correct auto_map",
        )


def hub_commit(repository: str, revision: str | None) -> str:
    """Returns the current commit of a hub repository's revision; raises BadInput."""
    return _hub_folder(repository, revision).name  # the client names snapshots by commit


def _hub_folder(repository: str, revision: str | None) -> Path:
    """Downloads the Python and JSON files of a hub repository, or finds them in the cache."""
    require_train("reading a model's code")
    go_offline_if_hub_unreachable()
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(repository, revision=revision, allow_patterns=["*.py", "*.json"])
        )
    except Exception as error:  # the hub client's own errors, OSError, ValueError
        raise BadInput(
            f"model.id: cannot download the code of {repository!r} ({type(error).__name__})",
            "check the model id and the network connection",
        ) from error


def _module_files(module: str, root: Path) -> Iterator[Path]:
    """Yields the files of a module and of the packages that contain it; imports nothing."""
    search_path: list[str] | None = None
    parts = module.split(".")
    for at in range(len(parts)):
        name = ".".join(parts[: at + 1])
        spec = PathFinder.find_spec(name, [str(root)] if search_path is None else search_path)
        if spec is None and search_path is None:
            spec = PathFinder.find_spec(name)
        if spec is None:
            return
        if spec.has_location and spec.origin:
            yield Path(spec.origin)
        search_path = list(spec.submodule_search_locations or [])


def _imported_files(module: str, root: Path) -> Iterator[Path]:
    """Yields the files in the project's folder that a module imports, also indirectly."""
    finder = ModuleFinder(path=[str(root)])
    try:
        finder.import_hook(module)
    except (ImportError, SyntaxError, ValueError):  # importing the module reports it
        return
    for each in finder.modules.values():
        path = getattr(each, "__file__", None)
        if path:
            yield Path(path)


def _name_of(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
