"""The rules, by subject. A rule is a function from `IterationFacts` to its findings."""
