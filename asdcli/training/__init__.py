"""The one training loop, its runs and checkpoints, and what a phase may name: tasks, views, samplers."""

CHECKPOINT = "checkpoint.pt"  # of an unfinished run, in its folder
