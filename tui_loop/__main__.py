"""`python -m tui_loop` is the command `tui-loop`."""

import sys

from tui_loop.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
