"""Which base an iteration was trained on, and whether a found base is the same.

An adapter on another base is another model, so the base is compared wherever trained weights meet
one: in `resume`, `model.init_adapter`, `ask`, `retry`, `ready` and exports. Weights are compared,
not names: a folder may have been moved, and a hub model may have been copied to a folder.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.errors import BadInput
from tui_loop.core.model_files import hub_folder
from tui_loop.core.record.checkpoints import Resumption
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.engine.model_source import (
    ModelSource,
    find_model,
    go_offline_if_hub_unreachable,
    loaded_files,
    weights_hash,
)
from tui_loop.engine.weights import has_weights

BASE = "base"
"""The name of the table in `[effective]`."""

_WHOLE_BYTES = 32 << 20
"""A weights file up to this size is hashed as a whole."""

_EDGE_BYTES = 1 << 20
_SAMPLES, _SAMPLE_BYTES = 64, 16 << 10
"""Parts of a larger file that are hashed, at equal distances: a change of all layers is in them."""


class BaseIdentity(msgspec.Struct, frozen=True, omit_defaults=True):
    """A base: its id, the hash of its weights files, and for a hub model its commit.

    `evaluation_weights`: the hash in the evaluation's fingerprint, all that older records have.
    "" where unknown.
    """

    id: str
    commit: str = ""
    files: str = ""
    evaluation_weights: str = ""

    def differs_from(self, other: BaseIdentity) -> bool:
        """Whether these are two bases, by the best value that both have; False without any."""
        for name in ("files", "commit", "evaluation_weights"):
            own, theirs = getattr(self, name), getattr(other, name)
            if own and theirs:
                return bool(own != theirs)
        return False

    def shown_beside(self, other: BaseIdentity) -> str:
        """Returns the id with what differs from `other`: `org/name (commit 1a2b3c4d)`."""
        for name, words in (
            ("commit", "commit"),
            ("files", "files"),
            ("evaluation_weights", "files"),
        ):
            own, theirs = getattr(self, name), getattr(other, name)
            if own and theirs and own != theirs:
                return f"{self.id} ({words} {own[:_SHOWN]})"
        return self.id


_SHOWN = 8
"""Characters of a hash that a message has."""


def identify(model_id: str, source: ModelSource, revision: str | None) -> BaseIdentity:
    """Returns the identity of a base from its files: a local one, or one in the hub's cache."""
    folder = None if source.is_local else hub_folder(source.name, revision)
    return BaseIdentity(
        model_id,
        commit=folder.name if folder is not None else "",
        files=_files_hash(loaded_files(source, revision)),
        evaluation_weights=weights_hash(source, revision),
    )


def recorded_base(folder: IterationFolder) -> BaseIdentity | None:
    """Returns the base that an iteration's record names, None where it names none."""
    table = folder.read_effective().get(BASE)
    if isinstance(table, dict):
        values = {name: table.get(name) for name in ("id", "commit", "files")}
        texts = {name: text for name, text in values.items() if isinstance(text, str)}
        if "id" in texts:
            return BaseIdentity(**texts)
    fingerprint = iteration_of(folder).fingerprint
    if fingerprint is None or not fingerprint.weights:
        return None
    return BaseIdentity(folder.read_config().model.id, evaluation_weights=fingerprint.weights)


def for_record(base: BaseIdentity) -> dict[str, str]:
    """Returns the table `[effective.base]`."""
    values = msgspec.structs.asdict(base)
    return {name: values[name] for name in ("id", "commit", "files") if values[name]}


