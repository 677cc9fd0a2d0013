"""The GPUs of this machine: which there are, which are free, and which a run has claimed."""
