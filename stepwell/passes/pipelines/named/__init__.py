"""The named pipelines, one file each."""
