"""Patterns over all loops: values that made runs fail, changes that helped, what the best share.

`trials` reads the iterations and `pattern` defines a pattern. `thresholds` and `directions` find
patterns. `all_patterns` collects them within a time limit, and words them for a typed value.
"""
