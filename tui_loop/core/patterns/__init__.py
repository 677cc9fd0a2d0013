"""Patterns over all loops: values that made runs fail, changes that helped, what the best share.

`trials` reads the iterations, `pattern` defines a pattern, `thresholds` and `directions` find them,
`all_patterns` collects them within a time limit, and `hints` words them for a typed value.
"""
