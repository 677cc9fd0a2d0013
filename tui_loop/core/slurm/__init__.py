"""Runs as jobs of a SLURM cluster: the script, the record of a job, and SLURM's own commands."""
