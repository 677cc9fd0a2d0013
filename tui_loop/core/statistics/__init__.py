"""What can honestly be said of scores and losses on examples, each test and interval with its
source. No library: a reviewer's installation has neither numpy nor scipy; the tests hold every
figure to scipy's.

`mcnemar` and `paired_interval` compare two models; they see no training noise. A claim about
a change of config needs replicates: `spread_interval` has their spread in it. `fisher_greater`
says whether a group fails more than the rest, and `benjamini_hochberg` what is left of that when
many groups were looked at. `newcombe` holds the shares of two sets of examples
against each other.
"""

from __future__ import annotations

from tui_loop.core.statistics.adjustment import benjamini_hochberg, holm
from tui_loop.core.statistics.counts import fisher_greater, mcnemar, newcombe, wilson
from tui_loop.core.statistics.intervals import BOOTSTRAP_PAIRS, Interval, paired_interval
from tui_loop.core.statistics.replicates import spread_interval, t95

__all__ = [
    "BOOTSTRAP_PAIRS",
    "Interval",
    "benjamini_hochberg",
    "fisher_greater",
    "holm",
    "mcnemar",
    "newcombe",
    "paired_interval",
    "spread_interval",
    "t95",
    "wilson",
]
