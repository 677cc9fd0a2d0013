"""Data sets as other programs register them: LLaMA-Factory's `dataset_info.json`, axolotl's YAML.

Their entries become sources of `data.train`: path, split, columns, cap. What they say about prompts
and templates is not read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.config.data_sources import source_name
from tui_loop.core.data.conversations import role_of
from tui_loop.core.errors import BadInput, NeedsExtra
from tui_loop.core.text.untrusted import one_line

DATASET_INFO = "dataset_info.json"

ParseYaml = Callable[[str], Any]
"""Parses YAML; raises ValueError. It comes with the extra train."""

_ALPACA = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "history": "history",
    "system": "system",
    "tools": "tools",
    "chosen": "output",
}
"""LLaMA-Factory's columns, and the roles that they are here."""

_SHAREGPT = {"messages": "messages", "system": "system", "tools": "tools"}
_RANKED_CHATS = {"messages": "prompt", "chosen": "completion", "system": "system", "tools": "tools"}
_LOCATIONS = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
_FIELDS = {
    "field_instruction": "instruction",
    "field_input": "input",
    "field_output": "output",
    "field_system": "system",
    "field_messages": "messages",
    "field_tools": "tools",
    "field": "text",
}
"""axolotl's fields, and the roles that they are here."""

_SHOWN = 12


class Registered(msgspec.Struct, frozen=True):
    """Sources by name, each with the fields of `DataSource`; `notes`: what was not read of them."""

    sources: dict[str, dict[str, Any]]
    notes: tuple[str, ...] = ()


def is_registry(entry: str) -> bool:
    """Returns whether a data entry names a registry: `dataset_info.json#NAME`, `config.yml`."""
    path = Path(entry.partition("#")[0])
    return path.name == DATASET_INFO or path.suffix.lower() in (".yml", ".yaml")


def read_registry(entry: str, parse_yaml: ParseYaml | None) -> Registered:
    """Returns the sources that an entry names; raises BadInput, and NeedsExtra for YAML without it.

    Several names are separated by commas; an axolotl config without names gives all its data sets.
    """
    place, _, names = entry.partition("#")
    path = Path(place)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise BadInput(f"{path}: {reason}", "check the path") from error
    if path.name == DATASET_INFO:
        return _of_llama_factory(path, _parsed(path, text, json.loads), wanted)
    if parse_yaml is None:
        raise NeedsExtra(f"reading {path.name}", "train")
    return _of_axolotl(path, _parsed(path, text, parse_yaml), wanted)


