"""What is wrong with an iteration, what to change next, and whether the last change came true.

From the record alone: `facts` gathers what it says of one iteration, `rules` look at it, `advice`
turns what they found into changes of the config or the data, `verdicts` hold a prediction against
what was measured, and `diagnosing` puts them together.
"""
