"""Diagnosis: what is wrong with an iteration, what to change next, and whether a prediction held.

It reads the record alone. `facts` gathers what the record has on one iteration, `rules` derive
findings from the facts, `advice` turns findings into changes of the config or the data, `verdicts`
compares a prediction with what was measured, and `diagnose` combines all of these.
"""
