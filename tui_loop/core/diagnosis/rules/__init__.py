"""What to look for, by subject: each rule is a function from a case to the findings it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Finding

Rule = Callable[[Case], Iterable[Finding]]
