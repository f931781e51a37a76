"""The one training loop, its runs and checkpoints, and what a stage may name: tasks, views, samplers."""
