"""The loop itself: records, config, journal, state, data, scoring, statistics, comparison.

Nothing here knows a screen or the training stack.
"""
