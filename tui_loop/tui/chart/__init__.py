"""Charts of a run: the large one, the list of its metrics, and a grid of small charts."""
