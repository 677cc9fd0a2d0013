"""`python -m scripts.planted.families list`, `make [NAME...] --folder DIR`, and `score`.

`list` prints the sets with their counts and what the families of the set `open` are, with `--open`
what those of the sealed sets are too. `make` makes the records of all families of the sets, or of
those that are named, and prints the scores; a name is that of a family or of a set.
`--base smollm2` plants the same faults in tasks for that base; use another folder then.
With `--repairs` it also tries every remedy, with `--healthy` it makes the sound variants.

`score [NAME...] --folder DIR` diagnoses the records, applies the first suggestion of each family
and runs it, prints the table, and lists the alarms of the healthy runs that are there. `--log NOTE`
adds the result to `scorings.toml`: a sealed family that was scored is open from then on.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.planted.families.family import Family, Range
from scripts.planted.families.open_families import OPEN
from scripts.planted.families.running import Scores, make, make_healthy, make_sound, repaired
from scripts.planted.families.scoring import alarms, log, report, score_family
from scripts.planted.families.sealed import sealed, sets
from scripts.planted.families.tasks import BASES, TASKS

OPEN_SET = "open"


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="print the sets")
    listing.add_argument("--open", action="store_true", help="print the faults of sealed sets")
    making = commands.add_parser("make", help="make the records of families by real runs")
    making.add_argument("names", nargs="*", metavar="NAME", help="default: all sets")
    making.add_argument("--folder", type=Path, required=True, help="where loops/ and data/ are")
    making.add_argument("--repairs", action="store_true", help="try every remedy too")
    making.add_argument("--healthy", action="store_true", help="make the healthy variants too")
    scoring = commands.add_parser("score", help="score the diagnosis on the records of families")
    scoring.add_argument("names", nargs="*", metavar="NAME", help="default: all sets")
    scoring.add_argument("--folder", type=Path, required=True, help="where loops/ and data/ are")
    scoring.add_argument("--no-runs", action="store_true", help="do not run the suggestions")
    scoring.add_argument("--log", metavar="NOTE", help="add the result to scorings.toml")
    for command in (making, scoring):
        names = [each.id for each in BASES]
        command.add_argument("--base", choices=names, default="tiny", help="the base model")
    args = parser.parse_args(words)
    families = {OPEN_SET: OPEN, **{name: sealed(name) for name in sets()}}
    if args.command == "list":
        for line in listed(families, is_open=args.open):
            print(line)
        return 0
    base = next(each for each in BASES if each.id == args.base)
    known = families | {family.name: (family,) for each in families.values() for family in each}
    if unknown := sorted(set(args.names) - set(known)):
        parser.error(f"unknown families or sets: {', '.join(unknown)}")
    folder = args.folder.resolve()
    chosen = [family.on(base) for name in args.names or families for family in known[name]]
    if args.command == "score":
        score_all(chosen, folder, runs=not args.no_runs, note=args.log)
        return 0
    for family in chosen:
        for line in made(family, folder, tries=args.repairs):
            print(line, flush=True)
    if args.healthy:
        for task in TASKS:
            scores = {f"sound-{task.name}-0": make_sound(task.on(base), 0, folder)}
            for name, score in (scores | make_healthy(task, base, folder)).items():
                print(f"{name}: {percent(score)}", flush=True)
    return 0


def score_all(families: Sequence[Family], folder: Path, *, runs: bool, note: str | None) -> None:
    """Scores families, prints the report, and adds it to the log with a note."""
    scored = []
    for each in families:
        try:
            scored.append(score_family(each, folder, runs=runs))
        except subprocess.CalledProcessError as error:  # no run, and so nothing to diagnose
            print(f"{each.name} is refused: {error.stderr.strip()}", flush=True)
    for line in report(scored, alarms(folder)):
        print(line, flush=True)
    if note:
        log(note, scored)


def listed(families: dict[str, tuple[Family, ...]], *, is_open: bool) -> list[str]:
    """Returns the lines of `list`."""
    lines = []
    for name, each in families.items():
        lines.append(f"{name}: {len(each)} families")
        if is_open or name == OPEN_SET:
            lines += [f"  {family.name} ({family.task}): {family.fault}" for family in each]
    return lines


def made(family: Family, folder: Path, *, tries: bool) -> list[str]:
    """Makes a family's record, `tries` also each repair; returns the lines to print."""
    lines = [f"{family.name}: {scores_text(make(family, folder))}"]
    if tries:
        for remedy, values in family.remedies.items():
            scores = tried(family, folder, remedy, values)
            share = scores.recovered
            recovered = "nothing was lost" if share is None else f"{percent(share)} recovered"
            lines.append(f"  {remedy}: {percent(scores.repaired)}, {recovered}")
    return lines


def tried(family: Family, folder: Path, remedy: str, values: Range | bool) -> Scores:
    """Runs one remedy: a data edit, or a field at the middle of its range or its first value."""
    if isinstance(values, bool):
        return repaired(family, folder, edit=remedy)
    return repaired(family, folder, changes={remedy: typical(values)})


def typical(values: Range) -> Any:
    """Returns a value to try: the geometric middle of a range of numbers, else the first value."""
    numbers = [each for each in values if type(each) in (int, float)]
    if len(numbers) < 2 or numbers[0] <= 0:
        return values[0]
    middle = math.sqrt(numbers[0] * numbers[1])
    return round(middle) if all(isinstance(each, int) for each in numbers) else middle


def scores_text(scores: Scores) -> str:
    """Returns the base's, the sound and the faulty score as text."""
    return (
        f"base {percent(scores.base)}, sound {percent(scores.sound)}, "
        f"faulty {percent(scores.faulty)}"
    )


def percent(value: float | None) -> str:
    """Returns a share as a percentage."""
    return "no score" if value is None else f"{value:.0%}"


if __name__ == "__main__":
    sys.exit(main())
