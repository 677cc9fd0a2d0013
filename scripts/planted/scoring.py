"""How well the diagnosis finds what was planted: precision and recall by kind of finding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from scripts.planted.scenarios import KINDS, SCENARIOS, Scenario
from tui_loop.core.diagnosis.diagnose import diagnose
from tui_loop.core.diagnosis.findings import Diagnosis, Finding
from tui_loop.core.record.loops_folder import LoopsFolder

WANTED = 0.9
"""Overall precision and recall below this are not good enough."""


class Judged(msgspec.Struct, frozen=True):
    """A scenario and what the diagnosis said of its record."""

    scenario: Scenario
    diagnosis: Diagnosis

    @property
    def found(self) -> frozenset[str]:
        """The kinds that came and must."""
        return self.scenario.must & self._kinds

    @property
    def missed(self) -> frozenset[str]:
        """The kinds that must come and did not."""
        return self.scenario.must - self._kinds

    @property
    def false(self) -> tuple[Finding, ...]:
        """The findings that are not true of this record."""
        return tuple(
            each for each in self.diagnosis.findings if each.kind in self.scenario.must_not
        )

    @property
    def false_alarms(self) -> tuple[Finding, ...]:
        """Alarms about a healthy run."""
        if not self.scenario.is_healthy:
            return ()
        return tuple(each for each in self.diagnosis.findings if each.severity == "alarm")

    @property
    def _kinds(self) -> frozenset[str]:
        return frozenset(each.kind for each in self.diagnosis.findings)


class Tally(msgspec.Struct, frozen=True):
    """Counts over scenarios, and what follows from them; None where there is nothing to count."""

    planted: int
    found: int
    false: int

    @property
    def precision(self) -> float | None:
        """Of what was found and can be judged, the share that is true."""
        said = self.found + self.false
        return self.found / said if said else None

    @property
    def recall(self) -> float | None:
        """The share of what was planted that was found."""
        return self.found / self.planted if self.planted else None


def judge(scenario: Scenario, folder: Path) -> Judged:
    """Diagnoses the record of a scenario in `folder`; raises NotFound where there is none."""
    loop = LoopsFolder(folder / "loops").loop(scenario.name)
    return Judged(scenario, diagnose(loop, scenario.look))


def tallies(judged: Iterable[Judged]) -> dict[str, Tally]:
    """The counts of each kind of finding, in the order of KINDS."""
    planted, found, false = Counter[str](), Counter[str](), Counter[str]()
    for each in judged:
        planted.update(each.scenario.must)
        found.update(each.found)
        false.update({finding.kind for finding in each.false})
    return {kind: Tally(planted[kind], found[kind], false[kind]) for kind in KINDS}


def total(by_kind: dict[str, Tally]) -> Tally:
    """All kinds together."""
    counted = by_kind.values()
    return Tally(
        sum(each.planted for each in counted),
        sum(each.found for each in counted),
        sum(each.false for each in counted),
    )


def is_good(judged: Sequence[Judged]) -> bool:
    """Whether precision and recall are WANTED or better, and no healthy run has an alarm."""
    overall = total(tallies(judged))
    shares = (overall.precision, overall.recall)
    return all(share is not None and share >= WANTED for share in shares) and not any(
        each.false_alarms for each in judged
    )


def report(folder: Path) -> bool:
    """Prints the table; whether it is good enough."""
    there = [each for each in SCENARIOS if (folder / "loops" / each.name).is_dir()]
    judged = [judge(each, folder) for each in there]
    by_kind = tallies(judged)
    healthy = [each for each in judged if each.scenario.is_healthy]
    print(f"{len(judged)} records, {len(healthy)} of them of healthy runs\n")
    print(f"{'finding':24}{'planted':>9}{'found':>9}{'false':>9}{'precision':>11}{'recall':>9}")
    for kind, tally in by_kind.items():
        print(_line(kind, tally))
    print(_line("all", total(by_kind)))
    _print_list("missed", _missed(judged))
    _print_list("false", (_spoken(each, finding) for each in judged for finding in each.false))
    _print_list(
        "alarms about healthy runs",
        (_spoken(each, finding) for each in healthy for finding in each.false_alarms),
    )
    lacking = [each.name for each in SCENARIOS if each not in there]
    _print_list("no record of", lacking)
    is_enough = is_good(judged) and not lacking
    print(f"\n{WANTED} or better, and healthy runs without alarm: {'yes' if is_enough else 'NO'}")
    return is_enough


def _missed(judged: Iterable[Judged]) -> Iterable[str]:
    for each in judged:
        for kind in sorted(each.missed):
            said = ", ".join(finding.kind for finding in each.diagnosis.findings) or "nothing"
            yield f"{each.scenario.name}: {kind} ({each.scenario.planted}); said: {said}"


def _spoken(judged: Judged, finding: Finding) -> str:
    return f"{judged.scenario.name}: {finding.kind}, {finding.severity}: {finding.message}"


def _line(name: str, tally: Tally) -> str:
    shares = (tally.precision, tally.recall)
    precision, recall = ("-" if share is None else f"{share:.2f}" for share in shares)
    return f"{name:24}{tally.planted:>9}{tally.found:>9}{tally.false:>9}{precision:>11}{recall:>9}"


def _print_list(title: str, lines: Iterable[str]) -> None:
    told = list(lines)
    if told:
        print(f"\n{title}")
        for line in told:
            print(f"  {line}")
