"""Advice for each kind of finding. An advisor is a function from a finding to suggestions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding, Suggestion

Advisor = Callable[[IterationFacts, Finding], Iterator[Suggestion]]