def _parsed(path: Path, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except (ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or ["cannot be read"])[0]
        raise BadInput(f"{path}: {one_line(reason, 200)}", "fix the file") from error


def _of_llama_factory(path: Path, known: Any, wanted: Sequence[str]) -> Registered:
    if not isinstance(known, dict):
        raise BadInput(f"{path}: must be a JSON object with data sets by name", "fix the file")
    if not wanted:
        some = ", ".join(one_line(name, 40) for name in list(known)[:_SHOWN])
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        raise BadInput(
            f"{path}: lists {len(known)} data sets: {some}{more}",
            f"name one, or several separated by commas: --data {path}#{next(iter(known), 'NAME')}",
        )
    sources: dict[str, dict[str, Any]] = {}
    for name in wanted:
        source = _llama_factory_source(path, known, name)
        sources[_free_name(source_name(name), sources)] = source
    return Registered(sources)


def _free_name(name: str, taken: Collection[str]) -> str:
    """Returns the name, with a number where it is taken."""
    numbered = (f"{name[:36]}-{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in taken)


def _llama_factory_source(path: Path, known: Mapping[str, Any], name: str) -> dict[str, Any]:
    entry = known.get(name)
    place = f"{path}: {one_line(name, 40)}"
    if not isinstance(entry, dict):
        raise BadInput(f"{place}: no such data set", "check the name")
    source: dict[str, Any] = {}
    if isinstance(file := entry.get("file_name"), str):
        source["path"] = str(path.parent / file)
    elif isinstance(hub := entry.get("hf_hub_url"), str):
        source["path"] = hub
    else:
        location = next((key for key in _LOCATIONS if key in entry), None)
        problem = (
            f"key {location} is not supported" if location else "has no file_name or hf_hub_url"
        )
        raise BadInput(f"{place}: {problem}", "give the data set a file_name or an hf_hub_url")
    for key, hint in (("subset", "set data.subset"), ("folder", "name the file itself")):
        if key in entry:
            raise BadInput(f"{place}: key {key} is not supported", hint)
    columns = entry.get("columns")
    is_chat = entry.get("formatting") == "sharegpt"
    roles = _ALPACA
    if is_chat:
        roles = _RANKED_CHATS if entry.get("ranking") else _SHAREGPT
    if isinstance(columns, dict):
        named = {roles[key]: str(value) for key, value in columns.items() if key in roles}
        is_text = list(columns) == ["prompt"] and not is_chat
        source["columns"] = {"text": str(columns["prompt"])} if is_text else named
    elif is_chat:
        source["columns"] = {"messages": "conversations"}
    tags = entry.get("tags")
    for key, value in tags.items() if isinstance(tags, dict) else ():
        _check_turns(f"{place}: tags.{key}", value, is_key=key in ("role_tag", "content_tag"))
    return source | _split_and_cap(place, entry, "num_samples")


def _check_turns(field: str, value: Any, *, is_key: bool) -> None:
    """Raises BadInput where `field` names a key of turns, or a role, that is not read."""
    if is_key:
        is_known = value in ("role", "from", "content", "value")
    else:
        is_known = role_of(str(value)) is not None
    if not is_known:
        raise BadInput(
            f"{field}: turns with the {'key' if is_key else 'role'} "
            f"{one_line(str(value), 40)!r} are not supported",
            "in the data, use the keys role and content, and the roles user and assistant",
        )


def _of_axolotl(path: Path, config: Any, wanted: Sequence[str]) -> Registered:
    block = config.get("datasets") if isinstance(config, dict) else None
    if not isinstance(block, list) or not all(isinstance(each, dict) for each in block):
        raise BadInput(
            f"{path}: a YAML file must be an axolotl config, but this one has no list of datasets",
            "give the rows as JSONL, JSON or CSV",
        )
    sources: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    for number, entry in enumerate(block, 1):
        source = _axolotl_source(path, number, entry, notes)
        sources[_free_name(source_name(source["path"]), sources)] = source
    missing = [name for name in wanted if name not in sources]
    if missing:
        raise BadInput(
            f"{path}: no data set {one_line(missing[0], 40)!r}; "
            f"the data sets are {', '.join(sources)}",
            f"--data {path}#{next(iter(sources), 'NAME')}",
        )
    chosen = {name: sources[name] for name in wanted} if wanted else sources
    if not chosen:
        raise BadInput(
            f"{path}: the list of datasets is empty", "name a config that lists data sets"
        )
    return Registered(chosen, tuple(notes))


def _axolotl_source(
    path: Path, number: int, entry: Mapping[str, Any], notes: list[str]
) -> dict[str, Any]:
    place = f"{path}: datasets[{number}]"
    files = entry.get("data_files")
    location = files if isinstance(files, str) else entry.get("path")
    if isinstance(files, list):
        if len(files) != 1:
            raise BadInput(f"{place}: several data_files", "list each file as a separate data set")
        location = files[0]
    if not isinstance(location, str) or not location:
        raise BadInput(f"{place}: has no path", "give the path of a file, or a hub id")
    if entry.get("name") is not None:
        raise BadInput(
            f"{place}: key name (a subset of a hub data set) is not supported", "set data.subset"
        )
    kind = entry.get("type")
    given = {**entry, **kind} if isinstance(kind, dict) else dict(entry)
    columns = {
        role: str(given[field])
        for field, role in _FIELDS.items()
        if isinstance(given.get(field), str) and given[field]
    }
    if kind == "input_output":
        raise BadInput(
            f"{place}: template-free rows (type input_output) are not supported",
            "write each row as prompt and completion, or as messages",
        )
    if kind == "chat_template" and "messages" not in columns:
        columns["messages"] = "messages"
    if kind == "completion" and "text" not in columns:
        columns["text"] = "text"
    mapped = entry.get("message_property_mappings")
    for key in ("role", "content"):
        if isinstance(mapped, dict) and key in mapped:
            field = f"{place}: message_property_mappings.{key}"
            _check_turns(field, mapped[key], is_key=True)
    if isinstance(kind, dict):
        ignored = [key for key in ("format", "no_input_format", "system_prompt") if kind.get(key)]
        if ignored:
            verb = "is" if len(ignored) == 1 else "are"
            what = " and ".join(ignored)
            notes.append(f"{place}: {what} {verb} not used; set data.prompt_template instead")
    local = location if os.path.exists(location) else str(path.parent / location)
    source: dict[str, Any] = {"path": local if os.path.exists(local) else location}
    if columns:
        source["columns"] = columns
    return source | _split_and_cap(place, entry, "max_rows")


def _split_and_cap(place: str, entry: Mapping[str, Any], cap: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    split = entry.get("split")
    if isinstance(split, str) and "[" in split:
        raise BadInput(
            f"{place}: a part of a split, {one_line(split, 40)!r}, is not supported",
            "limit the rows instead: --set data.train.NAME.max_rows=N",
        )
    if isinstance(split, str):
        found["split"] = split
    if isinstance(rows := entry.get(cap), int) and rows > 0:
        found["max_rows"] = rows
    return found
