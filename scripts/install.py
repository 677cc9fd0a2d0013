"""`python scripts/install.py ARGUMENTS`: `pip install ARGUMENTS`, told in a few lines.

Only the standard library is used: nothing else is installed yet. pip's own errors and warnings
pass unchanged.
"""

from __future__ import annotations

import re
import subprocess
import sys

DOWNLOAD = re.compile(r"^\s*Downloading (?:\S*/)?(?P<file>[^/\s]+)(?: \((?P<size>[^)]+)\))?\s*$")
BUILD = re.compile(r"^\s*Building wheel for (?P<name>\S+) ")
INSTALL = "Installing collected packages: "


def short(line: str) -> str | None:
    """Returns what to print for a line of pip's output; None for a line to leave out.

    Downloads below a megabyte, metadata and what is installed already are left out.
    """
    if found := DOWNLOAD.match(line):
        size = found["size"] or ""
        name = "-".join(found["file"].split("-")[:2])
        return f"  downloading {name} ({size})" if "MB" in size or "GB" in size else None
    if found := BUILD.match(line):
        return f"  building {found['name']}"
    if line.startswith(INSTALL):
        return f"  installing {line.count(',') + 1} packages"
    return None


def main(arguments: list[str]) -> int:
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command = [*pip, "--progress-bar", "off", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if told := short(line):
                print(told, flush=True)
    if process.returncode:
        print(f"error: pip install ended with exit code {process.returncode}", file=sys.stderr)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
