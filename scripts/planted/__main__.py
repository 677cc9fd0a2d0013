"""`python -m scripts.planted make [NAME...]` and `python -m scripts.planted score`.

`make` makes the missing records and writes the archive of the tests, `tests/planted.tar.xz`; the
records that are named are made anew. `score` prints how well the diagnosis finds what was planted,
and exits 1 where that is not well enough. With `--folder DIR` both work on the records of a folder
and leave the archive alone: `make --seed N --folder DIR` makes the whole table once more with other
rows and runs.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from scripts.planted.archive import ARCHIVE, pack, unpacked
from scripts.planted.making import make
from scripts.planted.scenarios import BY_NAME, SCENARIOS


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser(
        "make", help="make the missing records, or those that are named anew"
    )
    making.add_argument("names", nargs="*", metavar="NAME", choices=[[], *BY_NAME])
    making.add_argument("--seed", type=int, default=0, help="of the rows chosen and of the runs")
    scoring = commands.add_parser("score", help="how well the diagnosis finds what was planted")
    for each in (making, scoring):
        each.add_argument("--folder", type=Path, help="where loops/ and data/ are")
    args = parser.parse_args(words)
    with nullcontext(args.folder) if args.folder else unpacked() as folder:
        if args.command == "make":
            named = [BY_NAME[name] for name in args.names]
            failed = make(named or SCENARIOS, folder, args.seed, anew=bool(named))
            if not args.folder:
                pack(folder, ARCHIVE)
            return 1 if failed else 0
        from scripts.planted.scoring import report

        return 0 if report(folder) else 1


if __name__ == "__main__":
    sys.exit(main())
