"""When a loop has reached its goal: criteria, the locked holdout, the checklist, the end."""
