"""The one training loop, its runs and checkpoints, and what a phase may name: tasks, views, samplers."""
