"""No stub stands before the method that it declares, in whatever order a class has its bases."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator

import pytest

import tui_loop.tui
from tui_loop.tui.workbench.workbench import Workbench


class Declares:
    def method(self) -> int:
        """What it gives."""
        raise NotImplementedError


class Gives:
    def method(self) -> int:
        return 1


class Fills(Declares):
    def method(self) -> int:
        return 1


class Shadowed(Declares, Gives):
    pass


class ByOrder(Gives, Declares):
    pass


class Filled(Fills, Declares):
    pass


class Unfilled(Declares):
    pass


def classes_of_the_app() -> list[type]:
    """All classes of tui_loop.tui."""
    found: set[type] = set()
    for each in pkgutil.walk_packages(tui_loop.tui.__path__, f"{tui_loop.tui.__name__}."):
        module = importlib.import_module(each.name)
        members = (member for _, member in inspect.getmembers(module, inspect.isclass))
        found |= {member for member in members if member.__module__ == module.__name__}
    return sorted(found, key=lambda each: (each.__module__, each.__qualname__))


def is_stub(value: object) -> bool:
    """Whether a class's attribute only declares: its body is a docstring, `...` or an error."""
    function = value.fget if isinstance(value, property) else value
    if not inspect.isfunction(function) or not function.__module__.startswith(
        ("tui_loop", "tests")
    ):
        return False
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # made at run time, or a lambda
        return False
    if not isinstance(tree.body[0], ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return all(map(_declares, tree.body[0].body))


def _declares(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Raise) and "NotImplementedError" in ast.dump(statement)


def order_matters(cls: type) -> Iterator[str]:
    """Stubs that a method stands against which does not override them, each as a sentence.

    Which of the two is called depends on the order of the bases.
    """
    for name in {name for each in cls.__mro__ for name in vars(each)}:
        owners = [each for each in cls.__mro__ if name in vars(each)]
        stubs = [each for each in owners if is_stub(vars(each)[name])]
        for stub in stubs:
            for each in owners:
                if each not in stubs and not issubclass(each, stub):
                    yield f"{cls.__name__}: {stub.__name__}.{name} is no base of {each.__name__}'s"


def unfilled(cls: type) -> set[str]:
    """Names that are declared in a class and given by none of its bases."""
    names = {name for each in cls.__mro__ for name in vars(each)}
    return {name for name in names if is_stub(inspect.getattr_static(cls, name))}


@pytest.mark.parametrize(("cls", "count"), [(Shadowed, 1), (ByOrder, 1), (Filled, 0)])
def test_a_stub_beside_its_method_is_found_in_either_order(cls: type, count: int) -> None:
    assert len(list(order_matters(cls))) == count


def test_what_nothing_gives_is_found() -> None:
    assert unfilled(Unfilled) == {"method"}
    assert unfilled(Filled) == set()


def test_no_method_of_the_app_depends_on_the_order_of_bases_to_stand_before_a_stub() -> None:
    classes = classes_of_the_app()
    assert Workbench in classes
    assert sorted({each for cls in classes for each in order_matters(cls)}) == []


def test_the_workbench_has_a_method_for_each_stub() -> None:
    assert unfilled(Workbench) == set()
