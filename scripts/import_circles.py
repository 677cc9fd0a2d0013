"""Lists the modules that import each other in a circle: `python -m scripts.import_circles`.

Every import counts, those in functions and for types alone as well. Prints the imports of each
circle with file and line, and exits 1 where there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import grimp  # import-linter's own reader of imports

PACKAGE = "tui_loop"


def circles(package: str) -> list[list[str]]:
    """Returns the imports of each circle in an importable package, as `file:line: import`."""
    graph = _graph(package)
    imported = {module: graph.find_upstream_modules(module) for module in graph.modules}
    found: set[frozenset[str]] = set()
    for module, others in imported.items():
        mutual = {other for other in others - {module} if module in imported[other]}
        if mutual:
            found.add(frozenset({module, *mutual}))
    return [list(_imports(graph, circle)) for circle in sorted(found, key=sorted)]


def _graph(package: str) -> grimp.ImportGraph:
    """The modules and their imports; who imports `a.b.c` imports `a.b`, too.

    Unless it lies in `a.b` itself, which has then been imported before.
    """
    graph = grimp.build_graph(package, cache_dir=None)
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            details = graph.get_import_details(importer=importer, imported=imported)
            for parent in _parents(imported):
                if not f"{importer}.".startswith(f"{parent}."):
                    for each in details:
                        graph.add_import(
                            importer=importer,
                            imported=parent,
                            line_number=each["line_number"],
                            line_contents=each["line_contents"],
                        )
    return graph


def _parents(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def _imports(graph: grimp.ImportGraph, circle: frozenset[str]) -> Iterator[str]:
    for importer in sorted(circle):
        lines = {
            (each["line_number"], each["line_contents"])
            for imported in graph.find_modules_directly_imported_by(importer) & circle
            for each in graph.get_import_details(importer=importer, imported=imported)
        }
        for number, line in sorted(lines):
            yield f"{_file(importer)}:{number}: {line}"


def _file(module: str) -> Path:
    package, *names = module.split(".")
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent.joinpath(*names)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main() -> int:
    found = circles(PACKAGE)
    for number, imports in enumerate(found, 1):
        print(f"import circle {number} of {len(found)}:", *imports, sep="\n  ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
