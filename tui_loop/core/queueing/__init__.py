"""The queue of a loop: drafts that wait to be run one after the other (`queue.toml`)."""
