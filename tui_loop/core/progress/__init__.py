"""A loop over its iterations, each figure with its noise, and what a further run would decide."""
