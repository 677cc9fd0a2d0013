"""Rules, advisors, tables, planted records and docs cover exactly the declared kinds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.planted.scenarios import KINDS, SCENARIOS
from tests.core.diagnosis.test_every_suggestion import BUILT
from tui_loop.core.diagnosis import advice, rules
from tui_loop.core.diagnosis.advice.advisors import ADVISORS
from tui_loop.core.diagnosis.apply_suggestions import suggested_by
from tui_loop.core.diagnosis.diagnose import RULES
from tui_loop.core.diagnosis.explaining import (
    ALARMS_EXPLAIN,
    DATA,
    EXPLAINS,
    FIT,
    OUTPUTS,
    RESULTS,
)
from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Suggestion, kind_words
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind
from tui_loop.core.record import codec

DOCS = Path(__file__).parents[3] / "docs" / "diagnosis.md"
RULE_FILES = sorted(Path(rules.__file__).parent.glob("*.py"))
ADVICE_FILES = sorted(Path(advice.__file__).parent.glob("*.py"))

WITHOUT_ADVICE: dict[FindingKind, str] = {}
"""Findings that nothing is suggested for, and why: today there are none."""

NOT_PLANTED = {
    FindingKind.FAILED: "an error of the machine or the stack: tests/faults brings those about",
    FindingKind.DROPPED: "the run counts it; test_rendering_checks.py has such rows",
    FindingKind.OTHER_PROMPT: "the run counts it, as it counts parts of rows that are dropped",
    FindingKind.UNDECIDED: "it describes a comparison that replicates would settle, and no fault",
    FindingKind.UNEXPLAINED: "it says that no fault is seen: families without a telling record",
    FindingKind.EXPERIMENT: "the outcome of a second run: test_unexplained.py has both of each",
    **dict.fromkeys(
        (
            FindingKind.EXCHANGED_COLUMNS,
            FindingKind.POOR_PROMPTS,
            FindingKind.REFERENCES_DIFFER,
            FindingKind.PROMPTS_DIFFER,
            FindingKind.ANSWER_IN_PROMPT,
            FindingKind.TWO_NAMES,
            FindingKind.BAD_REFERENCES,
            FindingKind.OTHER_VOCABULARY,
            FindingKind.UNBALANCED_LABELS,
            FindingKind.SORTED_ROWS,
            FindingKind.UNWANTED_REFERENCES,
            FindingKind.GARBLED_TEXT,
            FindingKind.FEW_ROWS,
            FindingKind.SAMPLED,
            FindingKind.STOP_IN_REFERENCES,
            FindingKind.METRIC_MISFIT,
            FindingKind.PARTLY_TRAINED,
            FindingKind.LABEL_NOT_LISTED,
            FindingKind.CONFUSED_LABELS,
            FindingKind.UNUSUAL_SETTING,
            FindingKind.WORSE_THAN_PARENT,
            FindingKind.POOR_START,
        ),
        "scripts/planted/families plants them in real runs, many draws of each, with other rows",
    ),
}
"""Findings that no scenario plants, and why."""


def calls_of(path: Path, *names: str) -> Iterator[ast.Call]:
    """The calls of functions of these names in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def members_in(node: ast.AST, enumeration: str) -> set[str]:
    """The names of an enumeration's members that occur in a piece of code."""
    return {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and isinstance(each.value, ast.Name)
        and each.value.id == enumeration
    }


def kinds_made_in(path: Path) -> set[FindingKind]:
    """The kinds of the findings that a file of rules makes.

    A function whose first parameter is the kind makes those that it is called with.
    """
    makers = {"Finding"} | {
        node.name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and any(
            ast.unparse(each.annotation or node) == "FindingKind" for each in node.args.args[:1]
        )
    }
    calls = [
        call
        for call in calls_of(path, *makers)
        if not (isinstance(call.args[0], ast.Name) and call.args[0].id == "kind")
    ]
    names = [members_in(call.args[0], "FindingKind") for call in calls]
    assert all(names), f"{path.name}: a finding is made without a member of FindingKind"
    return {FindingKind[name] for each in names for name in each}


def reachable_from(advisor: str) -> set[SuggestionKind]:
    """All kinds that a function of advice, and the functions and tables that it uses, name."""
    functions = {
        name: node
        for path in ADVICE_FILES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        for name in names_defined_by(node)
    }
    seen, waiting, found = set[str](), [advisor], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        found |= members_in(functions[name], "SuggestionKind")
        waiting += [n.id for n in ast.walk(functions[name]) if isinstance(n, ast.Name)]
    return {SuggestionKind[name] for name in found}


def names_defined_by(node: ast.stmt) -> Iterator[str]:
    """The names of a function or a constant of a module."""
    if isinstance(node, ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def table_of(title: str) -> dict[str, list[str]]:
    """The rows of a table of the docs by the name in their first cell."""
    section = DOCS.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:3] == "| `"]
    names = [row[0].strip("`") for row in rows]
    assert len(names) == len(set(names)), f"{title}: a kind is listed twice"
    return {name: row[1:] for name, row in zip(names, rows, strict=True)}


