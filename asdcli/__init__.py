"""asd: anomalous sound detection for machine condition monitoring, from recordings to DCASE Task 2 submissions."""

__version__ = "0.1.0"
