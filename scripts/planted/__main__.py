"""`python -m scripts.planted make [NAME...]` and `python -m scripts.planted score`.

`make` makes the records that lack; `score` prints how well the diagnosis finds what was planted,
and exits 1 where that is not well enough. Both take `--folder DIR` (default: the records of the
tests); `make --seed N --folder DIR` makes the whole table once more with other rows and runs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.planted.making import KEPT, make
from scripts.planted.scenarios import BY_NAME, SCENARIOS


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="make the records that lack")
    making.add_argument("names", nargs="*", metavar="NAME", choices=[[], *BY_NAME])
    making.add_argument("--seed", type=int, default=0, help="of the rows chosen and of the runs")
    scoring = commands.add_parser("score", help="how well the diagnosis finds what was planted")
    for each in (making, scoring):
        each.add_argument("--folder", type=Path, default=KEPT, help="where loops/ and data/ are")
    told = parser.parse_args(words)
    if told.command == "make":
        failed = make([BY_NAME[name] for name in told.names] or SCENARIOS, told.folder, told.seed)
        return 1 if failed else 0
    from scripts.planted.scoring import report

    return 0 if report(told.folder) else 1


if __name__ == "__main__":
    sys.exit(main())