def base_of(folder: IterationFolder, config: Config) -> tuple[Config, ModelSource]:
    """Returns what to load an iteration's base with; raises BadInput where it is another one.

    A hub model is loaded at the recorded commit, wherever its branch is by now.
    """
    source = find_model(config.model.id, folder.loop.root)
    recorded = recorded_base(folder)
    if recorded is None:
        return config, source
    if source.is_local:
        found = identify(config.model.id, source, None)
        if recorded.differs_from(found):
            raise _changed(folder, recorded, found)
        return config, source
    if not recorded.commit:
        raise BadInput(
            f"{_origin(folder)} {recorded.id}, a folder that is not on this machine",
            "restore that folder, or train a new iteration",
        )
    go_offline_if_hub_unreachable()
    if os.environ.get("HF_HUB_OFFLINE") and hub_folder(source.name, recorded.commit) is None:
        found = identify(config.model.id, source, config.model.revision)
        raise _not_cached(folder, recorded, found)
    return _at_commit(config, recorded.commit), source


def base_to_resume(
    folder: IterationFolder, config: Config, resumption: Resumption
) -> tuple[Config, ModelSource]:
    """Returns what to load the base of a run with.

    Raises BadInput for another base than that of the checkpoint that it resumes from, or of the
    weights that an earlier attempt saved.
    """
    if folder.number > 0 and (resumption.path or has_weights(folder)):
        return base_of(folder, config)
    return config, find_model(config.model.id, folder.loop.root)


def pinned(folder: IterationFolder, config: Config) -> Config:
    """Returns `config` with the recorded commit as revision, where the record has one."""
    recorded = recorded_base(folder)
    return _at_commit(config, recorded.commit) if recorded and recorded.commit else config


def require_same_base(origin: IterationFolder, found: BaseIdentity, field: str) -> None:
    """Raises BadInput where the weights of `origin` were trained on another base than `found`.

    `field`: the config field that brings them together.
    """
    recorded = recorded_base(origin)
    if recorded is None or not recorded.differs_from(found):
        return
    hint = f"train without {field}, or restore the base {recorded.id}"
    if recorded.commit and recorded.id == found.id:
        hint = f"--set model.revision={recorded.commit}, or train without {field}"
    elif recorded.id != found.id:
        hint = f"--set model.id={recorded.id}, or train without {field}"
    raise BadInput(
        f"{field}: {_origin(origin)} {recorded.shown_beside(found)}, but this "
        f"config has the base {found.shown_beside(recorded)}",
        hint,
    )


def _origin(folder: IterationFolder) -> str:
    return f"{folder} was {'trained on' if folder.number else 'evaluated with'} the base"


def _changed(folder: IterationFolder, recorded: BaseIdentity, found: BaseIdentity) -> BadInput:
    now = found.shown_beside(recorded)
    return BadInput(
        f"{_origin(folder)} {recorded.shown_beside(found)}, which has changed since: it is now "
        f"{now}",
        f"restore the files of {found.id}, or train a new iteration on the changed base",
    )


def _not_cached(folder: IterationFolder, recorded: BaseIdentity, found: BaseIdentity) -> BadInput:
    now = f"; found here: {found.shown_beside(recorded)}" if found.commit else ""
    base = f"{recorded.id} (commit {recorded.commit[:_SHOWN]})"
    return BadInput(
        f"{_origin(folder)} {base}, which is not on this machine{now}",
        "connect to the hub, or train a new iteration",
    )


def _at_commit(config: Config, commit: str) -> Config:
    model = msgspec.structs.replace(config.model, revision=commit)
    return msgspec.structs.replace(config, model=model)


def _files_hash(files: list[Path]) -> str:
    """Returns a hash of the names and contents of weights files, of large ones of samples."""
    if not files:
        return ""
    digest = hashlib.sha256()
    for path in files:
        if not path.is_file():  # a missing shard; loading the model reports it
            digest.update(f"{path.name} -\n".encode())
            continue
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(f"{path.name} {size}\n".encode())
            if size <= _WHOLE_BYTES:
                digest.update(file.read())
                continue
            distance = (size - _EDGE_BYTES) // _SAMPLES
            digest.update(file.read(_EDGE_BYTES))
            for number in range(1, _SAMPLES + 1):
                file.seek(number * distance)
                digest.update(file.read(_EDGE_BYTES if number == _SAMPLES else _SAMPLE_BYTES))
    return digest.hexdigest()[:16]