def test_every_finding_is_made_by_a_rule_and_named_in_its_module() -> None:
    made = {path: kinds_made_in(path) for path in RULE_FILES}
    assert set[FindingKind]().union(*made.values()) == set(FindingKind)
    for path, kinds in made.items():
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert kinds <= set(re.findall(r"^(\w+)  ", docstring, re.M)), path.name


def test_every_module_of_rules_that_makes_findings_is_asked() -> None:
    asked = {rule.__module__.rpartition(".")[2] for rule in RULES}
    assert {path.stem for path in RULE_FILES if kinds_made_in(path)} == asked


def test_every_finding_has_advice_or_a_reason_for_none() -> None:
    assert set(ADVISORS) | set(WITHOUT_ADVICE) == set(FindingKind)
    assert not set(ADVISORS) & set(WITHOUT_ADVICE)
    assert all(ADVISORS.values())
    assert all(WITHOUT_ADVICE.values())


@pytest.mark.parametrize(
    "table",
    [
        ADVISORS,
        EXPLAINS,
        ALARMS_EXPLAIN,
        OUTPUTS,
        FIT,
        DATA,
        RESULTS,
        *EXPLAINS.values(),
        *ALARMS_EXPLAIN.values(),
    ],
)
def test_tables_hold_members_of_the_enumeration(table: object) -> None:
    assert isinstance(table, dict | set | frozenset)
    assert all(isinstance(each, FindingKind) for each in table)


def test_every_suggestion_is_made_by_an_advisor_that_is_asked() -> None:
    for path in ADVICE_FILES:
        for call in calls_of(path, "propose", "make_suggestion"):
            kind = call.args[
                2 if isinstance(call.func, ast.Name) and call.func.id == "propose" else 1
            ]
            is_read = isinstance(kind, ast.Name) and kind.id == "kind"  # from a table of kinds
            assert is_read or members_in(kind, "SuggestionKind"), f"{path.name}:{call.lineno}"
    asked = {advisor.__name__ for advisors in ADVISORS.values() for advisor in advisors}
    made = set[SuggestionKind]().union(*(reachable_from(name) for name in asked))
    assert made == set(SuggestionKind)


def test_every_finding_is_planted_or_has_a_reason_not_to_be() -> None:
    planted = {kind for each in SCENARIOS for kind in each.must}
    assert planted == set(KINDS)
    assert planted.isdisjoint(NOT_PLANTED)
    assert planted | set(NOT_PLANTED) == set(FindingKind)


def test_the_docs_list_every_finding_with_what_is_suggested() -> None:
    rows = table_of("Findings")
    assert list(rows) == [kind.value for kind in FindingKind]
    for name, (meaning, suggested) in rows.items():
        kind = FindingKind(name)
        listed = {SuggestionKind(each) for each in re.findall(r"`(\w+)`", suggested)}
        built = {each for one in BUILT if one.finding is kind for each in one.suggestions}
        possible = set[SuggestionKind]().union(
            *(reachable_from(advisor.__name__) for advisor in ADVISORS[kind])
        )
        assert meaning
        assert built <= listed <= possible, kind


def test_the_docs_list_every_suggestion() -> None:
    rows = table_of("Suggestions")
    assert list(rows) == [kind.value for kind in SuggestionKind]
    for name, [change] in rows.items():
        fields = {
            field
            for each in BUILT
            for kind, wanted in each.suggestions.items()
            if kind == name
            for field in getattr(wanted, "changes", ())
        }
        told = fields - {"training.gradient_accumulation_steps"}
        assert told <= set(re.findall(r"`([\w.]+)`", change)), name
        assert fields or change.startswith("advice: ")


def test_a_stored_diagnosis_has_kinds_as_the_same_text_as_ever() -> None:
    def diagnosis(finding: str, suggestion: str) -> Diagnosis:
        return Diagnosis(
            1,
            (Finding(finding, "note", "m"),),
            (Suggestion(suggestion, finding, "a", "w"),),
        )

    for finding in FindingKind:
        for suggestion in SuggestionKind:
            members = codec.to_pretty_json(diagnosis(finding, suggestion))
            assert members == codec.to_pretty_json(diagnosis(finding.value, suggestion.value))
    told = Suggestion(SuggestionKind.RAISE_RANK, FindingKind.PLATEAU, "a", "w")
    assert told.name == "plateau/raise_rank"


def test_kinds_of_a_newer_version_can_be_read_and_told() -> None:
    text = (
        b'{"number": 3, "findings": [{"kind": "tired", "severity": "note", "message": "m"}],'
        b' "suggestions": [{"kind": "rest_a_while", "finding": "tired", "action": "a",'
        b' "why": "w"}]}'
    )
    read = codec.from_json(text, Diagnosis, "diagnosis.json")
    assert [each.kind for each in read.findings] == ["tired"]
    assert kind_words(read.findings[0].kind) == "tired"
    assert suggested_by(read.suggestions[0].name) == "the diagnosis (rest a while, after tired)"
