"""Controllers of the workbench, one for each subject: what a key does with the record."""
