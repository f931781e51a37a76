"""The numbers of the official evaluators, their uncertainty, and systems compared."""
