"""Submission packages: team, meta file, writing, and the checker."""
