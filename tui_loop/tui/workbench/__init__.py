"""The workbench, by what is done on it: looking, drafting, running, reading, going about."""
