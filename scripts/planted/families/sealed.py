"""Sealed sets of families: modules in archives, so that nobody reads them by accident.

A set NAME is `NAME.zip`, which holds one module with a tuple `FAMILIES`. `sealed.toml` has the
SHA-256 of the module's text, so that the set can be shown to be the one that was sealed.
"""

from __future__ import annotations

import hashlib
import tomllib
import zipfile
import zipimport
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

from scripts.planted.families.family import Family

FOLDER = Path(__file__).parent
REGISTER = FOLDER / "sealed.toml"
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold: equal modules give equal archives."""


class BrokenSeal(Exception):
    """The module of a sealed set is not the one that was sealed."""


def sets() -> dict[str, dict[str, Any]]:
    """Returns the register of sealed sets by name."""
    return tomllib.loads(REGISTER.read_text(encoding="utf-8"))


def sealed(name: str) -> tuple[Family, ...]:
    """Returns the families of a sealed set; raises BrokenSeal where its text was changed."""
    archive = FOLDER / f"{name}.zip"
    module = module_name(name)
    with zipfile.ZipFile(archive) as file:
        if digest(file.read(f"{module}.py")) != sets()[name]["sha256"]:
            raise BrokenSeal(f"{archive.name} is not the module that {REGISTER.name} lists.")
    spec = zipimport.zipimporter(str(archive)).find_spec(module)
    assert spec is not None
    assert spec.loader is not None
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    families: tuple[Family, ...] = loaded.FAMILIES
    return families


def seal(module: Path, archive: Path) -> str:
    """Writes a module to an archive; returns the SHA-256 of its text."""
    text = module.read_bytes()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(zipfile.ZipInfo(module.name, EARLIEST), text, zipfile.ZIP_DEFLATED)
    return digest(text)


def digest(text: bytes) -> str:
    """Returns the SHA-256 of a module's text."""
    return hashlib.sha256(text).hexdigest()


def module_name(name: str) -> str:
    """Returns the name of a set's module: `blind_1` of `blind-1`."""
    return name.replace("-", "_")
