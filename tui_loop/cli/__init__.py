"""The composition root: the command line, and what it starts. Heavy imports are deferred."""
